"""The book ``history``: the lines and tags of whole runs, mmengine's (``logger_runs``) and mmcv 1.x's (``text_logger``).

The real fold runs on batches of numbered samples, with a clock that says what the book's timer said: a batch takes 0.05
seconds to arrive, and a step 0.25. Of a batch of held-out data the run is told once, so its lines have no ``data_time``:
`_without` leaves it out of the book's. mmengine's models put the sum of the losses before its parts, here it comes after.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fkit
from fkit.run.effect import WriteTags, WriteText
from fkit.run.event import Observed
from tests.golden.test_events import source

BOOK = "history"


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**case, "kind": kind} for kind in ("logger_runs", "text_logger") for case in book[kind]]


class Numbers(nn.Module):
    """Reports the mean v of a batch's sample numbers, as the book's models do; it counts its steps of training."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.register_buffer("steps", torch.zeros(1))
        self.kind = kind

    def forward(self, inputs: Any, samples: Any = None, mode: str = "tensor") -> Any:
        v = inputs.mean() + 0 * self.weight.sum()
        if mode == "predict":
            return {"steps": self.steps.expand(len(inputs))}
        if self.training:
            self.steps = self.steps + 1
        if self.kind == "logger_runs":
            return {"loss_a": v, "loss_b": 2 * v, "acc": 10 * v.detach()}
        return {"loss": v, "acc": 10 * v.detach()} if self.training else {"loss": 2 * v, "acc": v.detach()}


@dataclass(frozen=True)
class Scores(fkit.Metric):
    """The first validation's scores, then the second's; ``first`` is the step of the first."""

    first: int = 1

    def empty(self) -> Any:
        return 0.0

    def observe(self, state: Any, outputs: Any, targets: Any, ids: Any = None, valid: Any = None) -> Any:
        return max(state, float(np.max(outputs["steps"])))

    def merge(self, state: Any, other: Any) -> Any:
        return max(state, other)

    def compute(self, state: Any) -> Any:
        return {"acc": 0.5, "mAP": 0.25} if state <= self.first else {"acc": 0.75, "mAP": 0.5}


@dataclass(frozen=True)
class Nowhere:
    """A writer: with one among them, a run has tags."""

    def open(self, folder: Any, name: str) -> Any:
        raise AssertionError("no edge opens it")


class Clock:
    """What the book's timer said: of each step, and of a batch of held-out data as much as of a step."""

    def __init__(self) -> None:
        self.now, self.arrived, self.held = 0.0, False, False

    def __iter__(self) -> "Clock":
        return self

    def __next__(self) -> tuple[Observed, ...]:
        if not (self.arrived or self.held):
            self.arrived = True
            return (Observed("time", self.now + 0.05),)
        self.arrived = self.held = False
        self.now += 0.25
        return (Observed("time", self.now),)


@dataclass(frozen=True)
class Held(fkit.Source):
    """A source that tells the clock of each of its batches."""

    source: fkit.Source
    clock: Clock

    @property
    def length(self) -> Any:
        return self.source.length

    def batches(self, epoch: int, start: int = 0) -> Any:
        for batch in self.source.batches(epoch, start):
            self.clock.held = True
            yield batch


def plan_of(case: dict[str, Any]) -> Any:
    count, size = case["train_samples"], case["batch_size"]
    keys: dict[str, Any] = dict(
        model=dict(type="Numbers", kind=case["kind"]), seed=0, device="cpu",
        train_dataloader=dict(batch_size=size, dataset=dict(type="Digits")),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.02)),
    )  # fmt: skip
    if case["kind"] == "logger_runs":
        keys |= {"train_cfg": case["train_cfg"], "vis_backends": [dict(type="Nowhere")]}
        keys["default_hooks"] = dict(logger=dict(type="LoggerHook", **case["logger_hook"]), checkpoint=None)
        if "log_processor" in case:
            keys["log_processor"] = dict(type="LogProcessor", **case["log_processor"])
        if case["train_cfg"]["by_epoch"]:
            keys["param_scheduler"] = dict(type="MultiStepLR", milestones=[1], by_epoch=True)
        if "val_samples" in case:
            first = case["train_cfg"].get("val_interval", -(-count // size))
            keys |= dict(val_dataloader=keys["train_dataloader"], val_evaluator=dict(type="Scores", first=first))
    else:
        old = dict(
            optimizer=dict(type="SGD", lr=0.02), lr_config=case["lr_config"], runner=case["runner"],
            log_config=dict(interval=case["logger"]["interval"], hooks=[case["logger"]]), checkpoint_config=None,
            workflow=[tuple(item) for item in case["workflow"]], data=dict(train=dict(type="Digits")),
        )  # fmt: skip
        keys = {"model": keys["model"], "seed": 0, "device": "cpu", "experiment_name": "demo", **old}
        if "val_samples" in case:
            keys["data"]["val"] = dict(type="Digits")
    reg = fkit.registry().register("models", Numbers, backend="torch").register("metrics", Scores)
    return fkit.plan(fkit.Config(keys), reg.register("vis_backends", Nowhere), backend="torch")


def told(case: dict[str, Any]) -> list[Any]:
    """The lines and tags of a run."""
    plan, clock = plan_of(case), Clock()
    data = {"train": source(dict(samples=case["train_samples"], batch_size=case["batch_size"]))}
    if "val_samples" in case:
        data["val"] = Held(source(dict(samples=case["val_samples"], batch_size=case["batch_size"])), clock)
    effects: list[Any] = []
    for _, asked in fkit.train(plan, fkit.begin(plan), data, clock):
        effects += asked
    return effects


def _without(text: str) -> str:
    """A line whose sum of losses stands behind its parts, and of held-out data without the time its batches took to
    arrive."""
    text = re.sub(r"data_time: \S+  |  data_time: \S+$", "", text) if "(val)" in text else text
    total = re.search(r"  loss: \S+(?=  |$)", text)
    return text.replace(total[0], "") + total[0] if total else text


def test_case(case: dict[str, Any]) -> None:
    effects = told(case)
    lines = [effect.text for effect in effects if isinstance(effect, WriteText)]
    want = [line["text"] if isinstance(line, dict) else line for line in case["lines"]]
    assert [_without(line) for line in lines] == [_without(line) for line in want]
    if case["kind"] == "logger_runs":
        tags = [(e.step, dict(e.tags)) for e in effects if isinstance(e, WriteTags)]
        assert [step for step, _ in tags] == [row["step"] for row in case["add_scalars"]]
        for (_, values), row in zip(tags, case["add_scalars"], strict=True):
            known = {name: value for name, value in row["scalars"] if name in values}
            assert {name: values[name] for name in known} == pytest.approx(known, rel=1e-9)
            assert {name for name, _ in row["scalars"]} - {*values, "data_time"} == set()

"""The book ``events``: what hooks are told in whole runs of mmcv 1.x and of mmengine, in order, with their counters.

The real fold runs, on a model of one layer and batches of numbered samples, with a hook that writes down what it is told.
Its counters count what is done; those of the books count otherwise (T20 of the features), and `Mmcv` and `Mmengine` say
how, row by row. Both are given the order as it is: they leave out what the reference does not tell, and add nothing.

Where a book resumes from a file of OpenMMLab's, the run begins at the counters that the file holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.run.course import by_epochs, by_iterations
from fkit.run.effect import SaveCheckpoint, Stop
from fkit.run.event import EVENTS
from fkit.run.hook.hook import Hook
from fkit.run.state import Memory, Position, RunState
from fkit.run.validation import test as scoring
from fkit.run.validation import validate
from fkit.structures.batch import Batch
from tests.golden.decoding import untagged

BOOK = "events"

Row = tuple[Any, ...]
OFF = dict(checkpoint=None, logger=None, timer=None, sampler_seed=None, param_scheduler=None, runtime_info=None)


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return book["events"]


@dataclass(frozen=True)
class Recorder(Hook):
    """Remembers each event: (name, mode, iteration, epochs done, inner, samples of the batch, length)."""

    priority: Any = "HIGHEST"
    names: tuple[str, ...] = EVENTS
    stop_in: str = ""
    stop_at: int = -1

    def answers(self, event: str) -> bool:
        return event in self.names

    def __getattr__(self, name: str) -> Any:
        if name not in EVENTS:
            raise AttributeError(name)
        return self._told

    def _told(self, memory: Memory, run: RunState, event: fkit.Event) -> Any:
        samples = (
            None
            if event.batch is None or event.name == "before_save_checkpoint"
            else [meta["sample_idx"] for meta in event.batch.meta]
        )
        row = (event.name, event.mode, event.iteration, run.position.epoch, event.inner, samples, event.length)
        stop = event.name == self.stop_in and event.iteration == self.stop_at
        return Memory((*memory.exact, row)), (Stop("asked"),) if stop else ()


@dataclass(frozen=True)
class Generic(Hook):
    """Has mmcv's handlers of all modes alone."""

    def before_iter(self, memory: Memory, run: RunState, event: fkit.Event) -> Any:
        return Memory((*memory.exact, event.name)), ()

    after_iter = before_epoch = after_epoch = before_run = after_run = before_iter


def source(loader: dict[str, Any]) -> fkit.Source:
    """Batches of the samples 0, 1, ... in order."""
    count, size = loader["samples"], loader["batch_size"]
    if loader.get("drop_last"):
        count -= count % size
    starts = range(0, count, size)
    return fkit.Source.of([_batch(list(range(start, min(start + size, count)))) for start in starts])


def _batch(samples: list[int]) -> Batch:
    inputs = np.array(samples, np.float32)[:, None]
    return Batch(inputs, {"gt_label": np.array(samples) % 2}, meta=tuple({"sample_idx": i} for i in samples))


def plan_of(case: dict[str, Any], part: str = "train", **keys: Any) -> Any:
    stop = case.get("stop_training", {})
    recorder = dict(
        type="Recorder", priority=case.get("hook_priority", "HIGHEST"), stop_in=stop.get("in_stage", ""),
        stop_at=stop.get("at_iter", -1),
    )  # fmt: skip
    base = dict(
        model=dict(
            type="ImageClassifier",
            backbone=dict(type="MLP", in_channels=1, hidden=[2]),
            head=dict(type="LinearClsHead", num_classes=2, in_channels=2),
        ),
        seed=0,
        device="cpu",
        custom_hooks=[recorder, dict(type="Generic")],
    )
    registry = fkit.registry().register("hooks", Recorder).register("hooks", Generic)
    return fkit.plan(fkit.Config(base | keys), registry, part=part)


def fold(case: dict[str, Any], plan: Any, items: Any, run: RunState) -> tuple[list[Row], list[str], list[int]]:
    """What the recorder was told, what the generic hook was, and the steps that were saved."""
    saved: list[int] = []
    for run, effects in items:
        saved += [effect.step for effect in effects if isinstance(effect, SaveCheckpoint)]
    assert run.status == "finished"
    return [*run.memory["custom_hooks.0"].exact], [*run.memory["custom_hooks.1"].exact], saved


def begun(case: dict[str, Any], plan: Any) -> RunState:
    """Before the first event, or at the counters of the file that the case goes on from."""
    run = fkit.begin(plan)
    if "resume" in case:
        meta = case["resume"]["checkpoint_meta"]
        at = Position(epoch=meta["epoch"], iteration=meta["iter"])
        if not plan.course.by_epoch:
            at = Position(iteration=meta["iter"])
        return run._replace(position=at, restored=True)
    return run._replace(restored="load_from" in case)


@dataclass
class Mmcv:
    """Our rows as mmcv 1.x counts: an iteration is counted after its ``after_train_iter``, an epoch after its
    ``after_train_epoch``; ``inner_iter`` and the mode stay what they were until something else begins.

    The iteration-based runner reads the epoch of its loader before it asks for the next batch, so the first iteration of
    a further pass has the old epoch; it counts ``inner_iter`` from 0 in each item of the workflow, and calls
    ``before_epoch`` and ``after_epoch`` itself, once.
    """

    by_epoch: bool
    limit: int
    workflow: list[Any]

    def rows(self, told: list[Row]) -> Iterator[list[Any]]:
        mode, inner, epoch, item, count = None, 0, 0, 0, 0
        names = {"before_train_epoch": "before_epoch", "after_train_epoch": "after_epoch"}
        for name, kind, iteration, done, place, samples, length in told:
            total = self.limit * length if self.by_epoch else self.limit
            if name in ("before_train", "after_train", "before_save_checkpoint", "after_load_checkpoint"):
                continue
            if self.by_epoch:
                total = self.limit * next(row[6] for row in told if row[1] == "train")
                if name.endswith(("_iter", "_epoch")):
                    mode = kind
                if name.endswith("_iter"):
                    inner = place - name.startswith("after")
                iteration -= name == "after_train_iter"
                yield [name, mode, done - (name == "after_train_epoch"), inner, iteration, self.limit, total, samples]
                continue
            if name in ("before_val_epoch", "after_val_epoch"):
                continue
            if name.startswith("before") and name.endswith("_iter"):
                if count == self.workflow[item][1] or kind != self.workflow[item][0]:
                    item, count = (item + 1) % len(self.workflow), 0
                mode, inner, count = kind, count, count + 1
                if kind == "train":
                    epoch = max(iteration - 1, 0) // length
            iteration -= name == "after_train_iter"
            if name in ("after_train_epoch", "after_run"):
                inner = count
            yield [names.get(name, name), mode, epoch, inner, iteration, None, total, samples]


@dataclass
class Mmengine:
    """Our rows as mmengine counts: as mmcv does, and a save is told with the counters of the event that it is part of.
    Before ``before_train`` a run that goes on has not taken its counters over yet. An iteration-based run is one epoch.
    While nothing is trained there are no counters.
    """

    by_epoch: bool
    course: Any
    trains: bool

    def rows(self, told: list[Row]) -> Iterator[list[Any]]:
        stage = ""
        for name, mode, iteration, done, place, samples, length in told:
            index = None
            if name.endswith("_iter"):
                index = place - name.startswith("after")
                if mode == "train" and not self.by_epoch:
                    index = iteration - name.startswith("after")
            stage = stage if name == "before_save_checkpoint" else name
            if not self.trains:
                yield [name, None, None, None, None, index, samples, None]
                continue
            first = name in ("before_run", "after_load_checkpoint")
            epoch = 0 if first or not self.by_epoch else done - (stage == "after_train_epoch")
            iteration = 0 if first else iteration - (stage == "after_train_iter")
            limit, total = self.course.limit, self.course.total(next(row[6] for row in told if row[1] == "train"))
            interval = self.course.validation.interval(epoch if self.by_epoch else iteration)
            yield [name, epoch, iteration, limit if self.by_epoch else 1, total, index, samples, interval]


def mmcv(case: dict[str, Any]) -> None:
    runner = case["runner"]
    workflow = [tuple(item) for item in case["workflow"]]
    loaders = {part: case[f"{part}_loader"] for part in ("train", "val") if f"{part}_loader" in case}
    keys = dict(
        runner=runner,
        workflow=workflow,
        optimizer=dict(type="SGD", lr=0.1),
        data=dict(samples_per_gpu=2, **{part: dict(type="Digits") for part in loaders}),
    )
    plan = plan_of(case, **{key: value for key, value in keys.items() if value is not None})
    run = begun(case, plan)
    data = {part: source(loader) for part, loader in loaders.items()}
    told, generic, _ = fold(case, plan, fkit.train(plan, run, data), run)
    course = plan.course
    rows = [*Mmcv(course.by_epoch, course.limit, workflow).rows(told)]
    assert rows == case["calls"]
    if course.by_epoch:  # of the iteration-based runner, epochs are told once a run
        short = [name.replace("_train", "").replace("_val", "") for name in generic]
        assert short == [row[0] for row in case["generic_calls"]]


def mmengine(case: dict[str, Any]) -> None:
    loop = untagged(case.get("train_cfg"))
    loaders = {part: case[f"{part}_loader"] for part in ("train", "val", "test") if f"{part}_loader" in case}
    data = {part: source(loader) for part, loader in loaders.items()}
    keys: dict[str, Any] = {f"{part}_dataloader": dict(dataset=dict(type="Digits")) for part in loaders}
    keys["default_hooks"] = OFF | case.get("default_hooks", {})
    keys |= {f"{part}_evaluator": dict(type="Accuracy") for part in ("val", "test") if part in loaders}
    if loop is not None:
        keys |= dict(train_cfg=loop, optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)))
    rows: list[list[Any]] = []
    files: list[int] = []
    for part in case["run"]:
        plan = plan_of(case, part, **keys)
        run = begun(case, plan)
        folded = {"train": fkit.train, "val": validate, "test": scoring}[part](plan, run, data)
        told, _, saved = fold(case, plan, folded, run)
        files += saved
        by_epoch = loop is None or bool(loop["by_epoch"])
        arguments = {key: value for key, value in (loop or {"max_epochs": 1}).items() if key != "by_epoch"}
        course = (by_epochs if by_epoch else by_iterations)(**arguments)
        rows += Mmengine(by_epoch, course, part == "train").rows(told)
    assert [row[:7] for row in rows] == [row[:7] for row in case["calls"]]
    assert [row[7] for row in rows] == [row[7] for row in case["calls"]]
    if "files" in case:  # a file is named by its epoch or iteration in the book, by its iteration here
        assert sorted(set(files)) == sorted(file["iter"] for file in case["files"].values())


def test_case(case: dict[str, Any]) -> None:
    (mmcv if case["ref"] == "mmcv1" else mmengine)(case)


def test_every_stage_of_mmengines_is_told(book: dict[str, Any]) -> None:
    assert set(book["mmengine_stages"]) | {"on_interrupt"} == set(EVENTS)
    assert [name for name in EVENTS if name != "on_interrupt"] == book["mmengine_stages"]


@pytest.mark.parametrize("stage", ["before_val_iter", "after_test_iter", "after_val_epoch"])
def test_what_mmengine_gives_a_stage_is_in_the_event(stage: str, book: dict[str, Any]) -> None:
    fields = {"batch_idx": "inner", "data_batch": "batch", "outputs": "outputs", "metrics": "metrics"}
    assert {fields[name] for name in book["mmengine_stage_arguments"][stage]} <= set(fkit.Event._fields)

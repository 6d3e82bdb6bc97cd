"""fkit's sides of loop.py: the hand-written models by config, with the batches that a loader would give."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from case import DECAY, LIMIT, LR, MOMENTUM, SHARE, TOTAL, Way, arrays, case, model
from frozendict import frozendict
from rich.console import Console

import fkit
from fkit.data.source import Source
from fkit.edge.perform import Edge
from fkit.edge.progress import Screen
from fkit.run.tell import Fold
from fkit.run.validation import validation


@dataclass(frozen=True)
class Cycle(Source):
    """One long epoch of the same few batches."""

    items: list[fkit.Batch]

    @property
    def length(self) -> int:
        return TOTAL

    def batches(self, epoch: int, start: int = 0) -> Iterator[fkit.Batch]:
        while True:
            yield from self.items


class Fkit:
    """One case on one backend.

    Args:
        name: of the case.
        folder: the work folder.
        extra: "clip" for gradients that are clipped by their norm, "ema" for an average of the weights, or neither.
    """

    def __init__(self, name: str, backend: str, folder: Path, device: str = "cpu", extra: str = "") -> None:
        shape, size, held = case(name)
        self.items, left = (
            [fkit.Batch(x, {"gt_label": y}) for x, y in arrays(name, count, seed)]
            for count, seed in ((8, 0), (held, 1))
        )
        self.data = {"train": Cycle(self.items), "val": Source.of(left)}
        # JAX learns the model's shapes from the config's dataset
        registry = fkit.registry().register("datasets", lambda: Zeros(shape), name="Zeros")
        self.plan = fkit.plan(config(name, size).merge({"device": device, **EXTRAS[extra]}), registry, backend=backend)
        self.folder = folder

    def step(self) -> Way:
        """A bare loop over ``program.train_step``."""
        program = self.plan.program
        state, numbers, at, logs = program.init(0), program.hyperparams(), 0, {}

        def run(count: int) -> None:
            nonlocal state, at, logs
            for _ in range(count):
                state, logs = program.train_step(state, self.items[at % len(self.items)], numbers)
                at += 1
            self._wait(state)

        return run

    def train(self, seen: Iterator[Any], edge: Edge | None) -> Way:
        """``fkit.train``; without an edge its effects are dropped, and no bar is shown."""
        data = self.data if edge is None else edge.watched(self.data)
        steps = fkit.train(self.plan, fkit.begin(self.plan), data, seen)
        place = 0

        def run(count: int) -> None:
            nonlocal place
            until = place + count
            for run, effects in steps:
                if edge is not None:
                    for effect in effects:
                        edge.perform(effect, run)
                    edge.watch(run)
                if run.position.iteration >= until:
                    place = until
                    self._wait(run.train)
                    return

        return run

    def _wait(self, state: Any) -> None:
        """Until the device has done a step."""
        self.plan.room.fetch([next(iter(state.params.values())).reshape(-1)[0]])

    def edge(self) -> Edge:
        """The edge of a command, its screen a file."""
        quiet = open(os.devnull, "w")  # noqa: SIM115  as long as the process
        return Edge(self.folder, self.plan, {}, screen=Screen(Console(file=quiet, highlight=False)))

    def validate(self, seen: Iterator[Any], edge: Edge) -> Callable[[], None]:
        """A validation pass, as the loop makes it; from pass to pass its hooks remember the best score, so that only the
        first, which is not timed, saves a checkpoint."""
        state, data = fkit.begin(self.plan), edge.watched(self.data)
        fold = Fold(self.plan, seen, TOTAL)  # one a run, as in training

        def run() -> None:
            nonlocal state
            for state, effects in validation(fold, state, state.position, data):
                for effect in effects:
                    edge.perform(effect, state)

        return run


@dataclass(frozen=True)
class Zeros:
    """Samples of a shape."""

    shape: tuple[int, ...]

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"inputs": np.zeros(self.shape, np.float32), "targets": {"gt_label": np.int64(0)}}


EXTRAS: Mapping[str, Mapping[str, Any]] = frozendict(
    {
        "": frozendict(),
        "clip": frozendict({"optim_wrapper.clip_grad": {"max_norm": LIMIT}}),
        "ema": frozendict({"custom_hooks": [{"type": "EMAHook", "momentum": SHARE}]}),
    }
)


def config(name: str, size: int) -> fkit.Config:
    """The case, as a user would write it."""
    loader = {"batch_size": size, "dataset": {"type": "Zeros"}}
    return fkit.Config(
        {
            "model": model(name),
            "train_dataloader": loader,
            "val_dataloader": loader,
            "val_evaluator": {"type": "Accuracy"},
            "train_cfg": {"by_epoch": True, "max_epochs": 1, "val_begin": 2},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": LR, "momentum": MOMENTUM, "weight_decay": DECAY}},
            "param_scheduler": {
                "type": "CosineAnnealingLR",
                "by_epoch": False,
                "end": TOTAL,
                "T_max": TOTAL,
                "eta_min": 0,
            },
            "seed": 0,
        }
    )

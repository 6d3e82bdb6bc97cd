"""A small real run: 50 digits, shuffled and augmented, a ConvNet with batch norm and dropout; and edges that die."""

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import fkit
from fkit.data.dataset import Digits
from fkit.edge.checkpoint import digest, newest
from fkit.edge.files import Files
from fkit.edge.folder import open_folder
from fkit.edge.perform import Edge

SIZE = 50


@dataclass(frozen=True)
class FewDigits(Digits):
    """The first 50 digits: a number that the batch size does not divide."""

    def __len__(self):
        return SIZE


def registry():
    return fkit.registry().register("datasets", FewDigits)


def config(loop="epoch", optimizer="SGD", workers=0, **changes):
    """A config of four checkpoints in three passes of four iterations."""
    steps = [dict(type="ToUnit"), dict(type="Normalize", mean=[0.3], std=[0.38]), dict(type="PackInputs")]
    moves = [steps[0], dict(type="ShiftScaleRotate", shift_limit=0.1, rotate_limit=10), *steps[1:]]
    options = dict(SGD=dict(lr=0.1, momentum=0.9, weight_decay=1e-3), Adam=dict(lr=0.01), AdamW=dict(lr=0.01))[
        optimizer
    ]
    epochs = loop == "epoch"
    cfg = fkit.Config(
        dict(
            model=dict(
                type="ImageClassifier",
                backbone=dict(type="ConvNet", in_channels=1, channels=(4, 8), dropout=0.25),
                neck=dict(type="GlobalAveragePooling"),
                head=dict(type="LinearClsHead", num_classes=10, in_channels=8),
            ),
            train_dataloader=dict(
                batch_size=16,
                num_workers=workers,
                sampler=dict(type="DefaultSampler", shuffle=True),
                dataset=dict(type="FewDigits", split="train", pipeline=moves),
            ),
            val_dataloader=dict(batch_size=25, dataset=dict(type="FewDigits", split="test", pipeline=steps)),
            val_evaluator=dict(type="Accuracy"),
            train_cfg=dict(by_epoch=True, max_epochs=3)
            if epochs
            else dict(by_epoch=False, max_iters=12, val_interval=5),
            optim_wrapper=dict(optimizer=dict(type=optimizer, **options)),
            param_scheduler=dict(type="CosineAnnealingLR", by_epoch=False),
            default_hooks=dict(
                logger=dict(type="LoggerHook", interval=1),
                checkpoint=dict(type="CheckpointHook", interval=1 if epochs else 3, by_epoch=epochs),
            ),
            device="cpu",  # bits are compared, in this process; tests/cuda has the others
            seed=3,
        )
    )
    return cfg.merge(changes) if changes else cfg


class DyingFiles(Files):
    """Disk operations of a process that is killed at the n-th; a write that is hit leaves half of its bytes."""

    def __init__(self, deadly):
        super().__init__()
        self.done = 0
        self.deadly = deadly

    def _count(self, half=None):
        self.done += 1
        if self.done == self.deadly:
            if half is not None:
                path, data = half
                with open(path, "ab") as file:
                    file.write(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    def make_folder(self, path):
        self._count()
        super().make_folder(path)

    def write(self, path, data):
        self._count((path, data))
        super().write(path, data)

    def replace(self, path, data):
        self._count()
        super().replace(path, data)

    def append(self, path, data):
        self._count((path, data))
        return super().append(path, data)

    def rename(self, old, new):
        self._count()
        super().rename(old, new)

    def sync(self, folder):
        self._count()
        super().sync(folder)

    def remove(self, path):
        self._count()
        super().remove(path)


def go(plan, folder, files=None, resume=False, stop_after=None):
    """Run in a work folder as the command does, from what is there; the number of disk operations."""
    folder = Path(folder)
    files = files or DyingFiles(0)
    opened = open_folder(folder, plan.config, resume)
    run = fkit.restore(plan, opened.found.saved) if opened.found else fkit.begin(plan)
    rows = int(opened.found.meta["rows"]) if opened.found else 0
    edge = Edge(folder, plan, dict(seed=plan.seed), files, rows=rows)
    for run, effects in fkit.train(plan, run, fkit.open_data(plan)):
        for effect in effects:
            if type(effect).__name__ != "DrawCurves":
                edge.perform(effect, run)
        if stop_after is not None and run.iteration >= stop_after:
            break
    return files.done


def start(backend, loop, optimizer, workers, folder, deadly, cache):
    """In a process of its own: a run that is killed at its n-th disk operation; what JAX compiles is kept in ``cache``."""
    import jax
    import torch

    torch.set_num_threads(1)
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    plan = fkit.plan(config(loop, optimizer, workers), registry(), backend=backend)
    go(plan, folder, DyingFiles(deadly))


def fingerprint(folder):
    """Of the newest checkpoint."""
    return digest(newest(Path(folder) / "checkpoints").saved)


def measured(folder):
    """The lines of a run's metrics.jsonl, but for when they were written."""
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    assert all(isinstance(row.pop("wall_time"), float) for row in rows)
    return rows

"""A run of 200 small steps, and faults that a config of it plants: in one weight, in one batch, in one operation."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import fkit
from fkit.data.sampler import DefaultSampler
from tests.run.small import FewDigits

SIZE, BATCH, STEPS = 50, 5, 200


@dataclass(frozen=True)
class Nudge(fkit.Hook):
    """Changes one weight by a little after one step; none with ``at=0``."""

    at: int = 0
    by: float = 1e-6

    def wrap(self, program):
        if not self.at:
            return program

        def train_step(state, batch, hyperparams):
            state, logs = program.train_step(state, batch, hyperparams)
            if int(state.iteration) == self.at:
                params = dict(state.params)
                weight = params["head.fc.weight"].clone()
                weight[3, 5] += self.by
                state = state.replace(params={**params, "head.fc.weight": weight})
            return state, logs

        return program._replace(train_step=train_step)


@dataclass(frozen=True)
class Swapping(DefaultSampler):
    """Swaps the batch of one step with that of the next, within an epoch; none with ``at=0``."""

    at: int = 0

    def indices(self, epoch, length, seed):
        order = super().indices(epoch, length, seed)
        number, place = divmod(self.at - 1, SIZE // BATCH)
        if self.at and epoch == number:
            order = order.copy()
            low, middle, high = (BATCH * (place + more) for more in range(3))
            order[low:high] = [*order[middle:high], *order[low:middle]]
        return order


class Rounding(nn.Module):
    """An activation that another version of its library computes otherwise, where its input is large."""

    def __init__(self, version=1, bound=2.8):
        super().__init__()
        self.version, self.bound = version, bound

    def forward(self, x):
        y = torch.tanh(x)
        return torch.where(x > self.bound, y * (1 - 1e-6), y) if self.version == 2 else y


class Net(nn.Module):
    """A backbone of two layers around it."""

    def __init__(self, version=1, bound=2.8):
        super().__init__()
        self.first = nn.Linear(64, 16)
        self.norm = nn.BatchNorm1d(16)
        self.act = Rounding(version, bound)

    def forward(self, x):
        return (self.act(self.norm(self.first(x.flatten(1)))),)


def registry():
    reg = fkit.registry().register("datasets", FewDigits).register("hooks", Nudge).register("data_samplers", Swapping)
    return reg.register("models", Net, backend="torch")


def config(folder=None, *, steps=STEPS, nudge=0, by=1e-6, swap=0, version=1, **changes):
    """The config, with its faults."""
    pipeline = [dict(type="ToUnit"), dict(type="PackInputs")]
    cfg = fkit.Config(
        dict(
            model=dict(
                type="ImageClassifier",
                backbone=dict(type="Net", version=version),
                head=dict(type="LinearClsHead", num_classes=10, in_channels=16),
            ),
            train_dataloader=dict(
                batch_size=BATCH,
                sampler=dict(type="Swapping", at=swap),
                dataset=dict(type="FewDigits", split="train", pipeline=pipeline),
            ),
            val_dataloader=dict(batch_size=25, dataset=dict(type="FewDigits", split="test", pipeline=pipeline)),
            val_evaluator=dict(type="Accuracy"),
            train_cfg=dict(by_epoch=False, max_iters=steps, val_interval=50),
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9)),
            param_scheduler=dict(type="CosineAnnealingLR", by_epoch=False),
            default_hooks=dict(
                logger=dict(type="LoggerHook", interval=10),
                checkpoint=dict(type="CheckpointHook", interval=40, by_epoch=False, max_keep_ckpts=-1),
            ),
            custom_hooks=[dict(type="Nudge", at=nudge, by=by)],
            device="cpu",
            seed=3,
        )
    )
    cfg = cfg if folder is None else cfg.merge({"work_dir": str(folder)})
    return cfg.merge(changes) if changes else cfg


def train(folder, reg=None, **faults):
    """Such a run in a work folder, as `fkit train` has it."""
    return fkit.run_config(config(folder, **faults), registry() if reg is None else reg)


def files(folder):
    """All that a folder holds, to see that nothing of it was written: (size, time) by path."""
    found = sorted(Path(folder).rglob("*"))
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def rewrite(folder, change):
    """Change the lines of a run's metrics.jsonl: ``change`` is called with each."""
    path = Path(folder) / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(row) or row) + "\n" for row in rows))

"""Runs of no arithmetic: a program that counts, a source of one batch, configs of a line."""

from dataclasses import dataclass, replace

import numpy as np
from frozendict import frozendict

import fkit
from fkit.run.hook.hook import handlers
from fkit.run.hook.order import priority_number
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.training.inventory import Inventory
from fkit.training.spec import Spec

BATCH = fkit.Batch(np.zeros((2, 4), np.float32), {"gt_label": np.zeros(2, np.int64)})


class Counting:
    """A program of no arithmetic: its state counts steps, its losses and predictions are numbers of that count."""

    spec = Spec(lambda backend: None, {}, device="cpu")
    inventory = Inventory(())
    weights, beside = "own", frozendict()

    def __init__(self):
        self.rates = []  # (iteration, lr) of every step

    def init(self, seed):
        return 0

    def hyperparams(self):
        return frozendict(lr=np.array([0.1, 0.2]), momentum=np.array([0.9, 0.9]))

    def train_step(self, state, batch, hyperparams):
        self.rates.append((state, hyperparams["lr"].tolist()))
        return state + 1, {"loss": 1.0 / (state + 1), "accuracy": state / 2000}

    def loss(self, state, batch, key, train=False):
        return {"loss": 2.0 + state, "accuracy": 0.5}, {}

    def predict(self, state, batch):
        return {"pred_label": np.zeros(2, np.int64)}

    def arrays(self, state):
        return {"iteration": np.array(state)}

    collect = arrays

    def restore(self, arrays):
        return int(arrays["iteration"])


@dataclass(frozen=True)
class Same(fkit.Source):
    """One batch again and again; ``length`` of them an epoch, or None for no end."""

    length: int | None = None

    def batches(self, epoch, start=0):
        done = start
        while self.length is None or done < self.length:
            yield BATCH
            done += 1


def schedulers(*policies):
    return {"param_scheduler": [dict(policy) for policy in policies]}


def hooks(every, ignore_last=False, **checkpoint):
    """Hooks by these numbers; all checkpoints are kept unless ``checkpoint`` says otherwise."""
    checkpoint = dict(max_keep_ckpts=-1, save_best=None) | checkpoint
    logger = dict(type="LoggerHook", interval=every, ignore_last=ignore_last)
    return {"default_hooks": dict(logger=logger, checkpoint=dict(type="CheckpointHook", **checkpoint))}


def epochs(count, **more):
    return {"train_cfg": dict(by_epoch=True, max_epochs=count, **more)}


def iterations(count, **more):
    return {"train_cfg": dict(by_epoch=False, max_iters=count, **more)}


def config(changes):
    base = dict(
        model=dict(
            type="ImageClassifier",
            backbone=dict(type="MLP", in_channels=4, hidden=[2]),
            head=dict(type="LinearClsHead", num_classes=2, in_channels=2),
        ),
        train_dataloader=dict(batch_size=2, dataset=dict(type="Digits")),
        val_dataloader=dict(batch_size=2, dataset=dict(type="Digits")),
        val_evaluator=dict(type="Accuracy"),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9)),
        seed=0,
    )
    return fkit.Config(base | changes)


def policies(changes, course, length):
    made = []
    for node in changes.get("param_scheduler", ()):
        end = course.limit if course.by_epoch and node.get("by_epoch", True) else course.total(length)
        made.append(fkit.build(node, fkit.registry(), "param_schedulers", defaults={"end": end}))
    return tuple(made)


def plan_of(changes, *asking, program=None, length=5):
    """The plan of a config with a program of no arithmetic, and more hooks beside its own.

    Args:
        asking: (name, hook) each; they fire by their priority.
        length: batches an epoch, for the schedules; 0 for no end.
    """
    plan = fkit.plan(config({name: value for name, value in changes.items() if name != "param_scheduler"}))
    program = program or Counting()
    schedule = ParamSchedulerHook(policies(changes, plan.course, length), program.hyperparams())
    mine = [(name, schedule if name == "param_scheduler" else hook) for name, hook in plan.hooks]
    rows = sorted((*mine, *asking), key=lambda row: priority_number(row[1].priority))
    return replace(plan, program=program, hooks=tuple(rows), handlers=handlers(rows))


def drive(plan, data=None, inbox=(), run=None):
    """All of a run: the last run, every item's (event-less) effects with the iteration that its run had done."""
    run, items = run or fkit.begin(plan), []
    for run, effects in fkit.train(plan, run, data or {"train": Same(5), "val": Same(3)}, inbox):
        items += [(run.iteration, effect) for effect in effects]
    return run, items

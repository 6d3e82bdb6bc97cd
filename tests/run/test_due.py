"""By value: when each default hook does something over a thousand steps is what it was before hooks were told only when due.

``python -m tests.run.test_due`` records what the present code does in due.json.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from frozendict import frozendict

import fkit
from fkit.run.effect import SetHyperparams, Stop, Validate
from fkit.run.event import EVENTS, Observed
from fkit.run.hook.hook import handlers
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.start import Saved, save

BOOK = Path(__file__).parent / "due.json"
BATCH = fkit.Batch(np.zeros((2, 4), np.float32), {"gt_label": np.zeros(2, np.int64)})


class Counting:
    """A program of no arithmetic: its state counts steps, its losses and predictions are numbers of that count."""

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


class Watched(fkit.Hook):
    """A hook that writes down when the hook inside it does something."""

    def __init__(self, name, inner, seen):
        self.name, self.inner, self.seen = name, inner, seen
        for word in ("reads", "holds"):
            if hasattr(inner, word):
                setattr(self, word, getattr(inner, word))

    def memory(self):
        return self.inner.memory()

    def answers(self, event):
        return self.inner.answers(event)

    def due(self, event, position, length, total):
        return self.inner.due(event, position, length, total)

    def __getattr__(self, name):
        if name not in EVENTS:
            raise AttributeError(name)
        handler = getattr(self.inner, name)

        def watch(memory, run, event):
            after, effects = handler(memory, run, event)
            words = [type(e).__name__ for e in effects if not isinstance(e, SetHyperparams)]
            if after.exact != memory.exact:
                words.append("memory")
            if words:
                self.seen.append((self.name, event.name, " ".join(words), event.iteration))
            return after, effects

        return watch


@dataclass(frozen=True)
class Ask(fkit.Hook):
    """Asks for effects at (event, iteration) pairs."""

    at: dict = field(default_factory=dict)

    def after_train_iter(self, memory, run, event):
        return memory, self.at.get(event.iteration, ())


def schedulers(*policies):
    return {"param_scheduler": [dict(policy) for policy in policies]}


def hooks(every, ignore_last=False, **checkpoint):
    logger = dict(type="LoggerHook", interval=every, ignore_last=ignore_last)
    return {"default_hooks": dict(logger=logger, checkpoint=dict(type="CheckpointHook", **checkpoint))}


def epochs(count, **more):
    return {"train_cfg": dict(by_epoch=True, max_epochs=count, **more)}


def iterations(count, **more):
    return {"train_cfg": dict(by_epoch=False, max_iters=count, **more)}


COSINE = dict(type="CosineAnnealingLR", by_epoch=False, eta_min=0.001)
WARM = dict(type="LinearLR", by_epoch=False, start_factor=0.1, begin=0, end=70)
STEPS = dict(type="MultiStepLR", milestones=(3, 9, 20), gamma=0.1)
MOMENTUM = dict(type="StepLR", by_epoch=False, step_size=90, gamma=0.9, param="momentum")
WORKFLOW = {"workflow": [("train", 2), ("val", 1)]}

# name: (batches an epoch, config, iterations after which a signal comes, what a hook asks for at iterations)
SETTINGS = frozendict(
    {
        "epochs that logging does not divide": (23, epochs(44) | hooks(10) | schedulers(WARM, STEPS), (), {}),
        "epochs that logging divides": (25, epochs(40, val_interval=4) | hooks(5, True, interval=3), (), {}),
        "epochs shorter than the interval": (7, epochs(143, val_interval=3, val_begin=50) | hooks(10), (), {}),
        "epochs with no last line": (23, epochs(44, val_interval=50) | hooks(10, True, interval=0), (), {}),
        "epochs shorter than the interval, no last line": (7, epochs(143) | hooks(8, True, save_last=False), (), {}),
        "epochs saved by iteration": (
            23,
            epochs(44, val_interval=5) | hooks(1, by_epoch=False, interval=37, max_keep_ckpts=3) | schedulers(COSINE),
            (),
            {},
        ),
        "iterations": (
            23,
            iterations(1000, val_interval=37, val_begin=100)
            | hooks(10, by_epoch=False, interval=50)
            | schedulers(WARM, MOMENTUM),
            (),
            {},
        ),
        "iterations with no last line": (
            30,
            iterations(1000, val_interval=250) | hooks(7, True, by_epoch=False, interval=64, max_keep_ckpts=2),
            (),
            {},
        ),
        "iterations saved by epoch": (23, iterations(1000, val_interval=1001) | hooks(50), (), {}),
        "iterations without end": (
            None,
            iterations(1003, val_interval=100, val_begin=0)
            | hooks(7, by_epoch=False, interval=101, save_last=False)
            | schedulers(COSINE, MOMENTUM),
            (),
            {},
        ),
        "iterations without end, no last line": (
            None,
            iterations(1003, val_interval=100) | hooks(11, True, by_epoch=False, interval=10),
            (),
            {},
        ),
        "epochs, interrupted": (
            23,
            epochs(44, val_interval=2) | hooks(10, max_keep_ckpts=2) | schedulers(WARM, STEPS, COSINE),
            (1, 9, 10, 22, 23, 24, 500, 1011),
            {},
        ),
        "iterations, interrupted": (
            23,
            iterations(1000, val_interval=37)
            | hooks(10, by_epoch=False, interval=50)
            | schedulers(WARM, MOMENTUM, STEPS),
            (5, 37, 50, 69, 70, 71, 92, 999),
            {},
        ),
        "without end, interrupted": (
            None,
            iterations(1000, val_interval=60) | hooks(9, True, by_epoch=False, interval=8) | schedulers(COSINE),
            (8, 9, 60, 500),
            {},
        ),
        "epochs with a workflow": (
            23,
            epochs(44, val_interval=3) | hooks(10) | WORKFLOW | schedulers(STEPS),
            (100, 101),
            {},
        ),
        "iterations with a workflow": (
            23,
            iterations(1000, val_interval=90) | hooks(10, by_epoch=False, interval=33) | WORKFLOW,
            (200, 201),
            {},
        ),
        "epochs that are stopped": (23, epochs(44) | hooks(10), (), {3: (Validate(),), 500: (Validate(), Stop())}),
        "iterations that are stopped": (
            23,
            iterations(1000) | hooks(10, by_epoch=False, interval=9),
            (),
            {3: (Validate(),), 505: (Stop(), Validate())},
        ),
    }
)


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


def watched(length, changes, asks, seen):
    """The plan of a setting, its program one of no arithmetic, its hooks watched."""
    plan = fkit.plan(config({name: value for name, value in changes.items() if name != "param_scheduler"}))
    program = Counting()
    rows = [("ask", Ask(asks))]
    for name, hook in plan.hooks:
        if name == "param_scheduler":
            hook = ParamSchedulerHook(policies(changes, plan.course, length or 0), program.hyperparams())
        rows.append((name, Watched(name, hook, seen)))
    return dataclasses.replace(plan, program=program, hooks=tuple(rows), handlers=handlers(rows))


def policies(changes, course, length):
    made = []
    for node in changes.get("param_scheduler", ()):
        end = course.limit if course.by_epoch and node.get("by_epoch", True) else course.total(length)
        made.append(fkit.build(node, fkit.registry(), "param_schedulers", defaults={"end": end}))
    return tuple(made)


def drive(name):
    """What is seen of a setting: the hooks' deeds, and the rates that each step was given."""
    length, changes, signals, asks = SETTINGS[name]
    seen, data = [], {"train": Same(length), "val": Same(3)}
    plan = watched(length, changes, asks, seen)
    run = fkit.begin(plan)
    for signal in (*signals, None):
        heard = []

        def inbox(heard=heard):
            while True:
                yield tuple(heard)

        for run, _ in fkit.train(plan, run, data, inbox()):
            if signal is not None and run.iteration >= signal and not heard:
                heard.append(Observed("signal", "SIGTERM"))
        if run.status == "finished":
            break
        saved = save(plan, run)
        run = fkit.restore(plan, Saved(saved.arrays, json.loads(json.dumps(saved.record))))
    return seen, plan.program.rates


def compact(name):
    """`drive`, as rows: {"hook event deeds": iterations as [first, last, step] runs}, and the rates as a digest with the
    iterations at which they changed."""
    seen, rates = drive(name)
    table = {}
    for hook, event, words, iteration in seen:
        table.setdefault(f"{hook} {event} {words}", []).append(iteration)
    changed = [i for k, (i, rate) in enumerate(rates) if k == 0 or rate != rates[k - 1][1]]
    digest = hashlib.sha256(json.dumps(rates).encode()).hexdigest()
    return {
        "steps": len(rates),
        "deeds": {key: runs(places) for key, places in sorted(table.items())},
        "rates change": runs(changed),
        "rates": digest,
    }


def runs(numbers):
    """Numbers in order as arithmetic runs [first, last, step].

    Example:
        >>> runs([1, 2, 3, 10, 20, 30, 7])
        [[1, 3, 1], [10, 30, 10], [7, 7, 0]]
    """
    found = []
    for number in numbers:
        if found:
            first, last, step = found[-1]
            if first == last and number > last:
                found[-1] = [first, number, number - last]
                continue
            if step and number - last == step:
                found[-1][1] = number
                continue
        found.append([number, number, 0])
    return found


def test_the_record_is_of_every_setting():
    book = json.loads(BOOK.read_text())
    assert set(book) == set(SETTINGS)
    assert all(row["steps"] >= 500 and row["deeds"] for row in book.values())


@pytest.mark.parametrize("name", SETTINGS)
def test_hooks_do_what_they_did_when_they_were_told_of_every_event(name):
    assert compact(name) == json.loads(BOOK.read_text())[name]


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(compact(name))}" for name in SETTINGS]
    BOOK.write_text("{\n" + ",\n".join(lines) + "\n}\n")

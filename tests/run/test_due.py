"""By value: when each default hook does something over a thousand steps is what it was before hooks were told only when due.

``python -m tests.run.test_due`` records what the present code does in due.json.
"""

import dataclasses
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from frozendict import frozendict

import fkit
from fkit.run.effect import SetHyperparams, Stop, Validate
from fkit.run.event import EVENTS, Observed
from fkit.run.hook.hook import handlers
from fkit.run.start import Saved, save
from tests.run.counting import Same, epochs, hooks, iterations, plan_of, schedulers

BOOK = Path(__file__).parent / "due.json"


class Watched(fkit.Hook):
    """A hook that writes down when the hook inside it does something."""

    def __init__(self, name, inner, seen, calls):
        self.name, self.inner, self.seen, self.calls = name, inner, seen, calls
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
            self.calls.append((self.name, event.name, event.iteration))
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


COSINE = dict(type="CosineAnnealingLR", by_epoch=False, eta_min=0.001)
TO_NOTHING = dict(COSINE, eta_min=0.0)  # which commutes with others that multiply
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
            epochs(44, val_interval=2) | hooks(10, max_keep_ckpts=2) | schedulers(WARM, STEPS, TO_NOTHING),
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
            iterations(1000, val_interval=1) | hooks(10, by_epoch=False, interval=9),
            (),
            {3: (Validate(),), 505: (Stop(), Validate())},
        ),
    }
)


def watched(length, changes, asks, seen, calls):
    """The plan of a setting, its program one of no arithmetic, its hooks watched."""
    plan = plan_of(changes, length=length or 0)
    rows = [("ask", Ask(asks)), *((name, Watched(name, hook, seen, calls)) for name, hook in plan.hooks)]
    return dataclasses.replace(plan, hooks=tuple(rows), handlers=handlers(rows))


def drive(name):
    """What is seen of a setting: the hooks' deeds, the rates that each step was given, and the hooks' calls."""
    length, changes, signals, asks = SETTINGS[name]
    seen, calls, data = [], [], {"train": Same(length), "val": Same(3)}
    plan = watched(length, changes, asks, seen, calls)
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
    return seen, plan.program.rates, calls


def compact(name):
    """`drive`, as rows: {"hook event deeds": iterations as [first, last, step] runs}, and the rates as a digest with the
    iterations at which they changed."""
    seen, rates, _ = drive(name)
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


@pytest.mark.parametrize("name", SETTINGS)
def test_hooks_are_called_at_no_iteration_at_which_they_do_nothing(name):
    seen, rates, calls = drive(name)
    deeds = {(hook, event, iteration) for hook, event, _, iteration in seen}
    told = [call for call in calls if call[1] in ("after_train_iter", "after_val_iter", "before_val_iter")]
    train = [call for call in told if call[1] == "after_train_iter"]
    assert set(told) <= deeds and len(train) == len(set(train))
    asked = [call for call in calls if call[1] == "before_train_iter"]
    changes = sum(a[1] != b[1] for a, b in itertools.pairwise(rates))
    assert len(asked) <= 12 + len(SETTINGS[name][2]) + min(changes, len(rates) // 20)


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(compact(name))}" for name in SETTINGS]
    BOOK.write_text("{\n" + ",\n".join(lines) + "\n}\n")

"""scan_steps: several steps in one call of JAX's. The numbers, logs and bits of one after the other; what ends a stretch."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import fkit
from fkit.backend.jax.stretch import Late, parted
from fkit.run.effect import WriteScalars, WriteText
from fkit.run.event import Observed
from fkit.run.hook.due import next_multiple
from fkit.run.hook.hook import Hook
from fkit.run.start import restore, save
from fkit.tree.error import FkitError
from tests.run import small

MLP = dict(
    type="ImageClassifier",
    backbone=dict(type="MLP", in_channels=64, hidden=[8], dropout=0.25),
    head=dict(type="LinearClsHead", num_classes=10, in_channels=8),
    _delete_=True,
)


@dataclass(frozen=True)
class Every(Hook):
    """Says what it sees of every n-th step, of its window and of the event."""

    interval: int = 3
    priority: ClassVar[str | int] = "LOW"
    reads: ClassVar[bool] = True

    def due(self, event, position, length, total):
        return next_multiple(self.interval, position)

    def after_train_iter(self, memory, run, event):
        steps = [step.iteration for step in event.window]
        loss = float(event.logs["loss"])
        assert run.iteration == event.iteration == steps[-1]
        return memory, (WriteText(f"{event.iteration} {steps} {loss!r}"),)


def config(**changes):
    """16 steps of 4 samples, the last of an epoch of 2: 13 an epoch."""
    base = {
        "model": MLP,
        "backend": "jax",
        "train_dataloader.batch_size": 4,
        "train_cfg.max_epochs": 2,
        "default_hooks.logger": dict(type="LoggerHook", interval=5),
        "default_hooks.checkpoint": None,
    }
    return small.config(**{**base, **changes})


def trained(scan_steps, inbox=(), run=None, registry=None, stop=None, **changes):
    """The plan, the run's end, its rows, its lines, and the iterations that were yielded."""
    plan = fkit.plan(config(scan_steps=scan_steps, **changes), registry or small.registry())
    run, rows, lines, seen = (run and restore(plan, run)) or fkit.begin(plan), [], [], []
    for run, effects in fkit.train(plan, run, fkit.open_data(plan), inbox):
        rows += [
            (one.step, one.mode, {name: value for name, value in one.scalars.items() if "time" not in name})
            for one in effects
            if isinstance(one, WriteScalars)
        ]
        lines += [one.text for one in effects if isinstance(one, WriteText)]
        seen.append(run.iteration)
        if stop is not None and run.iteration >= stop:
            break
    return plan, run, rows, lines, seen


def bits(plan, run):
    return {path: array.tobytes() for path, array in plan.program.collect(run.train).items()}


SETTINGS = {
    "plain": {},
    "float64": {"dtype": "float64"},
    "iterations": {"train_cfg": dict(by_epoch=False, max_iters=23, val_interval=9, _delete_=True)},
    "slots": {
        "custom_hooks": [dict(type="EMAHook", momentum=0.1)],
        "optim_wrapper.accumulative_counts": 2,
        "optim_wrapper.clip_grad": dict(max_norm=1.0),
    },
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS)
def test_many_steps_in_a_call_are_the_same_steps(changes):
    plan, run, rows, _, seen = trained(1, **changes)
    other, end, same, _, fewer = trained(8, **changes)
    assert len(rows) > 5 and rows == same
    assert bits(plan, run) == bits(other, end)
    assert len(set(fewer)) < len(set(seen)) / 2 and set(fewer) < set(seen)
    assert any("up to 8 steps go into one call" in note for note in other.settings.notes)


def test_hooks_see_the_steps_that_they_are_due_at():
    registry = small.registry().register("hooks", Every)
    changes = dict(custom_hooks=[dict(type="Every", interval=3)], registry=registry)
    one, many = (trained(count, **changes) for count in (1, 8))
    lines = [line for line in one[3] if line[0].isdigit()]
    assert lines == [line for line in many[3] if line[0].isdigit()] and lines[1].startswith("6 [4, 5, 6] ")


def test_a_run_that_is_stopped_goes_on_with_another_number():
    plan, run, rows, *_ = trained(1)
    made, half, first, *_ = trained(8, stop=9)
    assert 9 <= half.iteration < 26
    later, end, rest, *_ = trained(4, run=save(made, half))
    assert bits(plan, run) == bits(later, end)
    assert [row for row in rows if row[0] > half.iteration] == [row for row in rest if row[0] > half.iteration]
    assert first == rows[: len(first)]


def test_a_signal_ends_a_stretch_and_times_are_shared():
    clock = iter(range(1000))
    quiet = [(Observed("time", next(clock)),) for _ in range(7)]
    inbox = [*quiet, (Observed("signal", "SIGINT"),)]
    _, run, _, _, seen = trained(8, inbox=inbox, **{"default_hooks.logger.interval": 50})
    assert run.signal == "SIGINT" and run.status == "interrupted"
    assert run.iteration == seen[-1] and 4 <= run.iteration < 13


def test_a_wrong_label_is_of_its_very_step():
    plan = fkit.plan(config(scan_steps=8), small.registry())
    good = fkit.open_data(plan)["train"]
    batches = [good.batch(0, number) for number in range(12)]
    bad = fkit.Batch(batches[5].inputs, {**batches[5].targets, "gt_label": np.full(4, 11)}, meta=batches[5].meta)
    data = fkit.Source.of([*batches[:5], bad, *batches[6:]])
    run = fkit.begin(plan)
    with pytest.raises(FkitError, match=r"iteration 6: .*11"):
        for run, _ in fkit.train(plan, run, {**fkit.open_data(plan), "train": data}):
            pass
    assert run.iteration <= 5


def test_convolutions_on_the_cpu_and_torch_have_calls_of_their_own():
    conv = fkit.plan(small.config(backend="jax", scan_steps=8), small.registry())
    (said,) = [note for note in conv.settings.notes if "scan_steps" in note]
    assert "each step is a call of its own" in said and not conv.program.train_step.loops
    torch = fkit.plan(small.config(scan_steps=8), small.registry())
    assert any("scan_steps = 8 is of no effect" in note for note in torch.settings.notes)


def test_few_lengths_are_compiled():
    assert {length for count in range(1, 60) for length in parted("a" * count, 20)} == {1, 2, 4, 8, 16, 20}
    assert list(parted("aabbb", 8)) == [2, 2, 1]


def test_a_late_number_is_read_once():
    late = [Late([np.float32([1.5, 2.5])], place) for place in range(2)]
    assert (
        [float(one) for one in late] == [1.5, 2.5] and np.asarray(late[1]).shape == () and repr(late[0]) == "Late(1.5)"
    )

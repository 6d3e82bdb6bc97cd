"""The fold by value: which events, in which order, what ends it; no clock, no signal, no disk."""

from dataclasses import dataclass, field

import pytest

import fkit
from fkit.run.effect import Fail, SaveCheckpoint, Stop, Validate, WriteScalars
from fkit.run.event import EVENTS, Observed
from fkit.run.hook.timer import Times
from fkit.run.state import Memory
from fkit.tree.error import RunError
from tests.run.small import config, registry


@dataclass(frozen=True)
class Ask(fkit.Hook):
    """Asks for effects at (event, iteration) pairs; remembers every event it saw."""

    at: dict = field(default_factory=dict)

    def memory(self):
        return Memory(exact=())

    def __getattr__(self, name):
        if name not in EVENTS:
            raise AttributeError(name)

        def handler(memory, run, event):
            seen = (event.name, event.iteration, event.epoch)
            return Memory((*memory.exact, seen)), tuple(self.at.get((event.name, event.iteration), ()))

        return handler


def plan_of(loop="epoch", at=None, **changes):
    reg = registry().register("hooks", lambda: Ask(at or {}), name="Ask")
    return fkit.plan(config(loop, **{"custom_hooks": [{"type": "Ask"}], **changes}), reg)


def drive(plan, inbox=(), data=None):
    """All of a run: the last run, every effect."""
    run, effects = fkit.begin(plan), []
    for run, asked in fkit.train(plan, run, data or fkit.open_data(plan), inbox):
        effects += asked
    return run, effects


def names(run):
    return [name for name, _, _ in run.memory["custom_hooks.0"].exact]


def test_the_events_of_an_epoch_based_run():
    run, _ = drive(plan_of(**{"train_cfg.max_epochs": 1}))
    assert run.status == "finished" and run.iteration == 4 and run.epoch == 1
    assert names(run) == [
        "before_run", "before_train", "before_train_epoch",
        *["before_train_iter", "after_train_iter"] * 4,
        "after_train_epoch", "before_save_checkpoint", "before_val", "before_val_epoch",
        *["before_val_iter", "after_val_iter"] * 2,
        "after_val_epoch", "after_val", "after_train", "before_save_checkpoint", "after_run",
    ]  # fmt: skip


def test_counters_are_of_what_is_done():
    run, _ = drive(plan_of(**{"train_cfg.max_epochs": 2}))
    seen = [row for row in run.memory["custom_hooks.0"].exact if row[0].endswith(("train_iter", "train_epoch"))]
    assert seen[:4] == [
        ("before_train_epoch", 0, 0), ("before_train_iter", 0, 0), ("after_train_iter", 1, 0), ("before_train_iter", 1, 0),
    ]  # fmt: skip
    assert [row for row in seen if row[0] == "after_train_epoch"] == [
        ("after_train_epoch", 4, 1),
        ("after_train_epoch", 8, 2),
    ]


def test_an_iteration_based_run_validates_in_between():
    run, effects = drive(plan_of("iter"))
    assert run.iteration == 12 and run.epoch == 0
    assert [e.step for e in effects if isinstance(e, WriteScalars) and e.mode == "val"] == [5, 10, 12]


def test_a_workflow_writes_validation_losses():
    changes = {"workflow": [("train", 2), ("val", 1)], "train_cfg.max_epochs": 2, "val_evaluator": None}
    _, effects = drive(plan_of(**changes))
    [row] = [e for e in effects if isinstance(e, WriteScalars) and e.mode == "val"]
    assert row.step == 8 and row.scalars["loss"] > 0


def test_times_come_from_the_inbox_and_from_nowhere_else():
    ticks = iter([(Observed("time", float(i)),) for i in range(100)])
    timed, _ = drive(plan_of(**{"train_cfg.max_epochs": 1}), ticks)
    assert timed.memory["logger"].observed.times == Times(last=7.0, total=6.0, steps=3)
    silent, _ = drive(plan_of(**{"train_cfg.max_epochs": 1}))
    assert silent.memory["logger"].observed.times == Times()


@pytest.mark.parametrize("look", [2, 3])
def test_a_signal_ends_the_run_after_the_step_and_asks_for_a_checkpoint(look):
    plan = plan_of()
    inbox = iter([*[()] * look, (Observed("signal", "SIGTERM"),)])
    run, effects = drive(plan, inbox)
    assert (run.status, run.signal, run.iteration) == ("interrupted", "SIGTERM", 2)
    assert [e for e in effects if isinstance(e, SaveCheckpoint)] == [SaveCheckpoint(2, "SIGTERM")]
    assert names(run)[-3:] == ["after_train_iter", "on_interrupt", "before_save_checkpoint"]


def test_a_signal_during_validation_leaves_the_run_before_it():
    inbox = iter([*[()] * 9, (Observed("signal", "SIGINT"),)])
    run, _ = drive(plan_of(), inbox)
    assert run.iteration == 4 and run.position.validate and not run.metrics
    assert names(run)[-4:] == ["after_train_epoch", "before_save_checkpoint", "on_interrupt", "before_save_checkpoint"]


def test_a_failure_that_is_observed_ends_the_run():
    with pytest.raises(RunError, match="the cooling broke"):
        drive(plan_of(), iter([(Observed("failure", "the cooling broke"),)]))
    with pytest.raises(RunError, match="the cooling broke"):
        drive(plan_of(), iter([*[()] * 9, (Observed("failure", "the cooling broke"),)]))


@pytest.mark.parametrize(("loop", "done"), [("epoch", 4), ("iter", 2)])
@pytest.mark.parametrize("event", ["after_train_iter", "before_train_iter"])
def test_stop_ends_an_epoch_based_run_with_its_epoch_and_another_at_once(loop, done, event):
    at = {(event, 2 if event == "after_train_iter" else 1): (Stop("enough"),)}
    run, _ = drive(plan_of(loop, at))
    assert run.status == "finished" and run.iteration == done


@pytest.mark.parametrize("event", ["before_train_iter", "after_train_iter", "after_train_epoch", "after_val_epoch"])
def test_fail_ends_the_run_and_saves_nothing(event):
    plan = plan_of(
        at={(event, 4): (Fail("no more"),)}, **{"default_hooks.checkpoint": dict(interval=9, save_best=None)}
    )
    effects = []
    with pytest.raises(RunError, match="no more"):
        for _, asked in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
            effects += asked
    assert effects[-1] == Fail("no more")
    assert not [e for e in effects if isinstance(e, SaveCheckpoint)]


def test_a_hook_may_ask_for_validation_at_any_time():
    run, _ = drive(plan_of("iter", {("after_train_iter", 2): (Validate(),)}))
    assert names(run).count("before_val") == 4


def test_data_that_ends_early_is_a_clear_error():
    class Short(fkit.Source):
        length = 4

        def batches(self, epoch, start=0):
            return iter(whole[:2])

        def stream(self, epoch, start=0):
            return self.batches(epoch, start)

    plan = plan_of()
    data = fkit.open_data(plan)
    whole = list(data["train"].batches(0, 0))
    with pytest.raises(RunError, match="ended after 2 of 4 batches of epoch 0"):
        drive(plan, data={"train": Short(), "val": data["val"]})


def test_the_same_run_twice_is_the_same_to_the_bit():
    plan = plan_of()
    first, second = (drive(plan)[0] for _ in range(2))
    a, b = (plan.program.collect(run.train) for run in (first, second))
    assert a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert first.memory["custom_hooks.0"] == second.memory["custom_hooks.0"]

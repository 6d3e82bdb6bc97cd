"""Hooks by value: a handler is called with values, and its answer is compared."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from frozendict import frozendict

from fkit.run.effect import (
    DrawCurves,
    Fail,
    SaveCheckpoint,
    SetHyperparams,
    WriteConfig,
    WriteScalars,
    WriteStatus,
    WriteText,
)
from fkit.run.event import EVENTS, Event, Step
from fkit.run.hook.checkpoint import CheckpointHook
from fkit.run.hook.hook import NEVER, Hook, call, handlers
from fkit.run.hook.log import LoggerHook, RecordHook, Told
from fkit.run.hook.order import priority_number
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.hook.text import TextLoggerHook
from fkit.run.hook.timer import Times
from fkit.run.state import Memory, Position, RunState
from fkit.training.schedule.anneal import CosineAnnealingLR
from fkit.training.schedule.factor import LinearLR, MultiStepLR
from fkit.tree.error import FkitTypeError, FkitValueError, RunError

LR = {"lr": np.array([0.1])}


def a_run(**changes):
    return RunState(Position(), None, LR, frozendict())._replace(**changes)


def after_iter(iteration, length=10, total=20, **more):
    return Event(
        "after_train_iter", iteration=iteration, inner=(iteration - 1) % length + 1, length=length, total=total, **more
    )


def drive(hook, events, run=None):
    """Fold events over one hook: its memory, and every effect."""
    memory, effects = hook.memory(), []
    for event in events:
        memory, asked = getattr(hook, event.name)(memory, run or a_run(), event)
        effects += asked
    return memory, effects


def test_priorities_are_names_or_numbers():
    assert [priority_number(p) for p in ("VERY_HIGH", "NORMAL", "very_low", 42)] == [10, 50, 90, 42]
    with pytest.raises(FkitValueError, match="priority = 'HIHG' is unknown"):
        priority_number("HIHG")
    with pytest.raises(FkitValueError, match="101 is not from 0 to 100"):
        priority_number(101)
    with pytest.raises(FkitTypeError, match="neither a name nor a number"):
        priority_number(None)


def test_schedule_sets_what_changed_and_only_then():
    hook = ParamSchedulerHook((LinearLR(start_factor=0.5, end=3, by_epoch=False),), LR)
    run = a_run()
    for iteration, want in enumerate([0.05, 0.075, 0.1]):
        event = Event("before_train_iter", iteration=iteration)
        memory, effects = hook.before_train_iter(hook.memory(), run, event)
        if want == 0.1 and run.hyperparams["lr"][0] == 0.1:
            assert effects == ()
        else:
            [effect] = effects
            assert isinstance(effect, SetHyperparams)
            np.testing.assert_allclose(effect.values["lr"], [want])
            run = run._replace(hyperparams=effect.values)
    assert hook.before_train_iter(memory, run, Event("before_train_iter", iteration=9))[1] == ()


def in_force(hook, iterations, epoch_length, change=None):
    """lr of each iteration, and how often something was set; ``change`` (iteration, hyperparams) comes from elsewhere."""
    memory, run, rates, sets = hook.memory(), a_run(), [], 0
    for iteration in range(iterations):
        run = run._replace(position=Position(iteration=iteration, epoch=iteration // epoch_length))
        if change is not None and iteration == change[0]:
            run = run._replace(hyperparams={**run.hyperparams, **change[1]})
        memory, effects = hook.before_train_iter(memory, run, Event("before_train_iter", iteration=iteration))
        for effect in effects:
            run, sets = run._replace(hyperparams=effect.values), sets + 1
        rates.append(run.hyperparams["lr"][0])
    return rates, sets, run


def test_what_is_computed_ahead_is_what_each_iteration_gives():
    by_step = CosineAnnealingLR(by_epoch=False, end=150, T_max=150, eta_min=0.0)
    by_epoch = MultiStepLR(milestones=(1, 2), end=9)
    hook = ParamSchedulerHook((by_step, by_epoch), LR)
    rates, _, _ = in_force(hook, 150, 50)
    for iteration, rate in enumerate(rates):
        fresh = hook.before_train_iter(
            hook.memory(),
            a_run(position=Position(iteration=iteration, epoch=iteration // 50), hyperparams={"lr": np.array([9.0])}),
            Event("before_train_iter", iteration=iteration),
        )
        assert fresh[1][0].values["lr"][0] == rate
    assert in_force(ParamSchedulerHook((by_epoch,), LR), 150, 50)[1] == 2


def test_what_another_hook_sets_between_is_seen():
    hook = ParamSchedulerHook((LinearLR(start_factor=0.5, end=30, by_epoch=False),), LR)
    other = {"lr": np.array([7.0]), "momentum": np.array([0.5])}
    rates, _, run = in_force(hook, 20, 50, change=(9, other))
    assert rates == in_force(hook, 20, 50)[0]
    assert run.hyperparams["momentum"].tolist() == [0.5]


def steps(*rows, first=1):
    """A window: a step for each row of logs."""
    return tuple(Step(first + i, row) for i, row in enumerate(rows))


def test_logger_writes_the_very_step_and_says_the_mean():
    hook = LoggerHook(interval=2, ignore_last=False)
    logs = [{"loss": np.float64(value)} for value in (4.0, 2.0, 1.0)]
    events = [after_iter(2, 3, 3, window=steps(*logs[:2])), after_iter(3, 3, 3, window=steps(logs[2], first=3))]
    _, effects = drive(hook, events)
    assert effects[0] == WriteScalars(2, 0, "train", {"loss": 2.0, "lr": 0.1})
    assert effects[1].text == "Epoch(train) [1][2/3]  lr: 1.0000e-01  loss: 3.0000"
    assert effects[2] == WriteScalars(3, 0, "train", {"loss": 1.0, "lr": 0.1})


def test_an_event_with_no_window_is_of_its_own_step():
    _, effects = drive(LoggerHook(interval=1), [after_iter(1, logs={"loss": 4.0})])
    assert effects[0] == WriteScalars(1, 0, "train", {"loss": 4.0, "lr": 0.1})


def test_logger_reads_nothing_between_lines_and_all_in_one_wait():
    read = []

    def fetch(values):
        read.append(len(values))
        return [1.0] * len(values)

    between = [after_iter(i, logs={"loss": i}, read=fetch) for i in range(1, 5)]
    drive(LoggerHook(interval=5), between)
    assert read == []
    drive(LoggerHook(interval=5), [after_iter(5, read=fetch, window=steps({"loss": 1}, {"loss": 2, "acc": 1}))])
    assert read == [3]


def test_losses_that_come_and_go_are_each_averaged_over_the_steps_that_had_them():
    rows = ({"loss": 4.0}, {"loss": 2.0, "loss_mask": 1.0}, {}, {"acc": 0.5, "loss": 0.0})
    _, effects = drive(LoggerHook(interval=4), [after_iter(4, window=steps(*rows))])
    assert effects[0] == WriteScalars(4, 0, "train", {"acc": 0.5, "loss": 0.0, "lr": 0.1})
    assert effects[1].text.endswith("loss: 2.0000  loss_mask: 1.0000  acc: 0.5000")
    _, effects = drive(LoggerHook(), [Event("after_val_epoch", "val", 8, 1, window=steps(*rows))])
    assert effects[0] == WriteScalars(8, 1, "val", {"loss": 2.0, "loss_mask": 1.0, "acc": 0.5})


def test_a_loss_that_is_not_finite_fails_the_run_with_its_step():
    window = steps({"loss": 1.0}, {"gen/loss_adv": math.inf}, {"loss": math.nan})
    _, effects = drive(LoggerHook(interval=3), [after_iter(3, window=window)])
    assert [type(effect) for effect in effects] == [WriteScalars, WriteText, Fail]
    assert effects[-1] == Fail("gen/loss_adv = inf at iteration 2 is not finite; lr was 0.1.")


def test_any_other_value_that_is_not_finite_is_said_once_and_fails_nothing():
    events = [
        after_iter(2, window=steps({"loss": 1.0, "grad_norm": math.inf}, {"loss": 1.0, "grad_norm": -math.inf})),
        after_iter(4, window=steps({"loss": 1.0, "grad_norm": math.nan}, {"loss": 3.0, "grad_norm": 1.0}, first=3)),
    ]
    _, effects = drive(LoggerHook(interval=2), events)
    assert [type(effect) for effect in effects] == [WriteScalars, WriteText, WriteText, WriteScalars, WriteText]
    assert effects[2].text.startswith("grad_norm = inf at iteration 1 is not finite; it is no loss")
    assert effects[0].scalars["grad_norm"] == -math.inf and "loss: 1.5000" in effects[4].text


def test_a_run_of_several_optimizers_logs_the_rate_of_each():
    run = a_run(hyperparams={"gen.lr": np.array([0.1]), "disc.lr": np.array([0.2]), "gen.eps": np.array([1.0])})
    _, effects = drive(LoggerHook(interval=1), [after_iter(1, logs={"loss": 1.0})], run)
    assert effects[0].scalars == {"loss": 1.0, "gen.lr": 0.1, "disc.lr": 0.2}


def test_logger_writes_validation_results_and_the_mean_of_validation_losses():
    hook = LoggerHook()
    _, effects = drive(hook, [Event("after_val_epoch", "val", 40, 2, metrics={"accuracy/top1": 0.5})])
    assert effects[0] == WriteScalars(40, 2, "val", {"accuracy/top1": 0.5})
    _, effects = drive(hook, [Event("after_val_epoch", "val", 40, 2, window=steps({"loss": 1.0}, {"loss": 2.0}))])
    assert effects[0] == WriteScalars(40, 2, "val", {"loss": 1.5})


def test_a_line_says_so_many_scores_and_the_row_holds_all():
    scores = {f"confusion_matrix/{n}": float(n) for n in range(300)}
    _, (row, line) = drive(LoggerHook(), [Event("after_val_epoch", "val", 40, 2, metrics=scores)])
    assert len(row.scalars) == 300 and "confusion_matrix/99: 99.0000  (200 more in metrics.jsonl)" in line.text


def test_mmcvs_logger_writes_the_scores_of_a_test_too():
    event = Event("after_test_epoch", "test", 40, 2, length=3, metrics={"acc": 0.5})
    _, effects = drive(TextLoggerHook(), [event])
    assert effects == [WriteScalars(40, 2, "test", {"acc": 0.5}), WriteText("Epoch(test) [2][3]\tacc: 0.5000")]


def test_an_interrupt_checks_the_losses_that_were_not_read_yet():
    event = Event("on_interrupt", iteration=2, reason="SIGTERM", window=steps({"loss": math.nan}, {"loss": 1.0}))
    assert drive(LoggerHook(), [event])[1] == [Fail("loss = nan at iteration 1 is not finite; lr was 0.1.")]
    assert drive(LoggerHook(), [event._replace(window=())])[1] == []


@pytest.mark.parametrize(
    ("hook", "event", "want"),
    [
        (CheckpointHook(interval=2), Event("after_train_epoch", epoch=2, iteration=8), (SaveCheckpoint(8),)),
        (CheckpointHook(interval=2), Event("after_train_epoch", epoch=1, iteration=4), ()),
        (CheckpointHook(interval=3, by_epoch=False), after_iter(6), (SaveCheckpoint(6),)),
        (CheckpointHook(interval=3), after_iter(6), ()),
        (CheckpointHook(), Event("after_train", iteration=20), (SaveCheckpoint(20),)),
        (CheckpointHook(save_last=False), Event("after_train", iteration=20), ()),
        (CheckpointHook(), Event("on_interrupt", iteration=7, reason="SIGINT"), (SaveCheckpoint(7, "SIGINT"),)),
        (RecordHook(), Event("before_run"), (WriteConfig(), WriteStatus("running"))),
        (RecordHook(), Event("after_run"), (DrawCurves(),)),
    ],
)  # fmt: skip
def test_what_an_event_makes_a_hook_ask_for(hook, event, want):
    assert getattr(hook, event.name)(hook.memory(), a_run(), event)[1] == want


def test_the_logger_times_steps_that_nothing_came_between():
    window = [Step(i, {"loss": 1.0}, i * 2.0, i * 2 - 1.5) for i in range(1, 7)]
    window[3:] = [step._replace(issued=step.issued + 90, arrived=step.arrived + 90) for step in window[3:]]
    window[3] = window[3]._replace(paused=True)
    memory, effects = drive(LoggerHook(interval=6), [after_iter(6, total=20, window=tuple(window))])
    assert memory.exact == ()
    assert memory.observed.times == Times(last=102.0, total=8.0, steps=4)
    assert "  eta: 0:00:28  time: 2.0000  data_time: 0.5000  loss: 1.0000" in effects[1].text
    kept = ((102.0, 8.0, 4), ("grad_norm",), (("loss", (1.0, 2.0), None, (3.0, 2, 1.0, 2.0)),), (), (None, 0.0, 0))
    again, _ = LoggerHook().before_train(Memory(observed=kept), a_run(), Event("x"))
    assert again.observed == Told(Times(None, 8.0, 4), ("grad_norm",), kept[2])


def test_handlers_fire_in_order_and_memory_is_each_hooks_own():
    @dataclass(frozen=True)
    class Count(Hook):
        name: str = ""

        def memory(self):
            return Memory(exact=0)

        def after_train_iter(self, memory, run, event):
            return Memory(memory.exact + 1), (WriteText(f"{self.name}{memory.exact}"),)

    hooks = (("a", Count("a")), ("b", Count("b")), ("c", Hook()))
    table = handlers(hooks)
    assert set(table) == set(EVENTS) and table["before_run"] == ()
    memory = frozendict({name: hook.memory() for name, hook in hooks})
    answers = [call(name, act, memory[name], a_run(), after_iter(1)) for name, act in table["after_train_iter"]]
    assert [effect.text for _, effects in answers for effect in effects] == ["a0", "b0"]
    assert ([after.exact for after, _ in answers], memory["a"].exact) == ([1, 1], 0)


def test_a_hook_that_raises_is_named_with_the_event():
    @dataclass(frozen=True)
    class Broken(Hook):
        def after_train_iter(self, memory, run, event):
            raise ZeroDivisionError("oh")

    table = handlers((("mine", Broken()),))
    with pytest.raises(
        RunError, match=r"hook 'mine' raised at after_train_iter, iteration 3: ZeroDivisionError\('oh'\)"
    ):
        call(*table["after_train_iter"][0], Memory(), a_run(), after_iter(3))


@dataclass(frozen=True)
class Counts:
    """A policy with a state of its own: it halves the value at each third question."""

    param: str = "lr"

    def init(self):
        return 0

    def step(self, state, at, value):
        return state + 1, value * 0.5 ** (state // 3)


def test_a_policy_with_a_state_is_asked_at_every_iteration_and_remembered():
    hook = ParamSchedulerHook((Counts(),), LR)
    rates, sets, _ = in_force(hook, 9, 50)
    assert rates == [0.1] * 3 + [0.05] * 3 + [0.025] * 3 and sets == 2
    memory, _ = hook.before_train_iter(hook.memory(), a_run(), Event("before_train_iter"))
    assert memory == Memory((1,)) and hook.due("before_train_iter", Position(iteration=7), 10, 100) == 8


def test_a_stretch_is_given_at_once_and_ends_with_the_epoch():
    hook = ParamSchedulerHook((LinearLR(start_factor=0.5, end=30, by_epoch=False),), LR)
    event = Event("before_train_iter", iteration=20, inner=20, length=25)
    [effect] = hook.before_train_iter(hook.memory(), a_run(), event)[1]
    fresh = [hook.before_train_iter(hook.memory(), a_run(), event._replace(iteration=i))[1][0] for i in range(20, 25)]
    assert [row["lr"].tolist() for row in (effect.values, *effect.ahead)] == [e.values["lr"].tolist() for e in fresh]
    [effect] = hook.before_train_iter(hook.memory(), a_run(), event._replace(length=0))[1]
    assert len(effect.ahead) == 9  # then it stays as it is
    with pytest.raises(TypeError):
        effect.values["lr"] = 1


@pytest.mark.parametrize("name", ["momentum", "gen.momentum"])
def test_a_schedule_of_a_momentum_that_is_nought_is_refused(name):
    policy = CosineAnnealingLR(param=name, end=9, eta_min=0.9)
    with pytest.raises(FkitValueError, match=f"acts on '{name}', which is 0: an optimizer without momentum"):
        ParamSchedulerHook((policy,), {**LR, name: np.zeros(2)})
    assert ParamSchedulerHook((policy,), {**LR, name: np.array([0.0, 0.9])}).names == (name,)


def at(iteration, inner, epoch=0):
    return Position("iterate", iteration=iteration, inner=inner, epoch=epoch)


@pytest.mark.parametrize(
    ("hook", "position", "length", "total", "want"),
    [
        (Hook(), at(3, 3), 10, 20, 4),
        (LoggerHook(), at(0, 0), 23, 99, 10),
        (LoggerHook(ignore_last=False), at(20, 20), 23, 99, 23),
        (LoggerHook(), at(23, 0), 23, 99, 33),
        (LoggerHook(), at(23, 23), 23, 99, 33),
        (LoggerHook(), at(90, 21), 0, 99, 99),
        (LoggerHook(ignore_last=False), at(90, 21), 23, 92, 92),
        (LoggerHook(ignore_last=True), at(20, 20), 23, 99, 33),
        (LoggerHook(interval=50, ignore_last=True), at(20, 20), 23, 99, 23),
        (CheckpointHook(interval=7, by_epoch=False), at(7, 7), 10, 20, 14),
        (CheckpointHook(interval=0, by_epoch=False), at(7, 7), 10, 20, NEVER),
        (ParamSchedulerHook((MultiStepLR(milestones=(3, 9)),), LR), at(0, 0), 10, 99, 1),
        (ParamSchedulerHook((MultiStepLR(milestones=(3, 9)),), LR), at(4, 4), 10, 99, 31),
        (ParamSchedulerHook((MultiStepLR(milestones=(3, 9)),), LR), at(35, 5, 3), 10, 99, 91),
        (ParamSchedulerHook((MultiStepLR(milestones=(3, 9), by_epoch=False),), LR), at(5, 5), 10, 99, 10),
        (ParamSchedulerHook((MultiStepLR(milestones=(3, 9), end=12),), LR), at(120, 0, 12), 10, 999, NEVER),
        (ParamSchedulerHook((LinearLR(end=4), CosineAnnealingLR(by_epoch=False)), LR), at(5, 5), 10, 99, 6),
    ],
)
def test_when_a_hook_is_due(hook, position, length, total, want):
    event = "before_train_iter" if isinstance(hook, ParamSchedulerHook) else "after_train_iter"
    assert hook.due(event, position, length, total) == want
    assert Hook().due("after_val_iter", position, length, total) == position.inner + 1

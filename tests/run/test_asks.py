"""What hooks ask for, at any event, through the loop: answered, in order, and never lost."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

import fkit
from fkit.run.effect import DeleteCheckpoint, Fail, SaveCheckpoint, SetHyperparams, Stop, Validate, WriteScalars
from fkit.run.event import EVENTS, Step
from fkit.run.start import save
from fkit.run.state import Memory
from fkit.run.validation import test as scoring
from fkit.run.window import Window
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, RunError
from tests.run.counting import Counting, Same, drive, epochs, hooks, iterations, plan_of, schedulers

VAL = ("before_val", "before_val_epoch", "before_val_iter", "after_val_iter", "after_val_epoch", "after_val")


@dataclass(frozen=True)
class On(fkit.Hook):
    """Answers an event by a function of (run, event); counts its answers in exact memory."""

    name: str
    answer: Any
    priority: Any = "NORMAL"
    seen: list = field(default_factory=list)

    def memory(self):
        return Memory(exact=0)

    def answers(self, event):
        return event == self.name

    def __getattr__(self, name):
        if name not in EVENTS:
            raise AttributeError(name)

        def handler(memory, run, event):
            self.seen.append((event.iteration, event.inner))
            return Memory(memory.exact + 1), self.answer(run, event)

        return handler


def at(iteration, *effects):
    return lambda run, event: effects if event.iteration == iteration else ()


def small(*asking, **more):
    return plan_of(epochs(4) | hooks(10) | more, *asking)


@pytest.mark.parametrize("event", VAL)
def test_stop_is_answered_at_every_event_of_validation(event):
    run, _ = drive(small(("ask", On(event, at(5, Stop())))))
    assert (run.status, run.iteration, run.epoch) == ("finished", 5, 1)


@pytest.mark.parametrize("event", VAL)
def test_hyperparameters_that_are_set_in_validation_are_in_force_from_the_next_step_on(event):
    plan = small(("ask", On(event, at(5, SetHyperparams({"lr": 0.5})))))
    run, _ = drive(plan)
    assert [rate for _, rate in plan.program.rates[:6]] == [[0.1, 0.2]] * 5 + [[0.5, 0.5]]
    assert run.hyperparams["momentum"].tolist() == [0.9, 0.9]


@pytest.mark.parametrize("event", VAL)
def test_validation_that_is_asked_for_in_validation_follows_it(event):
    asked = On(event, lambda run, event: (Validate(),) if event.iteration == 5 and not run.metrics else ())
    _, items = drive(small(("ask", asked)))
    rows = [step for step, effect in items if isinstance(effect, WriteScalars) and effect.mode == "val"]
    times = 2 if event in VAL[:4] else 1  # from after_val_epoch on, the run has metrics
    assert rows == [5] * times + [10, 15, 20]


def test_the_readmes_hook_stops_a_run():
    @dataclass(frozen=True)
    class StopWhenGood(fkit.Hook):
        accuracy: float = 0.99

        def after_val_epoch(self, memory, run, event):
            return memory, (Stop(),) if event.metrics["accuracy/top1"] >= self.accuracy else ()

    assert drive(small(("good", StopWhenGood(0.9))))[0].iteration == 5
    assert drive(small(("good", StopWhenGood(1.1))))[0].iteration == 20


def test_validation_inside_a_window_of_training_neither_averages_it_nor_throws_it_away():
    plan = plan_of(iterations(8, val_interval=3) | hooks(4))
    _, items = drive(plan, {"train": Same(100), "val": Same(2)})
    rows = [(e.mode, e.step, e.scalars.get("loss")) for _, e in items if isinstance(e, WriteScalars)]
    assert rows == [("val", 3, None), ("train", 4, 0.25), ("val", 6, None), ("train", 8, 0.125), ("val", 8, None)]
    texts = [e.text for _, e in items if type(e).__name__ == "WriteText" and "train" in e.text]
    assert "loss: 0.5208" in texts[0] and "loss: 0.3397" in texts[1]  # means of 1/1..1/4, and of 1/1..1/8


def test_losses_on_held_out_data_are_a_row_of_their_own():
    plan = plan_of(
        epochs(2) | hooks(4, ignore_last=True) | {"workflow": [("train", 1), ("val", 1)], "val_evaluator": None}
    )
    _, items = drive(plan, {"train": Same(6), "val": Same(2)})
    rows = [(e.mode, e.step, e.scalars["loss"]) for _, e in items if isinstance(e, WriteScalars)]
    assert rows == [("train", 4, 0.25), ("val", 6, 8.0), ("train", 10, 0.1), ("val", 12, 14.0)]


def test_a_loss_that_is_not_finite_is_found_after_a_validation_too():
    class Breaking(Counting):
        def train_step(self, state, batch, hyperparams):
            after, logs = super().train_step(state, batch, hyperparams)
            return after, {**logs, "loss": float("nan") if after == 2 else 1.0}

    plan = plan_of(iterations(8, val_interval=3) | hooks(4), program=Breaking())
    with pytest.raises(RunError, match="loss = nan at iteration 2 is not finite"):
        drive(plan)


class Ring(NamedTuple):
    """An effect of one's own."""

    bell: str


@pytest.mark.parametrize("event", [name for name in EVENTS if name not in ("after_load_checkpoint", "on_interrupt")])
def test_an_effect_of_ones_own_passes_through(event):
    plan = small(("ask", On(event, lambda run, event: (Ring(event.name),))))
    if "test" in event:
        effects = [effect for _, asked in scoring(plan, fkit.begin(plan), {"test": Same(3)}) for effect in asked]
    else:
        effects = [effect for _, effect in drive(plan)[1]]
    assert Ring(event) in effects and not any(isinstance(effect, str) for effect in effects)


def test_what_is_asked_before_a_save_is_done_before_it_and_what_is_remembered_of_it_is_saved():
    row = WriteScalars(1, 0, "train", {"a": 1.0})
    plan, counts = small(("ask", On("before_save_checkpoint", lambda run, event: (Ring("saving"), row)))), []
    for run, effects in fkit.train(plan, fkit.begin(plan), {"train": Same(5), "val": Same(3)}):
        if any(isinstance(effect, SaveCheckpoint) for effect in effects):
            kinds = [type(effect).__name__ for effect in effects]
            assert kinds.index("SaveCheckpoint") > max(kinds.index("Ring"), kinds.index("WriteScalars"))
            counts.append((run.iteration, run.memory["ask"].exact))
    assert counts == [(5, 1), (10, 2), (15, 3), (20, 4), (20, 5)]


def test_a_fail_before_a_save_saves_nothing_and_a_save_before_a_save_is_refused():
    for answer, text in ((Fail("no"), "^no"), (SaveCheckpoint(1), "is told because the run is being saved")):
        plan, seen = small(("ask", On("before_save_checkpoint", at(10, answer)))), []
        with pytest.raises(RunError, match=text):
            for _, effects in fkit.train(plan, fkit.begin(plan), {"train": Same(5), "val": Same(3)}):
                seen += effects
        assert [effect.step for effect in seen if isinstance(effect, SaveCheckpoint)] == [5]


def test_what_is_asked_before_a_step_comes_before_it_with_the_state_before_it():
    plan = small(("ask", On("before_train_iter", at(7, SaveCheckpoint(7), Ring("a")))))
    seen = []
    for run, effects in fkit.train(plan, fkit.begin(plan), {"train": Same(5), "val": Same(3)}):
        if Ring("a") in effects:
            seen.append((run.iteration, run.train, [type(e).__name__ for e in effects]))
    assert seen == [(7, 7, ["SaveCheckpoint", "Ring"])]


def test_fail_before_a_step_keeps_the_step_from_being_taken():
    plan = small(("ask", On("before_train_iter", at(7, Fail("no")))))
    with pytest.raises(RunError, match=r"^no"):
        drive(plan)
    assert len(plan.program.rates) == 7


@pytest.mark.parametrize("priority", ["HIGHEST", "LOWEST"])
def test_saves_come_after_the_rows_of_their_event(priority):
    plan = small(("ask", On("after_train_iter", at(5, SaveCheckpoint(5), DeleteCheckpoint(1)), priority)))
    items = [type(effect).__name__ for step, effect in drive(plan)[1] if step == 5]
    assert items.index("WriteScalars") < items.index("SaveCheckpoint") < items.index("DeleteCheckpoint")


def test_what_is_saved_in_the_middle_of_validation_validates_again():
    plan = small(("ask", On("after_val_iter", lambda run, event: (Ring("now"),) if event.inner == 2 else ())))
    for run, effects in fkit.train(plan, fkit.begin(plan), {"train": Same(5), "val": Same(3)}):
        if Ring("now") in effects:
            break
    again = fkit.restore(plan, save(plan, run))
    _, items = drive(plan, run=again)
    rows = [step for step, effect in items if isinstance(effect, WriteScalars) and effect.mode == "val"]
    assert rows == [5, 10, 15, 20]


def test_a_schedule_has_the_last_word_at_the_next_step():
    cosine = dict(type="CosineAnnealingLR", by_epoch=False, eta_min=0.0)
    plain, asked = Counting(), Counting()
    more = epochs(4) | hooks(10) | schedulers(cosine)
    ask = On("after_train_iter", at(7, SetHyperparams({"lr": np.array([7.0]), "momentum": 0.5})))
    drive(plan_of(more, program=plain))
    drive(plan_of(more, ("ask", ask), program=asked))
    assert asked.rates == plain.rates and len({str(rate) for _, rate in plain.rates}) == 20


@pytest.mark.parametrize(
    ("priority", "want"), [("NORMAL", None), ("VERY_LOW", [5.0, 5.0])], ids=["before the schedule", "after it"]
)
def test_hooks_that_set_hyperparameters_before_a_step_act_in_firing_order(priority, want):
    cosine = dict(type="CosineAnnealingLR", by_epoch=False, eta_min=0.0)
    plain, asked = Counting(), Counting()
    more = epochs(4) | hooks(10) | schedulers(cosine)
    ask = On("before_train_iter", at(7, SetHyperparams({"lr": 5.0})), priority)
    drive(plan_of(more, program=plain))
    drive(plan_of(more, ("ask", ask), program=asked))
    expected = [(step, want if step == 7 and want else rate) for step, rate in plain.rates]
    assert asked.rates == expected


@pytest.mark.parametrize(
    ("values", "kind", "text"),
    [
        ({"lrr": 1.0}, FkitKeyError, "hook 'ask' sets 'lrr', which the optimizer does not have"),
        ({"lr": "big"}, FkitValueError, "hook 'ask' sets lr = 'big': 2 numbers, or one for all"),
        ({"lr": [1.0, 2.0, 3.0]}, FkitValueError, "2 numbers, or one for all"),
        (0.1, FkitTypeError, "the values of SetHyperparams are a mapping"),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused(values, kind, text):
    with pytest.raises(kind, match=text):
        drive(small(("ask", On("after_train_iter", at(2, SetHyperparams(values))))))


def test_a_momentum_is_not_raised_where_the_optimizer_has_none():
    class Plain(Counting):
        def hyperparams(self):
            return {**super().hyperparams(), "momentum": np.zeros(2)}

    plan = plan_of(
        epochs(1) | hooks(10),
        ("ask", On("after_train_iter", at(2, SetHyperparams({"momentum": 0.9})))),
        program=Plain(),
    )
    with pytest.raises(FkitValueError, match="hook 'ask' sets 'momentum', which is 0: an optimizer without momentum"):
        drive(plan)


def test_hyperparameters_ahead_are_of_the_steps_that_follow():
    rows = [{"lr": [float(i), float(i)]} for i in range(1, 4)]
    ask = On("before_train_iter", at(7, SetHyperparams({"lr": 9.0}, ahead=rows)))
    plan = small(("ask", ask))
    drive(plan)
    assert [rate[0] for _, rate in plan.program.rates[6:13]] == [0.1, 9.0, 1.0, 2.0, 3.0, 3.0, 3.0]
    assert [i for i, _ in ask.seen] == [i for i in range(20) if i not in (8, 9, 10)]
    with pytest.raises(RunError, match=r"SetHyperparams\(ahead=...\) is for before_train_iter"):
        drive(small(("ask", On("after_train_iter", at(2, SetHyperparams({}, ahead=rows))))))


@pytest.mark.parametrize("answer", [Stop(), Validate(), SaveCheckpoint(3), "Stop", None, {"a": 1}])
def test_an_answer_that_is_no_tuple_of_effects_is_refused(answer):
    with pytest.raises(
        RunError, match=r"hook 'ask' at after_train_iter, iteration 2: a handler returns \(memory, effects\)"
    ):
        drive(small(("ask", On("after_train_iter", lambda run, event: answer if event.iteration == 2 else ()))))


def test_a_list_of_effects_will_do():
    assert drive(small(("ask", On("after_train_iter", lambda run, event: [Stop()]))))[0].iteration == 5


@pytest.mark.parametrize("effect", [Stop, None])
def test_an_effect_is_a_value(effect):
    with pytest.raises(
        RunError, match=r"hook 'ask' at after_train_iter asks for .*: an effect is a value, as Stop\(\) is"
    ):
        drive(small(("ask", On("after_train_iter", at(2, effect)))))


@dataclass(frozen=True)
class Rare(fkit.Hook):
    """Due at every ``step``-th iteration, and reads the window."""

    reads = True
    step: int = 4
    seen: list = field(default_factory=list)

    def due(self, event, position, length, total):
        return (position.iteration // self.step + 1) * self.step

    def after_train_iter(self, memory, run, event):
        self.seen.append([step.iteration for step in event.window])
        return memory, ()


def test_each_hook_that_reads_has_the_steps_since_it_read():
    four, three = Rare(4), Rare(3)
    _, items = drive(
        plan_of(iterations(12) | hooks(6), ("four", four), ("three", three)), {"train": Same(50), "val": Same(1)}
    )
    assert four.seen == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    assert three.seen == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]
    texts = [e.text for _, e in items if type(e).__name__ == "WriteText" and "train" in e.text]
    assert "loss: 0.4083" in texts[0]  # the mean of 1/1..1/6: the logger's window is its own


@pytest.mark.parametrize(
    ("answer", "text"), [("soon", "'soon' is text, not a whole number"), (2.5, "2.5 is not a whole")]
)
def test_a_due_that_is_no_iteration_is_refused(answer, text):
    @dataclass(frozen=True)
    class Vague(Rare):
        def due(self, event, position, length, total):
            return answer

    with pytest.raises(FkitTypeError, match=f"hook 'vague': the answer of due.*{text}"):
        drive(small(("vague", Vague())))


def test_a_due_that_raises_is_named():
    @dataclass(frozen=True)
    class Broken(Rare):
        def due(self, event, position, length, total):
            return 1 // 0

    with pytest.raises(RunError, match=r"hook 'broken' raised in due\('after_train_iter', ...\): ZeroDivisionError"):
        drive(small(("broken", Broken())))


def test_the_window_of_a_run_that_nobody_reads_holds_one_step():
    window = Window(())
    for i in range(1000):
        window.add(Step(i))
    assert len(window) == 1


def test_an_epoch_counts_from_its_last_iteration_on_in_every_row():
    _, items = drive(plan_of(epochs(20) | hooks(10)), {"train": Same(23), "val": Same(1)})
    rows = [(e.mode, e.step, e.epoch) for _, e in items if isinstance(e, WriteScalars)]
    assert {("train", 23, 1), ("val", 23, 1), ("train", 43, 1), ("train", 46, 2), ("train", 460, 20)} <= set(rows)
    assert ("val", 460, 20) in rows and all(epoch == step // 23 for _, step, epoch in rows)


def test_epochs_of_an_iteration_based_run_are_counted_alike_in_every_row():
    plan = plan_of(iterations(20, val_interval=4) | hooks(3))
    _, items = drive(plan, {"train": Same(8), "val": Same(1)})
    rows = [(e.mode, e.step, e.epoch) for _, e in items if isinstance(e, WriteScalars)]
    assert {mode for mode, _, _ in rows} == {"train", "val"}
    assert all(epoch == step // 8 for _, step, epoch in rows)
    lines = [e.text.split("  ")[0] for _, e in items if type(e).__name__ == "WriteText" and "train" in e.text]
    counts = (3, 6, 9, 12, 15, 18, 20)  # from the run's beginning, as mmengine has it
    assert lines == [f"Iter(train) [{count:>2}/20]" for count in counts]

"""Loops and runners of one's own, each by one registration; validation and tests as folds of their own."""

from dataclasses import dataclass, replace

import pytest

import fkit
from fkit.run.course import Course
from fkit.run.effect import DeleteCheckpoint, SaveCheckpoint, Stop, WriteText
from fkit.run.event import EVENTS, Observed
from fkit.run.hook.hook import Hook, handlers
from fkit.run.loop import standard
from fkit.run.scoring import Scoring
from fkit.run.state import Memory, Position
from fkit.tree.error import FkitError, RunError
from tests.run.counting import Counting, Same, config, drive, epochs, hooks, plan_of


@dataclass(frozen=True)
class Doubling(Course):
    """Validates after epochs 1, 2, 4, 8, ... alone."""

    def next(self, at, length):
        word, after = super().next(at, length)
        if word == "after_train_epoch":
            after = after._replace(validate=after.epoch & (after.epoch - 1) == 0)
        return word, after


def own_loop(**arguments):
    registry = fkit.registry().register("loops", lambda epochs: Doubling(True, epochs), name="DoublingLoop")
    return fkit.plan(config({"train_cfg": dict(type="DoublingLoop", **arguments)}), registry)


def test_a_loop_of_ones_own_is_one_registration():
    plan = replace(own_loop(epochs=9), program=Counting())
    _, items = drive(plan)
    assert plan.course == Doubling(True, 9)
    assert [step // 5 for step, e in items if type(e).__name__ == "WriteScalars" and e.mode == "val"] == [1, 2, 4, 8]


def test_the_arguments_of_a_loop_of_ones_own_are_its_own():
    with pytest.raises(FkitError, match=r"train_cfg.*max_epochs"):
        own_loop(max_epochs=9)
    with pytest.raises(FkitError, match=r"'DoublingLop' is not in the registry 'loops'"):
        fkit.plan(config({"train_cfg": dict(type="DoublingLop", epochs=9)}))
    with pytest.raises(FkitError, match=r"train_cfg: the loop ValLoop is Scoring.*, no Course"):
        fkit.plan(config({"train_cfg": dict(type="ValLoop")}))


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda at: ("iterte", at), "the loop Odd says that .'iterte'.* comes next: a word and a Position are needed"),
        (lambda at: "iterate", "the loop Odd says that 'iterate' comes next"),
        (lambda at: ("iterate", 3), "the loop Odd says"),
        (lambda at: 1 // 0, "iteration 0: the loop raised ZeroDivisionError"),
    ],
)
def test_a_loop_that_says_nothing_of_use_is_named(answer, text):
    @dataclass(frozen=True)
    class Odd(Course):
        def next(self, at, length):
            return answer(at)

    plan = replace(plan_of(epochs(1) | hooks(10)), course=Odd(True, 1))
    with pytest.raises(RunError, match=text):
        drive(plan)


def own_runner(function, **arguments):
    changes = {"runner_type": dict(type="Mine", **arguments) if arguments else "Mine"} | epochs(2) | hooks(10)
    plan = fkit.plan(config(changes), fkit.registry().register("runners", function, name="Mine"))
    return replace(plan, program=Counting())


def test_a_runner_of_ones_own_is_one_registration():
    def noisy(plan, run, data, inbox, word="on"):
        for run, effects in standard(plan, run, data, inbox):
            yield run, (*effects, WriteText(word))

    for plan, word in ((own_runner(noisy), "on"), (own_runner(noisy, word="off"), "off")):
        run, items = drive(plan)
        assert run.iteration == 10 and run.status == "finished"
        assert sum(effect == WriteText(word) for _, effect in items) >= 10


def test_a_runner_need_not_be_the_kits_at_all():
    def three(plan, run, data, inbox):
        for batch in data["train"].batches(0):
            state, _ = plan.program.train_step(run.train, batch, run.hyperparams)
            run = run._replace(train=state, position=Position(iteration=run.iteration + 1))
            yield run, ()
            if run.iteration == 3:
                return

    run, items = drive(own_runner(three))
    assert (run.train, run.iteration, items) == (3, 3, [])


def test_what_is_no_runner_is_named():
    with pytest.raises(FkitError, match=r"'Mein' is not in the registry 'runners'"):
        fkit.plan(config(epochs(1) | {"runner_type": "Mein"}))
    with pytest.raises(
        FkitError, match=r"is no runner: its Mine\(plan\) cannot be called as Mine\(plan, run, data, inbox\)"
    ):
        own_runner(lambda plan: None)
    with pytest.raises(RunError, match="the runner yields 3"):
        drive(own_runner(lambda plan, run, data, inbox: iter([3])))
    with pytest.raises(RunError, match="iteration 0: the runner raised ZeroDivisionError"):
        drive(own_runner(lambda plan, run, data, inbox: 1 // 0))


@pytest.mark.parametrize("name", ["Runner", "EpochBasedRunner", "mmengine.Runner"])
def test_openmmlabs_runners_are_the_kits(name):
    plan = replace(fkit.plan(config({"runner_type": name} | epochs(2) | hooks(10))), program=Counting())
    assert drive(plan)[0].iteration == 10


@dataclass(frozen=True)
class Note(Hook):
    """Remembers the names of events, and asks for what it is told to at one."""

    asks: tuple = ()
    at: str = ""

    def memory(self):
        return Memory(exact=())

    def __getattr__(self, name):
        if name not in EVENTS:
            raise AttributeError(name)

        def handler(memory, run, event):
            seen = (event.name, event.mode, event.inner, None if event.outputs is None else sorted(event.outputs))
            return Memory((*memory.exact, seen)), self.asks if event.name == self.at else ()

        return handler


def looked(mode, note, inbox=()):
    plan = plan_of(epochs(2) | hooks(10), ("note", note))
    items = [*getattr(fkit, {"val": "validate", "test": "test"}[mode])(plan, fkit.begin(plan), {mode: Same(2)}, inbox)]
    return items[-1][0], [effect for _, effects in items for effect in effects]


@pytest.mark.parametrize("mode", ["val", "test"])
def test_hooks_are_told_of_a_validation_or_a_test_alone(mode):
    run, _ = looked(mode, Note())
    told = run.memory["note"].exact
    assert [name for name, *_ in told] == [
        "before_run", f"before_{mode}", f"before_{mode}_epoch",
        *[f"before_{mode}_iter", f"after_{mode}_iter"] * 2,
        f"after_{mode}_epoch", f"after_{mode}", "after_run",
    ]  # fmt: skip
    assert {kind for _, kind, *_ in told} == {mode}
    assert [row for row in told if row[3]] == [(f"after_{mode}_iter", mode, n, ["pred_label"]) for n in (1, 2)]
    assert run.metrics == {"accuracy/top1": 1.0} and run.status == "finished" and run.iteration == 0


@pytest.mark.parametrize("mode", ["val", "test"])
def test_what_is_only_looked_at_is_not_saved(mode):
    _, effects = looked(
        mode, Note((SaveCheckpoint(1), DeleteCheckpoint(2), WriteText("a"), Stop()), f"after_{mode}_epoch")
    )
    assert WriteText("a") in effects
    assert not any(isinstance(effect, SaveCheckpoint | DeleteCheckpoint) for effect in effects)


def test_a_signal_ends_a_test():
    run, _ = looked("test", Note(), iter([(), (Observed("signal", "SIGTERM"),)]))
    assert (run.status, run.signal, dict(run.metrics)) == ("interrupted", "SIGTERM", {})
    assert [name for name, *_ in run.memory["note"].exact][-1] == "on_interrupt"


@pytest.mark.parametrize("mode", ["val", "test"])
def test_a_val_loop_of_ones_own_says_what_is_predicted(mode):
    @dataclass(frozen=True)
    class Wrong(Scoring):
        by: int = 1

        def predict(self, program, state, batch):
            return {"pred_label": program.predict(state, batch)["pred_label"] + self.by}

    registry = fkit.registry().register("loops", Wrong)
    table = dict(test_dataloader=config({})["val_dataloader"], test_evaluator=dict(type="Accuracy"))
    for by, want in ((0, 1.0), (1, 0.0)):
        cfg = config(table | {f"{mode}_cfg": dict(type="Wrong", by=by)})
        plan = replace(fkit.plan(cfg, registry, part=mode), program=Counting())
        *_, (run, _) = getattr(fkit, {"val": "validate", "test": "test"}[mode])(plan, fkit.begin(plan), {mode: Same(2)})
        assert run.metrics == {"accuracy/top1": want}


def test_a_plan_of_a_test_needs_no_training():
    cfg = config({}).merge({"train_dataloader": None, "optim_wrapper": None, "seed": None})
    plan = fkit.plan(cfg, part="test")
    assert set(fkit.open_data(plan)) == {"test"}  # validation's, for the config speaks of no other
    assert [name for name, _ in plan.hooks if name == "record"] == []
    run = fkit.begin(plan)
    with pytest.raises(FkitError, match="a training step needs an optimizer"):
        plan.program.train_step(run.train, None, {})
    with pytest.raises(FkitError, match="a test needs test_dataloader"):
        fkit.plan(cfg.merge({"val_dataloader": None, "val_evaluator": None}), part="test")


def test_mmcvs_handlers_of_all_modes():
    @dataclass(frozen=True)
    class Count(Hook):
        def memory(self):
            return Memory(exact={})

        def after_iter(self, memory, run, event):
            seen = dict(memory.exact)
            return Memory({**seen, event.name: seen.get(event.name, 0) + 1}), ()

        def after_val_iter(self, memory, run, event):
            return memory, ()

    plan = plan_of(epochs(2) | hooks(10), ("count", Count()))
    assert [event for event, rows in handlers([("count", Count())]).items() if rows] == [
        "after_train_iter", "after_val_iter", "after_test_iter",
    ]  # fmt: skip
    assert drive(plan)[0].memory["count"].exact == {"after_train_iter": 10}

"""ParamSchedulerHook by value: schedulers that are stepped, those that look at validation, and exact resume of both."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import fkit
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.memory import read_memory, write_memory
from fkit.run.start import Saved, restore, save
from fkit.run.state import Memory, Position, RunState
from fkit.training.schedule.anneal import CosineAnnealingLR
from fkit.training.schedule.factor import LinearLR
from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.policy import Extent
from tests.run.counting import Counting, Same, drive, epochs, hooks, iterations, plan_of, schedulers

LR = {"lr": np.array([0.1, 0.02])}
EXTENT = Extent(True, 12, 5)
WARM = LinearLR(start_factor=0.1, end=20, by_epoch=False)
COSINE = CosineAnnealingLR(eta_min=0.01, end=12)
PLATEAU = ReduceOnPlateauLR(monitor="acc", rule="greater", factor=0.5, patience=0, min_value=(0.0, 0.015))


def a_run(iteration=0, values=LR):
    return RunState(Position(iteration=iteration, epoch=iteration // 5), None, values, {})


def validated(hook, memory, run, **metrics):
    """What a validation makes of the memory, and what it sets."""
    event = Event("after_val_epoch", "val", iteration=run.iteration, metrics=metrics)
    memory, effects = hook.after_val_epoch(memory, run, event)
    return memory, [effect.values["lr"].tolist() for effect in effects]


def test_a_plateau_lowers_the_value_when_validation_got_no_better_and_down_to_its_least():
    hook = ParamSchedulerHook((PLATEAU,), LR, EXTENT)
    memory, sets = validated(hook, hook.memory(), a_run(5), acc=0.5)
    assert sets == []
    memory, sets = validated(hook, memory, a_run(10), acc=0.4)
    assert sets == [[0.05, 0.015]]
    memory, sets = validated(hook, memory, a_run(15, {"lr": np.array(sets[0])}), acc=0.5)
    assert sets == [[0.025, 0.015]]
    memory, sets = validated(hook, memory, a_run(20, {"lr": np.array(sets[0])}), acc=0.6)
    assert sets == []


def test_a_plateau_waits_between_validations_and_is_told_only_where_there_is_one():
    hook = ParamSchedulerHook((PLATEAU,), LR, EXTENT)
    assert hook.due("before_train_iter", Position(iteration=7, epoch=1, inner=2), 5, 60) == NEVER
    assert hook.answers("after_val_epoch")
    assert not ParamSchedulerHook((WARM, COSINE), LR, EXTENT).answers("after_val_epoch")


def test_a_pass_of_losses_counts_for_nothing_and_a_metric_that_is_not_there_is_named():
    hook = ParamSchedulerHook((PLATEAU,), LR, EXTENT)
    memory = hook.memory()
    assert validated(hook, memory, a_run(5)) == (memory, [])
    with pytest.raises(fkit.FkitError, match="monitors 'acc', which the validation did not give") as caught:
        validated(hook, memory, a_run(5), accuracy=0.5)
    assert "accuracy" in str(caught.value)


def rates(hook, start, stop, memory):
    """lr of the steps from ``start`` on, a validation after each epoch, and the memory after them."""
    run, rows = a_run(start), []
    for iteration in range(start, stop):
        run = run._replace(position=Position(iteration=iteration, epoch=iteration // 5))
        event = Event("before_train_iter", iteration=iteration, inner=iteration % 5, length=5)
        memory, effects = hook.before_train_iter(memory, run, event)
        for effect in effects:
            run = run._replace(hyperparams=effect.values)
        rows.append(run.hyperparams["lr"].tolist())
        if iteration % 5 == 4:
            run = run._replace(position=Position(iteration=iteration + 1, epoch=iteration // 5 + 1))
            memory, _ = validated(hook, memory, run, acc=0.5)
    return rows, memory


@pytest.mark.parametrize("policies", [(WARM, COSINE), (WARM, PLATEAU), (COSINE, PLATEAU, WARM)])
@pytest.mark.parametrize("stop", [1, 5, 17, 20, 44])
def test_a_stepped_chain_goes_on_to_the_bit_from_what_a_checkpoint_holds(policies, stop):
    hook = ParamSchedulerHook(policies, LR, EXTENT)
    assert not hook.closed
    whole, last = rates(hook, 0, 60, hook.memory())
    first, memory = rates(hook, 0, stop, hook.memory())
    kept = json.loads(json.dumps(write_memory(memory.exact, "memory")))
    second, end = rates(hook, stop, 60, Memory(read_memory(kept)))
    assert first + second == whole and end == last
    assert len({row[0] for row in whole}) > 11


PLAIN = dict(type="ReduceOnPlateauLR", monitor="accuracy/top1", rule="greater", factor=0.5, patience=1)
RUNS = (
    epochs(9) | schedulers(dict(type="LinearLR", by_epoch=False, end=14), PLAIN),
    epochs(9, val_interval=2) | schedulers(dict(type="CosineAnnealingLR", eta_min=0.01, end=9), dict(type="StepLR", step_size=2, end=9)),
    iterations(45, val_interval=4) | schedulers(PLAIN),
)  # fmt: skip


@pytest.mark.parametrize("changes", RUNS)
def test_a_run_with_stepped_schedules_is_the_same_wherever_it_stopped(changes):
    program = Counting()
    drive(plan_of(changes | hooks(10), program=program, length=5))
    whole = program.rates
    assert len({tuple(rate) for _, rate in whole}) > 3
    for stop in (3, 10, 23):
        program = Counting()
        plan = plan_of(changes | hooks(10), program=program, length=5)
        data = {"train": Same(5), "val": Same(3)}
        run = next(run for run, _ in islice(fkit.train(plan, fkit.begin(plan), data), 10**6) if run.iteration == stop)
        saved = save(plan, run)
        again = replace(plan, program=Counting())
        record = json.loads(json.dumps(dict(saved.record)))
        fresh = restore(again, Saved(saved.arrays, record))
        drive(again, data, run=fresh)
        assert program.rates[:stop] + again.program.rates == whole

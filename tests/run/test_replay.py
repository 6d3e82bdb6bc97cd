"""A run folded again and held against its record: nothing is written, and the first difference is named."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import fkit
from fkit.run.effect import SaveCheckpoint, WriteScalars
from fkit.run.probe import batch_arrays, batch_samples, taken
from fkit.run.replay import Kept, Recorded, advance, replayed
from fkit.run.start import save
from fkit.tree.error import FkitError
from tests.run import fault


def planned(**faults):
    plan = fkit.plan(fault.config(**{"steps": 60, **faults}), fault.registry())
    return plan, fkit.open_data(plan)


def record_of(plan, data):
    """What a run writes, kept in memory: rows, and {step: what it was saved as}."""
    rows, kept = [], {}
    for run, effects in fkit.train(plan, fkit.begin(plan), data):
        for effect in effects:
            if isinstance(effect, WriteScalars):
                rows.append({"step": effect.step, "mode": effect.mode, **effect.scalars})
            elif isinstance(effect, SaveCheckpoint):
                kept[effect.step] = Kept(save(plan, run))
    return Recorded(tuple(rows), tuple(kept), kept.get)


@pytest.fixture(scope="module")
def whole():
    plan, data = planned()
    return plan, data, record_of(plan, data)


def verdict(plan, run, data, record, to=60):
    fold = replayed(plan, run, data, record, to)
    while True:
        try:
            assert next(fold).iteration <= to
        except StopIteration as end:
            return end.value


def test_a_run_reproduces_itself(whole):
    plan, data, record = whole
    assert [row["step"] for row in record.rows] == [10, 20, 30, 40, 50, 50, 60, 60] and record.steps == (40, 50, 60)
    found = verdict(plan, fkit.begin(plan), data, record)
    assert found.equal and found[:4] == (0, 60, 8, (40, 50, 60)) and found.first is None


def test_from_a_checkpoint_and_to_a_step(whole):
    plan, data, record = whole
    run = fkit.restore(plan, record.read(40).saved)
    late = record._replace(rows=record.rows[4:])
    found = verdict(plan, run, data, late, to=55)
    assert found.equal and found[:4] == (40, 55, 2, (50,))


def test_a_weight_that_changes_is_named_at_the_first_checkpoint(whole):
    _, _, record = whole
    found = verdict(*planned_from(nudge=37, by=1e-3), record)
    assert (found.first, found.known, found.row.step, found.step) == (40, 30, 40, 40) and not found.equal
    assert [change.name for change in found.row.changes] == ["loss"]
    first, *others = found.differences
    assert first.name.startswith("params/") and 0 < first.largest <= 1.1e-3
    assert {row.name for row in others} > {"opt/main/momentum_buffer/head.fc.weight"}
    kinds = [row.name.partition("/")[0] for row in found.differences]
    sizes = [row.largest for row in found.differences if row.name.startswith("params/")]
    assert kinds == sorted(kinds, key=["params", "buffers", "opt"].index) and sizes == sorted(sizes, reverse=True)
    assert math.isclose(first.largest, 1e-3, rel_tol=0.1)
    last = verdict(*planned_from(nudge=60), record)  # after the last step: its line is equal, its checkpoint is not
    assert last.row is None and last.step == 60 and [row.words for row in last.differences] == ["1 of 160 numbers"]


def planned_from(**faults):
    plan, data = planned(**faults)
    return plan, fkit.begin(plan), data


def test_a_batch_that_is_swapped_differs_in_the_next_line(whole):
    found = verdict(*planned_from(swap=33), whole[2])
    assert (found.first, found.row.step, found.step, found.known) == (40, 40, 40, 30)


def test_a_line_that_differs_alone(whole):
    plan, data, record = whole
    rows = [dict(row) for row in record.rows]
    rows[2]["loss"] += 1e-9
    found = verdict(plan, fkit.begin(plan), data, record._replace(rows=rows))
    assert (found.first, found.row.step, found.step, found.checkpoints) == (30, 30, None, (40,))
    assert (found.lines, found.end) == (2, 40)  # it went on to the checkpoint, and no further
    rows[4]["loss"] = rows[2]["loss"]
    late = verdict(plan, fkit.begin(plan), data, record._replace(rows=rows[3:], steps=()))
    assert (late.first, late.end, late.step, late.known) == (50, 50, None, 40)


def test_a_checkpoint_that_was_changed_alone(whole):
    plan, data, record = whole
    kept = record.read(50).saved
    weight = kept.arrays["params/head.fc.weight"].copy()
    weight[0, 0] = 2 * weight[0, 0]
    harmed = kept._replace(arrays={**kept.arrays, "params/head.fc.weight": weight})
    read = lambda step: Kept(harmed) if step == 50 else record.read(step)  # noqa: E731
    found = verdict(plan, fkit.begin(plan), data, record._replace(read=read))
    assert (found.row, found.step, found.checkpoints, found.known) == (None, 50, (40,), 50)
    size = abs(float(weight[0, 0]) / 2)
    assert [tuple(row) for row in found.differences] == [("params/head.fc.weight", size, "1 of 160 numbers")]


def test_what_does_not_verify_is_passed_over_and_weights_are_compared_alone(whole):
    plan, data, record = whole
    weights = record.read(50).saved
    arrays = {name: array for name, array in weights.arrays.items() if not name.startswith("opt/")}
    kept = {50: Kept(weights._replace(arrays=arrays), weights_only=True), 60: record.read(60)}
    found = verdict(plan, fkit.begin(plan), data, record._replace(read=kept.get))
    assert found.equal and found.checkpoints == (50, 60)


def test_a_run_that_was_interrupted_is_compared_where_it_was_saved(whole):
    steps = []

    @dataclass(frozen=True)
    class Counting(fkit.Hook):
        def after_train_iter(self, memory, run, event):
            steps.append(event.iteration)
            return memory, ()

    cfg = fault.config(steps=60).merge({"custom_hooks": [{"type": "Counting"}]})
    plan, data = fkit.plan(cfg, fault.registry().register("hooks", Counting)), whole[1]
    for run, _ in fkit.train(plan, fkit.begin(plan), data):
        if run.iteration == 47:
            kept = Kept(save(plan, run._replace(status="interrupted")))
            break
    rows = [row for row in whole[2].rows if row["step"] <= 47]
    found = verdict(plan, fkit.begin(plan), data, Recorded(rows, (40, 47), {47: kept}.get), to=47)
    assert found.equal and (found.checkpoints, found.lines) == ((47,), 4)
    assert steps == [*range(1, 48), *range(1, 48)]  # no step more


def test_a_run_that_grew_longer_is_compared_with_its_former_end(whole):
    plan, data = planned(steps=80, param_scheduler=None)
    short, same = planned(steps=60, param_scheduler=None)
    record = record_of(short, same)
    assert record.read(60).saved.record["position"]["stage"] == "after_run"
    found = verdict(plan, fkit.begin(plan), data, record)
    assert found.equal and found.checkpoints == (40, 50, 60) and found.grown is None
    found = verdict(plan, fkit.begin(plan), data, record, to=80)
    assert found.equal and (found.grown, found.end) == (60, 60)
    found = found.joined(verdict(plan, fkit.restore(plan, record.read(60).saved), data, record, to=60))
    assert (found.start, found.end, found.grown, found.checkpoints) == (0, 60, None, (40, 50, 60))


@dataclass(frozen=True)
class Raising(fkit.Hook):
    at: int = 0

    def after_train_iter(self, memory, run, event):
        if event.iteration == self.at:
            raise ValueError("no more")
        return memory, ()


def test_a_run_that_fails_as_it_failed_is_equal_and_otherwise_differs(whole):
    cfg = fault.config(steps=60).merge({"custom_hooks": [{"type": "Raising", "at": 45}]})
    plan = fkit.plan(cfg, fault.registry().register("hooks", Raising))
    rows = [row for row in whole[2].rows if row["step"] <= 60]
    found = verdict(plan, fkit.begin(plan), whole[1], Recorded(rows))
    assert (found.first, found.end, found.equal) == (45, 44, False) and "no more" in found.failure
    assert verdict(plan, fkit.begin(plan), whole[1], Recorded(rows, failed=True)).equal


def went(fold):
    while True:
        try:
            next(fold)
        except StopIteration as end:
            return end.value


def test_a_run_goes_on_from_any_step_to_the_same_bits(whole):
    plan, data, record = whole
    middle = went(advance(plan, fkit.begin(plan), data, 23))
    assert middle.record["position"]["iteration"] == 23
    later = went(advance(plan, fkit.restore(plan, middle), data, 40))
    want = record.read(40).saved.arrays
    assert {name: array.tobytes() for name, array in later.arrays.items()} == {
        name: array.tobytes() for name, array in want.items()
    }
    with pytest.raises(FkitError, match="ends after 60 iterations, before step 61"):
        went(advance(plan, fkit.begin(plan), data, 61))


def test_a_step_says_which_batch_it_took_and_what_it_logged(whole):
    plan, data, _ = whole
    middle = went(advance(plan, fkit.begin(plan), data, 23))
    found = went(taken(plan, fkit.restore(plan, middle), data))
    batch = next(data["train"].batches(2, 3))  # ten batches an epoch
    assert found.batch.keys() == {"batch/inputs", "batch/targets/gt_label"} and len(found.samples) == fault.BATCH
    assert np.array_equal(found.batch["batch/inputs"], batch.inputs) and found.samples == batch_samples(batch)
    assert found.saved.record["position"]["iteration"] == 24 and math.isfinite(found.logs["loss"])


def test_arrays_of_a_batch_have_names(whole):
    batch = fkit.Batch({"rgb": np.zeros((2, 1)), "pair": (np.ones((2, 1)),)}, {"gt": {"boxes": np.zeros((2, 4))}})
    names = batch_arrays(batch, whole[0].room)
    assert names.keys() == {"batch/inputs/rgb", "batch/inputs/pair/0", "batch/targets/gt/boxes"}
    assert batch_samples(batch) == ()

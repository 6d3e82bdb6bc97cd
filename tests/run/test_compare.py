"""What differs between two states and two rows, by values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.edge.checkpoint import digest
from fkit.run.bisection import bisection
from fkit.run.compare import Change, differing, parted, row_changes
from fkit.run.contrast import contrasts
from fkit.run.start import Saved
from fkit.tree.error import FkitError

RECORD = {
    "position": {"stage": "iterate", "iteration": 3},
    "hyperparams": {"lr": [0.1]},
    "metrics": {"acc": 0.5},
    "exact": {"ema": [1, 2]},
    "observed": {"timer": 3.0},
}


def saved(record=None, **arrays):
    base = {"params/w": np.float32([1, 2, 3]), "buffers/n": np.int64(4), "opt/main/step/w": np.float32(1)}
    return Saved({**base, **{name.replace("__", "/"): array for name, array in arrays.items()}}, record or RECORD)


def test_equal_states_have_no_differences_and_what_was_observed_is_none():
    assert differing(saved(), saved()) == ()
    assert differing(saved(), saved({**RECORD, "observed": {"timer": 4.0}})) == ()


def test_differences_are_told_by_kind_and_size():
    other = saved(
        {**RECORD, "hyperparams": {"lr": [0.3]}, "exact": {"ema": [1, 3], "mine": 1}, "position": {"iteration": 4}},
        params__w=np.float32([1, 2.5, 3.25]),
        params__v=np.float32([1]),
        buffers__n=np.int64(6),
    )
    rows = differing(saved(), other)
    assert [row.name for row in rows] == [
        "params/v", "params/w", "buffers/n", "hyperparams/lr", "memory/mine", "memory/ema", "position",
    ]  # fmt: skip
    by_name = {row.name: row for row in rows}
    assert by_name["params/w"][1:] == (0.5, "2 of 3 numbers")
    assert by_name["params/v"][1:] == (math.inf, "only the second has it")
    assert by_name["hyperparams/lr"].largest == pytest.approx(0.2) and by_name["memory/ema"].largest == 1
    assert math.isinf(by_name["position"].largest)


def test_bits_count_and_not_numbers_alone():
    [row] = differing(saved(params__w=np.float32([0.0])), saved(params__w=np.float32([-0.0])))
    assert (row.largest, row.words) == (0.0, "1 of 1 numbers")
    [row] = differing(saved(params__w=np.float32([1])), saved(params__w=np.float64([1])))
    assert row.words == "float32(1,) and float64(1,)"
    nan = np.float32([np.nan])
    assert differing(saved(params__w=nan), saved(params__w=nan.copy())) == ()
    [row] = differing(saved(params__w=nan), saved(params__w=np.float32([1])))
    assert math.isinf(row.largest)


@given(st.sampled_from(["params/w", "opt/main/step/w", "hyperparams", "exact", "metrics", "position", None]))
def test_nothing_differs_where_fingerprints_are_equal_and_only_there(place):
    record, arrays = dict(RECORD), dict(saved().arrays)
    if place in arrays:
        arrays[place] = arrays[place] + 1
    elif place is not None:
        record[place] = {"other": 1}
    other = Saved(arrays, record)
    assert (differing(saved(), other) == ()) == (digest(saved()) == digest(other)) == (place is None)


def test_two_runs_are_compared_in_what_decides_a_step_and_both_have():
    other = saved({**RECORD, "exact": {"mine": 3}, "metrics": {}}, opt__main__extra__w=np.float32(1))
    assert parted(saved(), other) == ()
    assert [row.name for row in parted(saved(), saved(buffers__mean=np.zeros(2)))] == ["buffers/mean"]
    lr = saved({**RECORD, "hyperparams": {"lr": [0.2], "momentum": [0.9]}})
    assert [row.name for row in parted(saved(), lr)] == ["hyperparams/lr"]


def test_rows_are_compared_without_times():
    row = {"step": 3, "mode": "train", "wall_time": 1.0, "loss": 0.5, "time": 1.0}
    assert row_changes(row, {"loss": np.float64(0.5), "time": 2.0}) == ()
    assert row_changes(row, {"loss": 0.5, "acc": 0.25}) == (Change("acc", None, 0.25),)
    assert row_changes({"loss": math.nan}, {"loss": math.inf}) == ()  # JSON holds neither
    [change] = row_changes({"loss": math.nan}, {"loss": 1.0})
    assert change.second == 1.0 and math.isnan(change.first)


@given(st.integers(0, 50), st.integers(1, 3000), st.data())
def test_the_first_place_is_found_by_few_looks(low, length, data):
    first = data.draw(st.integers(low + 1, low + length))
    search, looks = bisection(low, low + length), 0
    try:
        place = next(search)
        while True:
            assert low < place < low + length
            looks += 1
            place = search.send(place < first)
    except StopIteration as end:
        assert end.value == first
    assert looks <= math.ceil(math.log2(length))


def test_a_search_needs_somewhere_to_search():
    with pytest.raises(FkitError, match="high = 3: above low"):
        bisection(3, 3)


def row(step, mode="train", **values):
    return {"step": step, "epoch": 0, "mode": mode, "wall_time": 1.0, **values}


def test_metrics_of_two_runs_are_held_against_each_other():
    first = [row(1, loss=4.0), row(2, loss=2.0), row(3, loss=math.nan), row(3, "val", acc=0.5), row(6, "val", acc=0.25)]
    second = [row(1, loss=4.0), row(2, loss=1.0), row(3, loss=math.nan), row(3, "val", acc=0.5), row(4, lr=0.1)]
    loss, acc, lr = contrasts(first, second)
    assert loss[:6] == ("train", "loss", 3, 2, 0.5, 2) and loss.bests == (2.0, 1.0)
    assert acc == ("val", "acc", 1, None, 0.0, None, (0.25, 0.5), (0.5, 0.5))
    assert lr[:6] == ("train", "lr", 0, None, 0.0, None) and lr.finals == (None, 0.1) and lr.bests == (None, None)
    assert contrasts([row(1, loss=1.0)], [row(1, loss=math.nan)])[0].largest == math.inf

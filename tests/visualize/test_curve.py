"""Curves: what is drawn, from rows."""

import math
import subprocess
import sys
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkit.tree.error import FkitError
from fkit.visualize.curve import curves, series_of, smooth


def rows(count: int = 60) -> list[dict[str, Any]]:
    train = [
        {"step": s, "epoch": s // 10, "mode": "train", "loss": 2 / s, "lr": 0.1 - s / 1000, "time": 0.1}
        for s in range(1, count + 1)
    ]
    val = [{"step": s, "epoch": s // 10, "mode": "val", "accuracy/top1": 1 - 1 / s} for s in range(10, count + 1, 10)]
    return train + val


def coloured(image: Any) -> Any:
    """Where the picture is neither white nor grey: the curves."""
    spread = image.astype(int)
    return spread.max(axis=2) - spread.min(axis=2) > 60


def test_a_picture_holds_all_panels():
    image = curves(rows(), "digits")
    assert image.dtype == np.uint8 and image.shape == (682, 1210, 3)
    drawn = coloured(image)
    left, upper, lower = drawn[120:620, :700], drawn[120:400, 700:], drawn[440:620, 700:]
    assert min(left.sum(), upper.sum(), lower.sum()) > 200
    without = coloured(curves([row for row in rows() if row["mode"] == "train"]))
    assert without[120:620, 700:].sum() > 200  # the rate's panel takes the column


def test_the_picture_follows_the_numbers():
    assert (curves(rows()) == curves(rows())).all()
    assert (curves(rows()) != curves(rows(50))).any()


def test_the_best_score_is_marked():
    flat = [{"step": s, "mode": "val", "acc": 0.5} for s in range(100)]
    high = [dict(row, acc=0.9) if row["step"] == 50 else row for row in flat]
    assert (curves(high) != curves(flat)).any()
    assert coloured(curves(high)).sum() > coloured(curves(flat)).sum()


def ring(picture, place):
    """How much of the circle round the best of 100 values is drawn in a picture of one curve, near 0 to 1 of its width."""
    left = round(0.065 * picture.shape[1]) + 1
    width = int((0.975 - 0.065) * picture.shape[1])
    middle = left + int(place * width)
    return coloured(picture[:, middle - 12 : middle + 12]).sum()


def test_the_best_of_what_is_to_be_small_is_its_least_and_an_unknown_metric_has_none():
    def drawn(name):
        ramp = [{"step": s, "mode": "val", name: 0.9 - 0.8 * s / 99} for s in range(100)]
        return curves(ramp, "one title")

    falls, rises, unknown = drawn("brier"), drawn("recall"), drawn("temperature")
    assert ring(rises, 0.0) > ring(falls, 0.0) == ring(unknown, 0.0)  # the first value is the greatest
    assert ring(falls, 0.97) > ring(unknown, 0.97) == ring(rises, 0.97)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_odd_numbers_leave_gaps_and_raise_nothing(bad: float):
    odd = [dict(row, loss=bad) if row.get("loss") and row["step"] % 7 == 0 else row for row in rows()]
    assert coloured(curves(odd)).sum() > 200
    curves([{"step": 1, "mode": "train", "loss": bad, "lr": bad}, {"step": 1, "mode": "val", "acc": bad}])


def test_nothing_to_draw_is_an_error():
    with pytest.raises(FkitError, match="no row holds a number"):
        curves([{"step": 1, "mode": "train", "note": "x", "time": 3.0}])
    with pytest.raises(FkitError, match="no row holds a number"):
        curves([])


def test_later_rows_of_a_step_count():
    found = series_of([{"step": 2, "loss": 1.0}, {"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}])
    assert [(one.name, one.mode, one.steps.tolist(), one.values.tolist()) for one in found] == [
        ("loss", "train", [1, 2], [3.0, 2.0])
    ]


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(-1e3, 1e3) | st.just(math.nan), min_size=1, max_size=30), half=st.integers(0, 6))
def test_smoothing_is_the_mean_of_what_is_there(values: list[float], half: int):
    found = smooth(np.array(values), 2 * half + 1)
    for place in range(len(values)):
        near = [v for v in values[max(place - half, 0) : place + half + 1] if math.isfinite(v)]
        if near:
            assert math.isclose(found[place], sum(near) / len(near), rel_tol=1e-9, abs_tol=1e-9)
        else:
            assert math.isnan(found[place])


def test_matplotlib_is_left_as_it_was():
    before = dict(matplotlib.rcParams)
    curves(rows())
    assert dict(matplotlib.rcParams) == before
    code = "import sys, fkit.visualize.curve as c; c.curves([{'step': 1, 'loss': 1.0}]); assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_of_many_scores_those_are_drawn_whose_names_say_what_is_better():
    few = [{"step": step, "mode": "val", "accuracy/top1": step / 9, "loss_val": 1.0} for step in range(1, 9)]
    many = [row | {f"confusion_matrix/{place}/{place}": 30.0 + place for place in range(12)} for row in few]
    assert (curves(many, "a") == curves(few, "a")).all()

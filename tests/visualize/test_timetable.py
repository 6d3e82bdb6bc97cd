"""Pictures of schedules."""

import numpy as np
import pytest

import fkit
from fkit.visualize.timetable import timetable

BLUE, ORANGE = (37, 99, 235), (217, 119, 6)


def drawn(image, colour):
    """Where a colour is, as (rows, columns)."""
    return np.nonzero((np.abs(image.astype(int) - colour) < 12).all(-1))


def test_a_line_is_where_its_values_are():
    rising = np.linspace(0.0, 1.0, 200)
    image = timetable({"lr": rising[:, None]}, "a run", 20)
    rows, columns = drawn(image, BLUE)
    assert np.corrcoef(rows, columns)[0, 1] < -0.99  # up to the right
    assert columns.max() - columns.min() > 0.8 * image.shape[1]


def test_groups_that_are_the_same_are_one_line_and_each_name_has_a_panel():
    same = np.linspace(1.0, 0.5, 50)
    one = timetable({"lr": np.stack((same, same), 1)})
    assert not drawn(one, ORANGE)[0].size
    two = timetable({"lr": np.stack((same, same / 2), 1)})
    assert drawn(two, ORANGE)[0].size
    assert timetable({"lr": same[:, None], "momentum": same[:, None]}).shape[0] > one.shape[0]


def test_a_long_run_is_drawn_with_its_steps():
    steps = np.repeat([1.0, 0.1, 0.01], 300_000)[:, None]
    rows, _ = drawn(timetable({"lr": steps}), BLUE)
    assert len(np.unique(rows)) > 100


@pytest.mark.parametrize("values", [{}, {"lr": np.zeros(3)}, {"lr": [1.0]}, {"lr": np.zeros((0, 1))}, None])
def test_what_cannot_be_drawn_is_said(values):
    with pytest.raises(fkit.FkitError):
        timetable(values)

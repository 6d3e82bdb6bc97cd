"""The curves of two runs in one picture."""

import numpy as np
import pytest

from fkit.tree.error import FkitError
from fkit.visualize.overlay import overlay

NAMES = ("one", "two")


def rows(count=60, part=100, **more):
    train = [
        {"step": s, "mode": "train", "loss": 2 / s + (0.1 if s >= part else 0), "lr": 0.1, **more}
        for s in range(1, count + 1)
    ]
    return [*train, *({"step": s, "mode": "val", "accuracy/top1": 1 - 1 / s} for s in range(10, count + 1, 10))]


def coloured(image, channel):
    """Pixels where one channel stands out: blue (2) of the first run, red (0) of the second."""
    pixels = image.astype(int)
    other = pixels[..., 2 - channel]
    return (pixels[..., channel] - other > 60).sum()


def test_both_runs_are_drawn_and_seen_where_they_are_equal():
    image = overlay(rows(), rows(part=30), NAMES)
    assert image.dtype == np.uint8 and image.shape[1:] == (1210, 3)
    assert coloured(image, 2) > 500 and coloured(image, 0) > 500
    equal = overlay(rows(), rows(), NAMES)
    assert coloured(equal, 2) > 500 and coloured(equal, 0) > 500


def test_a_picture_has_a_row_for_two_metrics_and_six_panels_at_most():
    one = overlay([{"step": 1, "mode": "train", "loss": 1.0}], [], NAMES)
    many = overlay(rows(**{f"x{number}": 1.0 for number in range(20)}), rows(), NAMES)
    assert one.shape[0] < overlay(rows(), rows(), NAMES).shape[0] < many.shape[0] < 1100


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(FkitError, match="nothing to draw"):
        overlay([], [{"step": 1, "mode": "train", "loss": "x"}], NAMES)
    with pytest.raises(FkitError, match="there are 1"):
        overlay(rows(), rows(), ["one"])
    with pytest.raises(FkitError, match="is a mapping"):
        overlay([3], [], NAMES)

"""Labels and classes: one check, one sentence, in training and in validation."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fkit.data.label import LabelRange, check_labels, check_targets, label_ranges
from fkit.metric.accuracy import Accuracy
from fkit.tree.error import FkitError

KINDS = st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32])


@given(
    KINDS.flatmap(lambda kind: arrays(kind, st.integers(0, 6))), st.integers(1, 200), st.sampled_from([None, -100, 7])
)
@example(np.array([-128], np.int8), 129, None)
def test_what_passes_is_what_lies_within(labels: Any, classes: int, ignore: int | None):
    fits = all(0 <= label < classes or label == ignore for label in labels.tolist())
    try:
        check_labels(labels, classes, ignore)
    except FkitError:
        assert not fits
    else:
        assert fits


def test_one_sentence_in_training_and_in_validation():
    labels = np.array([0, 3])
    with pytest.raises(FkitError) as of_training:
        check_targets({"gt_label": LabelRange(3)}, {"gt_label": labels})
    with pytest.raises(FkitError) as of_validation:
        Accuracy().observe(Accuracy().empty(), np.zeros((2, 3)), {"gt_label": labels}, [0, 1])
    assert str(of_training.value) == str(of_validation.value)
    assert of_training.value.what == "gt_label: label 3 is none of 3 classes (0 to 2)."


def test_ignoring_is_asked_for():
    labels = np.array([0, -100])
    with pytest.raises(ValueError, match=r"label -100 is none of 3 classes .*\n.*ignore_index=-100"):
        check_labels(labels, 3)
    check_labels(labels, 3, ignore=-100)
    with pytest.raises(ValueError, match="label -1 is none"):
        check_labels(np.array([-100, -1]), 3, ignore=-100)


def test_padding_is_passed_over_and_so_are_other_targets():
    ranges = {"gt_labels": LabelRange(2)}
    targets = {"gt_labels": np.array([[0, 9], [1, 1]]), "weight": np.array([9.0])}
    check_targets(ranges, targets, {"gt_labels": np.array([[True, False], [True, True]])})
    with pytest.raises(ValueError, match="gt_labels: label 9"):
        check_targets(ranges, targets)
    check_targets(ranges, {})


@pytest.mark.parametrize("labels", [np.array([0.0, 1.0]), ["cat"], [None]])
def test_labels_are_whole_numbers(labels: Any):
    with pytest.raises(TypeError, match="gt_label: labels are whole numbers"):
        check_labels(labels, 3)


class Head:
    def __init__(self, said: Any) -> None:
        self.label_ranges = said


def test_a_model_says_its_ranges():
    assert label_ranges(object()) == {}
    assert label_ranges(Head({"gt_label": 10, "part": (3, 255)})) == {
        "gt_label": LabelRange(10),
        "part": LabelRange(3, 255),
    }
    for said in (10, {"gt_label": "10"}, {"gt_label": (10, "x")}, {"gt_label": True}):
        with pytest.raises(FkitError, match=r"Head\.label_ranges is a mapping of targets to numbers of classes"):
            label_ranges(Head(said))

"""Labels and classes: the one check that training and validation share, on every backend.

A model says which of its targets are class numbers by an attribute ``label_ranges``, ``{"gt_label": num_classes}``, or
``{"gt_instances.labels": num_classes}`` for a field of objects; a room reads it once, when the model is built (`label_ranges`), and holds each batch against it on the host before the
batch is fed (`check_targets`), where it costs a reduction over N whole numbers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY

__all__ = ["LabelRange", "check_labels", "check_targets", "label_ranges"]

_COMMON = np.dtype(np.int64)


class LabelRange(NamedTuple):
    """What a target's numbers may be: 0 up to ``classes``, and ``ignore``.

    Attributes:
        classes: how many classes there are.
        ignore: a number that stands for no class, and is passed over; None where there is none.
    """

    classes: int
    ignore: int | None = None


def check_labels(labels: Any, classes: int, ignore: int | None = None, name: str = "gt_label") -> None:
    """Refuse labels that are no class.

    Args:
        labels: whole numbers, of any shape, on the host.
        classes: how many classes there are; labels count from 0.
        ignore: a number that stands for no class.
        name: of the target, for the message.

    Raises:
        FkitValueError: a label is none of the classes.
        FkitTypeError: labels are no whole numbers.

    Example:
        >>> check_labels(np.array([0, 3, -100]), 3, ignore=-100)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: gt_label: label 3 is none of 3 classes (0 to 2).
          Let the head's num_classes be the dataset's number of classes.
    """
    array: NDArray[Any] = np.asarray(labels)
    kind = array.dtype.kind
    if array.size == 0:
        return
    if kind not in "iub":
        raise FkitTypeError(f"{name}: labels are whole numbers, not {quoted(labels)} ({array.dtype}).")
    if type(classes) is not int:
        expect_number(classes, "`classes`", whole=True)
    # read as unsigned, what is below 0 is beyond every class that the type holds: one pass in place of two
    words = array.view(f"u{array.dtype.itemsize}") if kind == "i" else array
    if words.max() < min(classes, 1 << (8 * array.dtype.itemsize - 1)):
        return
    outside: NDArray[np.bool_] = np.logical_or(array < 0, array >= classes)
    if ignore is not None:
        outside = np.logical_and(outside, array != ignore)
    strange = array[outside]
    if strange.size:
        raise _outside(int(strange[0]), classes, ignore, name)


def check_targets(
    ranges: Mapping[str, LabelRange], targets: Mapping[str, Any], valid: Mapping[str, Any] = EMPTY
) -> None:
    """Refuse a batch whose labels are no class of the model's.

    Args:
        ranges: what `label_ranges` gave.
        targets: the batch's. What is not a host array yet (a tensor of a device) is passed over: looking would wait.
        valid: the batch's masks; what is padding is passed over.

    Raises:
        FkitError: as `check_labels`.

    Example:
        >>> check_targets({"gt_label": LabelRange(10)}, {"gt_label": np.array([3, 9])})
    """
    expect(ranges, Mapping, "`ranges` are what label_ranges gave")
    for name, (classes, ignore) in ranges.items():
        group, _, field = name.partition(".")
        labels: Any = targets.get(group)
        if field and isinstance(labels, Mapping):
            labels = cast("Mapping[str, Any]", labels).get(field)
        if isinstance(labels, np.ndarray):
            mask = valid.get(group)
            # what a step mostly sees, in a third of the time: read as unsigned, what is below 0 is beyond every class
            if mask is None and labels.dtype == _COMMON and labels.size and labels.view(np.uint64).max() < classes:
                continue
            try:
                check_labels(labels if mask is None else labels[np.asarray(mask, bool)], classes, ignore, name)
            except FkitError as error:
                error.path = "targets"
                raise


def label_ranges(model: Any) -> Mapping[str, LabelRange]:
    """What a model says of its labels by its attribute ``label_ranges``; nothing where it has none.

    Args:
        model: a module of either framework. ``label_ranges`` maps names of targets to a number of classes, or to
            (classes, ignore).

    Raises:
        FkitTypeError: it is something else.

    Example:
        >>> class Head:
        ...     label_ranges = {"gt_label": 10}
        >>> dict(label_ranges(Head()))
        {'gt_label': LabelRange(classes=10, ignore=None)}
    """
    said: Any = getattr(model, "label_ranges", None)
    if said is None:
        return EMPTY
    what = f"{type(model).__name__}.label_ranges is a mapping of targets to numbers of classes"
    expect(said, Mapping, what)
    return frozendict(
        {name: _range(value, f"{what}; {name!r}") for name, value in cast("Mapping[str, Any]", said).items()}
    )


def _range(value: Any, what: str) -> LabelRange:
    classes, ignore = value, None
    if isinstance(value, tuple) and len(cast("tuple[Any, ...]", value)) == 2:
        classes, ignore = cast("tuple[Any, Any]", value)
    expect_number(classes, what, whole=True)
    if ignore is not None:
        expect_number(ignore, what, whole=True)
    return LabelRange(int(classes), None if ignore is None else int(ignore))


def _outside(label: int, classes: int, ignore: int | None, name: str) -> FkitValueError:
    repair = "Let the head's num_classes be the dataset's number of classes."
    if label < 0 and ignore is None:
        repair = f"Where it stands for no class, ask for that: ignore_index={label} of the head and of the metric."
    return FkitValueError(f"{name}: label {label} is none of {classes} classes (0 to {classes - 1}).", repair=repair)

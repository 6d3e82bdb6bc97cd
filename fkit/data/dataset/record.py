"""What is wrong with a record of OpenMMLab's own annotation files: labels that are no class, boxes that are none."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from fkit.data.dataset.fault import Faults
from fkit.tree.check import expect
from fkit.tree.error import FkitNotImplementedError, quoted

__all__ = ["is_sound", "labels_of", "record_fault"]


def record_fault(record: Mapping[str, Any], classes: Any = None) -> tuple[str, str]:
    """What is wrong with a record's ``gt_label``, and with ``bbox`` and ``bbox_label`` of its ``instances``.

    Args:
        classes: their names; None, or no list: a label may be anything.

    Returns:
        (what is wrong, what was found); ("", "") where nothing is.

    Example:
        >>> record_fault({"gt_label": 9}, ("cat", "dog"))
        ('a label that is none of the classes', 'gt_label 9 of 2 classes')
        >>> record_fault({"gt_label": [0.5, 0.5]}, ("cat", "dog"))  # what is listed is looked at by who reads it
        ('', '')
    """
    expect(record, Mapping, "`record` is a mapping")
    count = len(cast("Sequence[Any]", classes)) if isinstance(classes, (list, tuple)) else None
    if record.get("gt_label") is not None and _is_strange(record["gt_label"], count):
        return _label("gt_label", record["gt_label"], count)
    listed: Any = record.get("instances")
    instances = cast("Sequence[Any]", listed) if isinstance(listed, (list, tuple)) else ()
    for place, one in enumerate(instances):
        if not isinstance(one, Mapping):
            return "an instance that is no mapping", f"instances[{place}] {quoted(one)}"
        row = cast("Mapping[str, Any]", one)
        box: Any = row.get("bbox")
        if box is not None and not _is_finite(box):
            return "a box that is not finite numbers", f"instances[{place}].bbox {quoted(box)}"
        if row.get("bbox_label") is not None and _is_strange(row["bbox_label"], count):
            return _label(f"instances[{place}].bbox_label", row["bbox_label"], count)
    return "", ""


def is_sound(row: Any, name: str, faults: Faults, classes: Any = None) -> bool:
    """Whether nothing is wrong with a record; what is, is told.

    Args:
        name: of the record: "data_list[3]".
        classes: as of `record_fault`.

    Raises:
        FkitValueError: something is, and ``faults`` raises.
    """
    expect(faults, Faults, "`faults` are Faults")
    kind, detail = record_fault(row, classes) if isinstance(row, Mapping) else ("", "")
    if kind:
        faults.add(kind, name, detail)
    return not kind


def labels_of(record: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """The labels of the classes that a record says: of ``gt_label``, or of its instances.

    Raises:
        FkitNotImplementedError: it says none.

    Example:
        >>> labels_of({"instances": [{"bbox_label": 3}, {"bbox_label": 1}]}, "Boxes")
        (3, 1)
    """
    expect(record, Mapping, "`record` is a mapping")
    label, instances = record.get("gt_label"), record.get("instances")
    if label is not None:
        return tuple(int(one) for one in np.atleast_1d(np.asarray(label)))
    if isinstance(instances, (list, tuple)):
        labels = (one.get("bbox_label") for one in cast("Sequence[Mapping[str, Any]]", instances))
        return tuple(int(one) for one in labels if one is not None)
    raise FkitNotImplementedError(
        f"{name} does not say which classes a sample holds.", repair="Write `get_cat_ids(self, idx)`, a list of labels."
    )


def _label(name: str, label: Any, count: int | None) -> tuple[str, str]:
    if isinstance(label, (int, np.integer)):
        return "a label that is none of the classes", f"{name} {label} of {count} classes"
    return "a label that is no whole number", f"{name} {quoted(label)}"


def _is_strange(label: Any, count: int | None) -> bool:
    """Whether a label is none of so many classes; what is listed is looked at by who reads it."""
    if count is None or isinstance(label, (np.ndarray, list, tuple)):
        return False
    return isinstance(label, bool) or not isinstance(label, (int, np.integer)) or not 0 <= label < count


def _is_finite(box: Any) -> bool:
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.asarray(box, np.float32)).all())
    except (TypeError, ValueError):
        return False

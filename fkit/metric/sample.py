"""Batches of predictions and targets as one mapping a sample, whatever form the model gave them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.structures.coco import bitmap_to_rle
from fkit.structures.content import host, is_array
from fkit.structures.element import DataElement
from fkit.structures.mapped import with_maps
from fkit.structures.pasted import with_masks
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY

__all__ = ["META", "column", "field", "samples"]

META = "meta"
"""Under what the evaluator puts a batch's meta among the targets: one mapping a sample."""

Sample = Mapping[str, Any]

_WHOLE = frozendict(gt_label="label", gt_score="score", pred_label="label", pred_score="score")  # of a LabelData


def samples(outputs: Any, targets: Any, ids: Any, valid: Mapping[str, Any] | None = None) -> list[Sample]:
    """What is known and predicted of each sample, as OpenMMLab's data samples hold it.

    Args:
        outputs: a mapping of arrays, batch first, nested where they are objects, with ``valid`` for those that only pad:
            ``{"pred_instances": {"bboxes": (N, K, 4), ...}, "valid": {"pred_instances": (N, K) bool}}``; or a list of one
            mapping or `DataSample` a sample.
        targets: likewise; ``targets["meta"]`` is one mapping a sample.
        ids: (N,) which samples they are: ``sample_idx``.
        valid: which objects of ``targets`` are real.

    Returns:
        A mapping a sample: its meta, its targets, its predictions, and ``sample_idx``.

    Raises:
        FkitError: the outputs are of another number of samples, or of another form.

    Example:
        >>> outputs = {"pred_instances": {"scores": np.ones((2, 3))}, "valid": {"pred_instances": np.eye(2, 3, dtype=bool)}}
        >>> first, second = samples(outputs, {"meta": ({"img_id": 7}, {})}, [0, 1])
        >>> first["img_id"], first["pred_instances"]["scores"].tolist()
        (7, [1.0])
    """
    numbers: NDArray[Any] = np.asarray(ids)
    if numbers.ndim != 1:
        raise FkitTypeError(f"`ids` are the samples' numbers (N,), not {quoted(ids)}.")
    known = dict(cast("Mapping[str, Any]", targets)) if isinstance(targets, Mapping) else targets
    metas: Any = known.pop(META, ()) if isinstance(known, dict) else ()
    parts = (
        _each(metas, len(numbers), META, EMPTY) if len(metas) else (),
        _each(known, len(numbers), "targets", valid or EMPTY),
    )
    said = _each(outputs, len(numbers), "outputs", EMPTY)
    several: list[Sample] = []
    for at, number in enumerate(numbers.tolist()):
        row: dict[str, Any] = {"sample_idx": number}
        for part in (*(part for part in parts if part), said):
            row.update(part[at])
        several.append(frozendict(with_maps(with_masks(row, code=bitmap_to_rle))))
    return several


def field(sample: Sample, name: str, who: str, part: str = "") -> Any:
    """One of a sample's fields, or a part of it, on the host.

    Raises:
        FkitKeyError: it is not there.

    Example:
        >>> field({"pred_label": 3}, "gt_label", "Accuracy")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitKeyError: Accuracy needs 'gt_label' of each sample.
          The sample has: pred_label
    """
    expect(sample, Mapping, "`sample` is a mapping")
    if name not in sample:
        raise FkitKeyError(f"{who} needs {name!r} of each sample.", value=name, choices=sample, label="The sample has")
    value = sample[name]
    if not part:
        return value
    if not isinstance(value, Mapping):
        raise FkitTypeError(f"{who}: {name!r} of a sample is a mapping with {part!r}, not {quoted(value)}.")
    group = cast("Mapping[str, Any]", value)
    if part not in group:
        raise FkitKeyError(f"{who} needs {part!r} of {name!r}.", value=part, choices=group, label=f"{name} has")
    return group[part]


def column(value: Any, what: str, whole: bool = False) -> NDArray[Any]:
    """One number an object, (K,), or a class, none of them nan.

    Args:
        value: a list or an array.
        what: for messages: "CocoMetric: pred_instances.scores".
        whole: whole numbers: int64.

    Raises:
        FkitError: it is something else.

    Example:
        >>> column([0.5, float("nan")], "CocoMetric: pred_instances.scores")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: CocoMetric: pred_instances.scores has a nan.
    """
    kind = "whole numbers" if whole else "numbers"
    try:
        array: NDArray[Any] = np.asarray(value)
    except (TypeError, ValueError):
        raise FkitTypeError(f"{what} are (K,) {kind}, not {quoted(value, 60)}.") from None
    if array.shape == (0,):
        return np.zeros(0, np.int64 if whole else np.float32)
    if array.ndim != 1 or array.dtype.kind not in ("iub" if whole else "biuf"):
        raise FkitTypeError(f"{what} are (K,) {kind}, not {array.shape} {array.dtype}.")
    if np.isnan(array).any():
        raise FkitValueError(f"{what} has a nan.")
    return array.astype(np.int64) if whole else array


def _each(whole: Any, count: int, what: str, valid: Mapping[str, Any]) -> list[Sample]:
    """One mapping a sample."""
    if isinstance(whole, Mapping):
        fields = dict(cast("Mapping[str, Any]", whole))
        real = {**valid, **cast("Mapping[str, Any]", fields.pop("valid", EMPTY))}
        return [_row(fields, real, at, count, what) for at in range(count)]
    if not isinstance(whole, Sequence) or isinstance(whole, str):
        raise FkitTypeError(f"{what} are a mapping of arrays, or a list of one mapping a sample, not {quoted(whole)}.")
    listed = cast("Sequence[Any]", whole)
    if len(listed) != count:
        raise FkitValueError(f"{what} are of {len(listed)} samples, and there are {count}.")
    return [_plain(one, what) for one in listed]


def _row(fields: Mapping[str, Any], valid: Mapping[str, Any], at: int, count: int, what: str) -> Sample:
    row: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            group = cast("Mapping[str, Any]", value)
            kept = valid.get(name)
            mine = {key: _taken(part, at, count, f"{what}.{name}.{key}") for key, part in group.items()}
            mask = None if kept is None else np.asarray(host(kept))[at].astype(bool)
            row[name] = mine if mask is None else {key: _kept(part, mask) for key, part in mine.items()}
        else:
            row[name] = _taken(value, at, count, f"{what}.{name}")
    return row


def _kept(part: Any, mask: NDArray[np.bool_]) -> Any:
    """The objects that are real; what is listed may leave out those that are not."""
    if isinstance(part, np.ndarray):
        return part[mask]
    listed = list(cast("Sequence[Any]", part))
    return [one for one, real in zip(listed, mask, strict=True) if real] if len(listed) == len(mask) else listed


def _taken(value: Any, at: int, count: int, what: str) -> Any:
    array: Any = host(value) if is_array(value) else value
    if not hasattr(array, "__getitem__") or isinstance(array, (str, bytes)) or getattr(array, "ndim", 1) == 0:
        raise FkitTypeError(f"{what} is {quoted(value)}: one row a sample, {count} of them.")
    if len(array) != count:
        raise FkitValueError(f"{what} has {len(array)} rows for {count} samples.")
    return array[at]


def _plain(one: Any, what: str) -> Sample:
    """A sample's own mapping, elements as mappings."""
    if isinstance(one, DataElement):
        one = dict(one.all_items())
    if not isinstance(one, Mapping):
        raise FkitTypeError(f"{what} are one mapping or DataSample a sample, not {quoted(one)}.")
    row: dict[str, Any] = {}
    for name, value in cast("Mapping[str, Any]", one).items():
        if isinstance(value, DataElement):
            parts = {key: host(part) for key, part in value.items()}
            if name in _WHOLE:  # a LabelData holds the classes and the scores
                stem = name.partition("_")[0]
                row.update({f"{stem}_{key}": part for key, part in parts.items()})
            else:
                row[name] = parts["data"] if set(parts) == {"data"} else parts.get("sem_seg", parts)
        elif isinstance(value, Mapping):
            row[name] = {
                key: host(part) if is_array(part) else part for key, part in cast("Mapping[str, Any]", value).items()
            }
        else:
            row[name] = host(value) if is_array(value) else value
    return row

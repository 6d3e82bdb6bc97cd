"""The way back: a batch and what a model says of it, as one DataSample an image."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from frozendict import frozendict

from fkit.structures.batch import Batch
from fkit.structures.content import is_array
from fkit.structures.instance import InstanceData
from fkit.structures.label import LabelData
from fkit.structures.mapped import with_maps
from fkit.structures.pasted import with_masks
from fkit.structures.pixel import PixelData
from fkit.structures.sample import DataSample, DetDataSample
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["data_samples", "outputs_of", "size_of", "unpadded"]

S = TypeVar("S", bound=DataSample)

_OBJECTS = ("instances", "instance_labels", "proposals")
_MAPS = ("sem_seg", "edge_map", "depth_map", "seg_logits", "panoptic_seg")
_LABELS = frozendict(gt_label=("gt_label", "label"), gt_score=("gt_label", "score"), pred_label=("pred_label", "label"), pred_score=("pred_label", "score"))  # fmt: skip


def data_samples(batch: Batch, outputs: Any = None, kind: type[S] = DataSample) -> list[S]:
    """A batch as its samples, for drawing and for metrics written for OpenMMLab's structures.

    Args:
        batch: its arrays are on the host. Objects that only pad it are left out, and maps and masks are cut to their
            image where ``targets["input_shape"]`` says its size.
        outputs: what the model predicts, on the host: a mapping of arrays, batch first, ``{"pred_instances": {"bboxes": (N,
            K, 4), ...}, "valid": {"pred_instances": (N, K) bool}}``; or a list of one mapping a sample.
        kind: the class of the samples.

    Returns:
        One sample an image: mappings of objects as `InstanceData`, maps as `PixelData`, ``gt_label``, ``gt_score``,
        ``pred_label`` and ``pred_score`` as `LabelData`; meta and other numbers as metainfo.

    Raises:
        FkitError: the outputs are of another number of samples, or of another form.

    Example:
        >>> boxes = np.zeros((2, 4, 4), np.float32)
        >>> real = np.array([[True, True, False, False], [True, False, False, False]])
        >>> batch = Batch(np.zeros((2, 3, 8, 8)), {"gt_instances": {"bboxes": boxes}}, {"gt_instances": real}, ({"img_id": 7}, {}))
        >>> samples = data_samples(batch, {"pred_score": np.ones((2, 3))})
        >>> [len(sample.gt_instances) for sample in samples], samples[0].img_id, samples[1].pred_label.score.shape
        ([2, 1], 7, (3,))
    """
    expect(batch, Batch, "`batch` is a Batch")
    expect(kind, type, "`kind` is a class of samples")
    if not issubclass(kind, DataSample):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`kind` is a class of samples (fkit.structures.DataSample), not {quoted(kind)}.")
    count = len(batch)
    shape = tuple(getattr(batch.inputs, "shape", ()))[-2:]
    said = _each(outputs, count)
    return [
        _sample(batch.meta[at] if at < len(batch.meta) else {}, _row(batch, at, shape), said[at], kind)
        for at in range(count)
    ]


def size_of(batch: Batch, at: int) -> tuple[int, int] | None:
    """(height, width) of an image of the batch without what pads it, as its meta's ``img_shape`` says; None where that is unknown.

    Example:
        >>> size_of(Batch(np.zeros((1, 3, 8, 8)), meta=({"img_shape": (5, 8)},)), 0)
        (5, 8)
    """
    expect(batch, Batch, "`batch` is a Batch")
    shape: Any = batch.meta[at].get("img_shape") if at < len(batch.meta) else None
    return (int(shape[0]), int(shape[1])) if isinstance(shape, Sequence) and len(cast(Any, shape)) >= 2 else None


def outputs_of(outputs: Any, batch: Batch, at: int) -> Any:
    """What is predicted of one image of a batch, batch axis kept (1), maps without what pads them.

    Args:
        outputs: a mapping of arrays on the host, batch first; anything else comes back as it is.

    Example:
        >>> batch = Batch(np.zeros((2, 3, 8, 8)), meta=({"img_shape": (5, 8)}, {"img_shape": (8, 6)}))
        >>> outputs_of({"pred_sem_seg": np.zeros((2, 8, 8))}, batch, 1)["pred_sem_seg"].shape
        (1, 8, 6)
    """
    return _rows(outputs, batch, slice(at, at + 1), size_of(batch, at))


def unpadded(outputs: Any, batch: Batch) -> Any:
    """What is predicted of images that are all of one size, maps without what pads them; as `outputs_of`.

    Example:
        >>> batch = Batch(np.zeros((1, 3, 8, 8)), meta=({"img_shape": (5, 8)},))
        >>> unpadded({"pred_sem_seg": np.zeros((1, 8, 8))}, batch)["pred_sem_seg"].shape
        (1, 5, 8)
    """
    return _rows(outputs, batch, slice(None), size_of(batch, 0))


def _rows(outputs: Any, batch: Batch, rows: slice, size: tuple[int, int] | None) -> Any:
    padded = tuple(getattr(batch.inputs, "shape", ()))[-2:]

    def part(name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: part(key, inner) for key, inner in cast("Mapping[str, Any]", value).items()}
        row = np.asarray(value)[rows]
        if size is None or not name.endswith(_MAPS) or row.shape[-2:] != padded:
            return row
        return row[..., : size[0], : size[1]]

    if not isinstance(outputs, Mapping):
        return outputs
    return {name: part(name, value) for name, value in cast("Mapping[str, Any]", outputs).items()}


def _row(batch: Batch, at: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """One sample's targets, without what pads them."""
    row = _at(batch.targets, batch.valid, at)
    size: Any = row.pop("input_shape", None)
    if size is None:
        return row
    height, width = (int(number) for number in size)

    def cut(array: Any) -> Any:
        return array[..., :height, :width] if tuple(array.shape[-2:]) == shape else array

    for name, value in row.items():
        if isinstance(value, Mapping) and "masks" in value:
            group = cast("Mapping[str, Any]", value)
            row[name] = {**group, "masks": cut(group["masks"])}
        elif name.endswith(_MAPS) and is_array(value):
            row[name] = cut(value)
    return row


def _at(fields: Mapping[str, Any], valid: Mapping[str, Any], at: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Mapping):
            kept = valid.get(name)
            group = {key: array[at] for key, array in cast("Mapping[str, Any]", value).items()}
            row[name] = group if kept is None else {key: array[kept[at]] for key, array in group.items()}
        else:
            row[name] = value[at]
    return row


def _each(outputs: Any, count: int) -> list[Mapping[str, Any]]:
    """What is predicted of each sample."""
    if outputs is None:
        return [{}] * count
    if isinstance(outputs, Mapping):
        fields = dict(cast("Mapping[str, Any]", outputs))
        valid: Any = fields.pop("valid", {})
        return [_at(fields, valid, at) for at in range(count)]
    if not isinstance(outputs, (list, tuple)) or not all(isinstance(one, Mapping) for one in cast(Any, outputs)):
        raise FkitTypeError(
            f"`outputs` are a mapping of arrays or a list of one mapping a sample, not {quoted(outputs)}."
        )
    several = cast("Sequence[Mapping[str, Any]]", outputs)
    if len(several) != count:
        raise FkitValueError(f"the batch has {count} samples, and the outputs are of {len(several)}.")
    return list(several)


def _original(meta: Mapping[str, Any], targets: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[int, int] | None:
    """(height, width) of the original image, as far as it is known."""
    shape = next((part["ori_shape"] for part in (meta, targets, said) if part.get("ori_shape") is not None), None)
    return None if shape is None else (int(shape[0]), int(shape[1]))


def _sample(meta: Mapping[str, Any], targets: Mapping[str, Any], said: Mapping[str, Any], kind: type[S]) -> S:
    fields: dict[str, Any] = {}
    labels: dict[str, dict[str, Any]] = {}
    known: dict[str, Any] = dict(meta)
    original = _original(meta, targets, said)
    said = with_masks(said, original)
    if "seg_logits" in said:
        told = {
            name: part[name]
            for part in (targets, meta)
            for name in ("img_shape", "flip", "flip_direction")
            if name in part
        }
        said = {name: value for name, value in with_maps({**told, **said}, original).items() if name not in told}
    for name, value in (*targets.items(), *said.items()):
        if name in _LABELS:
            owner, part = _LABELS[name]
            labels.setdefault(owner, {})[part] = np.atleast_1d(value)
        elif isinstance(value, Mapping):
            group = cast("Mapping[str, Any]", value)
            fields[name] = InstanceData(**group) if name.endswith(_OBJECTS) else PixelData(**group)
        elif name.endswith(_MAPS):
            fields[name] = PixelData(**{name.partition("_")[2] if issubclass(kind, DetDataSample) else "data": value})
        elif name not in known:
            known[name] = tuple(np.asarray(value).tolist()) if np.ndim(value) == 1 else value
    fields |= {name: LabelData(**parts) for name, parts in labels.items()}
    return kind(metainfo=known, **fields)

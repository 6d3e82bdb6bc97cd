"""Samples to a batch: arrays stacked, objects of one image or another in a bucket, images of several sizes padded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.structures.batch import Batch
from fkit.structures.instance import bucket
from fkit.structures.views import Views
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Collate", "collate", "padded_size", "padding", "stacking"]

_NARROW: frozendict[str, type] = frozendict(b=np.bool_, i=np.int64, u=np.int64, f=np.float32)
_OBJECTS = ("instances", "instance_labels", "proposals")  # how mappings of objects end, whose number differs by image
_MAPS = ("gt_sem_seg", "gt_edge_map", "gt_depth_map")  # one number a pixel
_PAD = "Resize, crop or pad in the pipeline, or pad: collate_fn=dict(type='pseudo_collate'), or a data_preprocessor."
_ONE_SIZE = "Let the transforms of a view end in one size: a Resize or a crop in that list of MultiView's transforms."
_Metas = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Collate:
    """Samples -> a batch of arrays.

    Mappings of objects (``gt_instances``, ``ignored_instances``, ``gt_instance_labels``, ``proposals``) are padded with
    rows of zeros to a bucket of M objects, and ``valid`` says which are real.

    Args:
        pad: images of several sizes are padded at the bottom and on the right to the greatest height and width, as
            mmengine's ``stack_batch`` does, and ``targets["input_shape"]`` (N, 2) int64 keeps each one's height and
            width; without, they have to agree.
        size_divisor: the padded height and width are multiples of it.
        size: in its place, the (height, width) that smaller images are padded to.
        pad_value: of images.
        seg_pad_value: of maps (``gt_sem_seg``, ``gt_edge_map``, ``gt_depth_map``), which are padded as their images are.
        mask_pad_value: of masks (M, H, W), likewise. None: 0, but that one more row and column repeat the last ones: a target
            that is cut out at the picture's right or lower edge reads between the last pixel's middle and the edge what that
            pixel is, as mmdet's does of masks that are not padded.
        bucket: M is the next multiple of it, or of several sizes the least that holds them; None: the next power of two.

    Example:
        >>> box = np.zeros((3, 4), np.float32)
        >>> samples = [
        ...     {"inputs": np.zeros((3, h, 6), np.uint8), "targets": {"gt_instances": {"bboxes": box[:n]}}}
        ...     for h, n in ((8, 3), (5, 1))
        ... ]
        >>> batch = Collate(pad=True, size_divisor=4)(samples)
        >>> batch.inputs.shape, batch.targets["gt_instances"]["bboxes"].shape, batch.valid["gt_instances"].sum(1).tolist()
        ((2, 3, 8, 8), (2, 4, 4), [3, 1])
    """

    pad: bool = False
    size_divisor: int = 1
    size: Sequence[int] | None = None
    pad_value: float = 0
    seg_pad_value: float = 255
    mask_pad_value: float | None = 0
    bucket: int | Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("size_divisor", "bucket"):
            value = getattr(self, name)
            numbers: Sequence[Any] = value if isinstance(value, (list, tuple)) else () if value is None else (value,)
            for number in numbers:
                expect_number(number, f"Collate: {name}", whole=True)
                if number < 1:
                    raise FkitValueError(f"Collate: {name} = {number}: at least 1.")
        if self.size is not None:
            object.__setattr__(self, "size", pair_of(self.size, "Collate: size"))

    def __call__(self, samples: Sequence[Any]) -> Batch:
        """The batch; see `collate`."""
        expect(samples, Iterable, "`samples` are samples, one after the other")
        packed = [_packed(sample) for sample in samples]
        if not packed:
            raise FkitValueError("a batch of no samples cannot be made.")
        if not all("inputs" in sample for sample in packed):
            return self._several(packed)
        metas = tuple(frozen(sample.get("meta", {})) for sample in packed)
        images = [sample["inputs"] for sample in packed]
        targets = [sample.get("targets", {}) for sample in packed]
        sizes = [np.shape(image)[-2:] for image in images] if self.pad and all(map(_is_image, images)) else None
        if isinstance(images[0], tuple):  # several pictures a sample: a batch of each
            inputs: Any = _views(cast("list[tuple[Any, ...]]", images), metas)
        elif sizes is None:
            inputs = _joined(images, "inputs", metas)
        else:
            whole = padded_size(sizes, self.size_divisor, self.size)
            inputs = _stacked(images, "inputs", metas, whole, self.pad_value)
        grouped, valid = self._targets(targets, metas, sizes, None if sizes is None else inputs.shape[-2:])
        return Batch(inputs, grouped, frozen(valid), metas)

    def _several(self, samples: list[Mapping[str, Any]]) -> Batch:
        """Samples of several views each (TestTimeAug): a batch of each view, padded by itself."""
        rows = [(sample,) if "inputs" in sample else sample["views"] for sample in samples]
        for row in rows:
            expect(row, (list, tuple), "a sample's 'views' are samples, as TestTimeAug gives them")
        counts = sorted({len(row) for row in rows})
        if len(counts) > 1 or 0 in counts:
            raise FkitValueError(f"samples of one batch have as many views each, and at least one, not {counts}.")
        batches = [self(row) for row in zip(*rows, strict=True)]
        return Views.of(batches) if len(batches) > 1 else batches[0]

    def _targets(
        self, targets: list[Mapping[str, Any]], metas: _Metas, sizes: Any, whole: Any
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        _same_keys(targets, "targets", metas)
        grouped: dict[str, Any] = {} if sizes is None else {"input_shape": np.array(sizes, np.int64)}
        valid: dict[str, Any] = {}
        for key in targets[0]:
            values, name = [one[key] for one in targets], f"targets.{key}"
            if isinstance(values[0], Mapping) and values[0] and key.endswith(_OBJECTS):
                grouped[key], valid[key] = self._objects(values, name, metas, sizes, whole)
            elif sizes is not None and key in _MAPS:
                grouped[key] = _stacked(values, name, metas, _target_size(values, sizes, whole), self.seg_pad_value)
            else:
                grouped[key] = _joined(values, name, metas)
        return frozen(grouped), valid

    def _objects(
        self, groups: list[Mapping[str, Any]], name: str, metas: _Metas, sizes: Any, whole: Any
    ) -> tuple[Mapping[str, Any], NDArray[np.bool_]]:
        """Objects of each image in rows of one number, and which are real."""
        _same_keys(groups, name, metas)
        counts: list[int] = []
        fields: dict[str, list[NDArray[Any]]] = {key: [] for key in groups[0]}
        for group, meta in zip(groups, metas, strict=True):
            for key, value in group.items():
                fields[key].append(_array(value, f"{name}.{key}"))
            lengths = {key: rows[-1].shape[0] if rows[-1].ndim else None for key, rows in fields.items()}
            if None in lengths.values() or len(set(lengths.values())) > 1:
                raise FkitValueError(f"{name} of one sample differ in number: {lengths}{_of(meta)}.")
            counts.append(next(iter(lengths.values())) or 0)
        rows = self._bucket(max(1, *counts))
        joined: dict[str, Any] = {}
        for key, values in fields.items():
            if sizes is not None and key == "masks" and all(value.ndim == 3 for value in values):
                size, fill = _target_size(values, sizes, whole), self.mask_pad_value
                ready = values if fill is not None else [_read_on(value, size) for value in values]
                values = [_filled(value, size, fill or 0) for value in ready]
            joined[key] = _in_rows(values, rows, f"{name}.{key}", metas)
        return frozen(joined), np.arange(rows) < np.array(counts)[:, None]

    def _bucket(self, most: int) -> int:
        if self.bucket is None:
            return 1 << (most - 1).bit_length()
        return -(-most // self.bucket) * self.bucket if isinstance(self.bucket, int) else bucket(most, self.bucket)


_PLAIN = Collate()


def collate(samples: Sequence[Any]) -> Batch:
    """Packed samples to a batch: arrays stacked, objects in a bucket, meta listed; images have to agree in size.

    Args:
        samples: ``{"inputs": array or mapping of arrays, "targets": {name: number or array}, "meta": {...}}`` each, as
            PackInputs makes them (targets and meta may be absent); or pairs ``(inputs, label)``.

    Returns:
        ``inputs`` (N, ...) in the dtype of the samples' arrays; in ``targets`` Python ints become int64 and Python
        floats float32; objects as `Collate` says.

    Raises:
        FkitError: a sample has no inputs, or the samples differ in shape or keys.

    Example:
        >>> batch = collate([{"inputs": np.zeros((1, 8, 8), np.float32), "targets": {"gt_label": n}} for n in (3, 1)])
        >>> batch.inputs.shape, batch.targets["gt_label"].tolist()
        ((2, 1, 8, 8), [3, 1])
    """
    return _PLAIN(samples)


def stacking(bucket: int | Sequence[int] | None = None) -> Callable[[Sequence[Any]], Batch]:
    """mmengine's ``default_collate`` as a config names it: images have to agree in size.

    Args:
        bucket: of objects, as `Collate` has it.

    Example:
        >>> stacking() is collate
        True
    """
    return collate if bucket is None else Collate(bucket=bucket)


def padding(bucket: int | Sequence[int] | None = None) -> Collate:
    """mmengine's ``pseudo_collate`` as a config names it: there a list of images, of any sizes, that the data preprocessor
    pads and stacks. A batch is arrays here, so they are padded at once, as that says.

    Args:
        bucket: of objects, as `Collate` has it.

    Example:
        >>> padding()
        Collate(pad=True, size_divisor=1, size=None, pad_value=0, seg_pad_value=255, mask_pad_value=0, bucket=None)
    """
    return Collate(pad=True, bucket=bucket)


def padded_size(sizes: Iterable[Any], divisor: int = 1, size: Sequence[int] | None = None) -> tuple[int, int]:
    """The (height, width) that images of some sizes are padded to: the greatest, up to a multiple of ``divisor``; with
    ``size``, at least that.

    Example:
        >>> padded_size([(8, 6), (5, 7)], 4), padded_size([(8, 6)], size=(10, 10))
        ((8, 8), (10, 10))
    """
    expect(sizes, Iterable, "`sizes` are pairs (height, width)")
    expect_number(divisor, "`divisor`", whole=True)
    if divisor < 1:
        raise FkitValueError(f"`divisor` = {divisor}: at least 1.")
    pairs = [pair_of(one, "a size") for one in sizes] + ([] if size is None else [pair_of(size, "`size`")])
    if not pairs:
        raise FkitValueError("of no images there is no size.")
    height, width = (max(column) for column in zip(*pairs, strict=True))
    return -(-height // divisor) * divisor, -(-width // divisor) * divisor


def pair_of(value: Any, what: str) -> tuple[int, int]:
    """A (height, width), checked.

    Raises:
        FkitError: it is none.

    Example:
        >>> pair_of([8, 6], "size")
        (8, 6)
    """
    expect(value, (list, tuple), f"{what} is a pair (height, width)")
    if len(value) != 2 or any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in value):
        raise FkitValueError(f"{what} = {quoted(value)}: a (height, width) in whole pixels.")
    return int(value[0]), int(value[1])


def _is_image(value: Any) -> bool:
    return getattr(value, "ndim", 0) == 3


def _target_size(arrays: list[Any], sizes: list[tuple[int, int]], whole: tuple[int, int]) -> tuple[int, int]:
    """What maps or masks are padded to: their images' size, or among themselves where they are not of their images' sizes
    (those of a test are of the original ones)."""
    own = [np.shape(array)[-2:] for array in arrays]
    return whole if own == sizes else padded_size(own)


def _stacked(values: list[Any], name: str, metas: _Metas, size: tuple[int, int], fill: float) -> NDArray[Any]:
    return _joined([_filled(_array(value, name), size, fill) for value in values], name, metas)


def _filled(array: NDArray[Any], size: tuple[int, int], fill: float) -> NDArray[Any]:
    """An array (..., H, W) at the top left of one of the given height and width."""
    height, width = array.shape[-2:]
    if (height, width) == tuple(size):
        return array
    out = np.full((*array.shape[:-2], *size), fill, array.dtype)
    out[..., :height, :width] = array
    return out


def _read_on(masks: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Masks with one more row and column that repeat the last ones, where there is room for them."""
    more = [(0, min(1, size[axis] - masks.shape[1 + axis])) for axis in (0, 1)]
    return np.pad(masks, ((0, 0), *more), mode="edge") if masks.size else masks


def _in_rows(values: list[NDArray[Any]], rows: int, name: str, metas: _Metas) -> NDArray[Any]:
    first = values[0]
    for value, meta in zip(values, metas, strict=True):
        if value.shape[1:] != first.shape[1:]:
            raise FkitValueError(
                f"samples of one batch differ in the shape of {name}: {first.shape} and {value.shape}{_of(meta)}."
            )
    out = np.zeros((len(values), rows, *first.shape[1:]), np.result_type(*{value.dtype for value in values}))
    for place, value in enumerate(values):
        out[place, : len(value)] = value
    return out


def _same_keys(mappings: Sequence[Mapping[str, Any]], name: str, metas: _Metas) -> None:
    for value, meta in zip(mappings, metas, strict=True):
        if value.keys() != mappings[0].keys():
            raise FkitKeyError(
                f"samples of one batch differ in {name}: {sorted(value)} and {sorted(mappings[0])}{_of(meta)}."
            )


def _packed(sample: Any) -> Mapping[str, Any]:
    if isinstance(sample, Mapping):
        fields = cast("Mapping[str, Any]", sample)
        if "inputs" not in fields and "views" not in fields:
            raise FkitKeyError(
                "a sample has no 'inputs'.",
                value="inputs",
                choices=fields,
                label="It has",
                repair="End the pipeline with dict(type='PackInputs').",
            )
        return fields
    if isinstance(sample, tuple) and len(cast("tuple[Any, ...]", sample)) == 2:
        inputs, label = cast("tuple[Any, Any]", sample)
        return {"inputs": inputs, "targets": {"gt_label": label}}
    raise FkitTypeError(f"a sample is {quoted(sample)}; expected a mapping with 'inputs', or a pair (inputs, label).")


def _views(several: list[tuple[Any, ...]], metas: _Metas) -> tuple[Any, ...]:
    counts = {len(one) for one in several}
    if len(counts) > 1:
        raise FkitValueError(f"samples of one batch differ in how many pictures they have: {sorted(counts)}.")
    rows = enumerate(zip(*several, strict=True))
    return tuple(_joined(list(row), f"inputs[{at}]", metas, _ONE_SIZE) for at, row in rows)


def _joined(values: list[Any], name: str, metas: tuple[Mapping[str, Any], ...], repair: str = _PAD) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        mappings = cast("list[Mapping[str, Any]]", values)
        _same_keys(mappings, name, metas)
        return frozen({key: _joined([value[key] for value in mappings], f"{name}.{key}", metas) for key in first})
    if isinstance(first, bool | int | float | np.generic):
        array = np.array(values)
        return array.astype(_NARROW.get(array.dtype.kind, array.dtype), copy=False)
    arrays = [_array(value, name) for value in values]
    for array, meta in zip(arrays, metas, strict=True):
        if array.shape != arrays[0].shape:
            raise FkitValueError(
                f"samples of one batch differ in the shape of {name}: {arrays[0].shape} and {array.shape}{_of(meta)}.",
                repair=repair,
            )
    out = np.empty((len(arrays), *arrays[0].shape), np.result_type(*{array.dtype for array in arrays}))
    for place, array in enumerate(arrays):  # np.stack takes five times as long on small arrays
        out[place] = array
    return out


def _array(value: Any, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise FkitTypeError(
            f"{name} = {quoted(value)} is no number or array of numbers.", repair="Keep it in meta, not in targets."
        )
    return array


def _of(meta: Mapping[str, Any]) -> str:
    who = meta.get("img_path", meta.get("sample_idx"))
    return "" if who is None else f" (sample {who})"

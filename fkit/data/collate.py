"""Samples to a batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.structures.batch import Batch
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["collate", "stacking"]

_NARROW: frozendict[str, type] = frozendict(b=np.bool_, i=np.int64, u=np.int64, f=np.float32)


def collate(samples: Sequence[Any]) -> Batch:
    """Packed samples to a batch: arrays stacked, meta listed.

    Args:
        samples: ``{"inputs": array or mapping of arrays, "targets": {name: number or array}, "meta": {...}}`` each, as
            PackInputs makes them (targets and meta may be absent); or pairs ``(inputs, label)``.

    Returns:
        ``inputs`` (N, ...) in the dtype of the samples' arrays; in ``targets`` Python ints become int64 and Python
        floats float32.

    Raises:
        FkitError: a sample has no inputs, or the samples differ in shape or keys.

    Example:
        >>> batch = collate([{"inputs": np.zeros((1, 8, 8), np.float32), "targets": {"gt_label": n}} for n in (3, 1)])
        >>> batch.inputs.shape, batch.targets["gt_label"].tolist()
        ((2, 1, 8, 8), [3, 1])
    """
    expect(samples, Iterable, "`samples` are samples, one after the other")
    packed = [_packed(sample) for sample in samples]
    if not packed:
        raise FkitValueError("a batch of no samples cannot be made.")
    metas = tuple(frozen(sample.get("meta", {})) for sample in packed)
    inputs = _joined([sample["inputs"] for sample in packed], "inputs", metas)
    targets = _joined([sample.get("targets", {}) for sample in packed], "targets", metas)
    return Batch(inputs, targets, frozen({}), metas)


def stacking() -> Callable[[Sequence[Any]], Batch]:
    """`collate`, made from a config: ``collate_fn=dict(type="default_collate")``, or ``"pseudo_collate"``.

    The two differ in mmengine in whether inputs are stacked there or by the data preprocessor; a batch is arrays here.
    """
    return collate


def _packed(sample: Any) -> Mapping[str, Any]:
    if isinstance(sample, Mapping):
        fields = cast("Mapping[str, Any]", sample)
        if "inputs" not in fields:
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


def _joined(values: list[Any], name: str, metas: tuple[Mapping[str, Any], ...]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        mappings = cast("list[Mapping[str, Any]]", values)
        keys = list(mappings[0])
        for value, meta in zip(mappings, metas, strict=True):
            if value.keys() != mappings[0].keys():
                raise FkitKeyError(
                    f"samples of one batch differ in {name}: {sorted(value)} and {sorted(keys)}{_of(meta)}."
                )
        return frozen({key: _joined([value[key] for value in mappings], f"{name}.{key}", metas) for key in keys})
    if isinstance(first, bool | int | float | np.generic):
        array = np.array(values)
        return array.astype(_NARROW.get(array.dtype.kind, array.dtype), copy=False)
    arrays = [_array(value, name) for value in values]
    for array, meta in zip(arrays, metas, strict=True):
        if array.shape != arrays[0].shape:
            raise FkitValueError(
                f"samples of one batch differ in the shape of {name}: {arrays[0].shape} and {array.shape}{_of(meta)}.",
                repair="Resize, crop or pad in the pipeline, or take a collate_fn that pads.",
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

"""A batch of samples, and what of it a model sees beside the inputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.structures.content import content, is_array
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY

__all__ = ["Batch", "Samples", "batch_of", "first_array"]


class Samples(NamedTuple):
    """A batch's targets and valid masks as one frozen structure: the ``samples`` that a model is given.

    Attributes:
        targets: {name: array}, the first axis counting samples; ``targets["gt_label"]`` is (N,) int64.
        valid: {name: (N, ...) bool}, what of a padded target is real.
    """

    targets: Mapping[str, Any] = EMPTY
    valid: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Arrays for one step. As a pytree it is (inputs, targets, valid): ``meta`` stays on the host.

    Mappings are frozen on entry, so that the caller's own may change. Arrays are handed over: who writes to one
    afterwards changes the batch. Two batches are equal by the contents of all four.

    Attributes:
        inputs: (N, C, H, W) images, or any array, mapping or tuple of arrays that the model takes.
        targets: {name: array}; numbers that arithmetic needs (image shape, scale factor) are arrays here.
        valid: {name: (N, ...) bool}, where objects are padded to a declared bucket.
        meta: one mapping a sample (``sample_idx``, ``img_path``, ...), neither leaf nor auxiliary data.

    Raises:
        FkitTypeError: ``targets`` or ``valid`` are an array or a sequence, or ``meta`` is no sequence of mappings.

    Example:
        >>> import numpy as np
        >>> batch = Batch(np.zeros((2, 1, 8, 8), np.float32), {"gt_label": np.array([3, 1])})
        >>> len(batch), batch.samples.targets["gt_label"].tolist()
        (2, [3, 1])
    """

    inputs: Any
    targets: Mapping[str, Any] = field(default=EMPTY)
    valid: Mapping[str, Any] = field(default=EMPTY)
    meta: tuple[Mapping[str, Any], ...] = ()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("targets", "valid"):
            value = getattr(self, name)
            # anything else (None, 0, a sharding) may stand for a whole mapping where a framework maps over batches
            if isinstance(value, (str, Sequence)) or is_array(value):
                raise FkitTypeError(
                    f"`{name}` of a batch is a mapping of names to arrays, not {quoted(value)}.",
                    repair=f"Batch(inputs, {name}={{'gt_label': ...}})",
                )
            put(self, name, _frozen(value))
        put(self, "inputs", _frozen(self.inputs))
        put(self, "meta", _metas(self.meta))

    @property
    def samples(self) -> Samples:
        """What the model is given beside the inputs."""
        return Samples(self.targets, self.valid)

    def __len__(self) -> int:
        return int(first_array(self.inputs).shape[0])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return self is other or all(
            content(getattr(self, name)) == content(getattr(other, name))
            for name in ("inputs", "targets", "valid", "meta")
        )


def batch_of(parts: Iterable[Any]) -> Batch:
    """The batch of (inputs, targets, valid) as they are, unlooked at: pytrees put anything in the place of arrays.

    Example:
        >>> batch_of([0, None, None]).targets is None
        True
    """
    batch = object.__new__(Batch)
    for name, value in zip(("inputs", "targets", "valid", "meta"), (*parts, ()), strict=True):
        object.__setattr__(batch, name, value)
    return batch


def _frozen(value: Any) -> Any:
    """A mapping as a frozendict, at any depth of mappings; what is frozen stays itself."""
    if not isinstance(value, Mapping):
        return value
    mapping = cast("Mapping[str, Any]", value)
    items = {name: _frozen(item) for name, item in mapping.items()}
    same = isinstance(value, frozendict) and all(items[name] is item for name, item in mapping.items())
    return mapping if same else frozendict(items)


def _metas(metas: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(metas, (list, tuple)):
        raise FkitTypeError(f"`meta` of a batch is a sequence of mappings, one a sample, not {quoted(metas)}.")
    for meta in cast("Sequence[Any]", metas):
        if not isinstance(meta, Mapping):
            raise FkitTypeError(f"`meta` of a batch holds one mapping a sample, not {quoted(meta)}.")
    if isinstance(metas, tuple) and all(isinstance(meta, frozendict) for meta in metas):
        return metas
    return tuple(frozendict(meta) for meta in metas)


def first_array(inputs: Any) -> Any:
    """The first array of a batch's inputs: they may be a mapping, or a tuple: several views of each sample.

    Raises:
        FkitError: there is none.

    Example:
        >>> import numpy as np
        >>> first_array((np.zeros((2, 1)), np.zeros((2, 5)))).shape
        (2, 1)
    """
    if isinstance(inputs, (Mapping, tuple)):
        several = cast("Mapping[str, Any] | tuple[Any, ...]", inputs)
        if not several:
            raise FkitValueError("the batch has no inputs: how many samples it holds cannot be told.")
        return first_array(next(iter(several.values() if isinstance(several, Mapping) else several)))
    if not getattr(inputs, "shape", None):
        raise FkitTypeError(
            f"the inputs of the batch are {quoted(inputs)}, which has no first axis to count.",
            repair="A batch's inputs are an array (N, ...), or a mapping or a tuple of them.",
        )
    return inputs

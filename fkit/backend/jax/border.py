"""What a batch leaves on the host at the border of jit, and what it takes up again behind it.

The fields of an element's metainfo (a path, an id, the shape of an image before it was resized) differ from image to
image, and a pytree's fixed part is compared by content: with them, every batch would be a new program to compile. So
each value is held back, and a `Held` goes in its place: what knows whose it is, and says so to a model that wants to
compute with it. Where outputs carry it, the value comes back.
"""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import jax
import numpy as np
from frozendict import frozendict

from fkit.structures.batch import Batch
from fkit.structures.content import is_array
from fkit.structures.element import DataElement
from fkit.structures.field import fill, parts_of
from fkit.structures.freeze import FrozenList
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["Held", "Metas", "put_back", "take_off"]

Metas = tuple[Mapping[str, Any], ...]
"""The metainfo of each element of a batch, in the order in which they are met."""

_SEQUENCES = (list, tuple, FrozenList)


class Held:
    """In a step, what stands for a value of an element's metainfo. It can be passed on, and nothing else.

    Attributes:
        place: of the element in the batch.
        name: of the field.
    """

    __slots__ = ("name", "place")

    def __init__(self, place: int, name: str) -> None:
        self.place, self.name = place, name

    def __content__(self) -> Any:
        return "held", self.place, self.name

    def __hash__(self) -> int:
        return hash((self.place, self.name))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Held):
            return self.place == other.place and self.name == other.name
        self._refuse()

    def __deepcopy__(self, memo: Any) -> "Held":
        return self

    def __repr__(self) -> str:
        return f"<{self.name!r} of element {self.place}, on the host>"

    def _refuse(self, *_: Any) -> NoReturn:
        raise FkitTypeError(
            f"{self.name!r} is metainfo, which stays on the host while JAX computes.",
            repair=f"Numbers that the model needs are arrays: put {self.name!r} into the batch's targets, or make it a "
            "data field of the element.",
        )

    __bool__ = __int__ = __float__ = __index__ = __len__ = __iter__ = __getitem__ = __array__ = __jax_array__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __neg__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


def take_off(batch: Batch) -> tuple[Any, dict[str, Any], dict[str, Any], Metas]:
    """A batch's inputs, targets and masks with no metainfo in their elements, and that metainfo.

    Example:
        >>> from fkit.structures import InstanceData
        >>> boxes = InstanceData(boxes=np.zeros((2, 4)), metainfo={"path": "a.jpg"})
        >>> _, targets, _, metas = take_off(Batch(np.zeros((1, 3)), {"gt": boxes}))
        >>> targets["gt"].path, [dict(meta) for meta in metas]
        (<'path' of element 0, on the host>, [{'path': 'a.jpg'}])
    """
    inputs, targets = batch.inputs, dict(batch.targets)
    kind = type(inputs)
    if kind is np.ndarray or isinstance(inputs, jax.Array):
        for value in targets.values():
            if type(value) is not kind:
                break
        else:
            return inputs, targets, dict(batch.valid), ()
    metas: list[Mapping[str, Any]] = []
    inputs = _without(inputs, metas)
    return inputs, _without(targets, metas), dict(batch.valid), tuple(metas)


def put_back(outputs: Any, metas: Metas) -> Any:
    """Outputs in which what a batch's elements had on the host stands where it was passed on."""
    if not any(metas):
        return outputs
    return jax.tree.map(
        lambda leaf: _with(leaf, metas), outputs, is_leaf=lambda leaf: isinstance(leaf, (DataElement, Held))
    )


def _without(value: Any, metas: list[Mapping[str, Any]]) -> Any:
    if isinstance(value, DataElement):
        data, meta, leaves = parts_of(value)
        place = len(metas)
        metas.append(meta)
        data = {
            name: _without(field, metas) if isinstance(field, DataElement) else field for name, field in data.items()
        }
        return _element(value, data, frozendict({name: Held(place, name) for name in meta}), leaves)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, Any]", value)
        return {name: _without(item, metas) for name, item in mapping.items()}
    if type(value) in _SEQUENCES:
        return type(value)(_without(item, metas) for item in value)
    if not (value is None or is_array(value) or isinstance(value, (int, float, np.generic))):
        raise FkitTypeError(
            f"a batch holds arrays, in mappings, sequences and elements, not {quoted(value)}.",
            repair="What describes a sample goes into the batch's `meta`, or into an element's metainfo.",
        )
    return value


def _with(value: Any, metas: Metas) -> Any:
    if isinstance(value, Held):
        return metas[value.place][value.name]
    if isinstance(value, DataElement):
        data, meta, leaves = parts_of(value)
        return _element(
            value,
            {name: _with(field, metas) for name, field in data.items()},
            frozendict({name: _with(field, metas) for name, field in meta.items()}),
            leaves,
        )
    if isinstance(value, frozendict):
        mapping = cast("frozendict[str, Any]", value)
        return frozendict({name: _with(item, metas) for name, item in mapping.items()})
    if type(value) in _SEQUENCES:
        return type(value)(_with(item, metas) for item in value)
    return value


def _element(like: DataElement, data: dict[str, Any], meta: Mapping[str, Any], leaves: frozenset[str]) -> DataElement:
    element = object.__new__(type(like))
    fill(element, data, meta, leaves)
    return element

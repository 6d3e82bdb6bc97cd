"""Elements as nodes of pytrees: taken apart and put together again."""

from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from fkit.structures.content import Fixed, is_array
from fkit.structures.element import DataElement, element_in
from fkit.structures.field import fill, parts_of
from fkit.structures.freeze import read_only
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Aux", "from_parts", "tree_parts"]


class Aux:
    """What of an element is not an array: its class, the names of its leaves, and all other fields by content.

    Example:
        >>> Aux(dict, ("a",), ("a", "b"), {"b": 1}, {}) == Aux(dict, ("a",), ("b", "a"), {"b": 1}, {})
        True
    """

    __slots__ = ("cls", "fixed", "meta", "names", "order")

    def __init__(self, cls: type[Any], names: tuple[str, ...], order: tuple[str, ...], fixed: Any, meta: Any):
        self.cls, self.names, self.order, self.fixed, self.meta = cls, names, order, Fixed(fixed), Fixed(meta)

    def _key(self) -> Any:
        return self.cls, self.names, self.fixed, self.meta  # the fields' order is kept, and does not count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aux) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"{self.cls.__name__}({', '.join(self.names)}; {self.fixed.value!r}; {self.meta.value!r})"


def tree_parts(element: DataElement) -> tuple[tuple[Any, ...], Aux]:
    """An element as a pytree's node: its arrays and nested elements by name, and the rest.

    Returns:
        (leaves, aux), as JAX's ``flatten_func`` and torch's give them; ``aux.names`` are the leaves' names.

    Raises:
        FkitTypeError: it is no element.

    Example:
        >>> import numpy as np
        >>> leaves, aux = tree_parts(DataElement(label="cat", box=np.zeros(4), metainfo={"h": 1}))
        >>> leaves, aux.names
        ((array([0., 0., 0., 0.]),), ('box',))
        >>> from_parts(aux, leaves).label
        'cat'
    """
    data, meta, marked = parts_of(element_in(element))
    names = tuple(sorted(k for k, v in data.items() if k in marked or isinstance(v, DataElement) or is_array(v)))
    fixed = {name: value for name, value in data.items() if name not in names}
    return tuple(data[name] for name in names), Aux(type(element), names, tuple(data), fixed, meta)


def from_parts(aux: Aux, leaves: Any) -> DataElement:
    """The element that `tree_parts` took apart, with other leaves; they may be anything, as pytrees ask.

    Example:
        >>> import numpy as np
        >>> leaves, aux = tree_parts(DataElement(box=np.zeros(4)))
        >>> tree_parts(from_parts(aux, [None]))[0]
        (None,)
    """
    if not isinstance(aux, Aux):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`aux` is what `tree_parts` gives beside the leaves, not {quoted(aux)}.")
    leaves = tuple(read_only(leaf) if isinstance(leaf, np.ndarray) else leaf for leaf in _several(leaves))
    if len(leaves) != len(aux.names):
        raise FkitValueError(f"{len(leaves)} leaves for the {len(aux.names)} fields {', '.join(aux.names)}.")
    values = {**aux.fixed.value, **dict(zip(aux.names, leaves, strict=True))}
    element = object.__new__(aux.cls)
    fill(element, {name: values[name] for name in aux.order}, aux.meta.value, frozenset(aux.names))
    return element


def _several(leaves: Any) -> Iterable[Any]:
    if not isinstance(leaves, Iterable):
        raise FkitTypeError(f"`leaves` are several, not {quoted(leaves)}.")
    return cast("Iterable[Any]", leaves)

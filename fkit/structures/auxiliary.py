"""The part of a pytree's node that frameworks hash and compare."""

from typing import Any

from fkit.structures.content import Fixed

__all__ = ["Aux"]


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

"""frozendict with types: what is frozen keeps the types of what it was made of."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from frozendict import frozendict

from fkit.tree.check import expect

__all__ = ["EMPTY", "frozen"]

K = TypeVar("K")
V = TypeVar("V")


def frozen(mapping: Mapping[K, V]) -> Mapping[K, V]:
    """A frozendict of a mapping's items; values stay as they are.

    Example:
        >>> frozen({"a": 1})
        frozendict.frozendict({'a': 1})
    """
    if (
        type(mapping) is not dict and type(mapping) is not frozendict
    ):  # asking an abstract class takes longer than freezing
        expect(mapping, Mapping, "`mapping` is a mapping")
    return cast("Mapping[K, V]", frozendict(cast(Any, mapping)))


EMPTY: Mapping[str, Any] = frozen({})
"""A frozen mapping of nothing, for defaults."""

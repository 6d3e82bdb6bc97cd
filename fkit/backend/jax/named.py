"""Named arrays kept as a tuple: what goes through jit, where JAX walks tuples in C, and what a state is read by."""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, NoReturn

import jax.numpy as jnp

from fkit.tree.error import FkitKeyError, FrozenError

__all__ = ["Named", "Names"]


class Names:
    """The names of arrays, in order; equal to others by content.

    Attributes:
        order: the names.
        places: {name: its place}.
    """

    __slots__ = ("_pick", "order", "places")

    def __init__(self, order: tuple[str, ...]) -> None:
        self.order = order
        self.places = {name: place for place, name in enumerate(order)}
        self._pick = itemgetter(*order) if len(order) > 1 else None

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Names) and self.order == other.order)

    def __hash__(self) -> int:
        return hash(self.order)

    def pick(self, tree: Mapping[str, Any]) -> tuple[Any, ...]:
        """What any mapping has under these names.

        Raises:
            KeyError: it lacks one.
        """
        if type(tree) is Named and tree.names is self:
            return tree.arrays
        return self._pick(tree) if self._pick is not None else tuple(tree[name] for name in self.order)

    def tree(self, arrays: tuple[Any, ...]) -> dict[str, Any]:
        """The inverse of `pick`, as a dict."""
        return dict(zip(self.order, arrays, strict=True))

    def take(self, tree: Mapping[str, Any]) -> tuple[Any, ...]:
        """As `pick`, for a step that will use up the arrays: what is no `Named`, which only a program makes, holds arrays
        of the caller's, and is copied."""
        if type(tree) is Named and tree.names == self:
            return tree.arrays
        return tuple([jnp.array(array, copy=True) for array in self.pick(tree)])


class Named(Mapping[str, Any]):
    """A frozen mapping of names to arrays, or to other mappings of them, in the order of its `Names`.

    Example:
        >>> params = Named(Names(("fc.weight", "fc.bias")), (1, 2))
        >>> params["fc.bias"], dict(params), "fc" in params
        (2, {'fc.weight': 1, 'fc.bias': 2}, False)
    """

    __slots__ = ("arrays", "names")
    arrays: tuple[Any, ...]
    names: Names

    def __init__(self, names: Names, arrays: tuple[Any, ...]) -> None:
        _put_names(self, names)
        _put_arrays(self, arrays)

    def __getitem__(self, name: str) -> Any:
        try:
            return self.arrays[self.names.places[name]]
        except KeyError:
            raise FkitKeyError(f"there is no {name!r}.", value=str(name), choices=self.names.order) from None

    def __contains__(self, name: object) -> bool:
        return name in self.names.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.names.order)

    def __len__(self) -> int:
        return len(self.arrays)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenError(f"these arrays are frozen: cannot set {name!r}.", repair="state.replace(params={...})")

    def __repr__(self) -> str:
        return repr(dict(self))


_put_names: Any = Named.__dict__["names"].__set__
_put_arrays: Any = Named.__dict__["arrays"].__set__

"""How often a function is compiled, and what for: said once where it is too often."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
from frozendict import frozendict

__all__ = ["watch"]

_BOUND = 8
_SHOWN = 3
_LONG = 120  # characters


def watch(name: str, bound: int = _BOUND) -> Callable[..., None]:
    """A function to call, with what a jitted function was given, from inside of it: JAX runs that code only to compile.

    Args:
        name: of the function, for the message.
        bound: how many compilations pass in silence.

    Returns:
        ``note(kind, **arguments)``: ``kind`` is what the caller compiles for on purpose, and each is counted by itself.
        It warns once, with what differs between the last two.

    Example:
        >>> note = watch("predict", bound=1)
        >>> twice = jax.jit(lambda x: [note("", inputs=x), x * 2][1])
        >>> import numpy as np, warnings
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     _ = [twice(np.ones(count)) for count in (1, 1, 2, 3)]
        >>> print(*(one.message for one in told))
        JAX has compiled predict 2 times: it compiles again for every new shape and structure of a batch.
          The last two differ in inputs: float32[1], then float32[2].
          Give batches a few shapes: drop_last=True, images of one size, objects padded to a bucket.
    """
    last: dict[Any, Mapping[str, str]] = {}
    counts: dict[Any, int] = {}

    def note(kind: Any, **arguments: Any) -> None:
        count = counts[kind] = counts.get(kind, 0) + 1
        before, last[kind] = last.get(kind, frozendict()), _described(arguments)
        if count == bound + 1:
            warnings.warn(_text(name, count, before, last[kind]), stacklevel=2)

    return note


def _described(arguments: Mapping[str, Any]) -> Mapping[str, str]:
    """Each array by its place: type and shape; and the structure of what holds them."""
    rows: dict[str, str] = {}
    for name, tree in arguments.items():
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
            aval = jax.typeof(leaf)
            rows[name + jax.tree_util.keystr(path)] = f"{aval.dtype}[{','.join(map(str, aval.shape))}]"
        rows[f"the structure of {name}"] = str(jax.tree.structure(tree)).removeprefix("PyTreeDef")
    return frozendict(rows)


def _text(name: str, count: int, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    places = [place for place in (*before, *(set(after) - set(before))) if before.get(place) != after.get(place)]
    arrays = [place for place in places if not place.startswith("the structure of")]
    shown = [_pair(place, before.get(place), after.get(place)) for place in (arrays or places)[:_SHOWN]]
    return (
        f"JAX has compiled {name} {count} times: it compiles again for every new shape and structure of a batch.\n"
        f"  The last two differ in {'; '.join(shown) or 'nothing of the batch: in the state, or in the numbers'}.\n"
        "  Give batches a few shapes: drop_last=True, images of one size, objects padded to a bucket."
    )


def _pair(place: str, before: str | None, after: str | None) -> str:
    """Two descriptions of a place; long ones from a little before the first difference."""
    one, two = before or "absent", after or "absent"
    if max(len(one), len(two)) > _LONG:
        same = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
        start = max(0, same - _LONG // 4)
        one, two = (f"...{text[start : start + _LONG]}..." for text in (one, two))
    return f"{place}: {one}, then {two}"

"""Picking, ordering and gathering: the part of `fkit.array.ops.Ops` that arithmetic on objects (boxes, anchors, masks) asks for.

What numpy, torch and jax.numpy spell alike (``where``, ``concat(axis=)``, ``sum(axis=)``, ``amax(axis=)``, ``maximum`` of two
arrays, ``exp``, ``clip(a, low, high)``, ...) is taken from ``xp.lib``; here is what they spell differently. Shapes never
depend on values, so that each function passes through jit; the one exception is `PickOps.real`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import numpy as np

from fkit.array.bag import region_mean
from fkit.array.match import partners
from fkit.array.topmost import topmost
from fkit.tree.error import FkitTypeError

__all__ = ["NumpyPick", "PickOps", "mapped"]

_MANY = 4096  # numbers: fewer are sorted as soon as searched


class PickOps(Protocol):
    """Operations on rows. An index array may be of any whole type."""

    @property
    def lib(self) -> Any:
        """The library's module: ``numpy``, ``torch`` or ``jax.numpy``."""
        ...

    @property
    def fixed(self) -> bool:
        """Whether shapes may not depend on values, so that `real` gives all rows."""
        ...

    def cast(self, a: Any, kind: Any) -> Any:
        """The array in another type: "float32", "int64", "bool", ..., or another array, whose type it takes. JAX's whole
        numbers have 32 bits outside of a float64 program."""
        ...

    def asarray(self, values: Any, kind: Any) -> Any:
        """Numbers, or a numpy array, as an array on the device; ``kind`` as for `cast`."""
        ...

    def arange(self, count: int, kind: Any = "int64") -> Any:
        """0, 1, ..., count - 1."""
        ...

    def full(self, shape: Sequence[int], value: float, kind: Any = "float32") -> Any:
        """An array of one number."""
        ...

    def take(self, a: Any, index: Any) -> Any:
        """Rows: ``a[index]``, (*index.shape, *a.shape[1:]); indices are in range."""
        ...

    def take_along(self, a: Any, index: Any, axis: int) -> Any:
        """numpy's ``take_along_axis``."""
        ...

    def put(self, a: Any, index: Any, values: Any) -> Any:
        """A copy of ``a`` in which the rows ``index`` (K,) are ``values`` (K, ...); an index of len(a) puts nothing."""
        ...

    def topk(self, a: Any, count: int) -> tuple[Any, Any]:
        """The greatest along the last axis, in descending order, and where they are; of equal ones the first goes first."""
        ...

    def topmost(self, a: Any, count: int, valid: Any = None) -> Any:
        """(R, count): where the greatest of each row (R, n) are, in no order; of those equal to the least of them, those that
        ``torch.topk`` takes of the ``valid`` (n,) ones: see `fkit.array.topmost`. On a GPU it takes the first."""
        ...

    def best(self, a: Any) -> tuple[Any, Any]:
        """The greatest of each column of (G, P), G at least 1, and the first row that has it; both (P,)."""
        ...

    def order(self, a: Any, descending: bool = False) -> Any:
        """A stable argsort along the last axis; of equal ones the first goes first in either direction."""
        ...

    def segment_sum(self, values: Any, index: Any, count: int) -> Any:
        """(count, ...): sums of the rows (K, ...) by their ``index`` (K,), which is in range."""
        ...

    def segment_max(self, values: Any, index: Any, count: int, initial: float) -> Any:
        """(count, ...): the greatest of the rows by their ``index``, and at least ``initial``."""
        ...

    def spread(self, counts: Any, total: int) -> Any:
        """0 ``counts[0]`` times, then 1 ``counts[1]`` times, ...: (total,) whole numbers, where total is the counts' sum."""
        ...

    def bags(self, rows: Any, index: Any, weight: Any, offsets: Any = None) -> Any:
        """(B, C) sums of rows (P, C) times weights: those of ``index`` (B, K); or, of index (E,), in bag b those from
        ``offsets[b]`` up to ``offsets[b + 1]``, offsets (B + 1,). Gradients flow into rows and weights."""
        ...

    def region_mean(self, rows: Any, regions: Any, size: tuple[int, int], ratio: int) -> Any:
        """(R, h, w, C): the mean of the samples of each bin of `fkit.array.sample.Regions`, whose ratio of samples is fixed,
        or 0. Gradients flow into the rows alone."""
        ...

    def detached(self, a: Any) -> Any:
        """The numbers, with no gradient."""
        ...

    def known(self, condition: Any) -> bool | None:
        """A 0-d condition as a bool where the host has it at once; None under a trace, and where a device would be waited for."""
        ...

    def log_softmax(self, a: Any, axis: int) -> Any:
        """The logarithm of the softmax."""
        ...

    def softplus(self, a: Any) -> Any:
        """``log(1 + exp(a))`` without overflow."""
        ...

    def packed(self, mask: Any, size: int) -> tuple[Any, Any]:
        """Where a mask (P,) is True, ascending: (size,) indices, and whether each is one; the others are 0."""
        ...

    def real(self, valid: Any) -> Any:
        """Which rows of (P,) are worth computing: the indices of the True ones where shapes may depend on values, else all."""
        ...

    def hosted(self, function: Callable[..., tuple[Any, ...]], *arrays: Any) -> tuple[Any, ...] | None:
        """``function`` of numpy arrays of these numbers, its arrays as the library's: where they are at hand without a wait
        (numpy, torch on the CPU); else None, and the caller computes with ``xp``. No gradient passes."""
        ...

    def partners(self, cost: Any, rows: Any) -> Any:
        """`fkit.array.match.partners`: on the host where values are at hand."""
        ...

    def each(self, function: Callable[..., Any], *trees: Any) -> Any:
        """``function`` of each row of the trees' arrays (tuples, mappings, None pass), its results stacked: vmap."""
        ...

    def loop(self, condition: Callable[[Any], Any], body: Callable[[Any], Any], state: Any) -> Any:
        """``while condition(state): state = body(state)``; the state is a tuple of arrays of fixed shapes."""
        ...


class NumpyPick:
    """`PickOps` of numpy.

    Example:
        >>> xp = NumpyPick()
        >>> xp.topk(np.array([1.0, 3.0, 3.0, 2.0]), 3)[1].tolist()
        [1, 2, 3]
        >>> xp.packed(np.array([False, True, False, True]), 3)[0].tolist()
        [1, 3, 0]
        >>> xp.each(lambda a, b: (a + b, a.sum()), np.ones((2, 3)), np.ones(2))[1].tolist()
        [3.0, 3.0]
    """

    lib: Any = np
    fixed = False

    def cast(self, a: Any, kind: Any) -> Any:
        return a.astype(kind if isinstance(kind, str) else kind.dtype)

    def asarray(self, values: Any, kind: Any) -> Any:
        return np.asarray(values, kind if isinstance(kind, str) else kind.dtype)

    def arange(self, count: int, kind: Any = "int64") -> Any:
        return np.arange(count, dtype=kind if isinstance(kind, str) else kind.dtype)

    def full(self, shape: Sequence[int], value: float, kind: Any = "float32") -> Any:
        return np.full(tuple(shape), value, kind if isinstance(kind, str) else kind.dtype)

    def take(self, a: Any, index: Any) -> Any:
        return a[index]

    def take_along(self, a: Any, index: Any, axis: int) -> Any:
        return np.take_along_axis(a, index, axis)

    def put(self, a: Any, index: Any, values: Any) -> Any:
        out = np.concatenate([a, a[:1]])
        out[index] = values
        return out[:-1]

    def topk(self, a: Any, count: int) -> tuple[Any, Any]:
        if count and a.ndim == 1 and len(a) > max(2 * count, _MANY):
            least = a.min()
            some = a[a > least]  # the least may be most of them, at which a search is slow
            if len(some) >= count:
                least = np.partition(some, len(some) - count)[len(some) - count]
            above = np.flatnonzero(~(a <= least))  # what is no number is greatest
            above = above[self.order(a[above], descending=True)[:count]]
            index = np.concatenate([above, np.flatnonzero(a == least)[: count - len(above)]])
        else:
            index = self.order(a, descending=True)[..., :count]
        return np.take_along_axis(a, index, -1), index

    def topmost(self, a: Any, count: int, valid: Any = None) -> Any:
        return self.each(lambda row: topmost(self, row, count, valid), a) if len(a) else self.topk(a, count)[1]

    def best(self, a: Any) -> tuple[Any, Any]:
        row = a.argmax(0)
        return np.take_along_axis(a, row[None], 0)[0], row

    def order(self, a: Any, descending: bool = False) -> Any:
        if not descending:
            return np.argsort(a, -1, kind="stable")
        return a.shape[-1] - 1 - np.flip(np.argsort(np.flip(a, -1), -1, kind="stable"), -1)

    def segment_sum(self, values: Any, index: Any, count: int) -> Any:
        out = np.zeros((count, *values.shape[1:]), values.dtype)
        np.add.at(out, index, values)
        return out

    def segment_max(self, values: Any, index: Any, count: int, initial: float) -> Any:
        out = np.full((count, *values.shape[1:]), initial, values.dtype)
        np.maximum.at(out, index, values)
        return out

    def spread(self, counts: Any, total: int) -> Any:
        return np.repeat(np.arange(len(counts)), counts)

    def bags(self, rows: Any, index: Any, weight: Any, offsets: Any = None) -> Any:
        weight = weight.astype(rows.dtype)
        if offsets is None:
            return np.einsum("bk,bkc->bc", weight, rows[index])
        owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        return self.segment_sum(rows[index] * weight[:, None], owner, len(offsets) - 1)

    def region_mean(self, rows: Any, regions: Any, size: tuple[int, int], ratio: int) -> Any:
        return region_mean(self, rows, regions, size, ratio)

    def detached(self, a: Any) -> Any:
        return a

    def known(self, condition: Any) -> bool | None:
        return bool(condition)

    def log_softmax(self, a: Any, axis: int) -> Any:
        moved = a - a.max(axis, keepdims=True)
        return moved - np.log(np.exp(moved).sum(axis, keepdims=True))

    def softplus(self, a: Any) -> Any:
        return np.logaddexp(a, np.zeros((), a.dtype))

    def packed(self, mask: Any, size: int) -> tuple[Any, Any]:
        places = np.nonzero(mask)[0][:size]
        return np.pad(places, (0, size - len(places))), np.arange(size) < len(places)

    def real(self, valid: Any) -> Any:
        return np.nonzero(valid)[0]

    def hosted(self, function: Callable[..., tuple[Any, ...]], *arrays: Any) -> tuple[Any, ...] | None:
        return function(*arrays)

    def partners(self, cost: Any, rows: Any) -> Any:
        return partners(self, cost.astype(np.float64), rows)

    def each(self, function: Callable[..., Any], *trees: Any) -> Any:
        return mapped(np.stack, function, trees)

    def loop(self, condition: Callable[[Any], Any], body: Callable[[Any], Any], state: Any) -> Any:
        while condition(state):
            state = body(state)
        return state


def mapped(stack: Callable[[Sequence[Any]], Any], function: Callable[..., Any], trees: Sequence[Any]) -> Any:
    """``function`` of each row of the trees' arrays, and its results stacked: what a library without vmap does.

    Raises:
        FkitTypeError: no tree holds an array.
    """
    counts = [len(leaf) for leaf in _leaves(trees)]
    if not counts:
        raise FkitTypeError("there is no array to take rows of.")
    results = [function(*(_row(tree, at) for tree in trees)) for at in range(counts[0])]
    return _stacked(stack, results)


def _leaves(tree: Any) -> list[Any]:
    if tree is None:
        return []
    if isinstance(tree, Mapping):
        return [leaf for value in cast("Mapping[str, Any]", tree).values() for leaf in _leaves(value)]
    if isinstance(tree, (tuple, list)):
        return [leaf for value in cast("Sequence[Any]", tree) for leaf in _leaves(value)]
    return [tree]


def _row(tree: Any, at: int) -> Any:
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {key: _row(value, at) for key, value in cast("Mapping[str, Any]", tree).items()}
    if isinstance(tree, (tuple, list)):
        return _like(tree, [_row(value, at) for value in cast("Sequence[Any]", tree)])
    return tree[at]


def _stacked(stack: Callable[[Sequence[Any]], Any], results: Sequence[Any]) -> Any:
    first = results[0]
    if first is None:
        return None
    if isinstance(first, Mapping):
        return {key: _stacked(stack, [one[key] for one in results]) for key in cast("Mapping[str, Any]", first)}
    if isinstance(first, (tuple, list)):
        return _like(first, [_stacked(stack, parts) for parts in zip(*results, strict=True)])
    return stack(results)


def _like(tree: Any, parts: list[Any]) -> Any:
    """The parts as a list, a tuple or the named tuple that ``tree`` is."""
    if isinstance(tree, list):
        return parts
    return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)

"""`fkit.array.pick.PickOps` on jax.numpy arrays, concrete or traced."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from fkit.array.match import partners
from fkit.array.topmost import topmost
from fkit.backend.jax.region import region_mean

__all__ = ["JaxPick"]

_FEW = 8


class JaxPick:
    """Rows of arrays; see `fkit.array.pick.PickOps`."""

    lib: Any = jnp
    fixed = True

    def cast(self, a: Any, kind: Any) -> Any:
        return a.astype(_dtype(kind))

    def asarray(self, values: Any, kind: Any) -> Any:
        return jnp.asarray(values, _dtype(kind))

    def arange(self, count: int, kind: Any = "int64") -> Any:
        return jnp.arange(count, dtype=_dtype(kind))

    def full(self, shape: Sequence[int], value: float, kind: Any = "float32") -> Any:
        return jnp.full(tuple(shape), value, _dtype(kind))

    def take(self, a: Any, index: Any) -> Any:
        return jnp.take(a, index, axis=0, mode="clip")

    def take_along(self, a: Any, index: Any, axis: int) -> Any:
        return jnp.take_along_axis(a, index, axis)

    def put(self, a: Any, index: Any, values: Any) -> Any:
        return a.at[index].set(values, mode="drop")

    def topk(self, a: Any, count: int) -> tuple[Any, Any]:
        return jax.lax.top_k(a, count)

    def topmost(self, a: Any, count: int, valid: Any = None) -> Any:
        a = self.detached(a)
        arrays = (a,) if valid is None else (a, valid)

        def first(a: Any, *valid: Any) -> Any:
            return self.topk(jnp.where(valid[0], a, -jnp.inf) if valid else a, count)[1]

        def as_torch(a: Any, *valid: Any) -> Any:
            return self.each(lambda row: topmost(self, row, count, *valid), a)

        return jax.lax.platform_dependent(*arrays, cpu=as_torch, default=first) if a.shape[0] else first(*arrays)

    def best(self, a: Any) -> tuple[Any, Any]:
        return jnp.max(a, 0), jnp.argmax(a, 0)

    def order(self, a: Any, descending: bool = False) -> Any:
        return jnp.argsort(a, -1, stable=True, descending=descending)

    def segment_sum(self, values: Any, index: Any, count: int) -> Any:
        return jnp.zeros((count, *values.shape[1:]), values.dtype).at[index].add(values)

    def segment_max(self, values: Any, index: Any, count: int, initial: float) -> Any:
        return jnp.full((count, *values.shape[1:]), initial, values.dtype).at[index].max(values)

    def spread(self, counts: Any, total: int) -> Any:
        return jnp.repeat(jnp.arange(counts.shape[0]), counts, total_repeat_length=total)

    def bags(self, rows: Any, index: Any, weight: Any, offsets: Any = None) -> Any:
        kind = weight.astype(rows.dtype)
        if offsets is None and index.shape[1] <= _FEW:  # one loop over all, with no array of all pixels
            return sum(self.take(rows, index[:, at]) * kind[:, at, None] for at in range(index.shape[1]))
        pixels = self.take(rows, index)
        if offsets is None:
            return jnp.einsum("bk,bkc->bc", kind, pixels, precision="highest")
        owner = jnp.searchsorted(offsets, jnp.arange(index.shape[0]), side="right") - 1
        return self.segment_sum(pixels * kind[:, None], owner, offsets.shape[0] - 1)

    def region_mean(self, rows: Any, regions: Any, size: tuple[int, int], ratio: int) -> Any:
        return region_mean(self, rows, regions, tuple(size), ratio)

    def detached(self, a: Any) -> Any:
        return jax.lax.stop_gradient(a)

    def known(self, condition: Any) -> bool | None:
        return None if isinstance(condition, Tracer) else bool(condition)

    def log_softmax(self, a: Any, axis: int) -> Any:
        return jax.nn.log_softmax(a, axis)

    def softplus(self, a: Any) -> Any:
        return jax.nn.softplus(a)

    def packed(self, mask: Any, size: int) -> tuple[Any, Any]:
        (index,) = jnp.nonzero(mask, size=size, fill_value=0)
        return index, jnp.arange(size) < mask.sum()

    def real(self, valid: Any) -> Any:
        return jnp.arange(valid.shape[0])

    def hosted(self, function: Callable[..., tuple[Any, ...]], *arrays: Any) -> tuple[Any, ...] | None:
        return None  # what is traced is nowhere yet

    def partners(self, cost: Any, rows: Any) -> Any:
        return partners(self, cost, rows)

    def each(self, function: Callable[..., Any], *trees: Any) -> Any:
        return jax.vmap(function)(*trees)

    def loop(self, condition: Callable[[Any], Any], body: Callable[[Any], Any], state: Any) -> Any:
        return jax.lax.while_loop(condition, body, state)


def _dtype(kind: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(kind if isinstance(kind, str) else kind.dtype)

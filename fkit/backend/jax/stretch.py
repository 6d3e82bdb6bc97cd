"""Several training steps in one call of what is compiled: a small model's steps take less time than their calls.

On a device a stretch is a loop (``lax.scan``), compiled as fast as one step. On the CPU XLA computes the gradient of a
convolution inside a loop many times slower than outside of it: a step with convolutions is called by itself there, which
costs such a step nothing that could be measured.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fkit.backend.jax.template import Template

__all__ = ["Late", "looped", "loops_well", "parted", "rows_of"]

Traced = Callable[..., Any]


class Late:
    """One of the numbers that several steps logged, in one array: it is read, all of it, when the first is."""

    __slots__ = ("_all", "_place")
    shape = ()
    ndim = 0

    def __init__(self, numbers: list[Any], place: int) -> None:
        self._all = numbers
        self._place = place

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        (held,) = self._all
        if not isinstance(held, np.ndarray):
            held = self._all[0] = np.asarray(held)
        return np.asarray(held[self._place], dtype)

    def __float__(self) -> float:
        return float(self.__array__())

    def __repr__(self) -> str:
        return f"Late({self.__array__()})"


def rows_of(logs: Mapping[str, Any], named: Sequence[Container[str]]) -> list[dict[str, Any]]:
    """What each of several steps logged, of arrays that have all of it.

    Args:
        named: of each step, the names of what it logs.

    Example:
        >>> [float(row["loss"]) for row in rows_of({"loss": np.array([0.5, 0.25])}, [["loss"], ["loss"]])]
        [0.5, 0.25]
    """
    held = {name: [numbers] for name, numbers in logs.items()}
    return [
        {name: Late(numbers, place) for name, numbers in held.items() if name in names}
        for place, names in enumerate(named)
    ]


def loops_well(layout: Template, device: Any) -> bool:
    """Whether a loop of steps is fast: of any on an accelerator, and on the CPU of those without convolutions.

    Args:
        device: None is JAX's default.
    """
    where = next(iter(jnp.zeros(()).devices())) if device is None else device
    return where.platform != "cpu" or not any("conv" in kind for kind in layout.layouts.values())


def looped(train: Traced) -> Traced:
    """``(params, buffers, opt, slots, updates, iteration, key, numbers, weights, batches, case)`` as a loop of the step
    ``train``: numbers, weights and batches are tuples, an item a step, and so are the arrays of the logs."""

    def loop(
        params: Any, buffers: Any, opt: Any, slots: Any, updates: Any, iteration: Any, key: Any, numbers: Any,
        weights: Any, batches: Any, case: Any,
    ) -> Any:  # fmt: skip
        first = jnp.asarray(iteration)
        rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *zip(numbers, weights, batches, strict=True))

        def body(moving: Any, row: Any) -> Any:
            place, (number, weight, batch) = row
            *after, logs = train(*moving, first + place, key, number, weight, *batch, case)
            return tuple(after), logs

        places = jnp.arange(len(numbers), dtype=first.dtype)
        after, logs = jax.lax.scan(body, (params, buffers, opt, slots, updates), (places, rows))
        return (*after, logs)

    return loop


def parted(marks: Sequence[Any], most: int) -> Iterator[int]:
    """How many steps go into each call: neighbours with the same mark; ``most`` of them, or else a power of two, so that few
    lengths are compiled.

    Example:
        >>> list(parted("aaaaaaab", 4)), list(parted("aaaaaaa", 20))
        ([4, 2, 1, 1], [4, 2, 1])
    """
    place = 0
    while place < len(marks):
        same = place
        while same < len(marks) and marks[same] == marks[place]:
            same += 1
        count = same - place
        while count:
            taken = most if count >= most else 1 << (count.bit_length() - 1)
            yield taken
            count -= taken
        place = same

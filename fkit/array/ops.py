"""The operations whose spelling differs between numpy, torch and jax.numpy, as a protocol; and numpy's instance.

Functions of this floor take an instance as their first argument ``xp``. Each backend's room holds its own.

Unsigned 32-bit words are what random bits are made of. numpy and JAX hold them as uint32, torch (which multiplies no
uint32) as int32 of the same bits, Python as an int below 2**32; `Words` is whichever of these the instance uses.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from fkit.array.pick import NumpyPick, PickOps
from fkit.tree.error import FkitTypeError

__all__ = ["Host", "Numpy", "Ops", "WordOps", "Words"]

Words = Any

_MASK = 0xFFFFFFFF


class WordOps(Protocol):
    """Arithmetic of words: what random bits are made by."""

    @property
    def name(self) -> str:
        """The library: "numpy", "torch" or "jax"."""
        ...

    def word(self, value: int) -> Words:
        """A constant below 2**32, in the form that takes part in word arithmetic."""
        ...

    def words(self, start: Words, shape: Sequence[int]) -> Words:
        """``start, start + 1, ...`` modulo 2**32, in C order, as an array of ``shape``."""
        ...

    def mul(self, a: Words, b: Words) -> Words:
        """``a * b`` modulo 2**32."""
        ...

    def add(self, a: Words, b: Words) -> Words:
        """``a + b`` modulo 2**32."""
        ...

    def xor(self, a: Words, b: Words) -> Words:
        """``a ^ b``."""
        ...

    def shr(self, a: Words, n: int) -> Words:
        """``a >> n``, zeros coming in from the left; 0 < n < 32."""
        ...

    def unit(self, a: Words) -> Any:
        """The upper 24 bits as float32 in [0, 1), exact."""
        ...


class Ops(WordOps, PickOps, Protocol):
    """What arithmetic that is written once may ask of an array library."""

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        """The p-norm of all elements of all arrays together, 0-d; an infinite order is the greatest magnitude."""
        ...

    def at_most(self, a: Any, limit: float) -> Any:
        """The lesser of each element and ``limit``."""
        ...

    def greatest(self, a: Any, b: Any) -> Any:
        """The greater of each pair of elements; not a number, where one is none."""
        ...

    def sign(self, a: Any) -> Any:
        """-1, 0 or 1 of each element."""
        ...

    def scaled(self, arrays: Sequence[Any], factor: Any) -> list[Any]:
        """Each array times a number."""
        ...

    def clipped(self, arrays: Sequence[Any], low: float, high: float) -> list[Any]:
        """Each element of each array, brought into [low, high]."""
        ...

    def added(self, arrays: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        """The sum of each pair."""
        ...

    def mixed(self, arrays: Sequence[Any], others: Sequence[Any], weight: Any, reuse: bool = False) -> Sequence[Any]:
        """``a + weight * (b - a)`` of each pair, new arrays: exactly ``b`` of weight 1 and ``a`` of 0, whatever the other is.

        Args:
            weight: a number, or a 0-d array of what is compiled.
            reuse: the memory of ``arrays`` may be taken; where they are written into, they themselves are given.
        """
        ...

    def zeros(self, arrays: Sequence[Any]) -> list[Any]:
        """Zeros shaped like each array."""
        ...

    def select(self, condition: Any, arrays: Sequence[Any], others: Sequence[Any]) -> Sequence[Any]:
        """``arrays`` where the condition (a bool, or an array that fits) holds, else ``others``."""
        ...

    def finite(self, a: Any) -> Any:
        """Whether a 0-d array is a finite number, 0-d."""
        ...

    def both(self, a: Any, b: Any) -> Any:
        """Whether both conditions hold, each a bool or a 0-d array."""
        ...

    def resized(self, images: Any, size: tuple[int, int]) -> Any:
        """Images (N, C, H, W) in another (height, width): bilinear between the centres of pixels, no antialiasing, as
        torch's ``interpolate`` with ``align_corners=False``."""
        ...

    def flipped(self, a: Any, axes: Sequence[int]) -> Any:
        """An array in the reverse order along some axes."""
        ...

    def shared(self, a: Any) -> Any:
        """A 0-d number of a batch as the mean over the processes that have parts of it, without a gradient: what losses are
        divided by, so that they are those of the whole batch. All processes call it; alone, the number itself."""
        ...

    def softmax(self, a: Any, axis: int) -> Any:
        """``exp(a)`` over its sum along an axis."""
        ...

    def sigmoid(self, a: Any) -> Any:
        """``1 / (1 + exp(-a))``."""
        ...

    def argmax(self, a: Any, axis: int) -> Any:
        """Where along an axis the greatest is, the first of equal ones; whole numbers."""
        ...

    def width(self, arrays: Sequence[Any]) -> AbstractContextManager[Any]:
        """The context in which what is computed of arrays keeps their precision: JAX makes float32 of float64 outside."""
        ...


class Host:
    """Python ints: the keys of a run, before any array exists."""

    name = "host"

    def word(self, value: int) -> int:
        return value & _MASK

    def words(self, start: int, shape: Sequence[int]) -> int:
        if tuple(shape):
            raise FkitTypeError("Python ints have no shape.", repair="Use Numpy() for arrays of words.")
        return start & _MASK

    def mul(self, a: int, b: int) -> int:
        return (a * b) & _MASK

    def add(self, a: int, b: int) -> int:
        return (a + b) & _MASK

    def xor(self, a: int, b: int) -> int:
        return a ^ b

    def shr(self, a: int, n: int) -> int:
        return a >> n

    def unit(self, a: int) -> float:
        return (a >> 8) * 2.0**-24


class Numpy(NumpyPick):
    """numpy arrays of uint32 (arrays, not scalars: numpy's scalars warn when they wrap)."""

    name = "numpy"

    def word(self, value: int) -> Words:
        return np.array(value & _MASK, np.uint32)

    def words(self, start: Words, shape: Sequence[int]) -> Words:
        count = int(np.prod(shape, dtype=np.int64))
        return (np.arange(count, dtype=np.uint32) + np.asarray(start, np.uint32)).reshape(tuple(shape))

    def mul(self, a: Words, b: Words) -> Words:
        return np.multiply(a, b, dtype=np.uint32)

    def add(self, a: Words, b: Words) -> Words:
        return np.add(a, b, dtype=np.uint32)

    def xor(self, a: Words, b: Words) -> Words:
        return np.bitwise_xor(a, b)

    def shr(self, a: Words, n: int) -> Words:
        return np.right_shift(a, np.uint32(n))

    def unit(self, a: Words) -> Any:
        return self.shr(a, 8).astype(np.float32) * np.float32(2.0**-24)

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        return np.linalg.norm(np.array([np.linalg.norm(array.ravel(), order) for array in arrays]), order)

    def at_most(self, a: Any, limit: float) -> Any:
        return np.minimum(a, limit)

    def greatest(self, a: Any, b: Any) -> Any:
        return np.maximum(a, b)

    def sign(self, a: Any) -> Any:
        return np.sign(a)

    def scaled(self, arrays: Sequence[Any], factor: Any) -> list[Any]:
        return [array * factor for array in arrays]

    def clipped(self, arrays: Sequence[Any], low: float, high: float) -> list[Any]:
        return [np.clip(array, low, high) for array in arrays]

    def added(self, arrays: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        return [a + b for a, b in zip(arrays, others, strict=True)]

    def mixed(self, arrays: Sequence[Any], others: Sequence[Any], weight: Any, reuse: bool = False) -> Sequence[Any]:
        if weight in (0, 1):
            return [np.array(b if weight else a) for a, b in zip(arrays, others, strict=True)]
        return [a + weight * (b - a) for a, b in zip(arrays, others, strict=True)]

    def zeros(self, arrays: Sequence[Any]) -> list[Any]:
        return [np.zeros_like(array) for array in arrays]

    def select(self, condition: Any, arrays: Sequence[Any], others: Sequence[Any]) -> Sequence[Any]:
        if isinstance(condition, np.ndarray):
            return [np.where(condition, a, b) for a, b in zip(arrays, others, strict=True)]
        return arrays if condition else others

    def finite(self, a: Any) -> Any:
        return np.isfinite(a)

    def both(self, a: Any, b: Any) -> Any:
        return bool(a) and bool(b)

    def resized(self, images: Any, size: tuple[int, int]) -> Any:
        rows, columns = (_linear(images.shape[2 + axis], size[axis], images.dtype) for axis in (0, 1))
        return rows @ images @ columns.T

    def flipped(self, a: Any, axes: Sequence[int]) -> Any:
        return np.flip(a, tuple(axes))

    def shared(self, a: Any) -> Any:
        return a

    def softmax(self, a: Any, axis: int) -> Any:
        raised = np.exp(a - a.max(axis, keepdims=True))
        return raised / raised.sum(axis, keepdims=True)

    def sigmoid(self, a: Any) -> Any:
        small = np.exp(-np.abs(a))  # no number is too great for it
        return np.where(a >= 0, 1, small) / (1 + small)

    def argmax(self, a: Any, axis: int) -> Any:
        return a.argmax(axis)

    def width(self, arrays: Sequence[Any]) -> AbstractContextManager[Any]:
        return nullcontext()


def _linear(length: int, new: int, dtype: Any) -> Any:
    """(new, length): of what each new pixel of a line is made."""
    place = np.clip((np.arange(new) + 0.5) * length / new - 0.5, 0, length - 1)
    low = np.floor(place).astype(np.int64)
    high, part = np.minimum(low + 1, length - 1), place - low
    out = np.zeros((new, length), dtype)
    np.add.at(out, (np.arange(new), low), 1 - part)
    np.add.at(out, (np.arange(new), high), part)
    return out

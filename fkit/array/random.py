"""Counter-based randomness: a key and a counter decide every bit, on every library, in any order.

There is no state to save and none to share. A stream is a function of its key (which run, which layer, which step) and
of a counter (which element), so a mask is the same on torch, on JAX and on numpy, for any number of devices and
workers, and after any resume.

What a random layer draws is decided by three things: its key, ``fold(key of the phase, tag(path))``, where phase p of
step i has ``fold(fold(run key, i), p)``; how often it was called before in this phase (`call_key`); and the place of
the element, or of the sample, in the whole batch, wherever the part of the batch is computed.

The mixer is the multiply-xorshift finalizer "lowbias32" (C. Wellons, hash-prospector, 2018), run twice with a word of
the key before each run.
"""

import hashlib
import operator
from math import prod
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence
from numpy.typing import NDArray

from fkit.array.ops import Host, WordOps, Words
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "Key",
    "bits",
    "call_key",
    "fold",
    "generator",
    "host_fold",
    "keep",
    "keep_elements",
    "keep_samples",
    "key",
    "permutation",
    "scramble",
    "seed_of",
    "tag",
    "uniform",
]

Key = tuple[Words, Words]
"""Two words. On the host Python ints; inside a compiled step, arrays of the library."""

_GOLDEN = 0x9E3779B9  # 2**32 / golden ratio: spreads neighbouring counters
_BITS = 10_000  # of a seed; Python writes no number of more than 4,300 digits as text
_TURN = 0x85EBCA6B  # parts the two words of a folded key


def seed_of(number: Any, what: str = "seed") -> int:
    """A whole number as a Python int: numpy's and Python's ints of one value are one seed.

    Args:
        number: the number.
        what: what it is, for the message.

    Raises:
        FkitTypeError: it is no whole number; True and 1.0 are none.
        FkitValueError: it is too long to be written as text.

    Example:
        >>> seed_of(np.int64(3)), seed_of(2**70) == 2**70
        (3, True)
    """
    if type(number) is int and number.bit_length() <= _BITS:  # a stream's key asks thrice a sample
        return number
    if not isinstance(number, (bool, np.bool_)):
        try:
            whole = operator.index(number)
        except TypeError:
            whole = None
        if whole is not None and whole.bit_length() <= _BITS:
            return whole
        if whole is not None:
            raise FkitValueError(f"{what} is a whole number of more than {_BITS} bits.")
    raise FkitTypeError(f"{what} = {quoted(number)} is not a whole number.")


def key(seed: int, *path: str | int) -> tuple[int, int]:
    """The key of one stream of a run: ``key(seed, "data", epoch, place)``.

    Args:
        seed: the run's seed, any int, Python's or numpy's.
        path: what the stream is for; ints and strings, told apart ("1" is not 1).

    Returns:
        Two ints below 2**32: the first 64 bits of BLAKE2b over the words.

    Raises:
        FkitTypeError: a seed or a word that is neither (a bool or a float is not).

    Example:
        >>> key(0, "init", "conv1.weight") == key(np.uint8(0), "init", "conv1.weight")
        True
        >>> key(0, "data", 1) == key(0, "data", "1")
        False
    """
    words = (seed_of(seed), *[part if type(part) is str else _word(part) for part in path])
    number = int.from_bytes(hashlib.blake2b(repr(words).encode(), digest_size=8).digest(), "little")
    return number & 0xFFFFFFFF, number >> 32


def _word(part: Any) -> str | int:
    return str.__str__(part) if isinstance(part, str) else seed_of(part, "a word of a key")


def tag(name: str) -> int:
    """A 32-bit word for a name, to fold into a key where only words can go (inside a compiled step).

    Example:
        >>> 0 <= tag("backbone.drop") < 2**32
        True
    """
    expect(name, str, "`name` is a string")
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "little")


def bits(xp: WordOps, of: Key, counter: Words, shape: tuple[int, ...] = ()) -> Words:
    """Random words: element i of the answer is decided by ``of`` and ``counter + i`` alone.

    Args:
        xp: the library's `fkit.array.ops.Ops`.
        of: the stream's key.
        counter: the first counter (a word of ``xp``; counters go modulo 2**32).
        shape: of the answer; C order.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> whole = bits(Numpy(), key(0, "x"), 0, (4,))
        >>> bool((whole[2:] == bits(Numpy(), key(0, "x"), 2, (2,))).all())
        True
    """
    _check_library(xp)
    expect(shape, (tuple, list), "`shape` is a tuple of lengths")
    return scramble(xp, of, xp.words(counter, shape))


def scramble(xp: WordOps, of: Key, counters: Words) -> Words:
    """Random words for counters that are laid out already (an array in another order of axes, say)."""
    first, second = (xp.word(word) if isinstance(word, int) else word for word in _words(of))
    x = _mix(xp, xp.add(xp.mul(counters, xp.word(_GOLDEN)), first))
    return _mix(xp, xp.xor(x, second))


def fold(xp: WordOps, of: Key, number: Words) -> Key:
    """The key of a sub-stream: of step ``number``, or of the layer whose `tag` is ``number``.

    Example:
        >>> from fkit.array.ops import Host
        >>> fold(Host(), key(0, "train"), 3) != fold(Host(), key(0, "train"), 4)
        True
    """
    _check_library(xp)
    first, second = _words(of)
    other = (xp.xor(second if not isinstance(second, int) else xp.word(second), xp.word(_TURN)), first)
    return scramble(xp, of, number), scramble(xp, other, number)


def uniform(xp: WordOps, of: Key, counter: Words, shape: tuple[int, ...] = ()) -> Any:
    """float32 in [0, 1), 24 random bits each, equal on every library."""
    random_words = bits(xp, of, counter, shape)
    return xp.unit(random_words)


def keep(xp: WordOps, counters: Words, of: Key, rate: float) -> Any:
    """A boolean mask, False with probability ``rate``: which elements a dropout keeps.

    Args:
        counters: each element's place in the whole (global) batch, in torch's layout.
    """
    _check_library(xp)
    return xp.unit(scramble(xp, of, counters)) >= rate


def call_key(xp: WordOps, of: Key, call: int) -> Key:
    """The key of one call of a random layer: a layer that is called twice in a step draws twice.

    Args:
        of: the layer's key in this phase of this step.
        call: how often the layer was called before, from 0.

    Example:
        >>> from fkit.array.ops import Host
        >>> call_key(Host(), key(0, "drop"), 0) != call_key(Host(), key(0, "drop"), 1)
        True
    """
    _check_library(xp)
    return fold(xp, of, xp.word(seed_of(call, "call")))


def keep_elements(xp: WordOps, of: Key, rate: float, shape: tuple[int, ...], first: Words = 0) -> Any:
    """Which elements a dropout keeps: a boolean mask of ``shape``, False with probability ``rate``.

    Args:
        of: the key of the call.
        shape: of the activation in torch's layout, (N, ...), or of a part of it.
        first: the place of its first sample in the whole (global) batch: an int, or a word of ``xp``.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> whole = keep_elements(Numpy(), key(0, "drop"), 0.5, (4, 3))
        >>> bool((whole[2:] == keep_elements(Numpy(), key(0, "drop"), 0.5, (2, 3), first=2)).all())
        True
    """
    _check_library(xp)
    expect(shape, (tuple, list), "`shape` is a tuple of lengths")
    row = prod(shape[1:])
    start = first * row if isinstance(first, int) else xp.mul(first, xp.word(row))
    return keep(xp, xp.words(start, shape), of, rate)


def keep_samples(xp: WordOps, of: Key, rate: float, count: int, first: Words = 0) -> Any:
    """Which samples a stochastic depth keeps: (count,) bool, False with probability ``rate``; see `keep_elements`.

    Example:
        >>> from fkit.array.ops import Numpy
        >>> keep_samples(Numpy(), key(0, "path"), 0.5, 6)[4:].tolist()
        [True, True]
        >>> keep_samples(Numpy(), key(0, "path"), 0.5, 2, first=4).tolist()
        [True, True]
    """
    _check_library(xp)
    return keep(xp, xp.words(first, (count,)), of, rate)


def generator(of: tuple[int, int]) -> np.random.Generator:
    """A numpy Generator (Philox) that the key decides: for draws on the host, augmentation among them.

    Example:
        >>> bool(generator(key(0, "data", 1)).integers(100) == generator(key(0, "data", 1)).integers(100))
        True
    """
    first, second = _words(of)
    if not (type(first) is type(second) is int):
        first, second = seed_of(first, "a word of a key"), seed_of(second, "a word of a key")
    if not (0 <= first < 2**32 and 0 <= second < 2**32):
        raise FkitValueError(f"A key is two words from 0 to 2**32 - 1, not {quoted(of)}.")
    words: Any = _Words(first | second << 32)
    return np.random.Generator(np.random.Philox(words))


class _Words(ISpawnableSeedSequence):
    """A key as what Philox takes its own from: ``Philox(key=...)`` asks the system for entropy beside it, which takes
    five times as long, and from which ``spawn`` would draw other children in every run.
    """

    __slots__ = ("children", "key")

    def __init__(self, key: int) -> None:
        self.key = key
        self.children: np.random.SeedSequence | None = None

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        """Philox asks for its key: two words of 64 bits."""
        return np.array([self.key, 0], np.uint64)

    def spawn(self, n_children: int) -> list[Any]:
        """Children for ``Generator.spawn``: others at each call, the same in each run."""
        if self.children is None:
            self.children = np.random.SeedSequence(self.key)
        return self.children.spawn(n_children)


def permutation(of: tuple[int, int], count: int) -> NDArray[np.int64]:
    """The numbers below ``count`` in an order that the key decides; (count,) int64."""
    if seed_of(count, "count") < 0:
        raise FkitValueError(f"count = {count} is below 0.")
    return generator(of).permutation(count)


def _check_library(xp: Any) -> None:
    if not hasattr(xp, "words"):
        raise FkitTypeError(
            f"`xp` is the operations of an array library, not {quoted(xp)}.",
            repair="fkit.array.ops.Numpy() are numpy's.",
        )


def _words(of: Any) -> tuple[Any, Any]:
    try:
        first, second = of
    except (TypeError, ValueError):
        raise FkitTypeError(f"A key is two words, as key(seed, ...) gives them, not {quoted(of)}.") from None
    return first, second


def host_fold(of: tuple[int, int], number: int) -> tuple[int, int]:
    """`fold` on Python ints: what a step that runs on the host derives its keys by."""
    return fold(Host(), of, number)


def _mix(xp: WordOps, x: Words) -> Words:
    x = xp.mul(xp.xor(x, xp.shr(x, 16)), xp.word(0x7FEB352D))
    x = xp.mul(xp.xor(x, xp.shr(x, 15)), xp.word(0x846CA68B))
    return xp.xor(x, xp.shr(x, 16))

"""What reading a config may cost: steps, sizes and depths, so that no file hangs the reader or eats its memory."""

from collections.abc import Iterable
from typing import Any

from fkit.tree.error import FkitError, FkitValueError

__all__ = ["BITS", "Budget", "check_bits", "extent", "listed", "span"]

_STEPS = 600_000  # about a second of the evaluator
_NODES = 300_000  # nodes of the tree, written out; the largest known config has some thousand
_DEPTH = 100
_CHARACTERS = 250_000  # of a file and its bases, which Python parses in 200 MB; the longest known config has 75,000
_DIGITS = 4_300  # of an integer: Python turns no longer one into text
BITS = 14_285  # of a number of so many digits
_LARGEST = 10**_DIGITS
_ONE_HASH = 32  # different keys that may have one hash; a dict compares each of them with all before it
_HASH = 2**61 - 1  # smaller integers are their own hash
_VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
_MANY = (list, tuple, set, frozenset, *_VIEWS)
_PLAIN = frozenset((float, bool, type(None)))
_SAFE_KEYS = frozenset((str, bytes, float, bool, type(None)))  # text has a hash that no file can foresee


class Budget:
    """Steps that are left to read one config with all its bases; every loop, call and container takes some.

    Args:
        steps: how many there are at first.
    """

    __slots__ = ("_keys", "characters", "depth", "files", "left")

    def __init__(self, steps: int = _STEPS) -> None:
        self.left = steps
        self.files = 0
        self.characters = 0
        self.depth = _DEPTH
        self._keys: dict[int, tuple[Any, ...]] = {}  # hash -> the keys that have it, where a file can choose them

    def spend(self, steps: int) -> None:
        """Take steps.

        Raises:
            FkitValueError: there are none left, or a cost is below nothing.
        """
        if not 0 <= steps <= self.left:
            raise FkitValueError("The config computes too much: a loop without end, or a value without bounds.")
        self.left -= steps

    def key(self, value: Any) -> Any:
        """Take the steps for hashing a value, which is given back.

        Raises:
            FkitValueError: many keys were chosen to have one hash.
            TypeError: a list, a dict or a slice (which Python 3.12 can hash).
        """
        kind = type(value)
        if kind in _SAFE_KEYS or (kind is int and -_HASH < value < _HASH):
            return value
        if kind is slice or (kind is tuple and slice in map(type, value)):
            raise TypeError("unhashable type: 'slice'")
        self.spend(self.weigh(value))
        digest = hash(value)
        known = self._keys.get(digest, ())
        if value not in known:
            if len(known) == _ONE_HASH:
                raise FkitValueError(f"The config has more than {_ONE_HASH} keys that have one hash.")
            self._keys[digest] = (*known, value)
        return value

    def hold(self, weight: int) -> None:
        """Check the weight of a tree that is kept."""
        if weight > _NODES:
            raise FkitValueError(f"The config has more than {_NODES} nodes when it is written out.")

    def file(self, length: int) -> None:
        """Count a file, and its characters.

        Raises:
            FkitValueError: there are too many.
        """
        self.files += 1
        self.characters += length
        if self.characters > _CHARACTERS:
            raise FkitValueError(f"The config and its bases have more than {_CHARACTERS} characters.")
        if self.files > 500:
            raise FkitValueError("The config has more than 500 bases.")

    def cyclic(self) -> FkitError:
        """The error of a value that holds itself."""
        return FkitValueError("A value of the config holds itself.")

    def deep(self) -> FkitError:
        """The error of a tree that is too deep."""
        return FkitValueError(f"The config is nested more than {self.depth} levels deep, or a value holds itself.")

    def weigh(self, value: Any) -> int:
        """How many nodes a value has, each counted as often as it is reached; long texts and numbers count as several.

        Raises:
            FkitValueError: more than are left, or a value that is too deep, or holds itself.
        """
        level: list[Any] = [value]
        weight = depth = 0
        while level:
            weight += len(level)
            below: list[Any] = []
            for item in level:
                kind = type(item)
                if kind is str:
                    weight += len(item) >> 3
                elif kind in _PLAIN:
                    continue
                elif isinstance(item, dict):
                    below.extend(item.values())
                    try:
                        weight += len("".join(item)) >> 6
                    except TypeError:  # keys that are no text
                        below.extend(item)
                elif isinstance(item, _MANY):
                    below.extend(item)
                else:
                    weight += extent(item)
                if len(below) > self.left:
                    self.spend(len(below))
            if weight > self.left:
                self.spend(weight)
            if below and depth > self.depth:
                raise self.deep()
            depth += 1
            level = below
        return weight


def extent(value: Any) -> int:
    """The room that a value itself takes, in steps: characters and slots of a list by eights, keys each, bits by words.

    Raises:
        FkitValueError: an integer of more digits than Python writes.

    Example:
        >>> extent("a" * 80), extent([0] * 80), extent({1, 2}), extent(7), extent(None)
        (10, 10, 2, 0, 0)
    """
    if isinstance(value, int):
        return check_bits(value.bit_length() + (abs(value) >= _LARGEST))
    if isinstance(value, (str, bytes, list, tuple)):
        return len(value) >> 3
    if isinstance(value, (dict, set, frozenset, *_VIEWS)):
        return len(value)
    return span(value) if isinstance(value, range) else 0


def check_bits(bits: int) -> int:
    """The room that an integer of so many bits takes, in steps.

    Raises:
        FkitValueError: it would have more digits than Python writes.
    """
    if bits > BITS:
        raise FkitValueError(f"The config has an integer of more than {_DIGITS} digits.")
    return bits >> 6


def span(numbers: range) -> int:
    """How many numbers a range has, of any size."""
    return max(0, -((numbers.start - numbers.stop) // numbers.step))


def listed(value: Iterable[Any], budget: Budget) -> list[Any]:
    """The items of an iterable, for which steps are taken before it is gone through."""
    if isinstance(value, (str, bytes, dict, *_MANY)):
        budget.spend(len(value))
    elif isinstance(value, range):
        budget.spend(span(value))
    return list(value)

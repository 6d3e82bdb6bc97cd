"""What reading a config may cost: steps, sizes and depths, so that no file hangs the reader or eats its memory."""

from typing import Any

from fkit.tree.error import FkitError, FkitValueError

__all__ = ["Budget"]

_STEPS = 600_000  # about a second of the evaluator
_NODES = 300_000  # nodes of the tree, written out; the largest known config has some thousand
_DEPTH = 100
_CHARACTERS = 1_000_000  # of a file and its bases; the longest known config has 75,000
_BITS = 20_000  # of one integer
_WORD = 2**60


class Budget:
    """Steps that are left to read one config with all its bases; every loop, call and container takes some.

    Args:
        steps: how many there are at first.
    """

    __slots__ = ("characters", "depth", "files", "left")

    def __init__(self, steps: int = _STEPS) -> None:
        self.left = steps
        self.files = 0
        self.characters = 0
        self.depth = _DEPTH

    def spend(self, steps: int) -> None:
        """Take steps.

        Raises:
            FkitValueError: there are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise FkitValueError("The config computes too much: a loop without end, or a value without bounds.")

    def key(self, value: Any) -> Any:
        """Take the steps for hashing a value, which is given back."""
        if isinstance(value, (tuple, frozenset)):
            self.spend(self.weigh(value))
        elif isinstance(value, (int, float)) and not -_WORD < value < _WORD:
            self.spend(200)  # such numbers can be chosen to have one hash: each is compared with all before it
        return value

    def text(self, length: int) -> None:
        """Take the steps for a string of this length."""
        self.spend(1 + (length >> 3))

    def bits(self, count: int) -> None:
        """Take the steps for an integer of so many bits."""
        if count > _BITS:
            raise FkitValueError(f"The config computes an integer of {count} bits.")
        self.spend(1 + (count >> 5))

    def divide(self, first: int, second: int) -> None:
        """Take the steps for dividing integers of so many bits, which takes their product."""
        self.spend(1 + ((first >> 6) * (second >> 6) >> 6))

    def width(self, count: int) -> None:
        """Allow a field width."""
        if count > 10_000:
            raise FkitValueError(f"The config asks for a text of {count} characters.")

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
        return FkitValueError(f"The config is nested more than {self.depth} levels deep.")

    def weigh(self, value: Any) -> int:
        """How many nodes a value has, each counted as often as it is reached.

        Raises:
            FkitValueError: more than are left, or a value that holds itself.
        """
        stack: list[Any] = [value]
        count = 0
        while stack:
            top = stack.pop()
            count += 1
            if isinstance(top, (list, tuple, set, frozenset)):
                stack.extend(top)
            elif isinstance(top, dict):
                stack.extend(top.values())
                count += sum(1 for key in top if isinstance(key, tuple))
            elif isinstance(top, str):
                count += len(top) >> 6
            if len(stack) > self.left or count > self.left:
                self.spend(self.left + 1)
        return count

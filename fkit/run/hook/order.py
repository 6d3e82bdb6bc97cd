"""In which order hooks fire: by priority, ties in order of registration."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["PRIORITIES", "Placed", "priority_number", "register"]

PRIORITIES: Mapping[str, int] = frozen(
    dict(HIGHEST=0, VERY_HIGH=10, HIGH=30, ABOVE_NORMAL=40, NORMAL=50, BELOW_NORMAL=60, LOW=70, VERY_LOW=90, LOWEST=100)
)

H = TypeVar("H")


class Placed(NamedTuple):
    """A hook in its place.

    Attributes:
        priority: its number.
        name: of its memory.
        hook: itself.
    """

    priority: int
    name: str
    hook: Any


def priority_number(priority: str | int) -> int:
    """A priority's number: 0 fires first, 100 last.

    Example:
        >>> priority_number("VERY_LOW"), priority_number(42)
        (90, 42)
    """
    if isinstance(priority, bool) or not isinstance(priority, (int, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"priority = {priority!r} is neither a name nor a number from 0 to 100.")
    if isinstance(priority, int):
        if 0 <= priority <= 100:
            return priority
        raise FkitValueError(f"priority = {priority} is not from 0 to 100.")
    if priority.upper() not in PRIORITIES:
        raise FkitValueError(f"priority = {priority!r} is unknown.", value=priority, choices=tuple(PRIORITIES))
    return PRIORITIES[priority.upper()]


def register(
    rows: Iterable[Placed], name: str, hook: Any, priority: str | int | None = None, said: str | int | None = None
) -> tuple[Placed, ...]:
    """The hooks in firing order with one more, behind those of the same priority.

    Args:
        rows: in firing order.
        priority: that of the call; before that of the hook's config, before that of its class.
        said: that of its config.

    Raises:
        FkitError: the priority is none.

    Example:
        >>> rows = register((), "a", "first")
        >>> rows = register(register(rows, "b", "second"), "c", "third", "HIGH", said="LOW")
        >>> [(row.name, row.priority) for row in rows]
        [('c', 30), ('a', 50), ('b', 50)]
    """
    chosen = next((one for one in (priority, said) if one is not None), getattr(hook, "priority", "NORMAL"))
    number = priority_number(chosen)
    before = [row for row in rows if row.priority <= number]
    after = [row for row in rows if row.priority > number]
    return (*before, Placed(number, name, hook), *after)

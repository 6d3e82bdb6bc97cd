"""When hooks are next due."""

from fkit.run.hook.hook import NEVER
from fkit.run.state import Position

__all__ = ["next_in_pass", "next_multiple"]


def next_multiple(interval: int, position: Position) -> int:
    """The next iteration of the run whose number is a multiple of ``interval``.

    Example:
        >>> next_multiple(50, Position(iteration=50)), next_multiple(50, Position(iteration=99))
        (100, 100)
    """
    return (position.iteration // interval + 1) * interval


def next_in_pass(interval: int, event: str, position: Position, length: int) -> int:
    """The next iteration whose number in its pass over the data is a multiple of ``interval``, counted as `Hook.due` counts.

    Example:
        >>> at = Position(iteration=13, inner=3)
        >>> next_in_pass(4, "after_train_iter", at, 10), next_in_pass(9, "after_train_iter", at._replace(inner=9), 10)
        (14, 23)
        >>> next_in_pass(4, "after_val_iter", at, 10), next_in_pass(11, "after_train_iter", at, 10) == NEVER
        (4, True)
    """
    held_out = not event.endswith("train_iter")
    inner = position.inner % length if length and not held_out else position.inner
    done = position.inner if held_out else position.iteration
    steps, left = interval - inner % interval, length - inner
    if not length or steps <= left:
        return done + steps
    return NEVER if held_out or interval > length else done + left + interval

"""What several processes of one run agree on: a signal that any of them has got, and the numbers that a log shows."""

from collections.abc import Callable, Sequence
from typing import Any

from fkit.training.fleet import Fleet

__all__ = ["Agreement", "reading"]


class Agreement:
    """A signal that any process has got, seen by all after the same step: each step begins a vote and asks for the result of the
    one before it, so that nobody waits.

    Args:
        fleet: the processes.

    Example:
        >>> agree = Agreement(Fleet())
        >>> agree("SIGTERM"), agree("")
        ('', 'SIGTERM')
    """

    __slots__ = ("_ask", "_fleet", "_mine")

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._mine = ""
        self._ask: Callable[[], int] | None = None

    def __call__(self, signal: str) -> str:
        """The name of a signal that the processes end by now; "" where there is none.

        Args:
            signal: that this process has got, or "".
        """
        self._mine = self._mine or signal
        ask, self._ask = self._ask, self._fleet.vote(1 if self._mine else 0)
        if ask is None or not ask():
            return ""
        return next(name for name in self._fleet.gather(self._mine) if name)

    def least(self, number: int) -> int:
        """The least number of any process: how many batches of a pass all of them have."""
        return -self._fleet.vote(-number)()


def reading(fleet: Fleet, fetch: Callable[[Sequence[Any]], list[float]]) -> Callable[[Sequence[Any]], list[float]]:
    """``fetch``, of numbers that are means over the processes.

    Args:
        fetch: the room's; all processes read the same events.

    Example:
        >>> reading(Fleet(), lambda arrays: [float(array) for array in arrays])([1, 2])
        [1.0, 2.0]
    """
    return (lambda arrays: fleet.mean(fetch(arrays))) if fleet.several else fetch

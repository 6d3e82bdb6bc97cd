"""The processes of one run: this one's place among them, and what they do together. Alone, which is the default, all of it
is the identity."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from fkit.tree.error import FkitError

__all__ = ["ALONE", "Fleet", "Parallel", "Told"]

T = TypeVar("T")


def _gather(value: Any) -> list[Any]:
    return [value]


def _share(value: Any) -> Any:
    return value


def _vote(number: int) -> Callable[[], int]:
    return lambda: number


class Parallel(NamedTuple):
    """How a step is shared by processes.

    Attributes:
        kind: "ddp" keeps the whole state in each process, "fsdp" a part of it.
        options: of torch's DistributedDataParallel or fully_shard, by their names. Of "fsdp" also what is gathered by itself: ``wrap``,
            names of classes, or ``least``, of so many parameters.
        sync_bn: whether batch norm of any name takes the statistics of the whole batch; layers named SyncBN always do.
    """

    kind: str = "ddp"
    options: tuple[tuple[str, Any], ...] = ()
    sync_bn: bool = False


class Told(FkitError):
    """What ended the process of rank 0, which has said it: the others end with it in silence.

    Args:
        what: its words.
        code: what the command ends with.
    """

    def __init__(self, what: str, code: int = 2) -> None:
        super().__init__(what)
        self.code = code

    @property
    def exit_code(self) -> int:
        return self.code


class Fleet(NamedTuple):
    """The processes of a run. Every function but ``first``'s argument is called by all of them, in the same order.

    Attributes:
        rank: of this process; that of rank 0 alone writes and speaks.
        world: how many there are.
        local_rank: its number among those of its machine.
        gather: ``(value) -> [value of each rank]``, in their order; picklable values.
        share: ``(value) -> value of rank 0``.
        vote: ``(number) -> ask``; ``ask()`` is the greatest number of any rank, and may be called later: nobody waits
            meanwhile.

    Example:
        >>> alone = Fleet()
        >>> alone.gather("a"), alone.mean([1.0, 2.0]), alone.vote(3)(), alone.first(lambda: 7)
        (['a'], [1.0, 2.0], 3, 7)
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    gather: Callable[[Any], list[Any]] = _gather
    share: Callable[[Any], Any] = _share
    vote: Callable[[int], Callable[[], int]] = _vote

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.world > 1

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """The means over the ranks, number by number, summed in the order of ranks: the same bits everywhere. A number
        that some ranks lack is the mean over those that have it."""
        if not self.several or not numbers:
            return list(numbers)
        rows = self.gather(list(numbers))
        columns = [[row[i] for row in rows if i < len(row)] for i in range(max(map(len, rows)))]
        return [sum(column) / len(column) for column in columns][: len(numbers)]

    def first(self, function: Callable[[], T]) -> T:
        """What ``function()`` gives or raises in rank 0, which alone calls it, on all ranks.

        Raises:
            Exception: what it raised; in the others a `Told`.
        """
        if not self.several:
            return function()
        answer: Any = None
        if self.leads:
            try:
                answer = (True, function())
            except Exception as error:
                self.share((False, (str(error), getattr(error, "exit_code", 1))))
                raise
        good, value = self.share(answer)
        if good:
            return value
        raise Told(*value)


ALONE = Fleet()
"""A run of one process."""

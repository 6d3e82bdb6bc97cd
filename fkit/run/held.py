"""The sources of a run, checked: that there is one, how long it says it is, and that it gives as many batches."""

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from fkit.data.source import Source, epoch_of
from fkit.run.attempt import attempt, following
from fkit.run.state import Position
from fkit.structures.batch import Batch
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = ["Passing", "close", "length_of", "one_pass", "onward", "source_of"]

Passing = tuple[int, Batch, Batch]
"""A batch's number, the batch on the host, and as the device has it."""
Feed = Callable[[Iterator[Batch]], Iterator[Batch]]


def source_of(data: Mapping[str, Source], part: str) -> Source:
    """A source of a run's data.

    Raises:
        FkitKeyError: there is none under that name.
        FkitTypeError: it is none.
    """
    expect(data, Mapping, "`data` is a mapping of sources (fkit.open_data gives one)")
    if part not in data:
        raise FkitKeyError(
            f"`data` has no source {part!r}.", value=part, choices=tuple(str(name) for name in data), label="Data",
            repair=f"Set {part}_dataloader, or give data={{..., {part!r}: source}}.",
        )  # fmt: skip
    source = data[part]
    expect(source, Source, f"data[{part!r}] is a Source (Source.of(batches) makes one)")
    return source


def length_of(source: Source, part: str) -> int | None:
    """How many batches an epoch a source says it has; None where it is endless.

    Raises:
        FkitError: it says no number of at least 1.
    """
    length: Any = attempt(f"the length of data[{part!r}]", "iteration", 0, lambda: source.length)
    if length is None:
        return None
    if isinstance(length, bool) or not isinstance(length, int):
        raise FkitTypeError(f"data[{part!r}].length = {quoted(length)}: a whole number, or None for no end.")
    if length < 1:
        raise FkitValueError(f"data[{part!r}].length = {length}: at least 1 batch an epoch.")
    return length


def one_pass(source: Source, place: str, start: int = 0, feed: Feed = iter) -> Generator[Passing]:
    """The batches of held-out data from number ``start`` on, counted from 1.

    Args:
        place: where the run is, for messages.
        feed: gives the batches on their way to the device (`fkit.training.backend.Backend.feed`).

    Yields:
        (number, batch, batch): the second one is as ``feed`` gives it.

    Raises:
        RunError: the source raised.
        FkitValueError: there are fewer or more batches than its length says.
    """
    hosts: deque[Batch] = deque()  # those that were read early
    batches = feed(_kept(epoch_of(source, 0, start), hosts))
    try:
        for number in itertools.count(start + 1):
            batch = attempt("the data", place, number, following, batches)
            if batch is None:
                return
            yield number, hosts.popleft(), batch
    finally:
        close(batches)


def _kept(batches: Iterator[Batch], hosts: deque[Batch]) -> Generator[Batch]:
    try:
        for batch in batches:
            hosts.append(batch)
            yield batch
    finally:
        close(batches)


def onward(source: Source, at: Position) -> Generator[Passing]:
    """Held-out data again and again, from where an iteration-based run left it: for mmcv's "val" phase."""
    length = length_of(source, "val")
    start = at.val_done % length if length else at.val_done
    while True:
        yield from one_pass(source, "validation batch", start)
        start = 0


def close(batches: Iterator[Any] | None) -> None:
    """Let the workers of a stream go."""
    stop = getattr(batches, "close", None)
    if stop is not None:
        stop()

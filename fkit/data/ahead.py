"""Items worked on by a thread, a bounded number ahead of who reads them: how batches get to a device beside a step."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fkit.tree.check import expect, expect_call

__all__ = ["ahead"]

_AT_ONCE = 2  # the batch of this step, and that of the next


def ahead(items: Iterator[Any], put: Callable[[Any], Any]) -> Generator[Any]:
    """``put(item)`` for each item, in order, computed by a thread for one item more than was asked for.

    While an item is in use there are at most two others: the one that is ready, and the one that is being put when the
    next is asked for.

    The items are made by the caller's thread: making them may touch what is the process's, random generators say. When
    the generator ends or is closed, the thread has ended, and so has the items' iterator, if it can be closed.

    Raises:
        Exception: what the items' iterator or ``put`` raised, where its item would be.

    Example:
        >>> list(ahead(iter([1, 2, 3]), lambda number: number * 10))
        [10, 20, 30]
    """
    expect(items, Iterator, "`items` is an iterator")
    expect_call(put, "`put` is a function of an item")
    return _ahead(items, put)


def _ahead(items: Iterator[Any], put: Callable[[Any], Any]) -> Generator[Any]:
    waiting: deque[Future[Any]] = deque()
    more = True
    try:
        with ThreadPoolExecutor(1, "fkit feed") as thread:
            while True:
                while more and len(waiting) < _AT_ONCE:
                    more = _pull(items, put, thread, waiting)
                if not waiting:
                    return
                yield waiting.popleft().result()
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _pull(
    items: Iterator[Any], put: Callable[[Any], Any], thread: ThreadPoolExecutor, waiting: deque[Future[Any]]
) -> bool:
    """Hand one more item to the thread; False after the last one, or one that failed."""
    try:
        item = next(items)
    except StopIteration:
        return False
    except Exception as error:  # told where the item would be
        failed: Future[Any] = Future()
        failed.set_exception(error)
        waiting.append(failed)
        return False
    waiting.append(thread.submit(put, item))
    return True

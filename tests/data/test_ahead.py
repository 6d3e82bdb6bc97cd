"""Items that a thread works on ahead of their reader: order, errors, ends."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fkit.data.ahead import ahead


def test_items_are_put_ahead_in_order() -> None:
    seen: list[Any] = []
    put, hold = threading.Event(), threading.Event()

    def source() -> Iterator[int]:
        for i in range(6):
            seen.append(threading.current_thread())
            yield i

    def work(i: int) -> tuple[int, str]:
        if i == 1:
            put.set()
            assert hold.wait(5)
        return i * 10, threading.current_thread().name

    ready = ahead(source(), work)
    first, name = next(ready)
    # the next item is worked on meanwhile, and no further one was made; items are made here
    assert first == 0 and name.startswith("fkit feed") and put.wait(5)
    assert seen == [threading.current_thread()] * 2
    hold.set()
    assert [value for value, _ in ready] == [10, 20, 30, 40, 50]


def test_what_a_source_raises_comes_where_it_was() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ZeroDivisionError("no more")

    ready = ahead(source(), lambda i: i)
    assert [next(ready), next(ready)] == [1, 2]
    with pytest.raises(ZeroDivisionError, match="no more"):
        next(ready)
    broken = ahead(iter([1, 0]), lambda i: 1 // i)
    assert next(broken) == 1
    with pytest.raises(ZeroDivisionError):
        next(broken)


def test_a_reader_that_leaves_ends_the_thread() -> None:
    closed: list[bool] = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    ready = ahead(source(), lambda i: i)
    next(ready)
    assert any(thread.name.startswith("fkit feed") for thread in threading.enumerate())
    ready.close()
    assert not any(thread.name.startswith("fkit feed") for thread in threading.enumerate())
    assert closed == [True]

"""Batches of several runs of one process, made beside it by a few processes that they share."""

import functools
import hashlib
import os
import pickle
import tempfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any

from fkit.data.job import Job, Maker
from fkit.data.loader import Loader
from fkit.data.source import Source
from fkit.edge.worker import Failure, attempted, deaf, expect_made, settle
from fkit.structures.batch import Batch
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError, RunError

__all__ = ["Beside", "spare_cores"]


def spare_cores() -> int:
    """Cores that this process may use, but for one."""
    known = getattr(os, "sched_getaffinity", None)
    return (len(known(0)) if known is not None else os.cpu_count() or 1) - 1


@dataclass
class _Order:
    """A batch that is asked for."""

    job: Job
    answer: Future[Any]


class Beside:
    """Processes that make batches for whoever asks, in the order of asking. A context: they end with it.

    Args:
        count: how many.
        cv2_threads: threads of OpenCV in each; None is one.

    Raises:
        FkitValueError: the count is below 1.
    """

    def __init__(self, count: int, cv2_threads: int | None = None) -> None:
        expect_number(count, "Beside: count", whole=True)
        if count < 1:
            raise FkitValueError(f"Beside: count = {count}: at least one process.")
        self._folder = tempfile.TemporaryDirectory(prefix="fkit-beside-")

        means = (1 if cv2_threads is None else cv2_threads, 0, self._folder.name)
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=settle, initargs=means)
        self._known: dict[int, tuple[Maker, str]] = {}
        with deaf():
            for _ in range(count):  # starts one each
                self._pool.submit(os.getpid)

    def __enter__(self) -> "Beside":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def source(self, source: Source) -> Source:
        """The source, its batches made by these processes where it would make them in this one, and can be sent.

        Batches are the same wherever they are made.
        """
        expect(source, Source, "`source` is a source")
        if not isinstance(source, Loader) or source.workers:
            return source
        try:
            path = self._sent(source.make)
        except (pickle.PicklingError, AttributeError, TypeError):  # a lambda in it, an open file
            return source
        read = self._pool.submit(_reads, path).result()  # not where a class is of a module that only this process knows
        return replace(source, workers=1, spread=self._spread) if read else source

    def _spread(self, make: Maker, jobs: Iterator[Job], workers: int, ahead: int = 2) -> Generator[Batch]:
        """See `fkit.data.job.Workers`. Who waits for a batch makes others meanwhile, the last first, that no process has begun."""
        path, idle = self._sent(make), not make.of_others
        waiting: deque[_Order] = deque()
        try:
            while True:
                while len(waiting) <= 4 * ahead and (job := next(jobs, None)) is not None:
                    waiting.append(_Order(job, self._pool.submit(_made, path, job)))
                if not waiting:
                    return
                while idle and not waiting[0].answer.done() and _taken(make, waiting):
                    pass
                yield expect_made(waiting.popleft().answer.result())
        except BrokenProcessPool as error:
            raise RunError(
                "a process that makes batches died.", repair="Out of memory is the usual cause: fewer runs at a time."
            ) from error
        finally:
            for order in waiting:
                order.answer.cancel()

    def _sent(self, make: Maker) -> str:
        """The file that holds a maker, written once."""
        if id(make) not in self._known:
            text = pickle.dumps(make)
            path = Path(self._folder.name) / hashlib.sha256(text).hexdigest()
            path.write_bytes(text)
            self._known[id(make)] = make, str(path)
        return self._known[id(make)][1]


def _taken(make: Maker, orders: Iterable[_Order]) -> bool:
    """Make one of the batches here, the last that no process has begun; False where all are begun."""
    for order in reversed(tuple(orders)):
        if order.answer.cancel():
            order.answer = Future()
            order.answer.set_result(attempted(make, order.job))
            return True
    return False


@functools.cache
def _maker(path: str) -> Maker:
    """What a file named after its content holds."""
    return pickle.loads(Path(path).read_bytes())


def _reads(path: str) -> bool:
    return not isinstance(attempted(_maker, path), Failure)


def _made(path: str, job: Job) -> Any:
    return attempted(_maker(path), job)

"""Work in processes of their own: results as they come, and an error where a process dies.

Each process has a pipe of its own and one piece of work at a time: nothing is shared that a process could take with it.
"""

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from fkit.tree.check import expect, expect_call, expect_number
from fkit.tree.error import FkitRuntimeError, FkitTypeError, FkitValueError, quoted

__all__ = ["results_of"]

_AHEAD = 4  # how many pieces a process may have done before the one that is asked for
_UNSENT = (pickle.PicklingError, AttributeError, TypeError)  # what pickle raises


class _Worker(NamedTuple):
    """A process, and this end of its pipe."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"


def results_of(
    func: Callable[[Any], Any],
    tasks: Iterable[Any],
    nproc: int,
    *,
    initializer: Callable[..., Any] | None = None,
    initargs: tuple[Any, ...] = (),
    chunksize: int = 1,
    keep_order: bool = True,
) -> Iterator[Any]:
    """``func`` of each task, by ``nproc`` processes that are spawned; the tasks are taken as they are needed.

    Raises:
        FkitRuntimeError: a process died (killed, out of memory, ``os._exit``), or its initializer failed.
        FkitTypeError: ``func`` or a task cannot be sent to a process.
        Exception: what ``func`` raised.
    """
    expect_call(func, "`func` is a function of a task")
    expect(tasks, Iterable, "`tasks` are the tasks")
    for count, word in ((nproc, "nproc"), (chunksize, "chunksize")):
        expect_number(count, word, whole=True)
        if count < 1:
            raise FkitValueError(f"{word} = {count} is below 1.")
    for word, value in (("func", func), ("initializer", initializer), ("initargs", initargs)):
        try:
            pickle.dumps(value)
        except _UNSENT as cause:
            raise _unsent(f"`{word}` = {quoted(value)}", cause) from cause
    items = iter(tasks)
    chunks = iter(lambda: list(islice(items, chunksize)), [])
    workers: list[_Worker] = []
    try:
        yield from _run(chunks, workers, nproc, (func, initializer, tuple(initargs)), keep_order)
    finally:
        for worker in workers:  # none has work that anybody waits for
            worker.pipe.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _run(
    chunks: Iterator[list[Any]], workers: list[_Worker], nproc: int, job: tuple[Any, ...], keep_order: bool
) -> Iterator[Any]:
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, int]] = {}
    ready: dict[int, list[Any]] = {}
    sent, wanted, more = 0, 0, True
    while more or busy:
        while more and len(busy) < nproc and (not keep_order or sent - wanted < nproc * _AHEAD):
            chunk = next(chunks, None)
            if chunk is None:
                more = False
                break
            if not idle:
                idle.append(_started(job))
                workers.append(idle[-1])
            worker = idle.pop()
            _send(worker, chunk)
            busy[worker.pipe] = worker, sent
            sent += 1
        while ready and (not keep_order or wanted in ready):
            yield from ready.pop(wanted if keep_order else next(iter(ready)))
            wanted += 1
        for pipe in wait(list(busy)) if busy else ():
            worker, number = busy.pop(pipe)
            ready[number] = _received(worker)
            idle.append(worker)
    for number in sorted(ready):
        yield from ready[number]


def _started(job: tuple[Any, ...]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, *job), daemon=True)
    process.start()
    there.close()  # so that the pipe ends where the process does
    return _Worker(process, here)


def _send(worker: _Worker, chunk: list[Any]) -> None:
    try:
        worker.pipe.send(chunk)
    except OSError as cause:
        raise _death(worker.process) from cause
    except _UNSENT as cause:
        raise _unsent(f"a task, of {quoted(chunk)},", cause) from cause


def _received(worker: _Worker) -> list[Any]:
    try:
        done, answer = worker.pipe.recv()
    except (EOFError, OSError) as cause:
        raise _death(worker.process) from cause
    if not done:
        raise answer
    return answer


def _serve(
    pipe: "Connection[Any, Any]", func: Callable[[Any], Any], initializer: Callable[..., Any] | None, initargs: Any
) -> None:
    """What a process does: pieces of work, until its pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gave the work: it ends this one
    if initializer is not None:
        initializer(*initargs)
    while True:
        try:
            chunk = pipe.recv()
        except EOFError:
            return
        try:
            answer = _answer([func(task) for task in chunk])
        except Exception as error:
            error.add_note("In a worker process:\n" + traceback.format_exc())
            answer = _packed(error)
        pipe.send_bytes(answer)


def _answer(results: list[Any]) -> bytes:
    try:
        return pickle.dumps((True, results))
    except _UNSENT as cause:
        raise _unsent(f"a result, of {quoted(results)},", cause) from None


def _packed(error: Exception) -> bytes:
    try:
        packed = pickle.dumps((False, error))
        pickle.loads(packed)
        return packed
    except Exception:  # an exception of a user's own may say anything when it is packed
        return pickle.dumps((False, FkitRuntimeError(f"{type(error).__name__}: {error}")))


def _unsent(what: str, cause: Exception) -> FkitTypeError:
    return FkitTypeError(
        f"{what} cannot be sent to a process: {cause}.",
        repair="Functions and classes are defined at the top of a module.",
    )


def _death(process: BaseProcess) -> FkitRuntimeError:
    process.join(10)
    code = process.exitcode
    if code is None or code == 0:
        how = "ended before its work was done"
    elif code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    else:
        how = f"ended with status {code}"
    repair = "Its own message, if it had one, stands above."
    if code == -signal.SIGKILL:
        repair = "The system kills a process that takes too much memory: try fewer processes."
    return FkitRuntimeError(f"A worker process {how}; what it was working on is lost.", repair=repair)

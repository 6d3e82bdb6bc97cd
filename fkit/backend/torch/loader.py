"""Batches made in worker processes, by torch's DataLoader; numpy outside, for either backend."""

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.util import Finalize
from pickle import PicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing import get_all_start_methods, get_context
from torch.utils.data import DataLoader, Dataset

from fkit.backend.torch.interop import walk
from fkit.edge.worker import attempted, deaf, expect_made, settle
from fkit.structures.batch import Batch
from fkit.structures.views import Views, views_of
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, RunError

__all__ = ["workers"]

# smaller arrays are pickled: a block of shared memory costs more than copying them
_SHARED_BYTES = 64 * 1024

_PATIENCE_SECONDS = 5.0  # that a worker has for the sample it is at, when its iterator is closed


class _Made(Dataset[Any]):
    """``make`` as a map-style dataset whose index is the job."""

    def __init__(self, make: Callable[[Any], Batch]) -> None:
        self.make = make

    def __getitem__(self, job: Any) -> Any:
        return attempted(self._made, job)

    def _made(self, job: Any) -> list[Any]:
        return [(view.meta, _fields(view, _share)) for view in views_of(self.make(job))]


class _Jobs:
    """An iterator as a sampler."""

    def __init__(self, jobs: Iterator[Any]) -> None:
        self.jobs = jobs

    def __iter__(self) -> Iterator[Any]:
        return iter(self.jobs)


def workers(
    make: Callable[[Any], Batch],
    jobs: Iterator[Any],
    workers: int,
    ahead: int = 2,
    *,
    method: str = "forkserver",
    cv2_threads: int | None = None,
) -> Iterator[Batch]:
    """``make(job)`` for each job, in the order of the jobs, whatever the number of workers.

    Args:
        make: a function that can be pickled; everything that a batch depends on is in the job.
        jobs: values that can be pickled; asked for ``ahead * workers`` jobs early.
        workers: processes; 0 makes the batches right here. They use one torch thread each and leave Ctrl-C, SIGTERM and
            SIGHUP to the main process, whose end they follow.
        ahead: batches that each worker makes before they are asked for.
        method: how the processes start: "forkserver" (spawn where there is none) or "spawn".
        cv2_threads: threads of OpenCV in each; None leaves them.

    Yields:
        Batches of numpy arrays. Closing the iterator ends the processes.

    Raises:
        FkitError: ``make`` raised one.
        RunError: ``make`` raised anything else, or a worker died.
    """
    if workers < 0 or ahead < 1:
        raise FkitValueError(f"num_workers={workers}, prefetch_factor={ahead}: 0 or more, and 1 or more.")
    return _local(make, jobs) if workers == 0 else _remote(make, jobs, (workers, ahead), method, cv2_threads)


def _local(make: Callable[[Any], Batch], jobs: Iterator[Any]) -> Iterator[Batch]:
    for job in jobs:
        try:
            batch = make(job)
        except FkitError:
            raise
        except Exception as error:
            raise RunError(f"the data pipeline raised {type(error).__name__}: {error}") from error
        yield batch


def _remote(
    make: Callable[[Any], Batch], jobs: Iterator[Any], counts: tuple[int, int], method: str, cv2_threads: int | None
) -> Iterator[Batch]:
    with warnings.catch_warnings():  # more workers than cores is for the user to choose
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        warnings.filterwarnings("ignore", message="Got pickle error")  # `_started` says it
        loader = DataLoader(
            _Made(make),
            sampler=_Jobs(jobs),  # type: ignore[arg-type]  an iterable suffices where batches are made by the jobs
            batch_size=None,
            num_workers=counts[0],
            prefetch_factor=counts[1],
            collate_fn=_same,
            worker_init_fn=partial(settle, cv2_threads),
            multiprocessing_context=_context(method),
            generator=torch.Generator(),  # its seed for workers would be drawn from the global one
        )
        results = _quietly(loader)
    # Python ends by SIGTERM, too, what still runs when it exits, and waits for it
    last = Finalize(None, _kill, (results._workers,), exitpriority=0)
    ending = sys.is_finalizing  # of its own: Python may have emptied its modules by then
    try:
        while True:
            try:
                batch = next(results)
            except StopIteration:
                return
            except FkitError:  # of the jobs
                raise
            except (RuntimeError, EOFError, ConnectionError, FileNotFoundError) as error:
                # the last three: a block of memory that the dead worker had not yet handed over
                raise RunError(
                    f"a loader worker died: {error or type(error).__name__}",
                    repair="Out of memory or /dev/shm is the usual cause: fewer workers, or smaller batches.",
                ) from error
            answer = expect_made(batch)
            views = [Batch(*(walk(part, _plain) for part in fields), meta=meta) for meta, fields in answer]
            yield Views.of(views) if len(views) > 1 else views[0]
    finally:
        if not ending() and last.still_active():  # else the process is at its end, and so are the workers
            last.cancel()
            _end(results)


def _quietly(loader: DataLoader[Any]) -> Any:
    """The loader's iterator, started without its signal handler, and deaf to the signals that end a run.

    That handler raises wherever the main thread happens to be when a worker dies, in the middle of an update, say;
    without it the next batch raises, some seconds later.

    SIGTERM and Ctrl-C reach a whole process group (scancel, systemd, a terminal). Processes begin with the signals that
    this thread blocks, so the fork server and its workers begin deaf, before a line of theirs has run; what comes
    meanwhile reaches this process at the end.
    """
    with deaf():
        if threading.current_thread() is not threading.main_thread():
            return _started(loader)
        before = signal.getsignal(signal.SIGCHLD)
        try:
            return _started(loader)
        finally:
            signal.signal(signal.SIGCHLD, before)


def _started(loader: DataLoader[Any]) -> Any:
    try:
        return iter(loader)
    except (PicklingError, AttributeError, TypeError) as error:
        if "pickle" not in str(error):
            raise
        raise FkitTypeError(
            f"the dataset cannot be sent to worker processes: {error}",
            repair="Define at the top of a module what it, its transforms and the collate function hold, or set num_workers=0.",
        ) from error


def _end(results: Any) -> None:
    """End the workers: those that are not through after a while too, which torch would ask by SIGTERM."""
    late = threading.Timer(_PATIENCE_SECONDS, _kill, (results._workers,))
    late.daemon = True
    late.start()
    try:
        results._shutdown_workers()
    finally:
        late.cancel()  # torch's patience may have ended first
        _kill(results._workers)
        for process in results._workers:
            process.join()


def _kill(processes: Any) -> None:
    for process in processes:
        if not wait([process.sentinel], 0):
            process.kill()


def _context(method: str) -> Any:
    name = "forkserver" if method == "forkserver" and "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(name)
    if name == "forkserver":  # workers then start as forks of a server that has imported torch
        context.set_forkserver_preload(["__main__", __name__])
    return context


def _fields(batch: Batch, change: Callable[[Any], Any]) -> tuple[Any, Any, Any]:
    return walk(batch.inputs, change), walk(batch.targets, change), walk(batch.valid, change)


def _share(array: Any) -> Any:
    host = np.asarray(array)
    if host.nbytes < _SHARED_BYTES or host.dtype.hasobject or host.dtype.kind in "SUVM":
        return host
    return torch.from_numpy(host if host.flags.writeable and host.flags.c_contiguous else host.copy())


def _plain(array: Any) -> Any:
    return array.numpy() if isinstance(array, Tensor) else array


def _same(batch: Any) -> Any:
    return batch

"""The processes of a run on torch.distributed: opened at the start, closed at the end."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from fkit.training.fleet import Fleet
from fkit.tree.error import FkitError, FkitValueError, RunError

__all__ = ["close_fleet", "mean_of", "open_fleet", "processes", "severed", "words_of"]

_SEVERED = re.compile(
    r"closed by peer|reset by peer|Broken pipe|Timed out waiting|Connection refused|remote error|NCCL"
)
_FAILED, _HERE = "fkit/failed", "fkit/here"  # keys of the store
_PATIENCE_SECONDS = 2.0  # for those that live to say so


def open_fleet(
    rank: int, world: int, local_rank: int, device: str | None, address: str, port: int,
    backend: str | None = None, timeout_seconds: float | None = None,
) -> tuple[Fleet, str]:  # fmt: skip
    """Meet the other processes of a run.

    What the host says goes by gloo, whatever the device's backend is, so that nobody waits for the device, and a process
    that has gone is noticed at once.

    Args:
        rank, world, local_rank: this process's place.
        device: of the run; "cuda", or None where there is CUDA, is this machine's ``local_rank``-th.
        address, port: where rank 0 listens; an empty address takes the environment's, torchrun's own store.
        backend: of the device: "nccl", "gloo", ...; by default nccl on CUDA, else gloo.
        timeout_seconds: after which one that waits fails; by default torch's.

    Returns:
        (the fleet, what a person should be told, or "").

    Raises:
        FkitValueError: there are more processes than devices, or torch has no such backend here.
        RunError: they did not meet.
    """
    on_cuda = torch.cuda.is_available() and (device is None or device.startswith("cuda"))
    note = ""
    if on_cuda:
        if local_rank >= torch.cuda.device_count():
            raise FkitValueError(
                f"process {local_rank} of this machine has no device: there are {torch.cuda.device_count()}.",
                repair="Start one process a GPU.",
            )
        torch.cuda.set_device(local_rank)
    elif backend not in (None, "gloo", "mpi", "ucc"):
        note, backend = f"env_cfg.dist_cfg.backend = {backend!r} is not for the CPU: gloo is taken", "gloo"
    name = backend or ("nccl" if on_cuda else "gloo")
    options: dict[str, Any] = {} if timeout_seconds is None else {"timeout": timedelta(seconds=timeout_seconds)}
    where = f"tcp://{address}:{port}" if address else "env://"
    try:
        store = _met(where, rank, world, options)
        names = f"cpu:gloo,cuda:{name}" if on_cuda and name != "gloo" else name
        dist.init_process_group(names, store=store, rank=rank, world_size=world, **options)
    except (RuntimeError, ValueError) as cause:  # DistError is a RuntimeError
        raise RunError(f"the {world} processes of this run did not meet: {cause}") from cause
    host = dist.new_group(backend="gloo", **options)
    return Fleet(rank, world, local_rank, _gatherer(host, world), _sharer(host), _voter(host)), note


def _met(where: str, rank: int, world: int, options: dict[str, Any]) -> Any:
    """The store in which the processes find each other: a part of it that is of this run alone, for torchrun's lives on when a
    process begins another run."""
    store, *_ = next(iter(rendezvous(where, rank, world, **options)))
    turn = store.add(f"fkit/opened/{rank}", 1)
    return PrefixStore(f"fkit/{turn}", store)


def close_fleet(failure: str = "") -> None:
    """Leave the others, and say to them why, where it is not that all is done.

    Args:
        failure: what ended this process.
    """
    if not dist.is_initialized():
        return
    if failure:
        with suppress(Exception):  # the store may have gone
            _store().set(_FAILED, f"{dist.get_rank()}:{failure}")
    else:
        with suppress(RuntimeError):
            dist.barrier()
    with suppress(RuntimeError):
        dist.destroy_process_group()


def severed(error: BaseException | None) -> bool:
    """Whether an error is that another process is not there any more."""
    while error is not None:
        if isinstance(error, RuntimeError) and not isinstance(error, FkitError) and _SEVERED.search(str(error)):
            return True
        error = error.__cause__
    return False


def words_of() -> str:
    """What is known of the process that has gone: its rank, and what it said."""
    try:
        store, world = _store(), dist.get_world_size()
        store.set(f"{_HERE}/{dist.get_rank()}", "1")
        end = time.monotonic() + _PATIENCE_SECONDS
        missing = list(range(world))
        while time.monotonic() < end:
            if store.check([_FAILED]):
                rank, _, said = store.get(_FAILED).decode().partition(":")
                return f"process {rank} ended: {said}"
            missing = [rank for rank in missing if not store.check([f"{_HERE}/{rank}"])]
            time.sleep(0.05)
    except Exception:  # the store was that process's
        return "process 0 ended without a word"
    gone = ", ".join(map(str, missing))
    return f"process {gone} ended without a word" if gone else "a connection to another process broke"


def processes() -> int:
    """How many have met."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def mean_of(value: Tensor) -> Tensor:
    """The mean over the processes, without a gradient; the value itself where there is one process."""
    if processes() == 1:
        return value
    shared = value.detach().clone()
    dist.all_reduce(shared)
    return shared / dist.get_world_size()


def _store() -> Any:
    return dist.distributed_c10d._get_default_store()  # pyright: ignore[reportPrivateUsage]


def _gatherer(group: Any, world: int) -> Callable[[Any], list[Any]]:
    def gather(value: Any) -> list[Any]:
        rows: list[Any] = [None] * world
        dist.all_gather_object(rows, value, group=group)
        return rows

    return gather


def _sharer(group: Any) -> Callable[[Any], Any]:
    def share(value: Any) -> Any:
        row = [value]
        dist.broadcast_object_list(row, src=0, group=group)
        return row[0]

    return share


def _voter(group: Any) -> Callable[[int], Callable[[], int]]:
    def vote(number: int) -> Callable[[], int]:
        tensor = torch.tensor([number], dtype=torch.int64)
        work: Any = dist.all_reduce(tensor, dist.ReduceOp.MAX, group=group, async_op=True)

        def ask() -> int:
            work.wait()
            return int(tensor)

        return ask

    return vote

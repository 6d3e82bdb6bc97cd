"""The processes of a run on jax.distributed: met at the start, left at the end, and what their hosts say to each other."""

import atexit
import os
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from numpy.typing import NDArray

from fkit.backend.jax.determinism import begun
from fkit.training.fleet import Fleet
from fkit.tree.error import FkitError, RunError

__all__ = ["close_fleet", "open_fleet", "severed"]

_SEVERED = re.compile(
    r"closed by peer|reset by peer|Broken pipe|Connection refused|Timed out|timed out|UNAVAILABLE|DEADLINE_EXCEEDED|Gloo",
)
_LEAST = 1024  # bytes that travel at once: what is compiled for a length serves all up to it


def open_fleet(
    rank: int, world: int, local_rank: int, local_world: int, device: str | None, address: str, port: int,
    timeout_seconds: float | None = None,
) -> tuple[Fleet, str]:  # fmt: skip
    """Meet the other processes of a run, before JAX has looked for devices.

    Args:
        rank, world, local_rank, local_world: this process's place.
        device: of the run; of several processes of a machine each takes one of the accelerators there.
        address, port: where rank 0 listens; an empty address is torchrun's, next to whose port it is.
        timeout_seconds: after which one that waits for the others at the start fails; by default JAX's.

    Returns:
        (the fleet, what a person should be told, or "").

    Raises:
        RunError: JAX was in use already, or the processes did not meet.
    """
    if begun():
        raise RunError("JAX was in use before the processes of this run met: they meet first.")
    if not address:
        address, port = os.environ.get("MASTER_ADDR", "127.0.0.1"), int(os.environ.get("MASTER_PORT", port)) + 1
    options: dict[str, Any] = {}
    if timeout_seconds is not None:
        options["initialization_timeout"] = int(timeout_seconds)
    if local_world > 1 and (device or "").partition(":")[0] != "cpu":
        options["local_device_ids"] = [local_rank]
    try:
        jax.distributed.initialize(f"{address}:{port}", world, rank, **options)
    except (RuntimeError, ValueError) as cause:
        raise RunError(f"the {world} processes of this run did not meet: {cause}") from cause
    return Fleet(rank, world, local_rank, _gather, _share, _vote), ""


def close_fleet(failure: str = "") -> None:
    """Leave the others, when all are done. One that failed leaves at once, and they learn of it by its end.

    Args:
        failure: what ended this process.
    """
    if not jax.distributed.is_initialized():
        return
    if not failure:
        with suppress(RuntimeError):  # another has gone
            multihost_utils.sync_global_devices("fkit: the end")
            jax.distributed.shutdown()
            return
    _forget()


def _forget() -> None:
    """Let JAX not wait at the exit for a process that has gone, which would end this one by an abort, a minute later."""
    try:
        from jax._src.api import clean_up
    except ImportError:
        return
    atexit.unregister(clean_up)


def severed(error: BaseException | None) -> str:
    """What is known of another process whose end an error tells of; "" where it tells of none."""
    while error is not None:
        if isinstance(error, RuntimeError) and not isinstance(error, FkitError) and _SEVERED.search(str(error)):
            return "another process of this run ended"
        error = error.__cause__
    return ""


def _gather(value: Any) -> list[Any]:
    """What each process has, in the order of ranks."""
    mine = np.frombuffer(pickle.dumps(value), np.uint8)
    lengths = _all(np.array([len(mine)], np.int32))[:, 0].tolist()
    room = max(_LEAST, 1 << (max(lengths) - 1).bit_length())
    rows = _all(np.concatenate([mine, np.zeros(room - len(mine), np.uint8)]))
    return [pickle.loads(row[:length].tobytes()) for row, length in zip(rows, lengths, strict=True)]


def _share(value: Any) -> Any:
    """What rank 0 has."""
    return _gather(value if jax.process_index() == 0 else None)[0]


def _vote(number: int) -> Callable[[], int]:
    numbers = _global(np.array([number], np.int32))
    most = jax.jit(lambda every: every.max(), out_shardings=_whole(numbers))(numbers)  # begun; nobody waits
    return lambda: int(np.asarray(most))


def _all(mine: NDArray[Any]) -> NDArray[Any]:
    """The arrays of all processes, of one shape, as rows."""
    return np.asarray(multihost_utils.process_allgather(mine))


def _global(mine: NDArray[Any]) -> Any:
    firsts = [next(one for one in jax.devices() if one.process_index == rank) for rank in range(jax.process_count())]
    mesh = jax.sharding.Mesh(np.array(firsts), ("process",))
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("process"))
    return jax.make_array_from_process_local_data(rows, mine)


def _whole(array: Any) -> Any:
    return jax.sharding.NamedSharding(array.sharding.mesh, jax.sharding.PartitionSpec())

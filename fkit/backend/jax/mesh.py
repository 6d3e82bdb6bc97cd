"""Data parallelism: the devices that share each batch, and what is compiled for them.

Every device holds the whole state and takes a part of each batch. What is compiled sees global arrays, so that the numbers
are those of one device, to rounding: XLA splits the work, batch statistics are those of the whole batch, and gradients are
summed over the devices. It is what `jax.pmap` was for, by what JAX recommends in its place: jit over a mesh.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fkit.tree.error import FkitValueError

__all__ = ["Devices", "compiled", "device_count", "devices_of"]

_FORCE = "XLA_FLAGS=--xla_force_host_platform_device_count"


@dataclass(frozen=True, eq=False)
class Devices:
    """The devices that share each batch.

    Attributes:
        count: how many, of each process.
        world: how many processes there are.
        whole: where a state is: all of it on every device.
        rows: where a batch is: an equal part of its samples on each.
        parts: where a batch is of which a process has no equal parts for its devices: each has all that the process has.
        first: the first device of this process.
    """

    count: int
    world: int
    whole: NamedSharding
    rows: NamedSharding
    parts: NamedSharding
    first: Any

    def put(self, array: Any) -> Any:
        """An array, whole on every device; of several processes each has the same."""
        if self.world == 1:
            return jax.device_put(array, self.whole)
        host = np.asarray(array)
        host = host.astype(jax.dtypes.canonicalize_dtype(host.dtype), copy=False)
        return jax.make_array_from_callback(host.shape, self.whole, lambda index: host[index])

    def sent(self, leaves: list[Any]) -> list[Any]:
        """The arrays of a batch where they are computed with; of several processes, one behind the other."""
        places = [self.place_of(leaf) for leaf in leaves]
        if self.world == 1:
            return jax.device_put(leaves, places)
        return [_joined(leaf, place) for leaf, place in zip(leaves, places, strict=True)]

    def mine(self, array: Any) -> Any:
        """What this process's devices hold of an array, as an array of this process's."""
        if not isinstance(array, jax.Array) or array.is_fully_addressable:
            return array
        alone, shards = self.alone, [shard.data for shard in array.addressable_shards]
        if alone is None:
            return shards[0]
        size, *others = array.shape if array.ndim else (0,)
        split = array.sharding.is_equivalent_to(self.rows, array.ndim)
        shape = array.shape if array.is_fully_replicated else (size // self.world, *others)
        return jax.make_array_from_single_device_arrays(shape, alone.rows if split else alone.whole, shards)

    @property
    def alone(self) -> "Devices | None":
        """This process's devices, for what it computes by itself; None of one."""
        mesh: Any = self.whole.mesh
        mine = [one for one in mesh.devices.ravel() if one.process_index == self.first.process_index]
        return _devices([mine]) if len(mine) > 1 else None

    def splits(self, leaf: Any) -> bool:
        """Whether an array has equal parts for the devices."""
        shape = np.shape(leaf)
        return len(shape) > 0 and shape[0] > 0 and shape[0] % self.count == 0

    def place_of(self, leaf: Any) -> NamedSharding:
        """Where an array of a batch goes: a part to each device, or all of it where it has no equal ones."""
        if self.splits(leaf):
            return self.rows
        return self.parts if np.ndim(leaf) else self.whole


def device_count(count: int | None, device: str | None, parallel: str | None) -> int:
    """Among how many local devices a step is shared; see `fkit.training.backend.Backend.devices`.

    Raises:
        FkitValueError: so many are not there.

    Example:
        >>> device_count(None, "cpu", None)
        1
    """
    if parallel == "fsdp":
        raise FkitValueError(
            "parallel = 'fsdp' is torch's.", path="parallel", repair="On JAX each device holds the whole state: 'pmap'."
        )
    if count is None and parallel != "pmap":
        return 1
    if count == 1:
        return 1
    here = _local(device)
    if count is None:
        return 1 if _index(device) else len(here)
    if _index(device):
        raise FkitValueError(
            f"devices = {count}, and device = {device!r} is one.",
            path="devices",
            repair=f"Leave out its number: device={_kind(device)!r}.",
        )
    if count > len(here):
        kind = here[0].platform
        force = f" For tests, the CPU plays as many: {_FORCE}={count} in the environment." if kind == "cpu" else ""
        raise FkitValueError(
            f"devices = {count}, and JAX has {len(here)} here ({kind}).",
            path="devices",
            repair=f"Set devices={len(here)}, or fewer.{force}",
        )
    return count


def devices_of(count: int, device: str | None, world: int = 1) -> Devices | None:
    """The first ``count`` devices of each process; None of one, which shares nothing.

    Args:
        world: how many processes share each batch.

    Raises:
        FkitValueError: so many are not there.

    Example:
        >>> devices_of(1, "cpu") is None
        True
    """
    if count == 1 and world == 1:
        return None
    device_count(count, device, "pmap")
    if world == 1:
        return _devices([_local(device)[:count]])
    every = jax.devices(_local(device)[0].platform)
    return _devices([[one for one in every if one.process_index == rank][:count] for rank in range(world)])


def _devices(rows: list[list[Any]]) -> Devices:
    """A row of devices a process."""
    mesh: Any = Mesh(np.array(rows), ("process", "data"), axis_types=(AxisType.Auto, AxisType.Auto))
    specs = (PartitionSpec(), PartitionSpec(("process", "data")), PartitionSpec("process"))
    mine = rows[jax.process_index() if len(rows) > 1 else 0]
    whole, split, parts = (NamedSharding(mesh, spec) for spec in specs)
    return Devices(len(mine), len(rows), whole, split, parts, mine[0])


def _joined(leaf: Any, place: NamedSharding) -> Any:
    """The parts of a batch that the processes have, as one array."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return leaf
    host = np.asarray(leaf)
    return jax.make_array_from_process_local_data(
        place, host.astype(jax.dtypes.canonicalize_dtype(host.dtype), copy=False)
    )


def compiled(
    function: Callable[..., Any],
    devices: Devices | None,
    heads: int,
    *,
    batch: int = 3,
    donate: tuple[int, ...] = (),
    static: tuple[int, ...] = (),
    stays: bool = False,
    told: str = "",
) -> Callable[..., Any]:
    """``jax.jit(function)``, whose batches several devices share.

    Args:
        function: of ``heads`` arguments that all devices have whole, then a batch's inputs, targets and valid; then others
            that are static.
        batch: how many arguments a batch is.
        devices: None: one device, and nothing else than jit.
        donate, static: places of arguments, as jit's.
        stays: whether all devices have the results whole: those of a step, which the next one takes.
        told: what a batch without equal parts is of, for the one warning of it; "" says nothing.
    """
    if devices is None:
        return jax.jit(function, donate_argnums=donate, static_argnums=static)
    out: dict[str, Any] = {"out_shardings": devices.whole} if stays else {}
    options: dict[str, Any] = {"donate_argnums": donate, "static_argnums": static, **out}
    if devices.world > 1 and not stays:  # each process computes by itself with what it has
        by_itself = compiled(
            function, devices.alone, heads, batch=batch, donate=donate, static=static, stays=stays, told=told
        )
        last = heads + batch
        return lambda *given: by_itself(*jax.tree.map(devices.mine, given[:last]), *given[last:])
    # two of them: that which is told where its arguments lie takes arrays of the host in one go
    split = jax.jit(function, in_shardings=(devices.whole,) * heads + (devices.rows,) * batch, **options)
    mixed = jax.jit(function, **options)
    silent, alone = not told, jax.process_count() == 1  # among several, arrays of the host are placed first

    def call(*arguments: Any) -> Any:
        nonlocal silent
        leaves, structure = jax.tree.flatten(arguments[heads : heads + batch])
        if alone and all([devices.splits(leaf) for leaf in leaves]):
            return split(*arguments)
        if not silent and not any([devices.splits(leaf) for leaf in leaves]):
            silent = True
            warnings.warn(_text(told, leaves, devices), stacklevel=3)
        placed = devices.sent(leaves)
        return mixed(*arguments[:heads], *structure.unflatten(placed), *arguments[heads + batch :])

    return call


def _text(told: str, leaves: list[Any], devices: Devices) -> str:
    size = next((np.shape(leaf)[0] for leaf in leaves if np.ndim(leaf)), 0)
    return (
        f"{told} of {size} samples has no equal parts for {devices.count} devices: each of them computes all of it. The numbers "
        f"are the same, and it is no faster; drop_last=True, or batches of a multiple of {devices.count}, are."
    )


def _local(device: str | None) -> list[Any]:
    """The devices of a kind in this process; there is one at least."""
    try:
        return jax.local_devices(backend=None if device is None else _kind(device))
    except RuntimeError as cause:
        here = sorted({one.platform for one in jax.local_devices()} | {"cpu"})
        raise FkitValueError(
            f"device = {device!r} is not there for JAX.",
            value=str(device),
            choices=here,
            label="Devices",
            path="device",
        ) from cause


def _kind(device: str | None) -> str:
    return (device or "").partition(":")[0]


def _index(device: str | None) -> bool:
    return bool((device or "").partition(":")[2])

"""The room's door: what `fkit.array.room.open("jax")` gives."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fkit.backend.jax.determinism import repeat, undetermined
from fkit.backend.jax.device import device_of
from fkit.backend.jax.feed import sent
from fkit.backend.jax.fleet import close_fleet, open_fleet, severed
from fkit.backend.jax.mesh import Devices, device_count, devices_of
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.program import program
from fkit.backend.jax.thread import threads
from fkit.backend.jax.trace import JaxRecording, record
from fkit.structures.batch import Batch
from fkit.training.fleet import Fleet
from fkit.training.program import Program
from fkit.training.spec import Spec
from fkit.training.state import TrainState
from fkit.tree.frozen import EMPTY

__all__ = ["Jax"]


@dataclass(frozen=True)
class Jax:
    """The JAX backend (`fkit.training.backend.Backend`).

    Example:
        >>> from fkit.array.room import open
        >>> open("jax").fetch([jnp.ones(()), jnp.zeros(())])
        [1.0, 0.0]
    """

    name: str = "jax"
    ops: JaxOps = field(default_factory=JaxOps)

    def program(self, spec: Spec) -> Program:
        """The pure functions of a spec."""
        return program(spec)

    def devices(self, count: int | None, device: str | None, parallel: str | None) -> int:
        """Among how many local devices steps are shared; see `fkit.backend.jax.mesh.device_count`."""
        return device_count(count, device, parallel)

    def numpy(self, array: Any) -> NDArray[Any]:
        """A host copy; bfloat16 comes as float32."""
        host = np.array(array)
        return host.astype(np.float32) if host.dtype == jnp.bfloat16 else host

    def host(self, tree: Any) -> Any:
        """A model's outputs, arrays at any depth of mappings, sequences and elements, on the host: in one wait, and
        read-only. bfloat16 comes as float32."""
        leaves, structure = jax.tree.flatten(tree)
        if jax.default_backend() != "cpu":  # all copies begin before the first is waited for
            leaves = jax.device_get(leaves)
        arrays = [np.asarray(leaf) for leaf in leaves]
        return structure.unflatten([a.astype(np.float32) if a.dtype == jnp.bfloat16 else a for a in arrays])

    def fetch(self, arrays: list[Any]) -> list[float]:
        """Many lazy 0-d values at once, in one wait."""
        if jax.default_backend() != "cpu":  # all copies begin before the first is waited for
            arrays = jax.device_get(arrays)
        return [float(np.asarray(value)) for value in arrays]  # host memory as it is: a fifth of float(array)'s time

    def memory(self) -> int | None:
        """Megabytes that arrays took at most on the first device; JAX does not begin anew. None of a CPU."""
        known = jax.local_devices()[0].memory_stats() if jax.default_backend() != "cpu" else None
        return known["peak_bytes_in_use"] // 2**20 if known and "peak_bytes_in_use" in known else None

    def asarray(self, array: NDArray[Any]) -> Any:
        """A device array of a host one; float64 and int64 become 32 bits wide outside a float64 program."""
        return jnp.array(array)

    def to_device(self, array: Any, device: str | None) -> Any:
        """``array`` on a device by name; None is JAX's default."""
        return jax.device_put(array, device_of(device))

    def feed(self, batches: Iterator[Batch], program: Program, train: bool = True) -> Iterator[Batch]:
        """Batches for a program's steps: sent to the device ahead, beside the steps before; of the CPU as they are.

        Args:
            batches: host batches; where they are sent read one early, and closed with what this gives.
            train: check the labels, as a step does.
        """
        device, devices = device_of(program.spec.device), _devices(program)
        (where,) = jnp.zeros(()).devices() if device is None else (device,)
        if where.platform == "cpu":
            return batches
        labels = program.inventory.labels if train else EMPTY
        return sent(batches, device, program.spec.dtype == "float64", labels, devices)

    def join(self, place: Any, device: str | None, backend: str | None, timeout: float | None) -> tuple[Fleet, str]:
        """Meet the other processes of a run; see `fkit.backend.jax.fleet.open_fleet`."""
        del backend
        where = (place.rank, place.world, place.local_rank, place.local_world, device, place.address, place.port)
        return open_fleet(*where, timeout)

    def leave(self, failure: str = "") -> None:
        """Leave the other processes; see `fkit.backend.jax.fleet.close_fleet`."""
        close_fleet(failure)

    def severed(self, error: BaseException) -> str:
        """What is known of another process whose end an error tells of; "" where it tells of none."""
        return severed(error)

    def repeat(self, device: str | None, deterministic: bool, benchmark: bool = False) -> tuple[dict[str, str], str]:
        """Have CUDA repeat to the bit; see `fkit.backend.jax.determinism.repeat`. XLA times algorithms wherever it need
        not repeat, ``benchmark`` or not."""
        del benchmark
        return repeat(device, deterministic)

    def threads(self, count: int | None) -> int | None:
        """Compute on so many threads; see `fkit.backend.jax.thread.threads`."""
        return threads(count)

    def work(self, program: Program, state: TrainState, batch: Batch) -> None:
        """XLA's threads are what they are once a program is made."""
        return None

    def undetermined(self, error: BaseException) -> str:
        """The operation without a deterministic form that an error is about, or ""."""
        return undetermined(error)

    def empty_cache(self) -> None:
        """Nothing: XLA keeps a device's memory for the process, and has no way to give what is unused back."""

    def record(self, tracing: Any, folder: str) -> JaxRecording:
        """Begin a recording of where time goes; see `fkit.backend.jax.trace.record`."""
        return record(tracing, folder)

    def environment(self) -> Mapping[str, str]:
        """Rows for `collect_env`: versions and devices."""
        rows = {title: _version(name) for title, name in (("JAX", "jax"), ("jaxlib", "jaxlib"))}
        rows |= {title: _version(name) for title, name in (("Flax", "flax"), ("Optax", "optax"))}
        devices = jax.devices()
        kinds = sorted({device.device_kind for device in devices})
        rows["JAX devices"] = f"{len(devices)} x {jax.default_backend()} ({', '.join(kinds)})"
        return rows


def _devices(program: Program) -> Devices | None:
    spec = program.spec
    return devices_of(spec.devices, spec.device, spec.fleet.world)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"

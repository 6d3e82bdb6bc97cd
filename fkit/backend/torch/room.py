"""The torch room as a value: `fkit.training.backend.Backend`."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from fkit.array.ops import Ops
from fkit.backend.torch.determinism import repeat, undetermined
from fkit.backend.torch.feed import fed
from fkit.backend.torch.fleet import close_fleet, open_fleet, processes, severed, words_of
from fkit.backend.torch.interop import device_of, register, tensor_of, to_host, to_numpy
from fkit.backend.torch.loader import workers as start_workers
from fkit.backend.torch.model import feed_of
from fkit.backend.torch.ops import Torch
from fkit.backend.torch.program import program as make_program
from fkit.backend.torch.thread import threads, work
from fkit.backend.torch.trace import TorchRecording, record
from fkit.structures.batch import Batch
from fkit.training.fleet import Fleet
from fkit.training.program import Program
from fkit.training.spec import Spec
from fkit.training.state import TrainState
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["TorchBackend"]


@dataclass(frozen=True, slots=True)
class TorchBackend:
    """torch, behind the kit's own vocabulary. Making one registers the kit's structures as torch pytrees."""

    def __post_init__(self) -> None:
        register()

    @property
    def name(self) -> str:
        return "torch"

    @property
    def ops(self) -> Ops:
        return Torch()

    def program(self, spec: Spec) -> Program:
        """The pure functions of a spec."""
        return make_program(spec)

    def devices(self, count: int | None, device: str | None, parallel: str | None) -> int:
        """One: torch has a process for each device.

        Raises:
            FkitValueError: more were asked for than there are processes.
        """
        if count is None or count <= processes():
            return 1
        raise FkitValueError(
            f"devices = {count}: on torch each device is a process of its own, and there are {processes()}.",
            path="devices",
            repair=f"`fkit train CONFIG --devices {count}` starts them, or torchrun --nproc-per-node {count} -m fkit train CONFIG "
            "--launcher pytorch.",
        )

    def numpy(self, array: Any) -> NDArray[Any]:
        """A host copy."""
        return to_numpy(array)

    def host(self, tree: Any) -> Any:
        """A model's outputs on the host, in one wait; bfloat16 comes as float32."""
        return to_host(tree)

    def fetch(self, arrays: Sequence[Any]) -> list[float]:
        """Many lazy numbers, in one wait: what is on a device is read as one array."""
        there = [i for i, array in enumerate(arrays) if isinstance(array, Tensor) and not array.is_cpu]
        numbers = [0.0 if isinstance(array, Tensor) and not array.is_cpu else float(array) for array in arrays]
        if there:
            for i, number in zip(there, _read([arrays[i] for i in there]), strict=True):
                numbers[i] = number
        return numbers

    def memory(self) -> int | None:
        """Megabytes that tensors took at most on the current GPU since this was last asked; None where none is in use."""
        if not torch.cuda.is_initialized():
            return None
        most = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return most // 2**20

    def asarray(self, array: NDArray[Any]) -> Tensor:
        """A tensor on the CPU; it may share memory with the array."""
        return tensor_of(array)

    def to_device(self, array: Any, device: str | None) -> Tensor:
        """A tensor on a device; None is CUDA where there is one."""
        return tensor_of(array).to(device_of(device))

    def workers(
        self,
        make: Callable[[Any], Batch],
        jobs: Iterator[Any],
        workers: int,
        ahead: int = 2,
        *,
        method: str = "forkserver",
        cv2_threads: int | None = None,
    ) -> Iterator[Batch]:
        """Batches made in worker processes; see `fkit.backend.torch.loader.workers`."""
        return start_workers(make, jobs, workers, ahead, method=method, cv2_threads=cv2_threads)

    def join(self, place: Any, device: str | None, backend: str | None, timeout: float | None) -> tuple[Fleet, str]:
        """Meet the other processes of a run; see `fkit.backend.torch.fleet.open_fleet`."""
        where = (place.rank, place.world, place.local_rank, device, place.address, place.port)
        return open_fleet(*where, backend, timeout)

    def leave(self, failure: str = "") -> None:
        """Leave the other processes; see `fkit.backend.torch.fleet.close_fleet`."""
        close_fleet(failure)

    def severed(self, error: BaseException) -> str:
        """What is known of another process whose end an error tells of; "" where it tells of none."""
        return words_of() if severed(error) else ""

    def repeat(self, device: str | None, deterministic: bool, benchmark: bool = False) -> tuple[dict[str, str], str]:
        """Have CUDA repeat to the bit; see `fkit.backend.torch.determinism.repeat`."""
        return repeat(device, deterministic, benchmark)

    def threads(self, count: int | None) -> int:
        """Compute on so many threads; see `fkit.backend.torch.thread.threads`."""
        return threads(count)

    def work(self, program: Program, state: TrainState, batch: Batch) -> float | None:
        """How much arithmetic a prediction is; see `fkit.backend.torch.thread.work`."""
        return work(program, state, batch)

    def undetermined(self, error: BaseException) -> str:
        """The operation without a deterministic form that an error is about, or ""."""
        return undetermined(error)

    def feed(self, batches: Iterator[Batch], program: Program, train: bool = True) -> Iterator[Batch]:
        """Batches for a program's steps: on CUDA copied to the device ahead, beside the steps before; elsewhere as is.

        Args:
            batches: host batches; on CUDA read one early, and closed with what this gives.
            train: check the labels, as a step does.
        """
        feed = feed_of(program.spec, program.inventory, train)
        if feed.device.type != "cuda":
            return batches
        return fed(batches, feed, program.inventory.labels if train else EMPTY)

    def empty_cache(self) -> None:
        """Give CUDA's memory that no tensor uses back to the system."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def record(self, tracing: Any, folder: str) -> TorchRecording:
        """Begin a recording of where time goes; see `fkit.backend.torch.trace.record`."""
        return record(tracing, folder)

    def environment(self) -> Mapping[str, str]:
        """Versions and devices, in the words of mmengine's ``collect_env``."""
        rows = {"PyTorch": torch.__version__, "PyTorch compiling details": torch.__config__.show().strip()}
        rows["CUDA available"] = str(torch.cuda.is_available())
        if torch.cuda.is_available():
            for index in range(torch.cuda.device_count()):
                rows[f"GPU {index}"] = torch.cuda.get_device_name(index)
            rows["CUDA runtime"] = str(torch.version.cuda)
            rows["cuDNN"] = str(torch.backends.cudnn.version())
        rows["PyTorch threads"] = str(torch.get_num_threads())
        vision = sys.modules.get("torchvision")
        if vision is not None or _installed("torchvision"):
            rows["TorchVision"] = _version("torchvision")
        return rows


def _read(tensors: list[Tensor]) -> list[float]:
    """0-d tensors of one device, in order, by one copy to the host."""
    device = tensors[0].device
    groups: dict[torch.dtype, list[int]] = {}
    for i, tensor in enumerate(tensors):
        groups.setdefault(tensor.dtype, []).append(i)
    stacks = [torch.stack([tensors[i].detach().reshape(()).to(device) for i in group]) for group in groups.values()]
    whole = stacks[0] if len(stacks) == 1 else torch.cat([stack.double() for stack in stacks])
    numbers = dict(zip([i for group in groups.values() for i in group], whole.tolist(), strict=True))
    return [float(numbers[i]) for i in range(len(tensors))]


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)

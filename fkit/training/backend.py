"""What a backend's room offers under the name ``backend``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from fkit.array.ops import Ops
from fkit.structures.batch import Batch
from fkit.training.fleet import Fleet
from fkit.training.program import Program
from fkit.training.spec import Spec
from fkit.training.state import TrainState

__all__ = ["Backend", "Recording"]


class Recording(Protocol):
    """A recording of where time goes, under way."""

    def step(self) -> None:
        """A step of training is done."""
        ...

    def stop(self) -> Sequence[str]:
        """End it, and write what was recorded.

        Returns:
            lines for a person: the table that was asked for, and where files are.
        """
        ...


class Backend(Protocol):
    """A framework behind the kit's own vocabulary; `fkit.array.room.open` finds it by name."""

    @property
    def name(self) -> str: ...

    @property
    def ops(self) -> Ops: ...

    def program(self, spec: Spec) -> Program:
        """The pure functions of a spec; builds the model.

        Raises:
            FkitError: an optimizer or layer has no twin here, or the device is not there.
        """
        ...

    def devices(self, count: int | None, device: str | None, parallel: str | None) -> int:
        """Among how many devices of this process a program's steps are shared.

        Args:
            count: how many were asked for; None: one, or with ``parallel`` all that there are.
            device: of which kind.

        Raises:
            FkitValueError: so many are not there, or this backend shares steps in no such way.
        """
        ...

    def numpy(self, array: Any) -> NDArray[Any]:
        """A host copy of one of its arrays (float for a 0-d loss: ``float(backend.numpy(x))``)."""
        ...

    def host(self, tree: Any) -> Any:
        """A model's outputs, arrays at any depth of mappings, sequences and elements, on the host, in one wait."""
        ...

    def fetch(self, arrays: Sequence[Any]) -> list[float]:
        """Many lazy 0-d values at once, in one wait."""
        ...

    def memory(self) -> int | None:
        """Megabytes that the device had in use at most since this was last asked; None of a CPU. Waits for nothing."""
        ...

    def asarray(self, array: NDArray[Any]) -> Any: ...

    def to_device(self, array: Any, device: str | None) -> Any: ...

    def join(self, place: Any, device: str | None, backend: str | None, timeout: float | None) -> tuple[Fleet, str]:
        """Meet the other processes of a run.

        Args:
            place: this one's (`fkit.edge.launch.Place`).
            device: of the run; "cuda" is this machine's ``place.local_rank``-th.
            backend: ``env_cfg.dist_cfg.backend``; None lets the room choose.
            timeout: seconds after which one that waits for others fails; None lets the room choose.

        Returns:
            (the fleet, what a person should be told, or "").

        Raises:
            FkitError: they do not meet, or there are too few devices.
        """
        ...

    def leave(self, failure: str = "") -> None:
        """Leave the others at the end, or with the words of what ended this process."""
        ...

    def severed(self, error: BaseException) -> str:
        """What is known of another process whose end an error tells of; "" where it tells of none."""
        ...

    def repeat(self, device: str | None, deterministic: bool, benchmark: bool = False) -> tuple[dict[str, str], str]:
        """Have this process repeat to the bit on ``device`` where it would not by itself (CUDA), or be fast there.

        Args:
            benchmark: where it need not repeat, time the algorithms there are and take the fastest.

        Returns:
            (what was set, by name; what a person should be told, or "").
        """
        ...

    def threads(self, count: int | None) -> int | None:
        """Compute on so many threads of the CPU from now on, in this process; None leaves it.

        Returns:
            how many are in force; None where the framework does not say.
        """
        ...

    def work(self, program: Program, state: TrainState, batch: Batch) -> float | None:
        """About how many multiply-adds it takes to predict ``batch``; the same whenever it is asked.

        Returns:
            None where the number of threads, once the program is made, changes nothing.
        """
        ...

    def undetermined(self, error: BaseException) -> str:
        """The operation that raised because it has no deterministic form; "" where an error is another."""
        ...

    def feed(self, batches: Iterator[Batch], program: Program, train: bool = True) -> Iterator[Batch]:
        """Batches on their way to a program's steps (``train``) or predictions: copied to the device ahead, or as is."""
        ...

    def empty_cache(self) -> None:
        """Give memory of the device that no array uses back to the system."""
        ...

    def record(self, tracing: Any, folder: str) -> Recording:
        """Begin a recording.

        Args:
            tracing: what of (`fkit.run.effect.Tracing`).
            folder: where its files go.
        """
        ...

    def environment(self) -> Mapping[str, str]:
        """Rows for `collect_env`: versions and devices."""
        ...

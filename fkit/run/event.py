"""What happens in a run, as values: events that hooks see, and what a run observes of the world."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from fkit.structures.batch import Batch
from fkit.tree.error import RunError
from fkit.tree.frozen import EMPTY

__all__ = ["EVENTS", "GENERIC", "Event", "Observed", "Step", "generic", "look", "read_floats"]

EVENTS = (
    "before_run",
    "after_load_checkpoint",
    "before_train",
    "before_train_epoch",
    "before_train_iter",
    "after_train_iter",
    "after_train_epoch",
    "before_val",
    "before_val_epoch",
    "before_val_iter",
    "after_val_iter",
    "after_val_epoch",
    "after_val",
    "before_save_checkpoint",
    "after_train",
    "before_test",
    "before_test_epoch",
    "before_test_iter",
    "after_test_iter",
    "after_test_epoch",
    "after_test",
    "on_interrupt",
    "after_run",
)
"""The names of a hook's handlers. ``before_run`` to ``before_train`` fire at each start of the process, so their handlers
must give the same memory when they run again; ``after_load_checkpoint`` where the run, or its weights alone, came from one;
``before_save_checkpoint`` before each event's saves; ``on_interrupt`` once, when a signal ends the process early. These
are mmengine's 22 stages, and ``on_interrupt``. A hook may write one of `GENERIC` for those of all modes at once.

Counters count what is done: mmcv and mmengine tell ``after_train_iter`` before they count the iteration, and
``after_train_epoch`` before they count the epoch, and here both have counted."""

GENERIC = ("before_epoch", "after_epoch", "before_iter", "after_iter")
"""mmcv's names of handlers that answer the events of training, validation and a test alike; ``event.mode`` says which."""


def generic(event: str) -> str:
    """The name of `GENERIC` for an event; the event's own where there is none.

    Example:
        >>> generic("after_val_iter"), generic("after_val")
        ('after_iter', 'after_val')
    """
    place, _, what = event.partition("_")
    name = f"{place}_{what.rpartition('_')[2]}"
    return name if name in GENERIC else event


def read_floats(arrays: Sequence[Any]) -> list[float]:
    """Lazy values as floats, one by one; a program's backend reads many in one wait."""
    return [float(array) for array in arrays]


def no_memory() -> int | None:
    """Of a CPU, whose memory nobody counts."""
    return None


class Step(NamedTuple):
    """What a run keeps of one step until it is read.

    Attributes:
        iteration: its number: of training iterations, or of batches in this pass over held-out data.
        logs: lazy 0-d device values.
        issued: seconds on the run's clock when the step was issued; None where no clock is observed.
        arrived: seconds on that clock when its batch had arrived.
        paused: whether something else came between it and the step before: validation, a checkpoint, the start of the
            process. Its times say nothing of a step then.
    """

    iteration: int
    logs: Mapping[str, Any] = EMPTY
    issued: float | None = None
    arrived: float | None = None
    paused: bool = False


class Event(NamedTuple):
    """One event.

    Attributes:
        name: one of `EVENTS`.
        mode: "train", "val" or "test".
        iteration: training iterations done; ``after_train_iter`` counts its own.
        epoch: whole passes over the training data that are done, in an iteration-based run too: those that are over
            after ``iteration`` iterations, so that an epoch's last ``after_train_iter`` counts it.
        inner: iterations done in this pass over the data; an ``iter`` event counts its own.
        length: iterations of this pass (0 where it is endless).
        total: training iterations of the whole run.
        batch: of an ``iter`` event; in training on CUDA with torch, its arrays are on the device already.
        outputs: of ``after_val_iter`` and ``after_test_iter``: what the model predicted, on its device, maybe not computed
            yet; None in mmcv's "val" phase, which has losses alone.
        logs: lazy 0-d device values of an ``iter`` event; `read` makes floats of them, which waits for the device.
        metrics: of ``after_val_epoch`` and ``after_test_epoch``: floats.
        time: seconds on the run's clock when the step was issued; None where no clock is observed.
        data_time: seconds on that clock when the batch had arrived.
        reason: of ``on_interrupt``.
        read: turns lazy values into floats in one wait.
        window: for a hook that ``reads``, the steps since it last read, the newest last.
        memory: gives the megabytes of the device that were in use at most since it was last asked; None of a CPU.
    """

    name: str
    mode: Literal["train", "val", "test"] = "train"
    iteration: int = 0
    epoch: int = 0
    inner: int = 0
    length: int = 0
    total: int = 0
    batch: Batch | None = None
    logs: Mapping[str, Any] = EMPTY
    metrics: Mapping[str, float] = EMPTY
    time: float | None = None
    data_time: float | None = None
    reason: str = ""
    read: Callable[[Sequence[Any]], list[float]] = read_floats
    window: tuple[Step, ...] = ()
    outputs: Any = None
    memory: Callable[[], int | None] = no_memory


class Observed(NamedTuple):
    """One thing a run is told about the world.

    Attributes:
        kind: "time" (seconds on a clock that never goes back), "signal" (its name) or "failure" (what failed).
        value: the seconds, or the words.
    """

    kind: Literal["time", "signal", "failure"]
    value: Any


def look(seen: Iterator[tuple[Observed, ...]]) -> tuple[float | None, str]:
    """What is observed now: the time, and the name of a signal.

    Raises:
        RunError: a failure is observed.
    """
    time, signal = None, ""
    for observed in next(seen, ()):
        if observed.kind == "time":
            time = observed.value
        elif observed.kind == "signal":
            signal = str(observed.value)
        else:
            raise RunError(str(observed.value))
    return time, signal

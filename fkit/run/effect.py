"""What hooks ask for, as values in the imperative. The loop answers some itself; the edge performs the rest."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fkit.tree.frozen import EMPTY

__all__ = [
    "KEEPING",
    "CopyLogs",
    "DeleteCheckpoint",
    "DrawCurves",
    "DrawMatrix",
    "Effect",
    "EmptyCache",
    "ExportWeights",
    "Fail",
    "NameCheckpoint",
    "Profile",
    "RenewStatistics",
    "ReportMemory",
    "SaveCheckpoint",
    "SetHyperparams",
    "Stop",
    "SwitchData",
    "Tracing",
    "Validate",
    "WriteConfig",
    "WriteImage",
    "WritePredictions",
    "WriteScalars",
    "WriteStatus",
    "WriteTags",
    "WriteText",
]


class SaveCheckpoint(NamedTuple):
    """Write the run as it stands after this event.

    Attributes:
        step: training iterations done: its name.
        reason: why, where that is no interval: the signal that ended the process.
        weights_only: without what a run needs to go on.
        out_dir: the folder where checkpoints lie, instead of the work folder.
        meta: what else to put on record, as JSON holds it.
        background: the run waits for the copy on the host, and not for the disk.
    """

    step: int
    reason: str = ""
    weights_only: bool = False
    out_dir: str = ""
    meta: Mapping[str, Any] = EMPTY
    background: bool = False


class DeleteCheckpoint(NamedTuple):
    """Remove a checkpoint that is no longer kept."""

    step: int


class NameCheckpoint(NamedTuple):
    """Give a checkpoint a name beside its own, from whichever had it; it goes with the checkpoint."""

    name: str
    step: int


class ExportWeights(NamedTuple):
    """Write the weights of a checkpoint by themselves, by their names: averaged ones, where validation takes these.

    Attributes:
        meta: with what is known of them: config, data, versions.
    """

    step: int
    meta: bool = True


class WriteScalars(NamedTuple):
    """A line of metrics: the values of this very step, in full precision.

    Attributes:
        step: training iterations done.
        epoch: whole passes over the training data that are done after ``step`` iterations, in an iteration-based run too.
        mode: "train" or "val".
        scalars: name -> value; one that is not finite is written as null.
    """

    step: int
    epoch: int
    mode: str
    scalars: Mapping[str, float]


class WriteTags(NamedTuple):
    """What a line of the log says, as numbers, for the writers (`vis_backends`: TensorBoard and the like).

    Attributes:
        step: where on the axis: iterations, or epochs of what is measured once an epoch.
        mode: "train" or "val".
        tags: name -> number.
    """

    step: int
    mode: str
    tags: Mapping[str, float]


class CopyLogs(NamedTuple):
    """Copy the work folder's logs elsewhere, when the run has ended.

    Attributes:
        out_dir: a folder, or an address that `fkit.fileio` knows; the copies lie in it under the work folder's name.
        suffixes: how their names end.
        keep_local: whether they stay.
        storage: arguments of the storage that ``out_dir`` is in.
    """

    out_dir: str
    suffixes: tuple[str, ...]
    keep_local: bool = True
    storage: Mapping[str, Any] | None = None


class WriteImage(NamedTuple):
    """Keep a picture: as vis/NAME_STEP.png in the work folder, and with the writers.

    Attributes:
        name: of what it shows; a slash in it makes a folder.
        image: (H, W), (H, W, 1) or (H, W, 3), RGB: uint8, or floats from 0 to 1.
        step: training iterations done, or the number of the batch.
    """

    name: str
    image: Any
    step: int


class WritePredictions(NamedTuple):
    """Add what was predicted to the file of a test's predictions; asked for where there is one.

    Attributes:
        rows: one mapping a sample, with its ``sample_idx``.
    """

    rows: tuple[Mapping[str, Any], ...]


class WriteText(NamedTuple):
    """A line of the log that a person reads."""

    text: str
    level: str = "INFO"


class DrawMatrix(NamedTuple):
    """Draw which class is taken for which: NAME.png in the work folder, that of the last pass over held-out data.

    Attributes:
        name: of the picture, the metric's.
        matrix: (K, K) int64: samples of true class (row) by predicted class (column).
        classes: their names; None where no data said them.
        step: training iterations done.
    """

    name: str
    matrix: Any
    classes: Sequence[str] | None
    step: int


class WriteConfig(NamedTuple):
    """Record the config, in the vocabulary its author wrote."""


class WriteStatus(NamedTuple):
    """Record how the run stands: "running", "finished", "interrupted", "failed"."""

    status: str


class DrawCurves(NamedTuple):
    """Draw the curves of all metrics written so far."""


class EmptyCache(NamedTuple):
    """Give memory of the device that no array uses back to the system."""


class ReportMemory(NamedTuple):
    """Say in the log how much memory the machine has left, and how much this process uses."""


class Tracing(NamedTuple):
    """What a recording of where time goes holds; the arguments of `fkit.run.hook.machine.ProfilerHook`.

    Attributes:
        cpu: what the CPU does.
        cuda: what CUDA does.
        schedule: which of the steps; None is all.
        ready: what is done with it.
        shapes: of the operations' inputs.
        memory: that they take.
        stack: their lines of code.
        flops: an estimate of their arithmetic.
        path: of Chrome's JSON.
    """

    cpu: bool = True
    cuda: bool = False
    schedule: Mapping[str, Any] | None = None
    ready: Any = None
    shapes: bool = False
    memory: bool = False
    stack: bool = False
    flops: bool = False
    path: str | None = None


class Profile(NamedTuple):
    """Begin a recording, tell it that a step is done, or end it; to end none does nothing.

    Attributes:
        action: "start", "step" or "stop".
        tracing: of "start", what is recorded.
    """

    action: str
    tracing: Tracing | None = None


class Validate(NamedTuple):
    """Run the validation loop next. Answered by the loop."""


class Stop(NamedTuple):
    """End training: at the end of the epoch, or at once in an iteration-based run. Answered by the loop."""

    reason: str = ""


class RenewStatistics(NamedTuple):
    """Compute the statistics of batch norm anew, as averages over whole batches of training data. Answered by the loop.

    Attributes:
        samples: that are looked at, at most.
    """

    samples: int


class SwitchData(NamedTuple):
    """Train on ``data[name]`` from the next step on, from the place in it where the run is. Answered by the loop, which knows
    of no switch when it begins: who asked for one asks again at ``before_train``.

    Attributes:
        name: "train", or a key of `Hook.sources`.
    """

    name: str


class SetHyperparams(NamedTuple):
    """Put these hyperparameters in force from the next step on. Answered by the loop.

    Attributes:
        values: {name: (G,) float64, or a number for all groups}; names left out stay as they are.
        ahead: of a hook that answers ``before_train_iter``: all hyperparameters of the steps after that one, an item a
            step; the hook is asked again when they are used up, or when another sets some.
    """

    values: Mapping[str, Any]
    ahead: Sequence[Mapping[str, Any]] = ()


class Fail(NamedTuple):
    """End the run as failed, with what was wrong. Answered by the loop, after the other effects of the event; nothing is
    saved by an event that fails."""

    what: str


KEEPING = (SaveCheckpoint, NameCheckpoint, DeleteCheckpoint, ExportWeights)
"""Effects on what a run keeps of itself: not done where nothing is trained, or where the run has failed."""

Effect = object
"""One of the above, or a value of a class of one's own: the loop passes it on to whoever performs effects."""

"""What hooks ask for, as values in the imperative. The loop answers some itself; the edge performs the rest."""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = [
    "DeleteCheckpoint",
    "DrawCurves",
    "Effect",
    "Fail",
    "SaveCheckpoint",
    "SetHyperparams",
    "Stop",
    "Validate",
    "WriteConfig",
    "WriteScalars",
    "WriteStatus",
    "WriteText",
]


class SaveCheckpoint(NamedTuple):
    """Write the run as it stands after this event."""

    step: int
    reason: str = ""


class DeleteCheckpoint(NamedTuple):
    """Remove a checkpoint that is no longer kept."""

    step: int


class WriteScalars(NamedTuple):
    """A line of metrics: the values of this very step, in full precision."""

    step: int
    epoch: int
    mode: str
    scalars: Mapping[str, float]


class WriteText(NamedTuple):
    """A line of the log that a person reads."""

    text: str
    level: str = "INFO"


class WriteConfig(NamedTuple):
    """Record the config, in the vocabulary its author wrote."""


class WriteStatus(NamedTuple):
    """Record how the run stands: "running", "finished", "interrupted", "failed"."""

    status: str


class DrawCurves(NamedTuple):
    """Draw the curves of all metrics written so far."""


class Validate(NamedTuple):
    """Run the validation loop next. Answered by the loop."""


class Stop(NamedTuple):
    """End training: at the end of the epoch, or at once in an iteration-based run. Answered by the loop."""

    reason: str = ""


class SetHyperparams(NamedTuple):
    """Put these hyperparameters in force from the next step on. Answered by the loop."""

    values: Mapping[str, Any]


class Fail(NamedTuple):
    """End the run as failed, with what was wrong. Answered by the loop, after the other effects of the event; nothing is
    saved by an event that fails."""

    what: str


Effect = (
    SaveCheckpoint
    | DeleteCheckpoint
    | WriteScalars
    | WriteText
    | WriteConfig
    | WriteStatus
    | DrawCurves
    | Validate
    | Stop
    | SetHyperparams
    | Fail
)

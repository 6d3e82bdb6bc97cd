"""The state of a run: where it is, what it trains, what is in force, what its hooks remember."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fkit.training.state import Hyperparams, TrainState
from fkit.tree.frozen import EMPTY

__all__ = ["Memory", "Position", "RunState"]


class Memory(NamedTuple):
    """What a hook remembers between events, saved with the run.

    Attributes:
        exact: decides later states; in the fingerprint. Tuples, lists, mappings, numbers, text, None, and numpy's numbers
            and arrays: they come back from a checkpoint as they were, and anything else is an error when it is saved.
        observed: wall times and the like: never in the fingerprint. What of it a checkpoint can hold is saved.
    """

    exact: Any = ()
    observed: Any = ()


class Position(NamedTuple):
    """The program counter of a run: with the plan's loop it decides what comes next.

    Attributes:
        stage: "begin", "iterate", "after_train", "after_run" or "done".
        iteration: training iterations done.
        epoch: training epochs done; 0 throughout an iteration-based run.
        inner: iterations done in this epoch.
        flow: index of the workflow item in progress; ``flow_done`` of its epochs (or iterations) are done.
        val_done: batches that workflow's val items have used, in an iteration-based run.
        validate: the validation loop comes next.
        stop: training ends at the end of the epoch, or at once in an iteration-based run.
    """

    stage: str = "begin"
    iteration: int = 0
    epoch: int = 0
    inner: int = 0
    flow: int = 0
    flow_done: int = 0
    val_done: int = 0
    validate: bool = False
    stop: bool = False


class RunState(NamedTuple):
    """A run at one moment; `fkit.train` yields one after each event that asked for something and after each iteration.

    Attributes:
        position: where it is.
        train: what it trains; lives until the next item is asked for.
        hyperparams: what is in force for the next step.
        memory: {hook name: Memory}.
        metrics: the newest validation result.
        status: "running", "interrupted" or "finished".
        restored: whether it came from a checkpoint.
        signal: the name of the signal that ended the process, "" where none did.
    """

    position: Position
    train: TrainState
    hyperparams: Hyperparams
    memory: Mapping[str, Memory]
    metrics: Mapping[str, float] = EMPTY
    status: str = "running"
    restored: bool = False
    signal: str = ""

    @property
    def iteration(self) -> int:
        """Training iterations done."""
        return self.position.iteration

    @property
    def epoch(self) -> int:
        """Training epochs done; 0 throughout an iteration-based run."""
        return self.position.epoch

"""Several runs of one program as one step: what a vectorised sweep asks of a backend."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fkit.structures.batch import Batch
from fkit.training.state import Hyperparams, TrainState

__all__ = ["Together"]


class Together(NamedTuple):
    """A program's step for several runs at once, which differ in their states, batches and hyperparameters.

    A program whose step can do this has it as ``train_step.together()``, which gives None where separate steps are the faster
    form, or the only right one, beside the reason.

    Attributes:
        join: ``(states) -> joined``: uses the states up.
        step: ``(joined, batches, hyperparams) -> (joined, logs of each)``: uses ``joined`` up.
        part: ``(joined, place) -> state``: a run's own again, as it is now; a copy, but for what JAX shares.
        form: in words: what a person is told.
    """

    join: Callable[[Sequence[TrainState]], Any]
    step: Callable[[Any, Sequence[Batch], Sequence[Hyperparams]], tuple[Any, Sequence[Mapping[str, Any]]]]
    part: Callable[[Any, int], TrainState]
    form: str

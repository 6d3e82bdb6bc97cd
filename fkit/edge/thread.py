"""On how many threads of the CPU a run computes: one where its steps are small, which more only slow down."""

import os
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2

from fkit.array.room import open as open_room
from fkit.data.job import Job
from fkit.data.loader import Loader
from fkit.data.source import Source
from fkit.recipe.settings import Settings
from fkit.structures.batch import Batch
from fkit.training.backend import Backend
from fkit.training.program import Program
from fkit.training.state import TrainState
from fkit.tree.error import FkitError

__all__ = ["Threads", "chosen", "threads"]

_SMALL = 1e9  # multiply-adds of a step that one core does in about a tenth of a second
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Threads(NamedTuple):
    """On how many threads a process computes.

    Attributes:
        number: how many; None where the backend does not say.
        why: what said so; "" where it is open still (`chosen` decides).
        note: what a person should be told of it beside, or "".
    """

    number: int | None
    why: str
    note: str = ""

    def record(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {} if self.number is None else {"threads": {"count": self.number, "why": self.why}}

    @property
    def words(self) -> str:
        """A line of the log; "" where there is nothing to say.

        Example:
            >>> Threads(2, "as the key `threads` says").words
            'threads: 2 (as the key `threads` says)'
        """
        return "" if self.number is None else f"threads: {self.number} ({self.why})"


def threads(settings: Settings, environment: Mapping[str, str] | None = None) -> Threads:
    """Have this process compute on as many threads as ``threads`` of the config says, and OpenCV on as many as ``env_cfg``
    says: before the plan is made.

    Args:
        environment: by default the process's; OMP_NUM_THREADS and MKL_NUM_THREADS say it where the config does not.
    """
    environment = os.environ if environment is None else environment
    if settings.environment.cv2_threads is not None:
        cv2.setNumThreads(settings.environment.cv2_threads)
    try:
        room: Backend = open_room(settings.backend)
    except FkitError:  # the plan names it
        return Threads(None, "")
    if settings.threads is not None:
        return Threads(room.threads(settings.threads), "as the key `threads` says")
    variable = next((name for name in _VARIABLES if environment.get(name)), "")
    return Threads(room.threads(None), f"as {variable} says" if variable else "")


def chosen(
    now: Threads, program: Program, state: TrainState, source: Source, passes: int = 1, before: Any = None
) -> Threads:
    """The number where nobody has said one: one thread for a small step, else as many as the framework takes by itself.

    A rule of sizes, never of times, so that a run repeats: a step is small when predicting one sample, times the
    samples of a batch and ``passes``, takes less than 1e9 multiply-adds.

    Args:
        now: what `threads` gave.
        source: of the run's batches; its first sample is looked at.
        passes: that a step is reckoned as: 3 in training (forward, and backward to inputs and to weights).
        before: what `Threads.record` had of the run that goes on: its number stays.
    """
    room = open_room(program.backend)
    was = before.get("count") if isinstance(before, Mapping) else None
    if now.why or now.number is None:
        return now._replace(note=_other(now.number, was))
    if isinstance(was, int):
        return Threads(room.threads(was), "as the run began with")
    step = _step(room, program, state, source, passes)
    if step is None or step >= _SMALL:
        return now._replace(why="what the machine has")
    about = f"for a small step, of {step:.0e} multiply-adds, one is fastest; threads=N or OMP_NUM_THREADS=N sets others"
    return Threads(room.threads(1), about)


def _step(room: Backend, program: Program, state: TrainState, source: Source, passes: int) -> float | None:
    """Multiply-adds of a step; None where they are not known, or are not the CPU's."""
    if not isinstance(source, Loader):
        return None
    try:
        # a copy, where the data go to other processes: a dataset that opens a file when it is read goes to none any more
        make = pickle.loads(pickle.dumps(source.make)) if source.workers else source.make
        sample: Batch = make(Job((0,), (0,), (0,)))
        work = room.work(program, state, sample)
    except Exception:  # a sample or a model that fails does so again in its step, where it is told
        return None
    return None if work is None else work * passes * source.batch_size * source.devices


def _other(now: int | None, was: Any) -> str:
    if now is None or not isinstance(was, int) or now == was:
        return ""
    return (
        f"this run began on {was} threads and goes on on {now}: its bits may differ from those of a run that was not "
        f"stopped; threads={was} keeps them."
    )

"""Several runs of one program in one process, whose training steps are one step.

Each run is a thread, and goes on alone until it asks for a step; the last to ask takes the step for all. One thread runs at a
time, so that a run sees no other.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fkit.structures.batch import Batch
from fkit.structures.content import is_array
from fkit.training.program import Program
from fkit.training.state import Hyperparams, TrainState, check_call
from fkit.training.together import Together
from fkit.tree.error import FkitError, RunError

__all__ = ["Lockstep", "together_of"]


class _Call(NamedTuple):
    """A step that a run asks for."""

    state: TrainState
    batch: Batch
    hyperparams: Hyperparams


class _Shared(TrainState):
    """A run's part of a joined state: its arrays are cut out when somebody looks at them."""

    __slots__ = ("_at", "_cut")

    def __init__(self, cut: Callable[[], TrainState], iteration: Any) -> None:
        self._parts = None
        self._cut: Callable[[], TrainState] | None = cut
        self._at = iteration

    @property
    def parts(self) -> tuple[Any, ...]:
        """See `fkit.training.state.TrainState.parts`."""
        if self._parts is None and self._cut is not None:
            self._parts = self._cut().parts
        return super().parts

    def consume(self) -> tuple[Any, ...]:
        """See `fkit.training.state.TrainState.consume`."""
        parts = self.parts
        self.drop()
        return parts

    def drop(self) -> None:
        """A step of all runs has taken this over."""
        self._parts = self._cut = None

    @property
    def consumed(self) -> bool:
        """Whether a step has taken this state over."""
        return self._parts is None and self._cut is None

    iteration = property(lambda self: self._at)


def together_of(program: Program) -> tuple[Together | None, str]:
    """The step of several runs of a program at once; None, and why, where separate steps are the better form."""
    make = getattr(program.train_step, "together", None)
    if make is None:
        return None, "something follows each step that knows one run alone"
    return make()


class Lockstep:
    """Where runs meet for their steps.

    Args:
        program: of the first run; the others' are the same but for their hyperparameters.
        together: its step for several.
        count: how many runs there are.

    Attributes:
        baton: held by the thread that runs.
        steps: how many were taken.
    """

    def __init__(self, program: Program, together: Together, count: int) -> None:
        self.baton = threading.Condition()
        self.steps = 0
        self._program, self._together, self._active = program, together, count
        self._calls: dict[int, _Call] = {}
        self._results: dict[int, Any] = {}
        self._joined: Any = None
        self._shared: dict[int, TrainState] = {}

    def program(self, place: int, own: Program) -> Program:
        """The program of a run: the first run's functions, with its own hyperparameters and the step of all."""
        return self._program._replace(train_step=partial(self._step, place), hyperparams=own.hyperparams)

    def leave(self) -> None:
        """A run is through: those that wait, wait for it no more."""
        self._active -= 1
        if self._calls and len(self._calls) == self._active:
            self._answer()

    def _step(self, place: int, state: TrainState, batch: Batch, hyperparams: Hyperparams) -> tuple[TrainState, Any]:
        check_call(state, batch)
        turn = self.steps
        self._calls[place] = _Call(state, batch, hyperparams)
        if len(self._calls) == self._active:
            self._answer()
        while self.steps == turn:
            self.baton.wait()
        result = self._results.pop(place)
        if isinstance(result, FkitError):
            raise result
        if isinstance(result, Exception):
            raise RunError(f"the step of {len(self._shared) or 1} runs together raised {result}") from result
        return result

    def _answer(self) -> None:
        """Take the step of all that have asked."""
        calls, self._calls = dict(sorted(self._calls.items())), {}
        try:
            alike = len(calls) > 1 and len({_likeness(call) for call in calls.values()}) == 1
            self._results = self._joint(calls) if alike else self._apart(calls)
        except Exception as error:
            self._results = dict.fromkeys(calls, error)
        self.steps += 1
        self.baton.notify_all()

    def _joint(self, calls: Mapping[int, _Call]) -> dict[int, Any]:
        places, states = tuple(calls), [call.state for call in calls.values()]
        if (
            self._joined is None
            or any(self._shared.get(place) is not call.state for place, call in calls.items())
            or len(self._shared) != len(calls)
        ):
            self._joined = self._together.join([TrainState(*state.consume()) for state in states])
        for state in states:
            if isinstance(state, _Shared):
                state.drop()
        rows: Sequence[_Call] = tuple(calls.values())
        self._joined, logs = self._together.step(
            self._joined, [row.batch for row in rows], [row.hyperparams for row in rows]
        )
        joined, iteration = self._joined, self._joined.iteration
        self._shared = {
            place: _Shared(partial(self._together.part, joined, index), iteration) for index, place in enumerate(places)
        }
        return {place: (self._shared[place], told) for place, told in zip(places, logs, strict=True)}

    def _apart(self, calls: Mapping[int, _Call]) -> dict[int, Any]:
        """Each run's own step: where one is alone, or their batches are of other shapes."""
        states = {place: TrainState(*call.state.consume()) for place, call in calls.items()}
        self._joined, self._shared = None, {}
        return {
            place: self._program.train_step(states[place], call.batch, call.hyperparams)
            for place, call in calls.items()
        }


def _likeness(call: _Call) -> Any:
    """What has to be equal for steps to be one step."""
    batch = call.batch
    return int(call.state.iteration), _shape(batch.inputs), _shape(batch.targets), _shape(batch.valid)


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple((name, _shape(item)) for name, item in value.items())  # pyright: ignore[reportUnknownVariableType]
    if is_array(value):
        return tuple(value.shape), str(value.dtype)
    return object()  # like nothing else: an element's metainfo, a list

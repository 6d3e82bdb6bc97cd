"""A program: pure functions over an explicit train state. And the state itself, which is linear."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fkit.array.random import seed_of
from fkit.array.room import open as open_room
from fkit.structures.batch import Batch
from fkit.training.initialise import initial
from fkit.training.inventory import Inventory
from fkit.training.optimizer import Optimizer
from fkit.training.weight import fit
from fkit.tree.error import FkitRuntimeError, FkitValueError

__all__ = ["Arrays", "Engine", "Hyperparams", "Phase", "Program", "Spec", "TrainState"]

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by path in torch's names and layout: ``params/NAME``, ``buffers/NAME``, ``opt/OPTIMIZER/SLOT/NAME``,
``slots/NAME/PATH``, ``iteration``, ``updates``, ``key``. What is on disk, in `convert` and in fingerprints."""

Hyperparams = Mapping[str, NDArray[np.float64]]
"""What is in force: ``{"lr": (G,), "weight_decay": (G,), ...}`` float64 on the host, an entry a parameter group."""

_FIELDS = ("params", "buffers", "opt", "slots", "iteration", "updates", "key")


class TrainState:
    """Data only: all that a training step reads and writes. Linear: a donating step consumes its argument.

    Attributes:
        params: {name: array}; names are torch's ``state_dict`` names on both backends, layouts the backend's own.
        buffers: {name: array}, batch statistics among them.
        opt: {optimizer: {slot: {name: array}}}.
        slots: {name: {path: array}}: EMA, accumulated gradients, loss scale, queues.
        iteration: 0-d, training steps done.
        updates: 0-d, optimizer updates done (fewer under accumulation and skipped steps).
        key: two words; step i draws from ``fold(key, i)``.

    A pytree with either framework once its room is open. Touching a state that a step consumed raises.
    """

    __slots__ = ("_parts",)

    def __init__(
        self,
        params: Mapping[str, Any],
        buffers: Mapping[str, Any],
        opt: Mapping[str, Mapping[str, Mapping[str, Any]]],
        slots: Mapping[str, Mapping[str, Any]],
        iteration: Any,
        updates: Any,
        key: Any,
    ) -> None:
        self._parts: tuple[Any, ...] | None = (params, buffers, opt, slots, iteration, updates, key)

    @property
    def parts(self) -> tuple[Any, ...]:
        """The seven fields, in the order of the constructor.

        Raises:
            FkitRuntimeError: a step has consumed this state.
        """
        if self._parts is None:
            raise FkitRuntimeError(
                "this TrainState was consumed by train_step, which may have reused its arrays.",
                repair="Go on with the state that train_step returned, or build the program with donate=False.",
            )
        return self._parts

    def consume(self) -> tuple[Any, ...]:
        """The fields, for the one step that takes them over; from now on touching this state raises."""
        parts = self.parts
        self._parts = None
        return parts

    @property
    def consumed(self) -> bool:
        """Whether a step has taken this state over."""
        return self._parts is None

    def replace(self, **changes: Any) -> "TrainState":
        """A state with some fields changed; it shares the other arrays with this one.

        Raises:
            FkitValueError: no field has that name.
        """
        for name in changes:
            if name not in _FIELDS:
                raise FkitValueError(f"TrainState has no field {name!r}.", value=name, choices=_FIELDS, label="Fields")
        return TrainState(**{**dict(zip(_FIELDS, self.parts, strict=True)), **changes})

    params = property(lambda self: self.parts[0])
    buffers = property(lambda self: self.parts[1])
    opt = property(lambda self: self.parts[2])
    slots = property(lambda self: self.parts[3])
    iteration = property(lambda self: self.parts[4])
    updates = property(lambda self: self.parts[5])
    key = property(lambda self: self.parts[6])

    def __repr__(self) -> str:
        if self._parts is None:
            return "TrainState(consumed)"
        return f"TrainState({len(self.params)} params, iteration {int(self.iteration)})"


class Phase(NamedTuple):
    """One part of a training step: a loss, the optimizer that follows its gradient, on which parameters, how often.

    Attributes:
        loss: the key of the losses to differentiate; None is the sum of all whose key contains "loss".
        optimizer: the name of the optimizer.
        params: a regular expression over parameter names (``re.search``); "" is all that are trainable.
        every: run the phase in every n-th step.
    """

    loss: str | None = None
    optimizer: str = "main"
    params: str = ""
    every: int = 1


@dataclass(frozen=True)
class Spec:
    """What a program is made of, with no framework in it; `fkit.run.plan.program` makes one of a config.

    Attributes:
        model: backend name -> a fresh module (torch.nn.Module or flax.linen.Module), made by the registry.
        optimizers: {name: Optimizer}; "main" where there is one.
        phases: what a step does, in order.
        dtype: the compute type, "float32", "float64" or "bfloat16".
        device: "cpu", "cuda", "cuda:1"; None lets the backend choose.
        donate: whether a step may reuse the arrays of the state it is given.
        compile: whether the room compiles the step (torch.compile; JAX always does).
        masks: dropout's bits: "counter" (the run's own: equal on all backends) or "backend" (its generator: not).
        example: makes one batch of inputs; asked for by backends that learn shapes by tracing.
        threads: arithmetic threads, where the backend has them; None leaves it.
    """

    model: Callable[[str], Any]
    optimizers: Mapping[str, Optimizer]
    phases: tuple[Phase, ...] = (Phase(),)
    dtype: str = "float32"
    device: str | None = None
    donate: bool = True
    compile: bool = False
    masks: str = "counter"
    example: Callable[[], Any] | None = None
    threads: int | None = None


class Engine(Protocol):
    """What a backend's room supplies; a `Program` composes the rest of it."""

    @property
    def inventory(self) -> Inventory:
        """Every parameter and buffer, by torch's names and layouts."""
        ...

    def own(self, seed: int) -> Arrays:
        """The modules' own initial values, under a generator seeded by ``seed``; paths as in `Arrays`."""
        ...

    def place(self, arrays: Arrays) -> TrainState:
        """A state of the arrays, in the room's layout and on its device. With no path under ``opt/``, the optimizers
        start fresh; with some, a slot that is missing or unknown is an FkitError."""
        ...

    def collect(self, state: TrainState) -> dict[str, NDArray[Any]]:
        """The arrays of a state, whole, on the host, in torch's layout (a copy)."""
        ...

    def gather(self, state: TrainState) -> TrainState:
        """The state with whole arrays in place of shards."""
        ...

    def loss(self, state: TrainState, batch: Batch, key: Any, train: bool = False) -> tuple[Mapping[str, Any], Any]: ...

    def train_step(
        self, state: TrainState, batch: Batch, hyperparams: Hyperparams
    ) -> tuple[TrainState, Mapping[str, Any]]: ...

    def predict(self, state: TrainState, batch: Batch) -> Any: ...


@dataclass(frozen=True)
class Program:
    """Pure functions over explicit state, for one model, one set of optimizers and one backend.

    Attributes:
        backend: the room's name.
        spec: what it was made of.
        engine: what the room made of the spec.
        loss: ``(state, batch, key, train=False) -> (losses, buffers)``; no update.
        train_step: ``(state, batch, hyperparams) -> (state, logs)``; consumes ``state`` when the spec donates. ``logs``
            are lazy 0-d arrays: every loss, and "loss", the sum that was differentiated.
        predict: ``(state, batch) -> outputs``, mode="predict".
        gather: shards -> whole arrays.
    """

    backend: str
    spec: Spec
    engine: Engine
    loss: Callable[..., tuple[Mapping[str, Any], Any]]
    train_step: Callable[[TrainState, Batch, Any], tuple[TrainState, Mapping[str, Any]]]
    predict: Callable[[TrainState, Batch], Any]
    gather: Callable[[TrainState], TrainState]

    @staticmethod
    def of(spec: Spec, backend: str) -> "Program":
        """The program of a spec on a backend, whose room is opened."""
        engine = open_room(backend).engine(spec)
        return Program(backend, spec, engine, engine.loss, engine.train_step, engine.predict, engine.gather)

    def init(self, seed: int) -> TrainState:
        """The state before the first step: every weight decided by ``key(seed, "init", name)`` and its layer's scheme.

        Raises:
            FkitTypeError: the seed is no whole number.
        """
        seed = seed_of(seed)
        return self.engine.place(initial(self.engine.inventory, self.engine.own, seed))

    def arrays(self, state: TrainState) -> dict[str, NDArray[Any]]:
        """The state as host arrays by path, in torch's names and layout; a copy."""
        return self.engine.collect(self.engine.gather(state))

    def restore(self, arrays: Arrays) -> TrainState:
        """The state that `arrays` wrote.

        Raises:
            FkitError: an array is missing, unknown, or of another shape than the model's.
        """
        return self.engine.place(fit(self.engine.inventory, arrays, strict=True).arrays)

    def load(self, state: TrainState, arrays: Arrays, strict: bool = True) -> TrainState:
        """``state`` with weights taken over by name.

        Args:
            arrays: {name: array} as in a ``state_dict``, torch's layout.
            strict: False takes what fits; `fkit.training.weight.fit` says what did not.

        Raises:
            FkitError: with ``strict``, names that are missing, unexpected, or of another shape.
        """
        weights = fit(self.engine.inventory, arrays, strict=strict, bare=True)
        return self.engine.place({**self.arrays(state), **weights.arrays})

    def convert(self, state: TrainState, to: str) -> TrainState:
        """The same numbers on another backend, optimizer state included.

        Raises:
            FkitError: an optimizer or a model has no twin there.
        """
        return Program.of(self.spec, to).restore(self.arrays(state))

    def hyperparams(self) -> Hyperparams:
        """What the optimizers start with, an entry a parameter group."""
        numbers: dict[str, NDArray[np.float64]] = {}
        for name, optimizer in self.spec.optimizers.items():
            prefix = "" if len(self.spec.optimizers) == 1 else f"{name}."
            for key, values in optimizer.hyperparams().items():
                numbers[prefix + key] = values
        return numbers

"""The train state: all that a step reads and writes, as one linear value."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.structures.batch import Batch
from fkit.structures.views import Views
from fkit.tree.check import expect
from fkit.tree.error import FkitRuntimeError, FkitTypeError, FkitValueError, quoted

__all__ = ["Arrays", "Hyperparams", "TrainState", "check_call", "check_key"]

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
        iteration: training steps done: the host's number, so that nobody waits for the device to know it.
        updates: 0-d on the device: steps in which a parameter moved (fewer under accumulation and skipped steps).
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


def check_call(state: Any, batch: Any) -> None:
    """Refuse what a program's functions cannot take, at their door.

    Raises:
        FkitTypeError: ``state`` is no TrainState, or ``batch`` no Batch.

    Example:
        >>> check_call(None, None)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: `state` is a TrainState, not None.
          program.init(seed) gives one, and each train_step the next.
    """
    if type(state) is not TrainState:
        expect(
            state, TrainState, "`state` is a TrainState", "program.init(seed) gives one, and each train_step the next."
        )
    if type(batch) is not Batch:
        expect(batch, Batch, "`batch` is a Batch", "Batch(inputs, {'gt_label': labels}) makes one.")
        if isinstance(batch, Views):
            raise FkitValueError(
                f"a batch of {len(batch.views)} views of each image (TestTimeAug) is there to be predicted: no loss is had of it.",
                repair="Take TestTimeAug out of the pipeline of the data that give losses.",
            )


def check_key(key: Any) -> None:
    """Refuse what is no key.

    Raises:
        FkitTypeError: it is neither two whole numbers nor an array of two.

    Example:
        >>> check_key((1, 2))
    """
    if isinstance(key, (tuple, list)):
        good = len(key) == 2 and not any(isinstance(word, (str, float, bool)) or word is None for word in key)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    else:
        good = getattr(key, "shape", None) == (2,)
    if not good:
        raise FkitTypeError(f"A key is two words, as key(seed, ...) gives them, not {quoted(key)}.")

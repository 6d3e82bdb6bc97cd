"""What parts of a run tell each other: scalars with their histories, and infos; mmengine's MessageHub as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fkit.training.history import HistoryBuffer
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["MessageHub"]


@dataclass(frozen=True, eq=False)
class MessageHub:
    """Scalars and infos by name; each update gives a new hub, and nobody else sees it.

    Whether a name is resumed, kept in `state`, is settled by its first update; scalars and infos share it.

    Args:
        log_scalars: {name: `HistoryBuffer`}.
        runtime_info: {name: value}.
        resumed_keys: {name: whether `state` has it}.

    Example:
        >>> hub = MessageHub().update_scalar("train/loss", 1.0).update_scalar("train/loss", 3.0).update_info("epoch", 2)
        >>> hub.get_scalar("train/loss").mean(), hub.get_info("epoch"), hub.get_info("iter", 0)
        (2.0, 2, 0)
    """

    log_scalars: Mapping[str, HistoryBuffer] = EMPTY
    runtime_info: Mapping[str, Any] = EMPTY
    resumed_keys: Mapping[str, bool] = EMPTY

    def update_scalar(self, key: str, value: Any, count: int = 1, resumed: bool = True) -> "MessageHub":
        """With one more value of a scalar.

        Args:
            key: its name.
            value: a number, or an array or tensor of one.
            count: how many things it is the sum of.
            resumed: whether `state` keeps it.

        Raises:
            FkitTypeError: the value is none, or the count is no whole number.
            FkitValueError: ``resumed`` is not what it was.
        """
        number = _number(key, value)
        if not isinstance(count, int | np.integer):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitTypeError(f"update_scalar({key!r}): count = {quoted(count)} is no whole number.")
        marked = self._marked(key, resumed)
        known = self.log_scalars.get(key)
        history = HistoryBuffer([number], [count]) if known is None else known.update(number, count)
        return replace(marked, log_scalars=frozen({**self.log_scalars, key: history}))

    def update_scalars(self, log_dict: Mapping[str, Any], resumed: bool = True) -> "MessageHub":
        """With one more value of several scalars: a number each, or dict(value=..., count=...).

        Raises:
            FkitError: as `update_scalar`.
        """
        expect(log_dict, Mapping, "`log_dict` is a mapping of names to values")
        hub = self
        for key, value in log_dict.items():
            if isinstance(value, Mapping):
                if "value" not in value:
                    raise FkitKeyError(f"update_scalars: {key!r} = {quoted(value)} has no 'value'.")
                hub = hub.update_scalar(key, value["value"], value.get("count", 1), resumed)
            else:
                hub = hub.update_scalar(key, value, resumed=resumed)
        return hub

    def update_info(self, key: str, value: Any, resumed: bool = True) -> "MessageHub":
        """With an info, in the place of one of that name.

        Raises:
            FkitValueError: ``resumed`` is not what it was.
        """
        return replace(self._marked(key, resumed), runtime_info=frozen({**self.runtime_info, key: value}))

    def update_info_dict(self, info_dict: Mapping[str, Any], resumed: bool = True) -> "MessageHub":
        """With several infos."""
        expect(info_dict, Mapping, "`info_dict` is a mapping of names to values")
        hub = self
        for key, value in info_dict.items():
            hub = hub.update_info(key, value, resumed)
        return hub

    def get_scalar(self, key: str) -> HistoryBuffer:
        """A scalar's history.

        Raises:
            FkitKeyError: there is none of that name.
        """
        if key not in self.log_scalars:
            choices = tuple(self.log_scalars)
            raise FkitKeyError(f"{key!r} is no scalar of the hub.", value=str(key), choices=choices, label="Scalars")
        return self.log_scalars[key]

    def get_info(self, key: str, default: Any = None) -> Any:
        """An info, or ``default`` where there is none of that name."""
        return self.runtime_info.get(key, default)

    def pop_info(self, key: str, default: Any = None) -> "tuple[MessageHub, Any]":
        """The hub without an info, and the info (``default`` where there is none)."""
        rest = frozen({name: value for name, value in self.runtime_info.items() if name != key})
        return replace(self, runtime_info=rest), self.runtime_info.get(key, default)

    def state(self) -> dict[str, Any]:
        """What is resumed, as plain data: {"log_scalars": {name: (values, counts)}, "runtime_info", "resumed_keys"}."""
        scalars = {
            name: tuple(column.tolist() for column in history.data)
            for name, history in self.log_scalars.items()
            if self.resumed_keys[name]
        }
        infos = {name: value for name, value in self.runtime_info.items() if self.resumed_keys[name]}
        return {"log_scalars": scalars, "runtime_info": infos, "resumed_keys": dict(self.resumed_keys)}

    @staticmethod
    def of(state: Mapping[str, Any]) -> "MessageHub":
        """The hub that `state` told of.

        Raises:
            FkitValueError: it is of another layout.
        """
        expect(state, Mapping, "`state` is what MessageHub.state() gave")
        try:
            scalars = {name: HistoryBuffer(*columns) for name, columns in state["log_scalars"].items()}
            infos = dict(state["runtime_info"])
            flags = {name: flag for name, flag in state["resumed_keys"].items() if flag}
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise FkitValueError(f"the state of a hub is of another layout: {cause!r}.") from cause
        return MessageHub(frozen(scalars), frozen(infos), frozen(flags))

    def _marked(self, key: str, resumed: bool) -> "MessageHub":
        expect(key, str, "`key` is a name")
        known = self.resumed_keys.get(key, resumed)
        if known != resumed:
            raise FkitValueError(
                f"{key!r}: resumed={resumed}, and its first update said resumed={known}.",
                repair="Say the same each time.",
            )
        return replace(self, resumed_keys=frozen({**self.resumed_keys, key: resumed}))


def _number(key: str, value: Any) -> float:
    if isinstance(value, int | float | np.integer | np.floating):
        return value  # pyright: ignore[reportReturnType]
    if hasattr(value, "item") and _size(value) == 1:
        return value.item()
    raise FkitTypeError(f"update_scalar({key!r}): {quoted(value)} is no number, and no array of one.")


def _size(value: Any) -> int:
    """How many numbers an array has."""
    return int(np.prod(value.shape)) if hasattr(value, "shape") else 0

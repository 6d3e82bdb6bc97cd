"""What of a model's losses is differentiated; the arithmetic that a room does is its own."""

from collections.abc import Callable, Mapping
from typing import Any

from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["numbers_of", "total"]


def numbers_of(losses: Any, number: Callable[[Any], Any]) -> dict[str, Any]:
    """Each loss as one number: lists are summed, arrays averaged, as mmengine's ``parse_losses``.

    Args:
        losses: what the model returned in mode="loss".
        number: an array, or a Python number, as a 0-d array: its mean; None where it is neither.

    Raises:
        FkitTypeError: it is no mapping of numbers.

    Example:
        >>> numbers_of({"loss_a": [1.0, 2.0], "acc": 0.5}, lambda value: value)
        {'loss_a': 3.0, 'acc': 0.5}
    """
    if not isinstance(losses, Mapping):
        raise FkitTypeError(
            f'a model in mode="loss" returns a mapping of losses, found {type(losses).__name__}.',
            path="model",
            repair='Return {"loss": loss}; the sum of those whose key contains "loss" is differentiated.',
        )
    return {str(name): _number(name, value, number) for name, value in losses.items()}


def _number(name: Any, value: Any, number: Callable[[Any], Any]) -> Any:
    if isinstance(value, (list, tuple)) and value:
        parts = [_number(name, part, number) for part in value]
        return sum(parts[1:], parts[0])
    scalar = number(value)
    if scalar is None:
        raise FkitTypeError(
            f"loss {name!r} is a {type(value).__name__}; it must be an array or a list of arrays.", path="model"
        )
    return scalar


def total(losses: Mapping[str, Any], key: str | None = None) -> Any:
    """What is differentiated: one loss, or the sum of those whose key contains "loss".

    Raises:
        FkitError: there is none.

    Example:
        >>> total({"loss_a": 1.0, "loss_b": 2.0, "acc": 0.5})
        3.0
    """
    if key is not None:
        if key not in losses:
            raise FkitKeyError(f"a phase asks for loss {key!r}.", value=key, choices=losses, label="Losses")
        return losses[key]
    parts = [value for name, value in losses.items() if "loss" in name]
    if not parts:
        raise FkitValueError(
            f'the model\'s losses {sorted(losses)} hold no key that contains "loss".',
            path="model",
            repair='Name what is to be differentiated "loss" or "loss_...".',
        )
    return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])

"""What a model's mode="loss" returned, as numbers, and what of them is differentiated."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["numbers_of", "total"]


def numbers_of(losses: Any) -> dict[str, Tensor]:
    """Each loss as one number: lists are summed, tensors averaged, as mmengine's ``parse_losses``.

    Raises:
        FkitTypeError: it is no mapping of tensors.
    """
    if not isinstance(losses, Mapping):
        raise FkitTypeError(
            f'a model in mode="loss" returns a mapping of losses, found {type(losses).__name__}.',
            repair='Return {"loss": loss}; the sum of those whose key contains "loss" is differentiated.',
        )
    return {str(name): _number(name, value) for name, value in losses.items()}


def _number(name: Any, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value if value.dim() == 0 else value.mean()
    if isinstance(value, (list, tuple)) and value:
        parts = [_number(name, part) for part in value]
        return sum(parts[1:], parts[0])
    if isinstance(value, (int, float)):
        return torch.tensor(float(value))
    raise FkitTypeError(f"loss {name!r} is a {type(value).__name__}; it must be a tensor or a list of tensors.")


def total(losses: Mapping[str, Tensor], key: str | None) -> Tensor:
    """What is differentiated: one loss, or the sum of those whose key contains "loss".

    Raises:
        FkitError: there is none.
    """
    if key is not None:
        if key not in losses:
            raise FkitKeyError(f"a phase asks for loss {key!r}.", value=key, choices=losses, label="Losses")
        return losses[key]
    parts = [value for name, value in losses.items() if "loss" in name]
    if not parts:
        raise FkitValueError(
            f'the model\'s losses {sorted(losses)} hold no key that contains "loss".',
            repair='Name what is to be differentiated "loss" or "loss_...".',
        )
    return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])

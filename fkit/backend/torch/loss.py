"""What a model's mode="loss" returned, as tensors."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["number"]


def number(value: Any) -> Tensor | None:
    """A tensor, or a Python number, as a 0-d tensor: the mean; None of anything else."""
    if isinstance(value, Tensor):
        return value if value.dim() == 0 else value.mean()
    if isinstance(value, (int, float)):
        return torch.tensor(float(value))
    return None

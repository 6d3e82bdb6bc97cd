"""A small network between queries and their places."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["Perceptron"]


class Perceptron(nn.Module):
    """Linear layers, ``layers``, with ReLUs between.

    Args:
        widths: of what comes in, and of what each layer gives.

    Example:
        >>> Perceptron((4, 8, 2))(torch.ones(1, 3, 4)).shape
        torch.Size([1, 3, 2])
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for at, layer in enumerate(self.layers):
            x = layer(torch.relu(x) if at else x)
        return x

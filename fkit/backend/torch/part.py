"""The operations of gradient transforms and of optimizers on parts of arrays: what is of all elements is of all processes'."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from fkit.backend.torch.many import Many, ManyOps
from fkit.backend.torch.ops import Torch

__all__ = ["ManyPartOps", "PartOps"]


@dataclass(frozen=True, slots=True)
class PartOps(Torch):
    """Of gradient transforms."""

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        mine = [array for array in arrays if array.numel()]
        zero = torch.zeros((), dtype=arrays[0].dtype, device=arrays[0].device)
        return _joined(Torch.norm(self, mine, order) if mine else zero, order)


@dataclass(frozen=True, slots=True)
class ManyPartOps(ManyOps):
    """Of a law, which takes all parameters of a group at once: as many in each process, for their norms are one sum."""

    @property
    def in_rows(self) -> bool:
        return False

    def norm(self, arrays: Sequence[Any], order: float) -> Any:
        if not isinstance(arrays[0], Many):
            return PartOps(self.device).norm(arrays, order)
        return Many(_joined(torch.stack(list(ManyOps.norm(self, arrays, order).tensors)), order).unbind())


def _joined(norms: Any, order: float) -> Any:
    """Norms of all processes' parts, of those of one."""
    if math.isinf(order):
        dist.all_reduce(norms, dist.ReduceOp.MAX)
        return norms
    powers = norms**order
    dist.all_reduce(powers)
    return powers ** (1 / order)

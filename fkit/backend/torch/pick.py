"""`fkit.array.pick.PickOps` on torch tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fkit.array.bag import region_mean
from fkit.array.ops import Numpy
from fkit.array.pick import mapped

__all__ = ["TorchPick"]

_LINEAR = 40.0  # from here on, softplus(a) is a to the last bit of a float64

_ROWS = 512  # more are not worth a pass each


class TorchPick:
    """Rows of tensors; see `fkit.array.pick.PickOps`. New tensors are made on ``device``."""

    __slots__ = ()
    device: Any

    @property
    def lib(self) -> Any:
        return torch

    @property
    def fixed(self) -> bool:
        return False

    def cast(self, a: Any, kind: Any) -> Any:
        return a.to(_dtype(kind))

    def asarray(self, values: Any, kind: Any) -> Any:
        return torch.as_tensor(values, dtype=_dtype(kind), device=self.device)

    def arange(self, count: int, kind: Any = "int64") -> Any:
        return torch.arange(count, dtype=_dtype(kind), device=self.device)

    def full(self, shape: Sequence[int], value: float, kind: Any = "float32") -> Any:
        return torch.full(tuple(shape), value, dtype=_dtype(kind), device=self.device)

    def take(self, a: Any, index: Any) -> Any:
        flat = a.index_select(0, index.reshape(-1))
        return flat if index.dim() == 1 else flat.reshape(*index.shape, *a.shape[1:])

    def take_along(self, a: Any, index: Any, axis: int) -> Any:
        return torch.take_along_dim(a, index.long(), axis)

    def put(self, a: Any, index: Any, values: Any) -> Any:
        longer = torch.cat([a, a.new_zeros(1, *a.shape[1:])])
        return longer.index_put((index.long(),), torch.as_tensor(values, dtype=a.dtype, device=a.device))[:-1]

    def topk(self, a: Any, count: int) -> tuple[Any, Any]:
        if count and a.shape[-1] > max(2 * count, 4096):
            index = _greatest(a.detach(), count)
            return a.gather(-1, index), index
        values, index = torch.sort(a, dim=-1, descending=True, stable=True)
        return values[..., :count], index[..., :count]

    def topmost(self, a: Any, count: int, valid: Any = None) -> Any:
        if valid is None:
            return torch.topk(a, count, dim=-1, sorted=False)[1]
        if self.known(valid.sum() > count):
            places = self.real(valid)
            return places[torch.topk(a[:, places], count, dim=-1, sorted=False)[1]]
        return torch.topk(torch.where(valid, a, -float("inf")), count, dim=-1, sorted=False)[1]

    def best(self, a: Any) -> tuple[Any, Any]:
        if a.is_cuda or a.shape[0] > _ROWS:
            return torch.max(a, 0)
        values = a.amax(0)  # a pass over rows, and not down columns
        row = torch.zeros_like(values, dtype=torch.int64)
        for at in range(a.shape[0] - 1, 0, -1):
            row.masked_fill_(a[at] == values, at)
        return values, row.masked_fill_(a[0] == values, 0)

    def order(self, a: Any, descending: bool = False) -> Any:
        return torch.argsort(a, dim=-1, descending=descending, stable=True)

    def segment_sum(self, values: Any, index: Any, count: int) -> Any:
        return values.new_zeros(count, *values.shape[1:]).index_add(0, index.long(), values)

    def segment_max(self, values: Any, index: Any, count: int, initial: float) -> Any:
        out = values.new_full((count, *values.shape[1:]), initial)
        place = index.long().reshape(-1, *(1 for _ in values.shape[1:])).expand_as(values)
        return out.scatter_reduce(0, place, values, "amax")

    def spread(self, counts: Any, total: int) -> Any:
        return torch.repeat_interleave(counts, output_size=total)

    def bags(self, rows: Any, index: Any, weight: Any, offsets: Any = None) -> Any:
        kind = weight.to(rows.dtype)
        whole = offsets is not None
        return F.embedding_bag(index, rows, offsets, mode="sum", per_sample_weights=kind, include_last_offset=whole)

    def region_mean(self, rows: Any, regions: Any, size: tuple[int, int], ratio: int) -> Any:
        return region_mean(self, rows, regions, size, ratio)

    def detached(self, a: Any) -> Any:
        return a.detach()

    def known(self, condition: Any) -> bool | None:
        if condition.device.type != "cpu" or torch.compiler.is_compiling():
            return None
        return bool(condition)

    def log_softmax(self, a: Any, axis: int) -> Any:
        return F.log_softmax(a, axis)

    def softplus(self, a: Any) -> Any:
        return F.softplus(a, threshold=_LINEAR)

    def packed(self, mask: Any, size: int) -> tuple[Any, Any]:
        place = mask.cumsum(0) - 1  # by arithmetic alone: the host waits for nothing
        slot = torch.where(mask & (place < size), place, size)
        index = torch.arange(len(mask), device=mask.device)
        out = torch.zeros(size + 1, dtype=torch.int64, device=mask.device).index_put((slot,), index)[:size]
        valid = torch.arange(size, device=mask.device) < mask.sum()
        return torch.where(valid, out, 0), valid

    def real(self, valid: Any) -> Any:
        return torch.nonzero(valid)[:, 0]

    def hosted(self, function: Callable[..., tuple[Any, ...]], *arrays: Any) -> tuple[Any, ...] | None:
        if any(array.device.type != "cpu" for array in arrays):
            return None
        return tuple(torch.from_numpy(out) for out in function(*(array.detach().numpy() for array in arrays)))

    def partners(self, cost: Any, rows: Any) -> Any:
        row = Numpy().partners(cost.detach().cpu().numpy(), rows.cpu().numpy())
        return torch.as_tensor(row, device=cost.device)

    def each(self, function: Callable[..., Any], *trees: Any) -> Any:
        return mapped(_stack, function, trees)

    def loop(self, condition: Callable[[Any], Any], body: Callable[[Any], Any], state: Any) -> Any:
        while bool(condition(state)):
            state = body(state)
        return state


def _greatest(a: Tensor, count: int) -> Tensor:
    """Where the greatest are, as a stable sort would say and without sorting them all: what equals the last of them is
    found anew, from the front."""
    top, index = torch.topk(a, count, dim=-1)
    last = top[..., -1:]
    equal = (a == last).cumsum(-1, dtype=torch.int32)
    greater = (top != last).sum(-1, keepdim=True, dtype=torch.int32)
    number = torch.arange(1, count + 1, dtype=torch.int32, device=a.device) - greater
    first = torch.searchsorted(equal, number.clamp_(min=1)).clamp_(max=a.shape[-1] - 1)
    index = torch.where(top == last, first, index).sort(-1)[0]
    return index.gather(-1, torch.argsort(a.gather(-1, index), dim=-1, descending=True, stable=True))


def _dtype(kind: Any) -> torch.dtype:
    return kind.dtype if isinstance(kind, Tensor) else getattr(torch, kind)


def _stack(parts: Sequence[Any]) -> Any:
    return torch.stack([part if isinstance(part, Tensor) else torch.as_tensor(part) for part in parts])

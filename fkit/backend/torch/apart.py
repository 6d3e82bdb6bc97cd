"""Gradients that are added up over turns in each process for itself, and reduced over the processes with the last of them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.distributed as dist
from frozendict import frozendict
from torch import Tensor

from fkit.training.apart import waiting
from fkit.training.phase import Part
from fkit.training.spec import Spec
from fkit.training.state import TrainState

__all__ = ["Sums", "joined", "sums_of"]

Tensors = Mapping[str, Tensor]


class Sums(NamedTuple):
    """What a phase has added up in this process.

    Attributes:
        name: of the slots.
        held: the sums, by parameter.
        share: what each gradient is multiplied by before it is added.
        due: whether this turn's gradient is the last of them.
    """

    name: str
    held: Tensors
    share: float
    due: bool

    def before(self) -> dict[str, Tensor]:
        """The sums of the gradients as they were."""
        held: list[Tensor] = list(torch._foreach_div(list(self.held.values()), self.share))  # pyright: ignore
        return dict(zip(self.held, held, strict=True))

    def emptied(self, slots: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
        """The slots of a state, with zeros for these: the gradient has them in it."""
        zeros = frozendict({name: torch.zeros_like(tensor) for name, tensor in self.held.items()})
        return frozendict({**slots, self.name: zeros})


def sums_of(spec: Spec, part: Part, slots: Mapping[str, Tensors], turn: int) -> Sums | None:
    """What a phase of a run of several processes has added up before a turn; None where each turn's gradient is reduced.

    With find_unused_parameters or static_graph it is: torch would leave alone, in each process, what an earlier turn alone has
    reached. So it is where each process holds a part of the state, whose gradients are parts too.
    """
    sums, options = part.sums, dict(spec.parallel.options)
    spares = options.get("find_unused_parameters") or options.get("static_graph")
    if sums is None or not spec.fleet.several or spec.parallel.kind != "ddp" or spares:
        return None
    name, transform = sums
    if transform.share is None or transform.due is None:
        return None
    return Sums(name, slots[name], transform.share(turn, part.total), bool(transform.due(turn, part.total)))


def joined(spec: Spec, parts: tuple[Part, ...], state: TrainState) -> TrainState:
    """A state with what all processes have added up: see `fkit.training.apart`. All take part, where some is waiting."""
    rows = [part for part in parts if sums_of(spec, part, state.slots, 0) is not None]
    slots: dict[str, Tensors] = dict(state.slots)
    for name in waiting(rows, int(state.iteration)):
        table: list[dict[str, Tensor]] = [{} for _ in range(spec.fleet.world)]
        for path, tensor in slots[name].items():
            each = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in table]
            dist.all_gather(each, tensor.contiguous())
            for row, one in zip(table, each, strict=True):
                row[path] = one.cpu()
        mean = {path: sum(row[path] for row in table) / len(table) for path in table[0]}
        slots |= {name: frozendict(mean), **{f"{name}@{rank}": frozendict(row) for rank, row in enumerate(table)}}
    return state.replace(slots=frozendict(slots))

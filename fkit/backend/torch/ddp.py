"""The second form of a step's gradient: a module that stays, in torch's DistributedDataParallel, whose hooks reduce buckets of
gradients over the processes while the backward pass goes on."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fkit.array.random import host_fold
from fkit.backend.torch.apart import Sums
from fkit.backend.torch.gradient import Gradient, Losses, reached, rows_of, told
from fkit.backend.torch.loss import number
from fkit.backend.torch.model import Model, kept, seed, trained
from fkit.backend.torch.template import Template, Words
from fkit.backend.torch.watch import memory_of, tell_memory
from fkit.structures.batch import Samples
from fkit.training.loss import numbers_of
from fkit.training.phase import Part
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["replicated", "same_buffers"]

Tensors = Mapping[str, Tensor]
_SHOWN = 5
# torch 2.13's name of it, and that of those before
_SYNC = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)


def replicated(model: Model) -> Gradient:
    """The gradient of a model whose state each process holds whole: the mean of the processes' gradients, and rank 0's
    buffers.

    Raises:
        FkitValueError: a compiled step has buckets that are too small for torch's compiler.
    """
    least = dict(model.spec.parallel.options).get("bucket_cap_mb")
    if model.spec.compile and least is not None and least < 1:
        raise FkitValueError(
            f"bucket_cap_mb = {least} with compile = True: torch's compiler cuts a model where buckets end, the first of 1 MB.",
            path="bucket_cap_mb", repair="Let it be at least 1, or leave one of them out.",
        )  # fmt: skip
    run = _compiled if model.spec.compile else _eager
    residents: dict[int, _Resident] = {}  # by the phase's place

    def gradient(
        part: Part, params: Tensors, buffers: Tensors, key: Any, inputs: Any, samples: Samples, scale: Tensor | None,
        sums: Sums | None = None,
    ) -> tuple[Tensors, Tensors, Tensors]:  # fmt: skip
        resident = residents.get(part.place)
        if resident is None:
            resident = residents[part.place] = _Resident(model, part, params, buffers)
        held = resident.hold(params)
        with resident.turn(sums):
            losses, after = run(model, resident, held, buffers, key, inputs, samples, part.phase.mode)
            objective = reached(part, losses)
            (objective if scale is None else objective * scale).backward()
        return resident.taken(part), told(part, losses, objective), same_buffers(after)

    return gradient


def _eager(
    model: Model, resident: "_Resident", held: Tensors, buffers: Tensors, key: Any, inputs: Any, samples: Samples, mode: str
) -> tuple[Tensors, Tensors]:  # fmt: skip
    outputs, after = trained(model, resident, held, buffers, key, inputs, samples, mode)
    return numbers_of(outputs, number), after


def _compiled(
    model: Model, resident: "_Resident", held: Tensors, buffers: Tensors, key: Any, inputs: Any, samples: Samples, mode: str
) -> tuple[Tensors, Tensors]:  # fmt: skip
    """The same of a module that is compiled: torch cuts its graph where a bucket of gradients is full, so that the buckets are
    reduced while the backward pass goes on."""
    rank, rows = model.spec.fleet.rank, rows_of(resident, key, model.device)
    memory = None if mode in resident.seen else memory_of(resident.module)
    with model.generator if resident.random else nullcontext(), model.cast(model.half):
        if key is not None and resident.random:
            seed(model.device, host_fold(key, rank) if rank else key)
        # the compiler reads no frozendict
        plain = Samples(dict(samples.targets), dict(samples.valid))
        losses, assigned = resident.wrapped(mode, {}, dict(buffers), rows, inputs, plain)
    if memory is not None:
        resident.seen.add(mode)
        tell_memory(memory, resident.module)
    return losses, kept(buffers, assigned) if assigned else buffers


class _Resident(Template):
    """A template whose parameters stay in it: they share the memory of a state's, which a step updates in place.

    Attributes:
        held: the parameters, by name.
        bound: the state's, whose memory they share.
        wrapped: the module in DistributedDataParallel.
        spares: whether parameters that the loss does not reach are looked for.
    """

    __slots__ = ("bound", "held", "spares", "wrapped")

    def __init__(self, model: Model, part: Part, params: Tensors, buffers: Tensors) -> None:
        super().__init__(model.training.first.module, True, model.inventory, model.spec.masks)
        names = frozenset(part.names)
        self.held = {name: nn.Parameter(tensor, name in names) for name, tensor in params.items()}
        self.bound = params
        for tensors, leaf, name, _ in self.params:
            tensors[leaf] = self.held[name]
        for tensors, leaf, name, _ in self.buffers:
            tensors[leaf] = buffers[name]
        options: dict[str, Any] = dict(model.spec.parallel.options)
        self.spares = bool(options.get("find_unused_parameters") or options.get("static_graph"))
        try:
            # which makes parameters and buffers rank 0's in all processes
            wrapping: dict[str, Any] = {**options, _SYNC: False}
            self.wrapped = DistributedDataParallel(self._inner(model), **wrapping)
        except TypeError as cause:
            raise FkitTypeError(f"DistributedDataParallel: {cause}.", path="model_wrapper_cfg") from cause

    def _inner(self, model: Model) -> nn.Module:
        if not model.spec.compile:
            return self.module
        for layer in self.layers:
            layer.rank = model.spec.fleet.rank
        losses = Losses(self)
        losses.compile()
        return losses

    def hold(self, params: Tensors) -> Tensors:
        """The parameters, over the memory of a state's."""
        if params is not self.bound:
            for name, tensor in params.items():
                if self.held[name].data_ptr() != tensor.data_ptr():
                    self.held[name].data = tensor
            self.bound = params
        return self.held

    def turn(self, sums: Sums | None) -> AbstractContextManager[None]:
        """What a turn's two passes are done in: until sums are due nobody waits for another process, and then what was added up
        is reduced with the gradient."""
        if sums is None:
            return nullcontext()
        if not sums.due:
            return self.wrapped.no_sync()
        for name, tensor in sums.before().items():
            self.held[name].grad = tensor
        return nullcontext()

    def bind(
        self, params: Tensors, buffers: Tensors, words: Words = (), rank: int = 0
    ) -> nn.Module:  # its parameters are those of `hold`
        super().bind(params, buffers, words, rank)
        return self.wrapped

    def taken(self, part: Part) -> dict[str, Tensor]:
        """The gradients, which are the step's from here on.

        Raises:
            FkitValueError: the loss does not reach all parameters, and nobody looks for such.
        """
        grads = {name: grad for name in part.names if (grad := self.held[name].grad) is not None}
        for parameter in self.held.values():
            parameter.grad = None
        if len(grads) < len(part.names) and not self.spares:
            left = [name for name in part.names if name not in grads]
            more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            raise FkitValueError(
                f"the loss does not reach {', '.join(left[:_SHOWN])}{more}: several processes wait for their gradients.",
                path="find_unused_parameters",
                repair="Set find_unused_parameters=True, which looks for such at each step; or freeze them.",
            )
        return grads


def same_buffers(buffers: Tensors) -> Tensors:
    """Buffers as rank 0 has them, in all processes: what a state holds is the same everywhere."""
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in buffers.values():
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for tensors in kinds.values():
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        dist.broadcast(flat, 0)
        if dist.get_rank():
            for tensor, part in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
                tensor.copy_(part.view(tensor.shape))
    return buffers if isinstance(buffers, frozendict) else frozendict(buffers)

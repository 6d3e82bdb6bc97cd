"""A state of which each process holds a part: torch's fully_shard (FSDP2) for the passes, the kit's own updates on the parts.

An array of a parameter's shape (the parameter, its slots of an optimizer, its average) is cut along its first axis, as
``torch.chunk`` cuts; all else is whole in each process. The module that computes has storage of its own, into which the
parameters are copied before a pass: a state stays a value.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.apart import Sums
from fkit.backend.torch.ddp import same_buffers
from fkit.backend.torch.gradient import reached, told
from fkit.backend.torch.loss import number
from fkit.backend.torch.model import Model, trained
from fkit.backend.torch.template import Template, Words
from fkit.structures.batch import Samples
from fkit.training.inventory import Inventory
from fkit.training.loss import numbers_of
from fkit.training.phase import Part
from fkit.training.state import Arrays, TrainState
from fkit.tree.error import FkitValueError

__all__ = ["Sharded", "cut", "sized", "whole"]

Tensors = Mapping[str, Tensor]
_LARGE = 1 << 18  # parameters of a part that is gathered by itself
# of torch.optim, whose arithmetic looks at one element at a time; a law asks for norms, which are had of parts
_ELEMENTWISE = ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "RMSprop", "Adadelta", "ASGD", "Rprop")
_LISTS = (nn.ModuleList, nn.ModuleDict)  # which are not called


def cut(inventory: Inventory, arrays: Arrays, rank: int, world: int) -> dict[str, Any]:
    """A process's part of the arrays of a state."""
    return {path: _chunk(array, rank, world) if _is_cut(inventory, path, array.shape) else array for path, array in arrays.items()}  # fmt: skip


def whole(inventory: Inventory, state: TrainState) -> TrainState:
    """A state of whole arrays on the host, of the parts of all processes; each takes part."""
    shapes = {entry.name: tuple(entry.shape) for entry in inventory.entries if not entry.buffer}

    def joined(name: str, tensor: Tensor) -> Tensor:
        shape = shapes.get(name)
        if shape is None or not shape or tensor.dim() != len(shape):
            return tensor
        return _gathered(tensor.detach(), shape).cpu()

    def table(tensors: Tensors) -> Tensors:
        return frozendict({name: joined(name, tensor) for name, tensor in tensors.items()})

    params, buffers, opt, slots, *others = state.parts
    return TrainState(
        table(params), buffers,
        frozendict({name: frozendict({slot: table(one) for slot, one in mine.items()}) for name, mine in opt.items()}),
        frozendict({name: table(one) for name, one in slots.items()}), *others,
    )  # fmt: skip


def _is_cut(inventory: Inventory, path: str, shape: Sequence[int]) -> bool:
    kind, _, tail = path.partition("/")
    if kind == "params":
        return bool(shape)
    name = tail.split("/", 2)[-1] if kind == "opt" else tail.partition("/")[2]
    entry = next((one for one in inventory.entries if one.name == name and not one.buffer), None)
    return kind in ("opt", "slots") and entry is not None and bool(shape) and tuple(entry.shape) == tuple(shape)


def _chunk(array: Any, rank: int, world: int) -> Any:
    size = -(-array.shape[0] // world)
    return array[min(rank * size, array.shape[0]) : min((rank + 1) * size, array.shape[0])]


def _gathered(part: Tensor, shape: tuple[int, ...]) -> Tensor:
    world = dist.get_world_size()
    size = -(-shape[0] // world)
    padded = part.new_zeros((size, *shape[1:]))
    padded[: part.shape[0]] = part
    rows = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(rows, padded)
    return torch.cat(rows)[: shape[0]]


class Sharded:
    """The passes of a model whose state each process holds a part of.

    Args:
        model: of one phase.
        parts: its phases.

    Raises:
        FkitValueError: a compiled step, an optimizer that looks at whole arrays, or a parameter of no axes.
    """

    def __init__(self, model: Model, parts: tuple[Part, ...]) -> None:
        _check(model, parts)
        self._model = model
        self._first = parts[0].names if parts else ()
        self._modules: dict[
            tuple[str, ...], _Module
        ] = {}  # by what a phase trains: FSDP2 learns once what has gradients

    def gradient(
        self, part: Part, params: Tensors, buffers: Tensors, key: Any, inputs: Any, samples: Samples, scale: Tensor | None,
        sums: Sums | None = None,
    ) -> tuple[Tensors, Tensors, Tensors]:  # fmt: skip
        """As `fkit.backend.torch.gradient.Gradient`, of parts: reduced at each turn, for a sum of whole gradients would be as large
        as the state that nobody is to hold."""
        module = self._of(params, part.names)
        outputs, after = trained(self._model, module, params, buffers, key, inputs, samples, part.phase.mode)
        losses = numbers_of(outputs, number)
        objective = reached(part, losses)
        (objective if scale is None else objective * scale).backward()
        return module.taken(part.names), told(part, losses, objective), same_buffers(after)

    def evaluated(self, params: Tensors, buffers: Tensors, inputs: Any, samples: Samples, mode: str) -> Any:
        """What the model returns in evaluation mode; all processes take part."""
        module = self._of(params, self._first)
        module.module.train(False)
        half = self._model.predict_half if mode == "predict" else self._model.half
        try:
            with torch.no_grad(), self._model.cast(half):
                return module.bind(params, buffers)(inputs, samples, mode=mode)
        finally:
            module.module.train(True)

    def _of(self, params: Tensors, names: tuple[str, ...]) -> "_Module":
        module = self._modules.get(names)
        if module is None:
            module = self._modules[names] = _Module(self._model, names)
        module.fill(params)
        return module


class _Module(Template):
    """A template in fully_shard.

    Args:
        model: of one phase.
        names: of the parameters that it trains.

    Attributes:
        held: the parts of its parameters, by name.
        units: what is gathered at once, each.
    """

    __slots__ = ("held", "units")

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        from torch.distributed.device_mesh import init_device_mesh  # which take half a second to import
        from torch.distributed.fsdp import FSDPModule, fully_shard

        super().__init__(model.training.first.module, True, model.inventory, model.spec.masks)
        self.seen |= {"loss", "predict", "tensor"}  # its parameters come and go: nobody may look at them
        options = dict(model.spec.parallel.options)
        named, least = options.pop("wrap", ()), options.pop("least", None)
        for _, _, name, hollow in self.params:
            hollow.requires_grad_(name in names)
        mesh = init_device_mesh(model.device.type, (model.spec.fleet.world,))
        for unit in _units(self.module, [named] if isinstance(named, str) else list(named), least):
            fully_shard(unit, mesh=mesh, **options)
        fully_shard(self.module, mesh=mesh, **options)
        self.module.to_empty(device=model.device)
        self.units: list[Any] = [part for part in self.module.modules() if isinstance(part, FSDPModule)]
        self.held: dict[str, Any] = dict(self.module.named_parameters())

    def fill(self, params: Tensors) -> None:
        """Copy the parts of a state's parameters in. What a pass without a backward one has gathered is let go first: the next
        would take it for these."""
        for part in self.units:
            part.reshard()
        with torch.no_grad():
            for name, parameter in self.held.items():
                parameter.to_local().copy_(params[name])

    def bind(self, params: Tensors, buffers: Tensors, words: Words = (), rank: int = 0) -> nn.Module:
        for tensors, leaf, name, _ in self.buffers:
            tensors[leaf] = buffers[name]
        if words:
            for layer, key in zip(self.layers, words, strict=True):
                layer.__dict__.update(words=key, calls=0, rank=rank)
        return self.module

    def taken(self, names: Sequence[str]) -> dict[str, Tensor]:
        """The parts of the gradients."""
        grads = {name: self.held[name].grad.to_local() for name in names if self.held[name].grad is not None}
        for parameter in self.held.values():
            parameter.grad = None
        return grads


def _units(module: nn.Module, named: list[str], least: float | None) -> list[nn.Module]:
    """What is gathered by itself, inner parts first: the parts of the classes that are named; or those of at least so many
    parameters; else the large members of ``nn.Sequential``."""
    if named:
        return [
            part for part in reversed(list(module.modules())) if part is not module and type(part).__name__ in named
        ]
    if least is not None:
        return sized(module, least)
    rows = (child for part in module.modules() if type(part) is nn.Sequential for child in part)
    large = [child for child in rows if sum(one.numel() for one in child.parameters()) >= _LARGE]
    inner = {id(part) for child in large for part in child.modules() if part is not child}
    return [child for child in large if id(child) not in inner]


def sized(module: nn.Module, least: float) -> list[nn.Module]:
    """The parts of a module that torch's ``size_based_auto_wrap_policy`` names, inner ones first: those that, without their own
    such parts, have ``least`` parameters.

    Example:
        >>> sized(nn.Sequential(nn.Linear(2, 2), nn.Linear(9, 9)), 50)
        [Linear(in_features=9, out_features=9, bias=True)]
    """
    return _sized(module, least)[0]


def _sized(module: nn.Module, least: float, root: bool = True) -> tuple[list[nn.Module], int]:
    """`sized`, and how many parameters are in them."""
    count, units, within = sum(one.numel() for one in module.parameters()), list[nn.Module](), 0
    if count < least or isinstance(module, nn.MultiheadAttention):  # whose fused kernels read what is in it
        return [], 0
    for child in module.children():
        more, number = _sized(child, least, root=False)
        units, within = units + more, within + number
    if root or count - within < least or isinstance(module, _LISTS):
        return units, within
    return [*units, module], count


def _check(model: Model, parts: tuple[Part, ...]) -> None:
    scalars = [entry.name for entry in model.inventory.entries if not entry.buffer and not entry.shape]
    rows = [part.optimizer for part in parts]
    strange = [one.type for one in rows if one.law is None and one.type not in _ELEMENTWISE]
    found = {
        "compile = True: it gathers parameters in hooks, at each of which the compiler would cut the graph": model.spec.compile,
        f"the optimizer {', '.join(strange)}, which looks at whole matrices": strange,
        f"a parameter of no axes ({', '.join(scalars[:3])}), which has no part": scalars,
    }
    for what, there in found.items():
        if there:
            raise FkitValueError(
                f"parallel = 'fsdp' does not go with {what}.", path="parallel", repair="Take parallel='ddp'."
            )

"""Optimizers as updates of a state's own tensors: torch's fused kernels for the twins, any torch.optim class by name."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.law import lawful
from fkit.backend.torch.many import ManyOps
from fkit.training.optimizer import TWINS, UNFIT, Optimizer
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, like

__all__ = ["Slots", "Update", "update"]

# torch's own optimizers call these kernels; its stubs do not list them
_ops: Any = torch

Slots = Mapping[str, Mapping[str, Tensor]]
"""{slot: {parameter name: tensor}}."""

Numbers = tuple[Mapping[str, float], ...]
"""The hyperparameters of each group."""

# those that ask for more than a gradient: several evaluations, sparse gradients
_OTHER = (*UNFIT, "Optimizer")
_MOMENTUM = ("momentum_buffer",)
_WHOLE = ManyOps()


class Update(NamedTuple):
    """An optimizer over named parameters.

    Attributes:
        names: the parameters it moves, in order.
        init: ``(params) -> slots``, before the first step.
        step: ``(params, grads, slots, numbers, found=None) -> slots``; writes into the tensors of ``params`` and ``slots``.
            A parameter that ``grads`` lacks, because the loss does not reach it, stays as it is, its slots too.
            ``found``, of one that ``skips``: 1 on the device where nothing is to move, torch's ``found_inf``.
        lazy: whether a slot of that name may appear at a step.
        named: an optimizer of torch.optim, whose slots are its own affair.
        scalars_on_host: whether it counts its steps there, wherever the parameters are.
        skips: whether its kernel can be told on the device to move nothing.
    """

    names: tuple[str, ...]
    init: Callable[[Mapping[str, Tensor]], Slots]
    step: Callable[..., Slots]
    lazy: Callable[[str], bool]
    named: bool = False
    scalars_on_host: bool = False
    skips: bool = False


def update(optimizer: Optimizer, names: tuple[str, ...], xp: ManyOps = _WHOLE) -> Update:
    """An optimizer's update of the parameters ``names``.

    Args:
        xp: the operations of a law; of parts of arrays others.

    Raises:
        FkitKeyError: torch.optim has no such optimizer.
        FkitError: an argument that it does not take, or a group without parameters.
    """
    groups = optimizer.assign(names)
    if optimizer.law is not None:
        return Update(names, *lawful(optimizer.law, optimizer, groups, xp), lambda slot: False)
    return _twin(optimizer, names, groups) if optimizer.twin else _named(optimizer, names, groups)


def _twin(optimizer: Optimizer, names: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> Update:
    slots = optimizer.slots()
    settings = tuple(optimizer.settings(index) for index in range(len(groups)))
    move = _sgd if optimizer.type == "SGD" else _adam
    kernel = _ops._fused_adamw_ if optimizer.type == "AdamW" else _ops._fused_adam_
    active = tuple((i, group) for i, group in enumerate(groups) if group)

    def start(params: Mapping[str, Tensor], slots: tuple[str, ...]) -> Slots:
        return frozendict({slot: frozendict({name: _fresh(slot, params[name]) for name in names}) for slot in slots})

    def step(
        params: Mapping[str, Tensor], grads: Mapping[str, Tensor], slots_in: Slots, numbers: Numbers,
        found: Tensor | None = None,
    ) -> Slots:  # fmt: skip
        if not slots_in and any(row.get("momentum") for row in numbers):  # a schedule has raised it from 0
            slots_in = start(params, _MOMENTUM)
        whole, order = len(grads) == len(names), slots or tuple(slots_in)
        for i, group in active:
            members = group if whole else [name for name in group if name in grads]
            if not members:
                continue
            state = [[tensors[name] for name in members] for tensors in (slots_in[slot] for slot in order)]
            moved = [params[name] for name in members]
            laid = [_laid(grads[name], param) for name, param in zip(members, moved, strict=True)]
            move(kernel, moved, laid, state, numbers[i], settings[i], found)
        return slots_in

    lazy = _MOMENTUM if optimizer.type == "SGD" and not slots else ()
    return Update(names, lambda params: start(params, slots), step, lambda slot: slot in lazy, skips=True)


def _laid(grad: Tensor, param: Tensor) -> Tensor:
    """A gradient laid out as its parameter: the kernels walk flat memory, and one may be a view (that of a sum, say)."""
    if (grad.is_contiguous() and param.is_contiguous()) or grad.stride() == param.stride():
        return grad
    return torch.empty_like(param).copy_(grad)


def _fresh(slot: str, like_: Tensor) -> Tensor:
    if slot == "step":
        return torch.zeros((), dtype=torch.float32, device=like_.device)
    return torch.zeros_like(like_, memory_format=torch.preserve_format)


def _sgd(
    kernel: Any,
    params: list[Tensor],
    grads: list[Tensor],
    state: list[list[Tensor]],
    numbers: Mapping[str, float],
    settings: Mapping[str, Any],
    found: Tensor | None,
) -> None:
    # without momentum the buffers rest, as torch's do
    buffers = state[0] if state and numbers["momentum"] else []
    _ops._fused_sgd_(
        params,
        grads,
        buffers,
        weight_decay=numbers["weight_decay"],
        momentum=numbers["momentum"],
        lr=numbers["lr"],
        dampening=0.0,
        nesterov=bool(settings["nesterov"] and buffers),
        maximize=False,
        is_first_step=False,
        found_inf=found,
    )


def _adam(
    kernel: Callable[..., Any],
    params: list[Tensor],
    grads: list[Tensor],
    state: list[list[Tensor]],
    numbers: Mapping[str, float],
    settings: Mapping[str, Any],
    found: Tensor | None,
) -> None:
    steps, first, second, *greatest = state
    _ops._foreach_add_(steps, 1)
    kernel(
        params,
        grads,
        first,
        second,
        greatest[0] if greatest else [],
        steps,
        lr=numbers["lr"],
        beta1=numbers["beta1"],
        beta2=numbers["beta2"],
        weight_decay=numbers["weight_decay"],
        eps=numbers["eps"],
        amsgrad=bool(greatest),
        maximize=False,
        found_inf=found,
    )
    if found is not None:  # a step that was skipped does not count
        _ops._foreach_sub_(steps, [found] * len(steps))


def _named(optimizer: Optimizer, names: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> Update:
    """Any class of torch.optim: each step makes an object of its own, over aliases of the state's tensors."""
    active = tuple((i, group) for i, group in enumerate(groups) if group)
    options = tuple(dict(optimizer.settings(i)) for i, _ in active)
    maker = _maker(optimizer)
    _check_rows(optimizer.type, maker, options)
    blank = _object(maker, optimizer, [([nn.Parameter(torch.zeros(1, 1))], row) for row in options])

    def init(params: Mapping[str, Tensor]) -> Slots:
        leaves = {name: nn.Parameter(params[name].detach()) for name in names}
        rows = [([leaves[name] for name in group], row) for (_, group), row in zip(active, options, strict=True)]
        # what an optimizer keeps from its construction on; for most that is nothing
        return _slots(frozendict(), _object(maker, optimizer, rows).state, leaves)

    def step(params: Mapping[str, Tensor], grads: Mapping[str, Tensor], slots_in: Slots, numbers: Numbers) -> Slots:
        leaves = {name: params[name].detach() for name in grads}
        mine = _bound(blank, [{**row, "params": []} for row in blank.param_groups])
        for name, leaf in leaves.items():
            leaf.grad = grads[name]
            state = {slot: tensors[name] for slot, tensors in slots_in.items() if name in tensors}
            if state:
                mine.state[leaf] = state
        for (i, group), bound in zip(active, mine.param_groups, strict=True):
            bound["params"] = [leaves[name] for name in group if name in leaves]
            for key, value in numbers[i].items():
                if key in bound:
                    bound[key] = value
            if "beta1" in numbers[i]:
                bound["betas"] = tuple(numbers[i][f"beta{j + 1}"] for j in range(len(bound["betas"])))
        mine.step()
        return _slots(slots_in, mine.state, leaves)

    host = not (optimizer.options.get("capturable") or optimizer.options.get("fused"))
    return Update(names, init, step, lambda slot: True, named=True, scalars_on_host=host)


def _bound(blank: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """An optimizer as ``blank`` is, with groups and a state of its own: a tenth of what making one costs."""
    mine = object.__new__(type(blank))
    mine.__dict__.update(blank.__dict__)
    mine.param_groups, mine.state = groups, defaultdict(dict)
    return mine


def _maker(optimizer: Optimizer) -> Any:
    known = sorted(
        name
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name not in _OTHER
    )
    if optimizer.type not in known:
        raise FkitKeyError(
            f"optimizer {optimizer.type!r} is not in torch.optim."
            if optimizer.type not in _OTHER
            else f"optimizer {optimizer.type!r} needs more than a gradient a step, which train_step does not give.",
            value=optimizer.type,
            choices=(*TWINS, *(name for name in known if name not in TWINS)),
            label="Optimizers on torch",
            path="optimizers",
        )
    return getattr(torch.optim, optimizer.type)


def _check_rows(type: str, maker: Any, rows: tuple[Mapping[str, Any], ...]) -> None:
    """Refuse an argument of a group that the optimizer does not take: torch would keep it, and never read it."""
    known = [name for name in inspect.signature(maker).parameters if name != "params"]
    for name in (name for row in rows for name in row if name not in known):
        raise FkitTypeError(
            f"optimizer {type} takes no argument {name!r}.",
            value=name,
            choices=known,
            label="Arguments",
            path="optimizers",
        )


def _object(
    maker: Any, optimizer: Optimizer, rows: list[tuple[list[nn.Parameter], dict[str, Any]]]
) -> torch.optim.Optimizer:
    try:
        return maker([{"params": params, **row} for params, row in rows], **optimizer.options)
    except (TypeError, ValueError) as cause:
        raise (FkitTypeError if isinstance(cause, TypeError) else like(cause))(
            f"optimizer {optimizer.type}: {cause}.", path="optimizers"
        ) from cause


def _slots(before: Slots, state: Mapping[Any, Mapping[str, Any]], leaves: Mapping[str, Tensor]) -> Slots:
    slots_out: dict[str, dict[str, Tensor]] = {slot: dict(tensors) for slot, tensors in before.items()}
    for name, leaf in leaves.items():
        for slot, value in state.get(leaf, {}).items():
            if isinstance(value, Tensor):
                slots_out.setdefault(slot, {})[name] = value.detach()
            elif isinstance(value, (int, float)):
                slots_out.setdefault(slot, {})[name] = torch.tensor(float(value), dtype=torch.float64)
            elif value is not None:
                raise FkitValueError(f"an optimizer keeps {slot!r} of {name!r} as a {type(value).__name__}, no array.")
    return frozendict({slot: frozendict(tensors) for slot, tensors in slots_out.items()})

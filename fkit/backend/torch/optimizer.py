"""Optimizers as updates of a state's own tensors: torch's fused kernels for the twins, any torch.optim class by name."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.training.optimizer import TWINS, Optimizer
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, like

__all__ = ["Slots", "Update", "update"]

# torch's own optimizers call these kernels; its stubs do not list them
_ops: Any = torch

Slots = Mapping[str, Mapping[str, Tensor]]
"""{slot: {parameter name: tensor}}."""

Numbers = tuple[Mapping[str, float], ...]
"""The hyperparameters of each group."""

# those that ask for more than a gradient: several evaluations, sparse gradients
_OTHER = ("LBFGS", "SparseAdam", "Optimizer")


class Update(NamedTuple):
    """An optimizer over named parameters.

    Attributes:
        names: the parameters it moves, in order.
        init: ``(params) -> slots``, before the first step.
        step: ``(params, grads, slots, numbers) -> slots``; writes into the tensors of ``params`` and ``slots``.
            ``grads`` has one tensor a name, in order of ``names``.
        lazy: slots appear at the first step.
    """

    names: tuple[str, ...]
    init: Callable[[Mapping[str, Tensor]], Slots]
    step: Callable[[Mapping[str, Tensor], Mapping[str, Tensor], Slots, Numbers], Slots]
    lazy: bool = False


def update(optimizer: Optimizer, names: tuple[str, ...]) -> Update:
    """An optimizer's update of the parameters ``names``.

    Raises:
        FkitKeyError: torch.optim has no such optimizer.
        FkitError: an argument that it does not take, or a group without parameters.
    """
    groups = optimizer.assign(names)
    return _twin(optimizer, names, groups) if optimizer.twin else _named(optimizer, names, groups)


def _twin(optimizer: Optimizer, names: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> Update:
    slots = optimizer.slots()
    settings = tuple(optimizer.settings(index) for index in range(len(groups)))
    move = _sgd if optimizer.type == "SGD" else _adam
    kernel = _ops._fused_adamw_ if optimizer.type == "AdamW" else _ops._fused_adam_
    active = tuple((i, group) for i, group in enumerate(groups) if group)

    def init(params: Mapping[str, Tensor]) -> Slots:
        return frozendict({slot: frozendict({name: _fresh(slot, params[name]) for name in names}) for slot in slots})

    def step(params: Mapping[str, Tensor], grads: Mapping[str, Tensor], slots_in: Slots, numbers: Numbers) -> Slots:
        for i, group in active:
            state = [[tensors[name] for name in group] for tensors in (slots_in[slot] for slot in slots)]
            moved = [params[name] for name in group]
            # the kernels walk flat memory: a gradient that is a view (that of a sum, say) must be laid out first
            laid = [g if (g := grads[name]).is_contiguous() else g.contiguous() for name in group]
            move(kernel, moved, laid, state, numbers[i], settings[i])
        return slots_in

    return Update(names, init, step)


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
) -> None:
    buffers = state[0] if state else []
    if buffers and not numbers["momentum"]:
        # the kernel takes no buffers then; they hold the last gradient, as 0 * buffer + gradient
        _ops._foreach_copy_(buffers, grads)
        if numbers["weight_decay"]:
            _ops._foreach_add_(buffers, params, alpha=numbers["weight_decay"])
        buffers = []
    # a buffer of zeros gives the first step that torch takes without one: 0 * momentum + grad
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
    )


def _adam(
    kernel: Callable[..., Any],
    params: list[Tensor],
    grads: list[Tensor],
    state: list[list[Tensor]],
    numbers: Mapping[str, float],
    settings: Mapping[str, Any],
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
    )


def _named(optimizer: Optimizer, names: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> Update:
    """Any class of torch.optim: one object, whose groups and state are bound to a state's tensors for each step."""
    instance = _object(optimizer, groups)
    active = tuple((i, group) for i, group in enumerate(groups) if group)

    def step(params: Mapping[str, Tensor], grads: Mapping[str, Tensor], slots_in: Slots, numbers: Numbers) -> Slots:
        instance.state = defaultdict(dict)
        for name in names:
            state = {slot: tensors[name] for slot, tensors in slots_in.items() if name in tensors}
            params[name].grad = grads[name]
            if state:
                instance.state[params[name]] = state
        for (i, group), bound in zip(active, instance.param_groups, strict=True):
            bound["params"] = [params[name] for name in group]
            for key, value in numbers[i].items():
                if key in bound:
                    bound[key] = value
            if "beta1" in numbers[i]:
                bound["betas"] = tuple(numbers[i][f"beta{j + 1}"] for j in range(len(bound["betas"])))
        try:
            instance.step()
            return _slots(instance.state, params, names)
        finally:
            instance.state = defaultdict(dict)
            for name in names:
                params[name].grad = None
            for bound in instance.param_groups:
                bound["params"] = []

    return Update(names, lambda params: frozendict(), step, lazy=True)


def _object(optimizer: Optimizer, groups: tuple[tuple[str, ...], ...]) -> torch.optim.Optimizer:
    maker = getattr(torch.optim, optimizer.type, None)
    known = sorted(
        name
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name not in _OTHER
    )
    if optimizer.type not in known or maker is None:
        raise FkitKeyError(
            f"optimizer {optimizer.type!r} is not in torch.optim."
            if optimizer.type not in _OTHER
            else f"optimizer {optimizer.type!r} needs more than a gradient a step, which train_step does not give.",
            value=optimizer.type,
            choices=(*TWINS, *(name for name in known if name not in TWINS)),
            label="Optimizers on torch",
        )
    rows = [
        {"params": [nn.Parameter(torch.zeros(1, 1))], **optimizer.settings(i)}
        for i, members in enumerate(groups)
        if members
    ]
    try:
        return maker(rows, **optimizer.options)
    except (TypeError, ValueError) as cause:
        raise (FkitTypeError if isinstance(cause, TypeError) else like(cause))(
            f"optimizer {optimizer.type}: {cause}."
        ) from cause


def _slots(state: Mapping[Tensor, Mapping[str, Any]], params: Mapping[str, Tensor], names: tuple[str, ...]) -> Slots:
    slots_out: dict[str, dict[str, Tensor]] = {}
    for name in names:
        for slot, value in state.get(params[name], {}).items():
            if isinstance(value, Tensor):
                slots_out.setdefault(slot, {})[name] = value
            elif isinstance(value, (int, float)):
                slots_out.setdefault(slot, {})[name] = torch.tensor(float(value), dtype=torch.float64)
            elif value is not None:
                raise FkitValueError(f"an optimizer keeps {slot!r} of {name!r} as a {type(value).__name__}, no array.")
    return frozendict({slot: frozendict(tensors) for slot, tensors in slots_out.items()})

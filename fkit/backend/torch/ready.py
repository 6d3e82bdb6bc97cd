"""Objects that torch's users have made already, as what a program is made of: a model with ``train_step``, an optimizer."""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fkit.backend.torch.interop import to_numpy
from fkit.tree.contract import misfit, title
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Described", "Stepped", "describe", "model_of", "weights_of"]

_HOW = ("foreach", "fused", "capturable", "differentiable", "maximize")  # of no matter where they are off
_LEFT = ("decoupled_weight_decay", "initial_lr")  # said by the class; a scheduler's
_MODEL = """A model has train_step(data, optimizer) -> dict(loss=..., log_vars=..., num_samples=...), as mmcv's; or
forward(inputs, samples=None, mode="loss" | "predict" | "tensor"), as the kit's."""

Processor = Callable[[Any, Any, bool], Any]


class Described(NamedTuple):
    """An optimizer as a config describes it.

    Attributes:
        type: its class's name.
        options: of its first group.
        groups: ``dict(params=PATTERNS, ...)`` each, where there are several.
        device: where the parameters are.
    """

    type: str
    options: Mapping[str, Any]
    groups: tuple[Mapping[str, Any], ...] = ()
    device: str = "cpu"


class Stepped(nn.Module):
    """A model of mmcv's, as the kit calls one.

    Its ``train_step(data, optimizer)`` is called with None for an optimizer, for a step's update is the kit's; in
    evaluation mode ``val_step``, where there is one. What it returns as "loss" is differentiated; what it has in
    ``log_vars`` is logged. The batch comes as its loader gave it: a mapping, or [inputs, targets].

    Args:
        module: the model. Its parameters are named ``module.NAME``, as in DataParallel.
        processor: mmcv's deprecated ``batch_processor(model, data, train_mode)``, for a model without the two.
    """

    def __init__(self, module: nn.Module, processor: Processor | None = None) -> None:
        super().__init__()
        self.module = module
        self.processor = processor

    def forward(self, inputs: Any, samples: Any = None, mode: str = "tensor") -> Any:
        targets = {} if samples is None else dict(samples.targets)
        data: Any = [inputs, *targets.values()] if targets else inputs
        if mode != "loss":
            return self.module(return_loss=False, **inputs) if isinstance(inputs, Mapping) else self.module(inputs)
        out = self._step(data)
        if not isinstance(out, Mapping) or not isinstance(cast("Mapping[str, Any]", out).get("loss"), Tensor):
            raise FkitTypeError(
                f"{title(self.module)}: a step gives a dict with 'loss', a tensor; it gave {quoted(out)}.",
                path="model",
                repair=_MODEL,
            )
        table = cast("Mapping[str, Any]", out)
        logged = {str(name): value for name, value in dict(table.get("log_vars") or {}).items() if name != "loss"}
        return {**logged, "loss": table["loss"]}

    def _step(self, data: Any) -> Any:
        if self.processor is not None:
            return self.processor(self.module, data, self.training)
        model: Any = self.module
        if not self.training and hasattr(model, "val_step"):
            return (
                model.val_step(data, None)
                if not misfit(model.val_step, ["data", "optimizer"], [])
                else model.val_step(data)
            )
        return model.train_step(data, None)


def model_of(module: Any, processor: Processor | None = None) -> tuple[nn.Module, bool]:
    """A copy of a model, as the kit calls one, and whether that is by its ``train_step``.

    Raises:
        FkitTypeError: it is no torch module, or can be called in none of the two ways.
    """
    if not isinstance(module, nn.Module):
        raise FkitTypeError(f"`model` is a torch.nn.Module, not {quoted(module)}.", repair=_MODEL)
    if processor is not None and hasattr(module, "train_step"):
        raise FkitValueError(
            f"{title(module)} has train_step, and batch_processor says otherwise: give one of the two."
        )
    mine = copy.deepcopy(module)
    if processor is not None or hasattr(module, "train_step"):
        return Stepped(mine, processor), True
    if misfit(module.forward, ["inputs", "samples"], ["mode"]):
        raise FkitTypeError(f"{title(module)} has no train_step, and its forward takes no `mode`.", repair=_MODEL)
    return mine, False


def weights_of(module: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights that a model has now, by name, on the host."""
    return {name: to_numpy(tensor.detach()) for name, tensor in module.state_dict().items()}


def describe(optimizer: Any, module: nn.Module) -> Described:
    """What an optimizer of torch's is, as a config says it.

    Args:
        optimizer: of the module's parameters, fresh.
        module: that they are of.

    Raises:
        FkitTypeError: it is no optimizer of torch's.
        FkitValueError: it has made steps already, or leaves trainable parameters out, or has some that are not the model's.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        what = "several optimizers" if isinstance(optimizer, Mapping) else quoted(optimizer)
        raise FkitTypeError(
            f"`optimizer` is one of torch.optim, not {what}.",
            repair="Several are described: optim_wrapper=dict(constructor=..., ...) in a config, with fkit.run_config.",
        )
    if optimizer.state:
        raise FkitValueError("`optimizer` has made steps already: what it remembers of them is not taken over.")
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    left = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    defaults = torch.optim.__dict__.get(type(optimizer).__name__)
    if defaults is not type(optimizer):
        raise FkitTypeError(f"`optimizer` is {title(optimizer)}, which is none of torch.optim's classes.")
    rows: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        held = [names.get(id(parameter)) for parameter in group["params"]]
        if None in held:
            raise FkitValueError("`optimizer` has parameters that are none of the model's.")
        left -= set(cast("list[str]", held))
        options = {key: value for key, value in group.items() if key != "params" and _speaks(key, value)}
        rows.append({"params": [f"^(module\\.)?{re.escape(str(name))}$" for name in held], **options})
    if left:
        raise FkitValueError(
            f"`optimizer` leaves out parameters of the model that are trainable: {', '.join(sorted(left)[:8])}.",
            repair="Give it them, or set their requires_grad to False.",
        )
    first = {key: value for key, value in rows[0].items() if key != "params"}
    device = str(next(module.parameters()).device)
    return Described(type(optimizer).__name__, first, () if len(rows) == 1 else tuple(rows), device)


def _speaks(key: str, value: Any) -> bool:
    """Whether an option says more than that all is as usual."""
    if key in _HOW:
        return value not in (None, False)
    return key not in _LEFT and not (key == "dampening" and not value)

"""The gradient of a phase as a value: a function of parameters, by fresh leaves that share their memory."""

import threading
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fkit.backend.torch.apart import Sums
from fkit.backend.torch.loss import number
from fkit.backend.torch.model import Model, kept, seed, trained
from fkit.backend.torch.template import Template
from fkit.backend.torch.watch import memory_of, tell_memory
from fkit.structures.batch import Samples
from fkit.training.loss import numbers_of, total
from fkit.training.phase import Part, unreached

__all__ = ["Gradient", "Losses", "gradient_of", "reached", "rows_of", "told"]

Tensors = Mapping[str, Tensor]
Key = tuple[int, int] | None


class Gradient(Protocol):
    """How a phase's gradient is had: `gradient_of` gives the functional one; one with a resident module, whose hooks
    reduce over processes, fits the same signature.
    """

    def __call__(
        self,
        part: Part,
        params: Tensors,
        buffers: Tensors,
        key: Key,
        inputs: Any,
        samples: Samples,
        scale: Tensor | None,
        sums: Sums | None = None,
    ) -> tuple[Tensors, Tensors, Tensors]:
        """The gradients of the phase's parameters that its loss reaches, its losses by their logged names, and the
        buffers after it. ``key``: two words, what the phase draws from; None where nothing draws. ``scale``: 0-d, what
        the loss is multiplied by before it is differentiated. ``sums``, of several processes that reduce once in several
        turns: the gradient is this process's alone until they are due, and then the mean of all that was added up.
        """
        ...


def gradient_of(model: Model) -> Gradient:
    """The functional gradient of a model: a pure function, but for layers that write into ``buffers``."""
    return _compiled(model) if model.spec.compile else _eager(model)


def _eager(model: Model) -> Gradient:
    def gradient(
        part: Part, params: Tensors, buffers: Tensors, key: Key, inputs: Any, samples: Samples, scale: Tensor | None,
        sums: Sums | None = None,
    ) -> tuple[Tensors, Tensors, Tensors]:  # fmt: skip
        leaves, values = _leaves(part, params)
        template = model.training.take()
        try:  # the template stays bound: blocks that the backward pass computes again read their parameters there
            outputs, after = trained(model, template, values, buffers, key, inputs, samples, part.phase.mode)
            losses = numbers_of(outputs, number)
            grads, logs = _differentiated(part, losses, leaves, scale)
        finally:
            model.training.give(template)
        return grads, logs, after

    return gradient


def _compiled(model: Model) -> Gradient:
    """The losses are one compiled function; the gradient is taken between it and the update."""
    template = model.training.take()  # for good: what is compiled is this module
    forward, turn = Losses(template), threading.Lock()
    forward.compile()

    def gradient(
        part: Part, params: Tensors, buffers: Tensors, key: Key, inputs: Any, samples: Samples, scale: Tensor | None,
        sums: Sums | None = None,
    ) -> tuple[Tensors, Tensors, Tensors]:  # fmt: skip
        leaves, values = _leaves(part, params)
        rows = rows_of(template, key, model.device)
        # the compiler reads no frozendict
        plain = Samples(dict(samples.targets), dict(samples.valid))
        with turn, model.cast(model.half):
            if key is not None and template.random:
                seed(model.device, key)
            mode = part.phase.mode
            memory = None if mode in template.seen else memory_of(template.module)
            losses, assigned = forward(mode, values, dict(buffers), rows, inputs, plain)
            if memory is not None:
                template.seen.add(mode)
                tell_memory(memory, template.module)
        grads, logs = _differentiated(part, losses, leaves, scale)
        return grads, logs, kept(buffers, assigned) if assigned else buffers

    return gradient


def _leaves(part: Part, params: Tensors) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Fresh leaves that share the memory of the phase's parameters, and these among all parameters."""
    values = {name: params[name].detach().requires_grad_() for name in part.names}
    leaves = tuple(values.values())
    for name in part.others:
        values[name] = params[name]
    return leaves, values


def _differentiated(
    part: Part, losses: Tensors, leaves: tuple[Tensor, ...], scale: Tensor | None
) -> tuple[Tensors, Tensors]:
    objective = reached(part, losses)
    # a parameter that the loss does not reach has no gradient, and is left alone as torch's optimizers leave it
    root = objective if scale is None else objective * scale
    grads: Any = torch.autograd.grad(root, leaves, allow_unused=True)
    return {name: grad for name, grad in zip(part.names, grads, strict=True) if grad is not None}, told(
        part, losses, objective
    )


def reached(part: Part, losses: Tensors) -> Tensor:
    """What a phase differentiates.

    Raises:
        FkitError: it reaches no parameter.
    """
    objective = total(losses, part.phase.loss)
    if not objective.requires_grad:
        raise unreached(part)
    return objective


def told(part: Part, losses: Tensors, objective: Tensor) -> dict[str, Tensor]:
    """A phase's losses by their logged names, and what was differentiated."""
    return {
        **{part.prefix + name: value.detach() for name, value in losses.items()},
        part.prefix + "loss": objective.detach(),
    }


def rows_of(template: Template, key: tuple[int, int] | None, device: torch.device) -> Tensor | None:
    """The keys of the random layers, (L, 2) int32; None without such."""
    if key is None or not template.layers:
        return None
    signed = [[word - (1 << 32) if word >> 31 else word for word in words] for words in template.words(key)]
    rows = torch.tensor(signed, dtype=torch.int32)
    return rows if device.type == "cpu" else rows.pin_memory().to(device, non_blocking=True)


class Losses(nn.Module):
    """A template as what is compiled: from parameters, buffers and keys, its losses, and what it assigns to its buffers.

    Args:
        template: whose module and random layers it has.
    """

    def __init__(self, template: Template) -> None:
        super().__init__()
        paths = {id(part): path for path, part in template.module.named_modules()}
        self.module, self.layers = template.module, template.layers
        self.keys = tuple(f"{paths[id(layer)]}.key".lstrip(".") for layer in template.layers)

    def forward(
        self, mode: str, values: dict[str, Tensor], buffers: dict[str, Tensor], rows: Tensor | None, inputs: Any, samples: Samples,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:  # fmt: skip
        """``values``: the parameters that are not the module's own."""
        for layer in self.layers:
            layer.calls = 0
        held = {**values, **buffers, **({} if rows is None else dict(zip(self.keys, rows.unbind(), strict=True)))}
        # puts what the module assigns to its buffers into the mapping that it was given
        outputs = functional_call(self.module, held, (inputs, samples), {"mode": mode}, strict=False)
        assigned = {name: held[name] for name, tensor in buffers.items() if held[name] is not tensor}
        return numbers_of(outputs, number), assigned

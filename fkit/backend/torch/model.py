"""A spec's model on torch: its templates, its batches' way in, its passes."""

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from frozendict import frozendict
from torch import Tensor

from fkit.array.random import host_fold
from fkit.backend.torch.again import recomputing
from fkit.backend.torch.feed import Feed
from fkit.backend.torch.interop import device_of
from fkit.backend.torch.sync import synchronised
from fkit.backend.torch.template import Pool, Template, blank, build, inventory_of
from fkit.backend.torch.watch import (
    marks_of,
    memory_of,
    places_of,
    refuse_assigned,
    refuse_replaced,
    refuse_state_writes,
    refuse_writes,
    state_marks,
    tell_memory,
)
from fkit.structures.batch import Samples
from fkit.training.inventory import Inventory
from fkit.training.spec import Spec, check_spec
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Model", "channels_last", "evaluated", "feed_of", "kept", "model_of", "seed", "trained"]

_HALVES = frozendict(bfloat16=torch.bfloat16, float16=torch.float16)
_IMAGE_LAYERS = ("Conv2d", "ConvTranspose2d")

Tensors = Mapping[str, Tensor]


class Model(NamedTuple):
    """What the functions of a program share.

    The modules are templates without tensors: a call puts the state's tensors in, runs the model, and takes them out.
    Threads have each a template of their own. A model with layers that draw from torch's own generator (which is the
    process's) trains in one thread at a time.

    Attributes:
        spec: what it was made of.
        device, dtype: where it runs, and the type of its parameters.
        channels_last: whether images and kernels are laid out that way.
        half, predict_half: what a training pass and a prediction compute in by autocast; None in the parameters' type.
        feed, predict_feed: batches to the device, for either.
        inventory: what it holds.
        training, evaluating: templates of either mode.
        generator: held while layers draw from torch's generator.
    """

    spec: Spec
    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    half: torch.dtype | None
    predict_half: torch.dtype | None
    feed: Feed
    predict_feed: Feed
    inventory: Inventory
    training: Pool
    evaluating: Pool
    generator: threading.Lock

    @property
    def draws(self) -> bool:
        """Whether a training step draws random numbers at all."""
        template, preprocess = self.training.first, self.spec.preprocess
        return template.random or bool(template.layers) or (preprocess is not None and preprocess.random)

    def cast(self, half: torch.dtype | None) -> Any:
        """The context of a compute type."""
        return nullcontext() if half is None else torch.autocast(self.device.type, half)


def model_of(spec: Spec) -> Model:
    """The model of a spec.

    Raises:
        FkitError: it is no torch module, its type or device is not there.
    """
    check_spec(spec)
    device, dtype = device_of(spec.device), _params(spec)
    module = recomputing(build(spec.model), spec.recomputed)
    if spec.fleet.several:
        module = synchronised(module, spec.parallel.sync_bn)
    inventory = inventory_of(module, str(dtype).removeprefix("torch."))
    hollow = blank(module, device, dtype)
    training, evaluating = (
        Pool(lambda train=train: Template(hollow, train, inventory, spec.masks)) for train in (True, False)
    )
    return Model(
        spec, device, dtype, channels_last(spec, inventory), half_of(spec, device), half_of(spec, device, train=False),
        feed_of(spec, inventory), feed_of(spec, inventory, train=False), inventory, training, evaluating,
        threading.Lock(),
    )  # fmt: skip


def _params(spec: Spec) -> torch.dtype:
    return torch.float64 if spec.dtype == "float64" else torch.float32


def half_of(spec: Spec, device: torch.device, train: bool = True) -> torch.dtype | None:
    """The half precision that a spec's model computes in, in training or in prediction."""
    dtype = spec.dtype if train or spec.predict_dtype is None else spec.predict_dtype
    if dtype == "half":
        dtype = "float16" if device.type == "cuda" else "bfloat16"
    return _HALVES.get(dtype)


def feed_of(spec: Spec, inventory: Inventory, train: bool = True) -> Feed:
    """How batches reach the device of a spec's model, in training or for a prediction."""
    device = device_of(spec.device)
    half = None if spec.preprocess is not None else half_of(spec, device, train)  # normalised in full precision
    return Feed(device, _params(spec), half, channels_last(spec, inventory))


def channels_last(spec: Spec, inventory: Inventory) -> bool:
    """Whether a spec's images and kernels are laid out channels last."""
    if spec.memory_format != "auto":
        return spec.memory_format == "channels_last"
    # where tensor cores work, which want it
    images = any(entry.layer in _IMAGE_LAYERS for entry in inventory.entries)
    device = device_of(spec.device)
    return images and device.type == "cuda" and half_of(spec, device) is not None


def trained(
    model: Model,
    template: Template,
    params: Tensors,
    buffers: Tensors,
    key: tuple[int, int] | None,
    inputs: Any,
    samples: Samples,
    mode: str,
) -> tuple[Any, Tensors]:
    """A forward pass in training mode: what the model returned, and the buffers after it.

    Args:
        template: the caller's, who gives it back after the backward pass.
        buffers: layers of torch write into them; others may assign new ones.
        key: the phase's, which random layers draw from.
    """
    memory = None if mode in template.seen else memory_of(template.module)
    places = None if memory is None else places_of(params)
    rank = model.spec.fleet.rank
    module = template.bind(params, buffers, () if key is None else template.words(key), rank)
    if key is None or not template.random:
        with model.cast(model.half):
            outputs = module(inputs, samples, mode=mode)
    else:
        with model.generator, model.cast(model.half):
            seed(model.device, host_fold(key, rank) if rank else key)
            outputs = module(inputs, samples, mode=mode)
    if memory is not None and places is not None:
        refuse_replaced(params, places, template.replaced(params))
        template.seen.add(mode)
        tell_memory(memory, template.module)
    assigned = template.assigned(buffers)
    return outputs, buffers if not assigned else kept(buffers, assigned)


def kept(buffers: Tensors, assigned: Mapping[str, Any]) -> Tensors:
    """The buffers, with what a module has put in their place: copies, so that they are the state's own.

    Raises:
        FkitError: it is no tensor, or of another shape.
    """
    after = dict(buffers)
    for name, value in assigned.items():
        if not isinstance(value, Tensor):
            raise FkitTypeError(f"the model puts a {type(value).__name__} in the place of its buffer {name!r}.")
        if value.shape != buffers[name].shape:
            raise FkitValueError(
                f"the model's buffer {name!r} has shape {tuple(buffers[name].shape)}; forward assigns one of shape "
                f"{tuple(value.shape)}.",
                repair="A buffer keeps its shape, so that it can be saved and resumed.",
            )
        after[name] = torch.empty_like(buffers[name]).copy_(value.detach())
    return frozendict(after)


def evaluated(model: Model, params: Tensors, buffers: Tensors, inputs: Any, samples: Samples, mode: str) -> Any:
    """What the model returns in evaluation mode.

    Raises:
        FkitRuntimeError: it writes into the batch or into the state.
    """
    batch, held = marks_of(inputs, samples), state_marks(params, buffers)
    template = model.evaluating.take()
    try:
        memory = None if mode in template.seen else memory_of(template.module)
        places = None if memory is None else places_of(params)
        module = template.bind(params, buffers)
        with model.cast(model.predict_half if mode == "predict" else model.half):
            outputs = module(inputs, samples, mode=mode)
        if memory is not None and places is not None:
            refuse_replaced(params, places, template.replaced(params))
            template.seen.add(mode)
            tell_memory(memory, module)
        if buffers:
            refuse_assigned(template.assigned(buffers))
    finally:
        model.evaluating.give(template)
    refuse_writes(batch)
    refuse_state_writes((*params, *buffers), held)
    return outputs


def seed(device: torch.device, words: tuple[int, int]) -> None:
    """Seed torch's generators of the host and of the device."""
    # torch.manual_seed would take 50 times as long: it visits every kind of device
    seed = words[0] | words[1] << 32
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)

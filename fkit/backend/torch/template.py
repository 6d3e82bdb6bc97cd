"""A module as a template: what it holds, with its tensors taken out, and put in for the time of one call."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.random import fork_rng

from fkit.array.ops import Numpy
from fkit.array.random import fold, host_fold, tag
from fkit.backend.torch.interop import to_numpy
from fkit.backend.torch.layers import Dropout
from fkit.training.inventory import Entry, Inventory
from fkit.tree.error import FkitTypeError

__all__ = ["Template", "blank", "inventory_of", "own_values"]

# layers of torch.nn that draw random numbers in training
_RANDOM = ("Dropout", "RReLU", "FractionalMaxPool", "Multihead", "Transformer", "LSTM", "GRU", "RNN")
# a few layers: Python ints are faster than numpy's arrays
_FEW = 6


def build(make: Callable[[str], Any]) -> nn.Module:
    """The model, built on the CPU; torch's global generator is as before.

    Raises:
        FkitTypeError: it is no torch module.
    """
    with fork_rng(devices=[]):
        module = make("torch")
    if not isinstance(module, nn.Module):
        raise FkitTypeError(
            f"a model on torch is a torch.nn.Module, found {type(module).__name__}.",
            repair="forward(inputs, samples=None, mode='tensor' | 'loss' | 'predict')",
        )
    return module


def inventory_of(module: nn.Module, floats: str) -> Inventory:
    """Every parameter and persistent buffer, the ``init_cfg`` of every module, and tied weights.

    Args:
        floats: the run's type of floating-point numbers.
    """
    entries: list[Entry] = []
    first: dict[Any, str] = {}
    aliases: list[tuple[str, str]] = []
    for holder, path, buffer in _holders(module):
        tensors = holder._buffers if buffer else holder._parameters  # pyright: ignore[reportPrivateUsage]
        for leaf, tensor in tensors.items():
            if tensor is None or (buffer and leaf in holder._non_persistent_buffers_set):  # pyright: ignore[reportPrivateUsage]
                continue
            name = f"{path}.{leaf}" if path else leaf
            if tensor in first:
                aliases.append((name, first[tensor]))
                continue
            first[tensor] = name
            dtype = floats if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
            layer = type(holder).__name__ if type(holder).__module__.startswith("torch.nn") else ""
            entries.append(Entry(name, tuple(tensor.shape), dtype, layer, buffer, not buffer and tensor.requires_grad))
    rules = tuple(
        (path, part.init_cfg) for path, part in module.named_modules() if getattr(part, "init_cfg", None) is not None
    )
    return Inventory(tuple(entries), rules, tuple(aliases))


def own_values(make: Callable[[str], Any], inventory: Inventory, seed: int) -> dict[str, NDArray[Any]]:
    """The values that the modules give themselves, under torch's generator seeded by ``seed``."""
    with fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)
        tensors = make("torch").state_dict()
    arrays: dict[str, NDArray[Any]] = {}
    for entry in inventory.entries:
        arrays[("buffers/" if entry.buffer else "params/") + entry.name] = to_numpy(tensors[entry.name]).astype(
            entry.dtype
        )
    return arrays


def blank(module: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The module with parameters and persistent buffers on the meta device; constants move to ``device``."""
    hollows: dict[Any, Any] = {}
    for holder, _, buffer in _holders(module):
        tensors: dict[str, Any] = holder._buffers if buffer else holder._parameters  # pyright: ignore[reportPrivateUsage]
        for leaf, tensor in tensors.items():
            if tensor is None or tensor.is_meta:  # a shared module is met again
                continue
            if buffer and leaf in holder._non_persistent_buffers_set:  # pyright: ignore[reportPrivateUsage]
                tensors[leaf] = tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
                continue
            if tensor not in hollows:
                hollow = torch.empty_like(tensor, device="meta")
                hollows[tensor] = hollow if buffer else nn.Parameter(hollow, tensor.requires_grad)
            tensors[leaf] = hollows[tensor]
    return module


class Template:
    """A blank module in one mode, and where its tensors go.

    Args:
        module: blank; copied.
        train: training mode, which the module's own ``train`` may keep from some of its parts.
        inventory: of the module.
        masks: see `fkit.training.spec.Spec`.
    """

    __slots__ = ("buffers", "drops", "module", "params", "random", "tags")

    def __init__(self, module: nn.Module, train: bool, inventory: Inventory, masks: str) -> None:
        self.module = copy.deepcopy(module).train(train)
        names = {entry.name for entry in inventory.entries}
        aliases = dict(inventory.aliases)
        params: list[tuple[dict[str, Any], str, str, Any]] = []
        buffers: list[tuple[dict[str, Any], str, str, Any]] = []
        for holder, path, buffer in _holders(self.module):
            tensors: dict[str, Any] = holder._buffers if buffer else holder._parameters  # pyright: ignore[reportPrivateUsage]
            for leaf, tensor in tensors.items():
                name = f"{path}.{leaf}" if path else leaf
                name = aliases.get(name, name)
                if tensor is not None and name in names:
                    (buffers if buffer else params).append((tensors, leaf, name, tensor))
        self.params = tuple(params)
        self.buffers = tuple(buffers)
        arrays = [(path, part) for path, part in self.module.named_modules() if isinstance(part, Dropout)]
        active = [(path, part) for path, part in arrays if train and part.training and part.rate > 0]
        for _, part in arrays:
            part.masks = masks
        self.drops = tuple(part._buffers for _, part in active) if masks == "counter" else ()  # pyright: ignore[reportPrivateUsage]
        self.tags = tuple(tag(path) for path, _ in active)
        # whether a step may ask torch's generator for anything
        self.random = train and (any(map(_draws, self.module.modules())) or (masks == "backend" and bool(active)))

    def keys(self, step: tuple[int, int], device: torch.device) -> Tensor | None:
        """Each dropout layer's own key of a step's, (L, 2) int32 on the device."""
        if not self.drops:
            return None
        if len(self.tags) <= _FEW:
            words = np.array([host_fold(step, one) for one in self.tags], np.uint32)
        else:
            both = (np.uint32(step[0]).reshape(1), np.uint32(step[1]).reshape(1))
            words = np.stack(fold(Numpy(), both, np.array(self.tags, np.uint32)), 1)
        keys = torch.from_numpy(words.view(np.int32))
        return keys if device.type == "cpu" else keys.to(device, non_blocking=True)

    def bind(self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], keys: Tensor | None) -> nn.Module:
        """The module with the tensors of a state, as `torch.func.functional_call` does it, until `release`.

        The backward pass belongs between the two: blocks that are recomputed there read their parameters again.
        """
        for tensors, leaf, name, _ in self.params:
            tensors[leaf] = params[name]
        for tensors, leaf, name, _ in self.buffers:
            tensors[leaf] = buffers[name]
        if keys is not None:
            for masks, key in zip(self.drops, keys.unbind(), strict=True):
                masks["key"] = key
        return self.module

    def release(self) -> None:
        """Take the tensors out again."""
        for tensors, leaf, _, hollow in self.params:
            tensors[leaf] = hollow
        for tensors, leaf, _, hollow in self.buffers:
            tensors[leaf] = hollow


def _holders(module: nn.Module) -> Iterator[tuple[nn.Module, str, bool]]:
    """Every module and its path, first for its parameters, then for its buffers; the order of a ``state_dict``."""
    for path, part in module.named_modules(remove_duplicate=False):
        yield part, path, False
        yield part, path, True


def _draws(part: nn.Module) -> bool:
    home = type(part).__module__
    if home.startswith("fkit."):
        return False
    return not home.startswith("torch.nn") or any(word in type(part).__name__ for word in _RANDOM)

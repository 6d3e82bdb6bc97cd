"""A module as a template: what it holds, with its tensors taken out, and put in for the time of one call."""

import copy
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.random import fork_rng

from fkit.array.ops import Numpy
from fkit.array.random import fold, host_fold, tag
from fkit.backend.torch.drop import RandomLayer
from fkit.backend.torch.interop import to_numpy
from fkit.data.label import label_ranges
from fkit.training.inventory import Entry, Inventory, asks_epoch, is_deformable, kind_of, rules_of
from fkit.tree.contract import expect_fit, title
from fkit.tree.error import FkitTypeError

__all__ = ["Pool", "Template", "Words", "blank", "build", "inventory_of", "own_values"]

Words = tuple[tuple[int, int], ...]
"""A key each random layer."""

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm, nn.GroupNorm, nn.LayerNorm)  # pyright: ignore[reportPrivateUsage]
# layers of torch.nn that draw random numbers in training
_RANDOM = ("Dropout", "RReLU", "FractionalMaxPool", "Multihead", "Transformer", "LSTM", "GRU", "RNN")
_FORWARD = """A model has forward(inputs, samples=None, mode="tensor" | "loss" | "predict"). For example:
      def forward(self, inputs, samples=None, mode="tensor"):
          scores = self.layers(inputs)
          if mode == "loss":
              return {"loss": nn.functional.cross_entropy(scores, samples.targets["gt_label"])}
          return {"pred_score": scores.softmax(1)} if mode == "predict" else scores"""
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
            f"a model on torch is a torch.nn.Module, found {title(module)}.", path="model", repair=_FORWARD
        )
    try:
        expect_fit(module.forward, "forward", "inputs, samples, mode=", f"{title(module)} is no model: its", _FORWARD)
    except FkitTypeError as error:
        error.path = "model"
        raise
    return module


def inventory_of(module: nn.Module, floats: str) -> Inventory:
    """Every parameter and persistent buffer, the ``init_cfg`` of every module, tied weights, what labels may be.

    Args:
        floats: the run's type of floating-point numbers.
    """
    entries: list[Entry] = []
    first: dict[Any, str] = {}
    aliases: list[tuple[str, str]] = []
    deformable = {path for path, part in module.named_modules(remove_duplicate=False) if is_deformable(type(part))}
    for holder, path, buffer in _holders(module):
        deformed = "." in path and path.rpartition(".")[0] in deformable
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
            known = type(holder).__name__ if type(holder).__module__.startswith("torch.nn") else ""
            layer: str = getattr(holder, "torch_class", known)
            entries.append(
                Entry(
                    name, tuple(tensor.shape), dtype, layer, buffer, not buffer and tensor.requires_grad,
                    "" if buffer else _kind(holder, path, deformed),
                )
            )  # fmt: skip
    rules = rules_of(dict(module.named_modules()))
    return Inventory(
        tuple(entries), rules, tuple(aliases), label_ranges(module), tuple(_repeats(module)), asks_epoch(module)
    )


def _repeats(module: nn.Module) -> Iterator[str]:
    """Paths of children that their parent has under an earlier name too."""
    for path, part in module.named_modules(remove_duplicate=False):
        children = list(part._modules.items())  # pyright: ignore[reportPrivateUsage]
        for i, (name, child) in enumerate(children):
            if child is not None and any(child is other for _, other in children[:i]):
                yield f"{path}.{name}" if path else name


def _kind(part: nn.Module, path: str, deformed: bool) -> str:
    conv = isinstance(part, nn.Conv2d)
    return kind_of(
        path,
        norm=isinstance(part, _NORMS),
        conv=conv,
        depthwise=conv and part.in_channels == part.groups,
        deformed=deformed,
    )


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
    """A blank module in one mode, and where its tensors go; one thread's at a time.

    Args:
        module: blank; copied.
        train: training mode, which the module's own ``train`` may keep from some of its parts.
        inventory: of the module.
        masks: see `fkit.training.spec.Spec`.

    Attributes:
        module: the copy.
        params, buffers: (the dict that holds the tensor, its key there, its name, the blank), each.
        layers: the random layers that draw in this mode from keys of the run, and the tags of their paths.
        random: whether a step may ask torch's generator for anything.
        seen: the modes in which the module was watched for state that it keeps to itself.
    """

    __slots__ = ("buffers", "layers", "module", "params", "random", "seen", "tags")

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
        self.seen: set[str] = set()
        self.params = tuple(params)
        self.buffers = tuple(buffers)
        drawing = [(path, part) for path, part in self.module.named_modules() if isinstance(part, RandomLayer)]
        for _, part in drawing:
            part.masks = masks
        active = [(path, part) for path, part in drawing if train and part.training and part.draws]
        counted = active if masks == "counter" else []
        self.layers = tuple(part for _, part in counted)
        self.tags = tuple(tag(path) for path, _ in counted)
        self.random = train and (any(map(_draws, self.module.modules())) or (masks == "backend" and bool(active)))

    def words(self, phase: tuple[int, int]) -> Words:
        """Each random layer's own key, of a phase's."""
        if len(self.tags) <= _FEW:
            return tuple([host_fold(phase, one) for one in self.tags])
        both = (np.uint32(phase[0]).reshape(1), np.uint32(phase[1]).reshape(1))
        first, second = fold(Numpy(), both, np.array(self.tags, np.uint32))
        return tuple(zip(first.tolist(), second.tolist(), strict=True))

    def bind(
        self, params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], words: Words = (), rank: int = 0
    ) -> nn.Module:
        """The module with the tensors of a state, as `torch.func.functional_call` does it, until `release`.

        The backward pass belongs between the two: blocks that are recomputed there read their parameters again.

        Args:
            words: the keys of the random layers, as `words` gives them.
            rank: which part of the whole batch the random layers see.
        """
        for tensors, leaf, name, _ in self.params:
            tensors[leaf] = params[name]
        for tensors, leaf, name, _ in self.buffers:
            tensors[leaf] = buffers[name]
        if words:
            for layer, key in zip(self.layers, words, strict=True):
                layer.__dict__.update(words=key, calls=0, rank=rank)
        return self.module

    def assigned(self, buffers: Mapping[str, Tensor]) -> dict[str, Any]:
        """The buffers that the module has put another value in the place of, by name, since `bind` put these in."""
        return {
            name: tensors.get(leaf) for tensors, leaf, name, _ in self.buffers if tensors.get(leaf) is not buffers[name]
        }

    def replaced(self, params: Mapping[str, Tensor]) -> list[str]:
        """The parameters that the module has put another value in the place of, since `bind` put these in."""
        return [name for tensors, leaf, name, _ in self.params if tensors.get(leaf) is not params[name]]

    def release(self) -> None:
        """Take the tensors out again."""
        for tensors, leaf, _, hollow in self.params:
            tensors[leaf] = hollow
        for tensors, leaf, _, hollow in self.buffers:
            tensors[leaf] = hollow


class Pool:
    """Templates of one mode: each call takes one for itself, so that threads with one program do not meet.

    Args:
        make: another template; the first is made at once.
    """

    __slots__ = ("_free", "_make", "first")

    def __init__(self, make: Callable[[], Template]) -> None:
        self._make = make
        self.first = make()
        self._free = deque([self.first])

    def take(self) -> Template:
        """A template that nobody has; it goes back by `give`."""
        try:
            return self._free.pop()
        except IndexError:
            return self._make()

    def give(self, template: Template) -> None:
        """Release a template and put it back."""
        template.release()
        self._free.append(template)


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

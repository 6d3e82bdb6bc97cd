"""One rule between torch's names and layouts and flax's. The module's type decides the layout, never the shape.

A flax path is a torch path whose integer tokens are joined to the token before them by ``_``: ``layer1.0.conv1`` is
``layer1_0/conv1``. So the last token of a flax module's name must not be an integer that torch does not have: name
it ``fc1``, not ``fc_1``. Where torch's own name ends so (``stage_1.0``), it is ``-`` here: ``stage-1_0``.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax import layers

__all__ = ["Leaf", "flax_path", "is_nnx", "kind_of", "leaf_of", "to_flax", "to_torch", "torch_path"]

Path = tuple[str, ...]


class Leaf(NamedTuple):
    """An array of a layer in torch's words.

    Attributes:
        name: "weight", "bias", "running_mean", ...
        layout: how the axes are ordered: "conv", "linear", "conv_transpose", "conv_transpose_swapped" or "same".
        buffer: a buffer, not a parameter.
    """

    name: str
    layout: str
    buffer: bool


_PLACE = re.compile(r"(?<=.)(_\d+)+$")
_OWN = re.compile(r"-(?=\d+(?:\.|$))")  # before a number that is part of torch's own word
_ENDS = re.compile(r"(?<=.)_(?=\d+$)")
_NORMS = (
    *(nn.BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm, nn.RMSNorm),
    *(layers.BatchNorm, layers.GroupNorm, layers.LayerNorm, layers.InstanceNorm2d),
)
_NNX_NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm")
_STATISTICS: Mapping[str, str] = frozendict(mean="running_mean", var="running_var")


def torch_path(path: Path) -> str:
    """torch's module path of a flax one.

    Example:
        >>> torch_path(("backbone", "layer1_0", "downsample_1"))
        'backbone.layer1.0.downsample.1'
        >>> torch_path(flax_path("stage_1.0.conv")), flax_path("stage_1.0.conv")
        ('stage_1.0.conv', ('stage-1_0', 'conv'))
    """
    dotted = (_PLACE.sub(lambda found: found.group().replace("_", "."), token) for token in path)
    return ".".join(_OWN.sub("_", token) for token in dotted)


def flax_path(name: str) -> Path:
    """The flax path of torch's module path; the inverse of `torch_path`.

    Example:
        >>> flax_path("backbone.layer1.0.downsample.1")
        ('backbone', 'layer1_0', 'downsample_1')
    """
    tokens: list[str] = []
    for token in name.split(".") if name else []:
        if token.isdigit() and tokens:
            tokens[-1] += "_" + token
        else:
            tokens.append(_ENDS.sub("-", token))
    return tuple(tokens)


def kind_of(module: Any) -> str:
    """What a module is to the rule: "conv", "linear", "conv_transpose", "embedding", "norm", or "" for any other.

    Args:
        module: of flax.linen, or of flax.nnx, whose layers are known by name, so that nothing loads it.
    """
    if isinstance(module, nn.Conv) or is_nnx(module, "Conv"):
        return "conv"
    if isinstance(module, nn.ConvTranspose) or is_nnx(module, "ConvTranspose"):
        return "conv_transpose_swapped" if getattr(module, "transpose_kernel", False) else "conv_transpose"
    if isinstance(module, nn.Dense) or is_nnx(module, "Linear"):
        return "linear"
    if isinstance(module, nn.Embed) or is_nnx(module, "Embed"):
        return "embedding"
    if isinstance(module, _NORMS) or is_nnx(module, *_NNX_NORMS):
        return "norm"
    return ""


def is_nnx(module: Any, *names: str) -> bool:
    """Whether it is a module of flax.nnx: of a class of one of these names there, or derived from it; any, without names.

    Example:
        >>> is_nnx(nn.Dense(3)), is_nnx(nn.Dense(3), "Linear")
        (False, False)
    """
    classes = [base for base in type(module).__mro__ if base.__module__.startswith("flax.nnx.")]
    return any(base.__name__ in (names or ("Module",)) for base in classes)


def leaf_of(kind: str, collection: str, name: str) -> Leaf:
    """torch's words for the array ``name`` that a module of ``kind`` keeps in a flax collection."""
    if collection != "params":
        return Leaf(_STATISTICS.get(name, name) if kind == "norm" else name, "same", True)
    if kind in ("conv", "linear", "conv_transpose", "conv_transpose_swapped") and name == "kernel":
        return Leaf("weight", kind, False)
    if (kind, name) in (("norm", "scale"), ("embedding", "embedding")):
        return Leaf("weight", "same", False)
    return Leaf(name, "same", False)


def to_flax(array: Any, layout: str) -> Any:
    """An array in torch's layout, in flax's; works on numpy and jax.numpy arrays.

    Example:
        >>> import numpy as np
        >>> to_flax(np.zeros((8, 4, 3, 5)), "conv").shape
        (3, 5, 4, 8)
    """
    if layout == "linear":
        return array.T
    spatial = tuple(range(2, array.ndim))
    if layout == "conv":  # (O, I, ...) -> (..., I, O)
        return array.transpose((*spatial, 1, 0))
    if layout == "conv_transpose":  # (I, O, ...) -> (..., I, O), and torch's kernel is the gradient's: flipped
        return _flip(array.transpose((*spatial, 0, 1)))
    if layout == "conv_transpose_swapped":  # flax flips it and swaps its channels itself
        return array.transpose((*spatial, 1, 0))
    return array


def to_torch(array: Any, layout: str) -> Any:
    """The inverse of `to_flax`."""
    if layout == "linear":
        return array.T
    last = array.ndim - 1
    spatial = tuple(range(array.ndim - 2))
    if layout == "conv":
        return array.transpose((last, last - 1, *spatial))
    if layout == "conv_transpose":
        return _flip(array).transpose((last - 1, last, *spatial))
    if layout == "conv_transpose_swapped":
        return array.transpose((last, last - 1, *spatial))
    return array


def _flip(array: Any) -> Any:
    """A kernel with its spatial axes, all but the last two, reversed."""
    return array[(slice(None, None, -1),) * (array.ndim - 2)]

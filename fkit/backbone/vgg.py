"""The plan of a VGG (Simonyan and Zisserman 2015)."""

from collections.abc import Sequence
from typing import NamedTuple

from frozendict import frozendict

from fkit.tree.error import FkitValueError

__all__ = ["INIT", "VggPlan", "vgg_layers"]

INIT = (
    frozendict(type="Kaiming", layer=("Conv2d",)),
    frozendict(type="Constant", val=1.0, layer=("_BatchNorm",)),
    frozendict(type="Normal", std=0.01, layer=("Linear",)),
)
_DEPTHS = frozendict({11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)})


class VggPlan(NamedTuple):
    """Convolutions (channels in and out, dilation) and poolings (None); how many of them there are at each stage's end; the
    stages whose maps are given."""

    layers: tuple[tuple[int, int, int] | None, ...]
    ends: tuple[int, ...]
    outputs: tuple[int, ...]


def vgg_layers(
    depth: int, classes: int, stages: int, dilations: Sequence[int], outputs: Sequence[int] | None, pools: bool
) -> VggPlan:
    """The layers of a VGG.

    Args:
        pools: whether the last stage ends in a pooling.

    Raises:
        FkitValueError: arguments that do not fit together.

    Example:
        >>> vgg_layers(11, -1, 5, (1,) * 5, None, True).ends
        (2, 4, 7, 10, 13)
    """
    if depth not in _DEPTHS:
        raise FkitValueError(f"VGG: depth={depth}.", choices=[str(one) for one in _DEPTHS], label="Depths")
    if not 1 <= stages <= 5 or len(dilations) != stages:
        raise FkitValueError(f"VGG: num_stages={stages}, from 1 to 5, and dilations={dilations!r:.60}, one a stage.")
    chosen = ((5,) if classes > 0 else (4,)) if outputs is None else tuple(outputs)
    if not all(0 <= i <= stages for i in chosen):
        raise FkitValueError(f"VGG: out_indices={chosen}, but there are {stages} stages.")
    layers, ends, inner = list[tuple[int, int, int] | None](), list[int](), 3
    for i, count in enumerate(_DEPTHS[depth][:stages]):
        width = 64 * 2 ** min(i, 3)
        for _ in range(count):
            layers.append((inner, width, dilations[i]))
            inner = width
        if pools or i < stages - 1:
            layers.append(None)
        ends.append(len(layers))
    return VggPlan(tuple(layers), tuple(ends), chosen)

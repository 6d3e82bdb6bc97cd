"""The plan of a Swin transformer (Liu et al. 2021): widths, heads and rates of its stages, and the arithmetic of its windows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "INIT",
    "Stage",
    "SwinPlan",
    "class_index",
    "old_words",
    "place_rules",
    "relative_index",
    "shift_mask",
    "spread",
]

# what init_weights of the reference does where there is no checkpoint
INIT = (
    frozendict(type="TruncNormal", layer="Linear", std=0.02),
    frozendict(type="Constant", layer="LayerNorm", val=1),
)
_OLD: Mapping[str, str] = frozendict(
    embed_dim="embed_dims", ape="use_abs_pos_embed", use_checkpoint="with_cp", in_chans="in_channels"
)


class Stage(NamedTuple):
    """One stage: ``rates`` of stochastic depth, one a block; ``merging`` is the stride after it, 0 of the last."""

    width: int
    heads: int
    hidden: int
    rates: tuple[float, ...]
    merging: int


@dataclass(frozen=True)
class SwinPlan:
    """What a Swin transformer's arguments come to.

    Attributes:
        image: (height, width) of the images that the absolute positions are of.
        patch: side of a patch.
        stages: from the finest to the coarsest.

    Raises:
        FkitValueError: stages, heads, strides or outputs that do not fit together.
    """

    image: tuple[int, int]
    patch: int
    stages: tuple[Stage, ...]

    @classmethod
    def of(
        cls,
        image: Any,
        patch: Any,
        width: int,
        ratio: float,
        depths: Any,
        heads: Any,
        strides: Any,
        outputs: Any,
        rate: float,
        window: int,
    ) -> "SwinPlan":
        """The plan of a config's words."""
        depths, heads, strides = tuple(depths), tuple(heads), tuple(strides)
        count = len(depths)
        if not count or len(heads) != count or len(strides) != count:
            raise FkitValueError(
                f"SwinTransformer: {count} depths, {len(heads)} num_heads and {len(strides)} strides.",
                repair="Give one of each a stage.",
            )
        sides = (patch, patch) if isinstance(patch, int) else tuple(patch)
        if sides[0] != sides[-1] or strides[0] != sides[0]:
            raise FkitValueError(
                f"SwinTransformer: strides[0]={strides[0]} and patch_size={patch}: patches are square and do not overlap.",
                repair="Give both the same number.",
            )
        if any(not 0 <= i < count for i in outputs):
            raise FkitValueError(f"SwinTransformer: out_indices={tuple(outputs)}, but there are {count} stages.")
        if window < 1:
            raise FkitValueError(f"SwinTransformer: window_size={window}: at least 1.")
        rates, start, stages = spread(rate, sum(depths)), 0, list[Stage]()
        for i, (depth, head) in enumerate(zip(depths, heads, strict=True)):
            wide = width * 2**i
            if wide % head:
                raise FkitValueError(
                    f"SwinTransformer: {wide} channels of stage {i} are no multiple of its {head} heads."
                )
            merging = strides[i + 1] if i < count - 1 else 0
            stages.append(Stage(wide, head, int(ratio * wide), rates[start : start + depth], merging))
            start += depth
        sides = (image, image) if isinstance(image, int) else tuple(image) * (3 - len(image))
        if len(sides) != 2:
            raise FkitValueError(f"SwinTransformer: pretrain_img_size={image!r}: a number, or height and width.")
        return cls(sides, strides[0], tuple(stages))

    @property
    def places(self) -> int:
        """How many absolute positions there are."""
        return (self.image[0] // self.patch) * (self.image[1] // self.patch)


def spread(rate: float, count: int) -> tuple[float, ...]:
    """Rates of stochastic depth that rise by equal steps from 0 to ``rate``.

    Example:
        >>> spread(0.5, 3)
        (0.0, 0.25, 0.5)
    """
    return tuple(np.linspace(0.0, rate, count).tolist())


def old_words(name: str, mine: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments in OpenMMLab's words, of those and of the original repository's (``embed_dim``, ``ape``,
    ``use_checkpoint``, ``in_chans``), where None is what is not given.

    Raises:
        FkitTypeError: one is given by both names.
    """
    whole = dict(mine)
    for word, value in old.items():
        if value is None:
            continue
        if mine[_OLD[word]] is not None:
            raise FkitTypeError(
                f"{name}: {word}={value!r} and {_OLD[word]}={mine[_OLD[word]]!r} are one argument by two names.",
                repair=f"Leave {word} out.",
            )
        whole[_OLD[word]] = value
    return whole


def place_rules(rules: Any, name: str) -> tuple[Any, ...]:
    """Rules for initial weights, and before them the one for a table of positions: a truncated normal law."""
    first = frozendict(type="TruncNormal", std=0.02, override=frozendict(name=name))
    return (first, *rules)


def relative_index(height: int, width: int) -> NDArray[np.int64]:
    """Where in a table of (2 height - 1) * (2 width - 1) displacements that of each pair of a window's pixels stands.

    Example:
        >>> relative_index(1, 2).tolist()
        [[1, 0], [2, 1]]
    """
    y, x = (part.reshape(-1) for part in np.mgrid[:height, :width])
    down, right = y[:, None] - y[None], x[:, None] - x[None]
    return ((down + height - 1) * (2 * width - 1) + right + width - 1).astype(np.int64)


def class_index(height: int, width: int) -> NDArray[np.int64]:
    """`relative_index` with a token of the class before the pixels: three more places, of pairs from it, to it, and of itself.

    Example:
        >>> class_index(1, 1).tolist()
        [[3, 1], [2, 0]]
    """
    count, side = (2 * height - 1) * (2 * width - 1) + 3, height * width + 1
    index = np.zeros((side, side), np.int64)
    index[1:, 1:] = relative_index(height, width)
    index[0, :], index[:, 0], index[0, 0] = count - 3, count - 2, count - 1
    return index


def shift_mask(xp: Ops, height: int, width: int, window: int, shift: int, like: Any) -> Any:
    """What is added to the attention of shifted windows: -100 between pixels that the roll brought together.

    Args:
        height, width: of the padded map, multiples of ``window``.
        like: an array whose kind the mask has.

    Returns:
        (windows, 1, window**2, window**2).
    """
    lib = xp.lib

    def region(length: int) -> Any:
        place = xp.arange(length)
        return xp.cast(place >= length - window, "int64") + xp.cast(place >= length - shift, "int64")

    regions = region(height)[:, None] * 3 + region(width)[None]
    parts = regions.reshape(height // window, window, width // window, window)
    parts = lib.moveaxis(parts, 2, 1).reshape(-1, window * window)
    apart = parts[:, None] != parts[:, :, None]
    return xp.cast(apart, like)[:, None] * -100.0

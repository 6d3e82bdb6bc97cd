"""The plans of mobile networks: MobileNetV2 (Sandler et al. 2018)."""

from collections.abc import Sequence
from typing import NamedTuple

from fkit.tree.error import FkitValueError

__all__ = ["Inverted", "divisible", "mobile_v2"]


def divisible(value: float, divisor: int, least: int | None = None, ratio: float = 0.9) -> int:
    """A number of channels as the nearest multiple of ``divisor``, not below ``least`` or ``ratio`` of it.

    Example:
        >>> divisible(33, 8), divisible(10, 8), divisible(12, 8, ratio=0)
        (32, 16, 16)
    """
    whole = max(divisor if least is None else least, int(value + divisor / 2) // divisor * divisor)
    return whole + divisor if whole < ratio * value else whole


class Inverted(NamedTuple):
    """An inverted residual block: channels in, inside and out; stride and dilation of the filter a channel."""

    inner: int
    hidden: int
    width: int
    stride: int
    dilation: int


# expansion, channels and blocks of each stage
_STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))


def mobile_v2(
    factor: float,
    strides: Sequence[int],
    dilations: Sequence[int],
    outputs: Sequence[int],
    frozen: int,
    last: bool,
) -> tuple[int, tuple[tuple[Inverted, ...], ...], int]:
    """The stem's channels, the blocks of each stage, and the channels of the last layer.

    Args:
        factor: of all channels.
        last: whether there is a last layer, whose place is 7.

    Raises:
        FkitValueError: arguments that do not fit together.

    Example:
        >>> mobile_v2(1.0, (1, 2, 2, 2, 1, 2, 1), (1,) * 7, (7,), -1, True)[1][0]
        (Inverted(inner=32, hidden=32, width=16, stride=1, dilation=1),)
    """
    if len(strides) != len(_STAGES) or len(dilations) != len(_STAGES):
        raise FkitValueError(f"MobileNetV2: strides={strides!r} and dilations={dilations!r}: one of each of 7 stages.")
    if any(stride not in (1, 2) for stride in strides):
        raise FkitValueError(f"MobileNetV2: strides={strides!r}: each is 1 or 2.")
    most = 7 + last
    if not all(0 <= i < most for i in outputs):
        raise FkitValueError(f"MobileNetV2: out_indices={outputs!r}, but there are {most} stages.")
    if not -1 <= frozen < most:
        raise FkitValueError(f"MobileNetV2: frozen_stages={frozen}: from -1 to {most - 1}.")
    stem = inner = divisible(32 * factor, 8)
    stages: list[tuple[Inverted, ...]] = []
    for (expansion, channels, count), stride, dilation in zip(_STAGES, strides, dilations, strict=True):
        width = divisible(channels * factor, 8)
        blocks: list[Inverted] = []
        for i in range(count):
            step, wide = (1, 1) if i else (stride, dilation)
            blocks.append(Inverted(inner, round(inner * expansion), width, step, wide))
            inner = width
        stages.append(tuple(blocks))
    return stem, tuple(stages), int(1280 * factor) if factor > 1 else 1280

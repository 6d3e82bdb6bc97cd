"""The plans of mobile networks: MobileNetV2 (Sandler et al. 2018), MobileNetV3, EfficientNets."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import ceil
from typing import NamedTuple

from frozendict import frozendict

from fkit.backbone.swin import spread
from fkit.tree.error import FkitValueError

__all__ = ["Inverted", "Mobile", "divisible", "efficient_net", "efficient_net_v2", "mobile_v2", "mobile_v3"]


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


class Mobile(NamedTuple):
    """A block of EfficientNets and MobileNetV3.

    Attributes:
        kind: "inverted" (a 1x1, a filter a channel, a 1x1), "edge" (a whole convolution, a 1x1), or "plain" (one).
        inner, hidden, width: channels in, inside and out.
        size, stride: of the filters.
        squeeze: channels inside of the excitation after them; 0: there is none.
        rate: of stochastic depth.
        adaptive: whether convolutions are those that the network is told, or ordinary ones.
        act: an activation of its own.
        added: whether the input is added where it has the same shape.
    """

    kind: str
    inner: int
    hidden: int
    width: int
    size: int
    stride: int
    squeeze: int
    rate: float
    adaptive: bool = True
    act: str = ""
    added: bool = True

    @property
    def adds(self) -> bool:
        """Whether the input is added."""
        return self.added and self.stride == 1 and self.inner == self.width


# stages of (filter, channels, part of the excitation, stride, expansion) blocks; "e" has whole convolutions where it is 2
_EFFICIENT: Mapping[str, Sequence[Sequence[tuple[int, int, int, int, int, int]]]] = frozendict(
    b=(
        ((3, 16, 4, 1, 1, 0),),
        ((3, 24, 4, 2, 6, 0), (3, 24, 4, 1, 6, 0)),
        ((5, 40, 4, 2, 6, 0), (5, 40, 4, 1, 6, 0)),
        (
            *((3, 80, 4, 2, 6, 0), (3, 80, 4, 1, 6, 0), (3, 80, 4, 1, 6, 0)),
            *(((5, 112, 4, 1, 6, 0),) * 3),
        ),
        ((5, 192, 4, 2, 6, 0), *(((5, 192, 4, 1, 6, 0),) * 3), (3, 320, 4, 1, 6, 0)),
    ),
    e=(
        ((3, 24, 0, 1, 3, 1),),
        ((3, 32, 0, 2, 8, 1), (3, 32, 0, 1, 8, 1)),
        ((3, 48, 0, 2, 8, 1), *(((3, 48, 0, 1, 8, 1),) * 3)),
        ((5, 96, 0, 2, 8, 0), *(((5, 96, 0, 1, 8, 0),) * 4), *(((5, 144, 0, 1, 8, 0),) * 4)),
        ((5, 192, 0, 2, 8, 0), (5, 192, 0, 1, 8, 0)),
    ),
)
# factors of channels and of blocks
_FACTORS: Mapping[str, tuple[float, float]] = frozendict(
    b0=(1.0, 1.0), b1=(1.0, 1.1), b2=(1.1, 1.2), b3=(1.2, 1.4), b4=(1.4, 1.8), b5=(1.6, 2.2), b6=(1.8, 2.6),
    b7=(2.0, 3.1), b8=(2.2, 3.6), l2=(4.3, 5.3), es=(1.0, 1.0), em=(1.0, 1.1), el=(1.2, 1.4),
)  # fmt: skip


def efficient_net(arch: str, drop_path_rate: float) -> tuple[int, tuple[tuple[Mobile, ...], ...], int]:
    """EfficientNet (Tan and Le 2019): the stem's channels, the blocks of each stage, the channels of the last layer.

    Raises:
        FkitValueError: an unknown architecture.

    Example:
        >>> stem, stages, last = efficient_net("b0", 0.0)
        >>> stem, [len(stage) for stage in stages], last
        (32, [1, 2, 2, 6, 5], 1280)
    """
    if arch not in _FACTORS:
        raise FkitValueError(f"EfficientNet: arch={arch!r}.", value=arch, choices=_FACTORS, label="Architectures")
    wide, deep = _FACTORS[arch]
    stages: list[list[tuple[int, ...]]] = []
    for number, stage in enumerate(_EFFICIENT["e" if arch.startswith("e") else "b"]):
        groups = [list(group) for _, group in groupby(stage, key=lambda row: row[1])]
        for place, group in enumerate(groups):
            count = ceil(deep * len(group))
            rows: list[tuple[int, ...]] = [*group, *[group[-1]] * (count - len(group))][:count]
            if rows[0][3] == 1 and (number or place):
                stages[-1] += rows
            else:
                stages.append(rows)
    stem = inner = divisible(divisible(32 * wide, 8), 8)
    rates = iter(spread(drop_path_rate, sum(map(len, stages))))
    plans: list[tuple[Mobile, ...]] = []
    for stage in stages:
        blocks: list[Mobile] = []
        for i, (size, channels, part, stride, grow, edge) in enumerate(stage):
            width = divisible(channels * wide, 8)
            alone = bool(edge) and i > 0 and grow == 3
            hidden = inner * (4 if alone else grow)
            squeeze = divisible(hidden // (grow * part), 1) if part else 0
            kind = "edge" if edge else "inverted"
            blocks.append(Mobile(kind, inner, hidden, width, size, stride, squeeze, next(rates), added=not alone))
            inner = width
        plans.append(tuple(blocks))
    return stem, tuple(plans), divisible(1280 * wide, 8)


# blocks, filter, stride, expansion, channels out, part of the excitation, kind of each stage; the stem's and the last channels
_V2_SMALL: Sequence[tuple[int, ...]] = ((1, 1, 0), (2, 4, 0), (2, 4, 0), (2, 4, 1), (1, 6, 1), (2, 6, 1), (1, 6, 1))
_V2: Mapping[str, tuple[int, tuple[int, ...], tuple[int, ...], int]] = frozendict(
    s=(24, (2, 4, 4, 6, 9, 15), (24, 48, 64, 128, 160, 256), 1280),
    m=(24, (3, 5, 5, 7, 14, 18, 5), (24, 48, 80, 160, 176, 304, 512), 1280),
    l=(32, (4, 7, 7, 10, 19, 25, 7), (32, 64, 96, 192, 224, 384, 640), 1280),
    xl=(32, (4, 8, 8, 16, 24, 32, 8), (32, 64, 96, 192, 256, 512, 640), 1280),
    b0=(32, (1, 2, 2, 3, 5, 8), (16, 32, 48, 96, 112, 192), 1280),
    b1=(32, (2, 3, 3, 4, 6, 9), (16, 32, 48, 96, 112, 192), 1280),
    b2=(32, (2, 3, 3, 4, 6, 10), (16, 32, 56, 104, 120, 208), 1408),
    b3=(40, (2, 3, 3, 5, 7, 12), (16, 40, 56, 112, 136, 232), 1536),
)
_V2_WORDS = frozendict(small="s", medium="m", large="l")


def efficient_net_v2(arch: str, drop_path_rate: float) -> tuple[int, tuple[tuple[Mobile, ...], ...], int]:
    """EfficientNetV2 (Tan and Le 2021): the stem's channels, the blocks of each stage, the channels of the last layer.

    Raises:
        FkitValueError: an unknown architecture.

    Example:
        >>> efficient_net_v2("b0", 0.0)[1][0][0].kind
        'plain'
    """
    short = _V2_WORDS.get(arch, arch)
    if short not in _V2:
        choices = (*_V2, *_V2_WORDS)
        raise FkitValueError(f"EfficientNetV2: arch={arch!r}.", value=arch, choices=choices, label="Architectures")
    stem, counts, widths, last = _V2[short]
    inner, rates, plans = stem, iter(spread(drop_path_rate, sum(counts))), list[tuple[Mobile, ...]]()
    for place, (count, width) in enumerate(zip(counts, widths, strict=True)):
        first, grow, squeezed = _V2_SMALL[place]
        blocks: list[Mobile] = []
        for i in range(count):
            stride, hidden, rate = first if i == 0 else 1, inner * grow, next(rates)
            kind = "plain" if place == 0 else ("inverted" if squeezed else "edge")
            squeeze = divisible(hidden // (grow * 4), 1) if squeezed else 0
            blocks.append(Mobile(kind, inner, hidden, width, 3, stride, squeeze, rate, stride == 2))
            inner = width
        plans.append(tuple(blocks))
    return stem, tuple(plans), last


# filter, channels inside and out, whether there is an excitation, whether the activation is a hard swish, stride
_V3: Mapping[str, Sequence[tuple[int, int, int, int, int, int]]] = frozendict(
    small=(
        (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1),
        (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
        (5, 576, 96, 1, 1, 1),
    ),
    small_075=(
        (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 32, 1, 1, 2), (5, 192, 32, 1, 1, 1),
        (5, 192, 32, 1, 1, 1), (5, 96, 40, 1, 1, 1), (5, 120, 40, 1, 1, 1), (5, 240, 72, 1, 1, 2), (5, 432, 72, 1, 1, 1),
        (5, 432, 72, 1, 1, 1),
    ),
    small_050=(
        (3, 16, 8, 1, 0, 2), (3, 40, 16, 0, 0, 2), (3, 56, 16, 0, 0, 1), (5, 64, 24, 1, 1, 2), (5, 144, 24, 1, 1, 1),
        (5, 144, 24, 1, 1, 1), (5, 72, 24, 1, 1, 1), (5, 72, 24, 1, 1, 1), (5, 144, 48, 1, 1, 2), (5, 288, 48, 1, 1, 1),
        (5, 288, 48, 1, 1, 1),
    ),
    large=(
        (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
        (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
        (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1),
        (5, 960, 160, 1, 1, 1),
    ),
)  # fmt: skip


def mobile_v3(arch: str) -> tuple[int, tuple[Mobile, ...], int]:
    """MobileNetV3 (Howard et al. 2019): the stem's channels, the blocks, the channels of the last layer.

    Raises:
        FkitValueError: an unknown architecture.

    Example:
        >>> mobile_v3("small")[2]
        576
    """
    if arch not in _V3:
        raise FkitValueError(f"MobileNetV3: arch={arch!r}.", value=arch, choices=_V3, label="Architectures")
    inner, blocks = 16, list[Mobile]()
    for size, hidden, width, squeezed, hard, stride in _V3[arch]:
        squeeze = divisible(hidden // 4, 8) if squeezed else 0
        act = "HSwish" if hard else "ReLU"
        blocks.append(Mobile("inverted", inner, hidden, width, size, stride, squeeze, 0.0, act=act))
        inner = width
    return 16, tuple(blocks), blocks[-1].hidden

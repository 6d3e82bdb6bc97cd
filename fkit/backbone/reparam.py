"""The plans of networks whose branches become one convolution: RepVGG (Ding et al. 2021), MobileOne (Vasu et al. 2023)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.backbone.arch import arch_of, outputs_of
from fkit.backbone.mobile import divisible
from fkit.tree.error import FkitValueError

__all__ = ["INIT_ONE", "Branched", "mobile_one", "rep_vgg"]

INIT_ONE = (
    frozendict(type="Kaiming", layer=("Conv2d",)),
    frozendict(type="Constant", val=1, layer=("_BatchNorm",)),
)


class Branched(NamedTuple):
    """A block.

    Attributes:
        one: whether it is MobileOne's, which has ``convs`` convolutions of ``size``, and names of its own.
        squeeze: channels inside of the excitation; 0: there is none.
        deploy: one convolution in place of the branches.
    """

    one: bool
    inner: int
    width: int
    size: int = 3
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    convs: int = 1
    squeeze: int = 0
    deploy: bool = False

    @property
    def keeps(self) -> bool:
        """Whether the shape stays, so that a norm is a branch."""
        return self.inner == self.width and self.stride == 1


def _vgg(counts: Sequence[int], factors: Sequence[float], groups: int = 1, **more: Any) -> Mapping[str, Any]:
    grouped = frozendict(dict.fromkeys(range(2, 27, 2), groups)) if groups > 1 else None
    table = {"num_blocks": counts, "width_factor": factors, "group_layer_map": grouped, "se_cfg": None, **more}
    return frozendict(table)


_A, _B = (2, 4, 14, 1), (4, 6, 16, 1)
_WIDE: Mapping[str, Sequence[float]] = frozendict(B1=(2, 2, 2, 4), B2=(2.5, 2.5, 2.5, 5), B3=(3, 3, 3, 5))
_VGG = frozendict(
    {
        "A0": _vgg(_A, (0.75, 0.75, 0.75, 2.5)),
        "A1": _vgg(_A, (1, 1, 1, 2.5)),
        "A2": _vgg(_A, (1.5, 1.5, 1.5, 2.75)),
        "B0": _vgg(_B, (1, 1, 1, 2.5), stem_channels=64),
        **{name: _vgg(_B, factors) for name, factors in _WIDE.items()},
        **{f"{name}g{count}": _vgg(_B, factors, count) for name, factors in _WIDE.items() for count in (2, 4)},
        "D2se": _vgg((8, 14, 24, 1), (2.5, 2.5, 2.5, 5), se_cfg=frozendict(ratio=16, divisor=1)),
        "yolox-pai-small": _vgg((3, 5, 7, 3), (1, 1, 1, 1), stem_channels=32),
    }
)
_ONE_KEYS = ("num_blocks", "width_factor", "num_conv_branches", "num_se_blocks")
_ONE = frozendict(
    {
        name: frozendict(zip(_ONE_KEYS, ((2, 8, 10, 1), factors, (count,) * 4, squeezed), strict=True))
        for name, factors, count, squeezed in (
            ("s0", (0.75, 1.0, 1.0, 2.0), 4, (0, 0, 0, 0)),
            ("s1", (1.5, 1.5, 2.0, 2.5), 1, (0, 0, 0, 0)),
            ("s2", (1.5, 2.0, 2.5, 4.0), 1, (0, 0, 0, 0)),
            ("s3", (2.0, 2.5, 3.0, 4.0), 1, (0, 0, 0, 0)),
            ("s4", (3.0, 3.5, 3.5, 4.0), 1, (0, 0, 5, 1)),
        )
    }
)


def rep_vgg(
    arch: Any,
    channels: int,
    base: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    indices: Any,
    deploy: bool,
) -> tuple[tuple[tuple[Branched, ...], ...], tuple[int, ...]]:
    """RepVGG's stem and stages, and the stages whose maps are given.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> [len(stage) for stage in rep_vgg("A0", 3, 64, (2,) * 4, (1,) * 4, (3,), False)[0]]
        [1, 2, 4, 14, 1]
    """
    known = frozendict({name.lower(): {**plan} for name, plan in _VGG.items()})
    keys = ("num_blocks", "width_factor", "group_layer_map", "se_cfg")
    plan = (
        _VGG[arch] if arch in _VGG else arch_of("RepVGG", arch, {k: {n: v[n] for n in keys} for k, v in known.items()})
    )
    counts, factors = plan["num_blocks"], plan["width_factor"]
    if not len(counts) == len(factors) == len(strides) == len(dilations):
        raise FkitValueError("RepVGG: num_blocks, width_factor, strides and dilations: one of each a stage.")
    grouped: Mapping[int, int] = plan["group_layer_map"] or {}
    inner = min(plan.get("stem_channels", 64), int(base * factors[0]))

    def squeeze(width: int) -> int:
        return _squeezed("RepVGG", plan["se_cfg"], width)

    stages: list[tuple[Branched, ...]] = [
        (Branched(False, channels, inner, stride=2, squeeze=squeeze(inner), deploy=deploy),)
    ]
    number = 1
    for i, (count, factor) in enumerate(zip(counts, factors, strict=True)):
        width, blocks = int(base * 2**i * factor), list[Branched]()
        for j in range(count):
            step, gap, groups = strides[i] if j == 0 else 1, dilations[i], grouped.get(number, 1)
            blocks.append(Branched(False, inner, width, 3, step, gap, groups, 1, squeeze(width), deploy))
            inner, number = width, number + 1
        stages.append(tuple(blocks))
    return tuple(stages), outputs_of("RepVGG", indices, len(counts))


def mobile_one(
    arch: Any, channels: int, se_cfg: Any, indices: Any, deploy: bool
) -> tuple[tuple[tuple[Branched, ...], ...], tuple[int, ...]]:
    """MobileOne's stem and stages, and the stages whose maps are given.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> [len(stage) for stage in mobile_one("s0", 3, {"ratio": 16}, -1, False)[0]]
        [1, 4, 16, 20, 2]
    """
    plan = arch_of("MobileOne", arch, _ONE)
    inner = min(64, int(64 * plan["width_factor"][0]))
    stages: list[tuple[Branched, ...]] = [(Branched(True, channels, inner, stride=2, deploy=deploy),)]
    rows = zip(*(plan[key] for key in _ONE_KEYS), strict=True)
    for i, (count, factor, several, squeezed) in enumerate(rows):
        if squeezed > count:
            raise FkitValueError(f"MobileOne: {squeezed} num_se_blocks in a stage of {count} blocks.")
        width, blocks = int(64 * 2**i * factor), list[Branched]()
        for j in range(count):
            inside = j >= count - squeezed
            sides = [_squeezed("MobileOne", se_cfg, side) if inside else 0 for side in (inner, width)]
            step = 2 if j == 0 else 1
            blocks.append(Branched(True, inner, inner, 3, step, 1, inner, several, sides[0], deploy))
            blocks.append(Branched(True, inner, width, 1, 1, 1, 1, several, sides[1], deploy))
            inner = width
        stages.append(tuple(blocks))
    return tuple(stages), outputs_of("MobileOne", indices, len(plan["num_blocks"]))


def _squeezed(net: str, se_cfg: Any, width: int) -> int:
    """Channels inside of an excitation; 0 where there is none."""
    if se_cfg is None:
        return 0
    if not isinstance(se_cfg, Mapping) or set(cast("Mapping[str, Any]", se_cfg)) - {"ratio", "divisor"}:
        raise FkitValueError(f"{net}: se_cfg={se_cfg!r:.80}: a mapping with 'ratio' and 'divisor'.")
    options = cast("Mapping[str, int]", se_cfg)
    return divisible(width // options.get("ratio", 16), options.get("divisor", 8))

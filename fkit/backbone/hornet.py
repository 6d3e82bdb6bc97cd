"""The plans of HorNet (Rao et al. 2022) and EdgeNeXt (Maaz et al. 2022)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.backbone.arch import arch_of, outputs_of
from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["EdgeStage", "HorStage", "edge_stages", "hor_stages"]

_FILTER = frozendict(type="DW", kernel_size=7)
_ORDERS, _DEPTHS = (2, 3, 4, 5), (2, 3, 18, 2)
_HOR_KEYS = ("base_dim", "depths", "orders", "dw_cfg")


def _global(*sizes: tuple[int, int]) -> tuple[Any, ...]:
    return (_FILTER, _FILTER, *(frozendict(type="GF", h=high, w=wide) for high, wide in sizes))


_HOR = frozendict(
    {
        name + end: frozendict(zip(_HOR_KEYS, (width, _DEPTHS, _ORDERS, filters), strict=True))
        for names, width, more in (
            (("t", "tiny"), 64, False),
            (("s", "small"), 96, False),
            (("b", "base"), 128, True),
            (("l", "large"), 192, True),
        )
        for name in names
        for end, filters in (
            ("", (_FILTER,) * 4),
            ("-gf", _global((14, 8), (7, 4))),
            ("-gf384", _global((24, 12), (13, 7))),
        )
        if more or end != "-gf384"
    }
)
_EDGE_KEYS = ("channels", "depths", "num_heads")
_EDGE = frozendict(
    {
        name: frozendict(zip(_EDGE_KEYS, row, strict=True))
        for name, row in (
            ("xxsmall", ((24, 48, 88, 168), (2, 2, 6, 2), (4,) * 4)),
            ("xsmall", ((32, 64, 100, 192), (3, 3, 9, 3), (4,) * 4)),
            ("small", ((48, 96, 160, 304), (3, 3, 9, 3), (8,) * 4)),
            ("base", ((80, 160, 288, 584), (3, 3, 9, 3), (8,) * 4)),
        )
    }
)


class HorStage(NamedTuple):
    """A stage of a HorNet.

    Attributes:
        width: channels.
        order: of its gated convolutions.
        side: of the filters a channel; 0: they are of all frequencies.
        grid: rows and columns of frequencies that the weights are of.
        rates: of the blocks' stochastic depth.
    """

    width: int
    order: int
    side: int
    grid: tuple[int, int]
    rates: tuple[float, ...]

    @property
    def parts(self) -> tuple[int, ...]:
        """Channels of each order, from the first."""
        return tuple(self.width // 2**i for i in reversed(range(self.order)))


def hor_stages(arch: Any, rate: float, out_indices: Any) -> tuple[tuple[HorStage, ...], tuple[int, ...]]:
    """The stages of a HorNet, and those whose outputs are given.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> stages, outputs = hor_stages("tiny-gf", 0.0, (3,))
        >>> stages[0].parts, stages[3].grid
        ((32, 64), (7, 4))
    """
    plan = arch_of("HorNet", arch, _HOR)
    depths = plan["depths"]
    if not len(depths) == len(plan["orders"]) == len(plan["dw_cfg"]):
        raise FkitValueError("HorNet: arch has other numbers of depths, orders and dw_cfg.")
    rates, stages = iter(spread(rate, sum(depths))), list[HorStage]()
    for i, (depth, order, cfg) in enumerate(zip(depths, plan["orders"], plan["dw_cfg"], strict=True)):
        side, grid = _filter(cfg)
        mine = tuple(next(rates) for _ in range(depth))
        stages.append(HorStage(plan["base_dim"] * 2**i, order, side, grid, mine))
    return tuple(stages), outputs_of("HorNet", out_indices, len(depths))


def _filter(cfg: Mapping[str, Any]) -> tuple[int, tuple[int, int]]:
    """The side of a filter a channel, or the grid of one of all frequencies."""
    options = dict(cfg)
    kind = options.pop("type", None)
    known = {"DW": {"kernel_size": 7}, "GF": {"h": 14, "w": 8}}
    if kind not in known:
        raise FkitValueError(f"HorNet: dw_cfg.type={kind!r}.", value=str(kind), choices=tuple(known))
    for name in options:
        if name not in known[kind]:
            raise FkitTypeError(f"HorNet: dw_cfg takes no argument {name!r}.", value=name, choices=tuple(known[kind]))
    whole = {**known[kind], **options}
    return (whole["kernel_size"], (0, 0)) if kind == "DW" else (0, (whole["h"], whole["w"]))


class EdgeStage(NamedTuple):
    """A stage of an EdgeNeXt.

    Attributes:
        width, heads: channels; of how many heads its attentions are.
        side: of the filters of its convolutional blocks.
        scales: into how many parts an attention's channels fall.
        placed: whether its attentions have positions.
        attending: how many of its blocks, the last ones, are attentions.
        rates: of the blocks' stochastic depth.
    """

    width: int
    heads: int
    side: int
    scales: int
    placed: bool
    attending: int
    rates: tuple[float, ...]

    @property
    def part(self) -> int:
        """Channels of a part."""
        return -(-self.width // self.scales)

    @property
    def filters(self) -> int:
        """How many filters an attention has."""
        return max(self.scales - 1, 1)


def edge_stages(
    arch: Any,
    rate: float,
    out_indices: Any,
    sides: Sequence[int],
    scales: Sequence[int],
    placed: Sequence[bool],
    attending: Sequence[int],
) -> tuple[tuple[EdgeStage, ...], tuple[int, ...]]:
    """The stages of an EdgeNeXt, and those whose outputs are given.

    Args:
        rate: of stochastic depth, of the last block.
        sides, scales, placed, attending: of the stages, see `EdgeStage`.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> stages, outputs = edge_stages("small", 0.0, -1, (3, 5, 7, 9), (2, 2, 3, 4), (False, True, False, False), (0, 1, 1, 1))
        >>> stages[2].part, stages[3].filters
        (54, 3)
    """
    plan = arch_of("EdgeNeXt", arch, _EDGE)
    depths = plan["depths"]
    rows = (plan["channels"], plan["num_heads"], sides, scales, placed, attending)
    if {len(row) for row in rows} != {len(depths)}:
        raise FkitValueError(
            f"EdgeNeXt: arguments of {[len(row) for row in rows]} stages, but there are {len(depths)}."
        )
    rates, stages = iter(spread(rate, sum(depths))), list[EdgeStage]()
    for depth, *row in zip(depths, *rows, strict=True):
        width, heads, side, parts, has, count = row
        if parts == 1 and count:
            raise FkitValueError("EdgeNeXt: d2_scales: an attention's channels fall into at least 2 parts.")
        mine = tuple(next(rates) for _ in range(depth))
        stages.append(EdgeStage(width, heads, side, parts, bool(has), int(count), mine))
    return tuple(stages), outputs_of("EdgeNeXt", out_indices, len(depths))

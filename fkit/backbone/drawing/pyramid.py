"""Modules that gather maps pooled at several scales, as mmseg's PPM, DAPPM and PAPPM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backbone.drawing.net import NORM, Drawing, Net

__all__ = ["DAPPM", "PAPPM", "pyramid"]

_WINDOWS = ((5, 2, 2), (9, 4, 4), (17, 8, 8))  # size, stride and padding of poolings
_FIRST: Any = frozendict(order=("norm", "act", "conv"), bias=False, norm_cfg=NORM, act_cfg=RELU)


def pyramid(net: Net, name: str, x: Any, scales: Sequence[int], width: int, align: bool, **options: Any) -> list[Any]:
    """Maps pooled to a few sizes and brought back to their own (Zhao et al. 2017).

    Args:
        scales: how many places maps are pooled to, down and across.
        options: of the 1x1 convolutions ``NAME.0.1``, ``NAME.1.1``, ...
    """
    outs: list[Any] = []
    for i, scale in enumerate(scales):
        y = net.brick(f"{name}.{i}.1", net.pooled(x, scale), width, **options)
        outs.append(net.resize(y, net.size(x), align=align))
    return outs


@dataclass(frozen=True)
class DAPPM(Drawing):
    """Maps pooled at several scales, each added to the next (Hong et al. 2021).

    Attributes:
        inside, width: channels of a scale's maps, and of what is given.
        count: of scales.
    """

    inside: int
    width: int
    count: int = 5
    order: ClassVar[tuple[str, ...]] = ("scales", "processes", "compression", "shortcut")

    def __call__(self, net: Net, *xs: Any) -> Any:
        x = xs[0]
        maps = self._mixed(net, self._scaled(net, x))
        return net.brick("compression", net.cat(maps), self.width, **_FIRST) + net.brick(
            "shortcut", x, self.width, **_FIRST
        )

    def _scaled(self, net: Net, x: Any) -> list[Any]:
        maps = [net.brick("scales.0", x, self.inside, **_FIRST)]
        for i in range(1, self.count):
            y = net.pooled(x) if i == self.count - 1 else net.avg_pool(x, *_WINDOWS[i - 1])
            y = net.brick(f"scales.{i}.1", y, self.inside, **_FIRST)
            maps.append(net.resize(y, net.size(x), align=False))
        return maps

    def _mixed(self, net: Net, maps: list[Any]) -> list[Any]:
        mixed = maps[:1]
        for i, y in enumerate(maps[1:]):
            mixed.append(net.brick(f"processes.{i}", y + mixed[-1], self.inside, 3, 1, 1, **_FIRST))
        return mixed


@dataclass(frozen=True)
class PAPPM(DAPPM):
    """`DAPPM` whose scales are convolved side by side (Xu et al. 2023)."""

    def _mixed(self, net: Net, maps: list[Any]) -> list[Any]:
        others = net.cat([y + maps[0] for y in maps[1:]])
        groups = self.count - 1
        return [
            maps[0],
            net.brick("processes", others, self.inside * groups, 3, 1, 1, groups=groups, **_FIRST),
        ]

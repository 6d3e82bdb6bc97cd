"""The hourglasses of associative embedding (Newell et al. 2017), as mmpose's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from frozendict import frozendict

from fkit.backbone.drawing.net import Drawing, Net
from fkit.backbone.resnet import INIT, NORM
from fkit.tree.error import FkitValueError

__all__ = ["START", "HourglassAENet"]

START = (frozendict(type="Normal", std=0.001, layer=("Conv2d",)), INIT[1])


@dataclass(frozen=True)
class _Plain(Drawing):
    """An hourglass of single convolutions."""

    depth: int
    widths: tuple[int, ...]
    norm_cfg: Any

    def __call__(self, net: Net, *xs: Any) -> Any:
        wide, inside = self.widths[:2]
        norm: dict[str, Any] = {"norm_cfg": self.norm_cfg}
        up = net.brick("up1", xs[0], wide, 3, 1, 1, **norm)
        low = net.brick("low1", net.max_pool(xs[0], 2, 2), inside, 3, 1, 1, **norm)
        if self.depth > 1:
            low = net.part("low2", _Plain(self.depth - 1, self.widths[1:], NORM), low)
        else:
            low = net.brick("low2", low, inside, 3, 1, 1, **norm)
        return up + net.resize(net.brick("low3", low, wide, 3, 1, 1, **norm), factor=2, mode="nearest")


@dataclass(frozen=True)
class HourglassAENet(Drawing):
    """The hourglasses of associative embedding, a backbone: images to a tuple of maps at a stride of 4, one a stack.

    Attributes:
        downsample_times: how often an hourglass halves the size.
        num_stacks: hourglasses.
        out_channels: of the maps.
        stage_channels: channels at each size, one more than it is halved; the first is ``feat_channels``.
    """

    downsample_times: int = 4
    num_stacks: int = 1
    out_channels: int = 34
    stage_channels: tuple[int, ...] = (256, 384, 512, 640, 768)
    feat_channels: int = 256
    norm_cfg: Any = NORM
    init_cfg: Any = None
    order: ClassVar[tuple[str, ...]] = (
        "stem",
        "hourglass_modules",
        "out_convs",
        "remap_out_convs",
        "remap_feature_convs",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_stacks < 1 or len(self.stage_channels) <= self.downsample_times:
            raise FkitValueError(
                f"HourglassAENet: {self.downsample_times} times half the size: one more of stage_channels."
            )

    @property
    def example(self) -> tuple[Any, ...]:
        side = 4 * 2**self.downsample_times
        return ((3, side, side),)

    @property
    def start(self) -> Any:
        return START

    def __call__(self, net: Net, *xs: Any) -> Any:
        wide, norm = self.feat_channels, {"norm_cfg": self.norm_cfg}
        x = net.brick("stem.1", net.brick("stem.0", xs[0], 64, 7, 2, 3, **norm), 128, 3, 1, 1, **norm)
        x = net.brick("stem.3", net.max_pool(x, 2, 2), 128, 3, 1, 1, **norm)
        x = net.brick("stem.4", x, wide, 3, 1, 1, **norm)
        maps: list[Any] = []
        for i in range(self.num_stacks):
            name = f"hourglass_modules.{i}"
            y = net.part(f"{name}.0", _Plain(self.downsample_times, self.stage_channels, self.norm_cfg), x)
            y = net.brick(f"{name}.2", net.brick(f"{name}.1", y, wide, 3, 1, 1, **norm), wide, 3, 1, 1, **norm)
            maps.append(net.brick(f"out_convs.{i}", y, self.out_channels, act_cfg=None))
            if i < self.num_stacks - 1:
                x = x + net.brick(f"remap_out_convs.{i}", maps[-1], wide, act_cfg=None, **norm)
                x = x + net.brick(f"remap_feature_convs.{i}", y, wide, act_cfg=None, **norm)
        return tuple(maps)

"""Necks of segmentors, with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backend.jax.conv import ConvTranspose2d
from fkit.backend.jax.layers import norm_layer
from fkit.backend.jax.resize import interpolate
from fkit.detection.pyramid import check_maps
from fkit.segmentation.neck import XAVIER, expect_channels, expect_rescales
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.segment.head import resized

__all__ = ["JPU", "Feature2Pyramid", "MLANeck", "MultiLevelNeck"]

Array = jax.Array
Maps = Sequence[Array]


class JPU(nn.Module):
    """The last maps put together at the first one's size, and looked at with several dilations (Wu et al. 2019).

    Attributes:
        in_channels, mid_channels, start_level, end_level, dilations, align_corners, conv_cfg, norm_cfg, act_cfg, init_cfg: as
            of torch's twin (`fkit.zoo.torch.segment.neck.JPU`).
    """

    in_channels: Sequence[int] = (512, 1024, 2048)
    mid_channels: int = 512
    start_level: int = 0
    end_level: int = -1
    dilations: Sequence[int] = (1, 2, 4, 8)
    align_corners: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = frozendict(type="BN")
    act_cfg: Any = RELU
    init_cfg: Any = None

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> tuple[Array, ...]:
        widths = expect_channels("JPU", self.in_channels)
        check_maps("JPU", tuple(inputs), widths)
        levels = range(self.start_level, len(widths) if self.end_level == -1 else self.end_level)
        cfgs: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        out = self.mid_channels
        maps = [
            ConvModule(widths[level], out, 3, padding=1, name=f"conv_layers_{at}_0", **cfgs)(inputs[level], train)
            for at, level in enumerate(levels)
        ]
        joint = jnp.concatenate([resized(x, maps[0].shape[1:3], self.align_corners) for x in maps], -1)
        parts = [
            DepthwiseSeparableConvModule(
                joint.shape[-1], out, 3, padding=step, dilation=step, dw_norm_cfg=self.norm_cfg, dw_act_cfg=None,
                pw_norm_cfg=self.norm_cfg, pw_act_cfg=self.act_cfg, name=f"dilation_layers_{at}_0",
            )(joint, train)
            for at, step in enumerate(self.dilations)
        ]  # fmt: skip
        return (*(inputs[level] for level in levels[:-1]), jnp.concatenate(parts, -1))


class MultiLevelNeck(nn.Module):
    """A pyramid of a plain transformer's maps: a 1x1 convolution each, another size, a 3x3 convolution.

    Attributes:
        in_channels: of each map; of one alone all levels are made.
        out_channels: of all levels.
        scales: of each level.
        norm_cfg, act_cfg: layers.
    """

    in_channels: Sequence[int]
    out_channels: int
    scales: Sequence[float] = (0.5, 1, 2, 4)
    norm_cfg: Any = None
    act_cfg: Any = None

    @property
    def init_cfg(self) -> Any:
        """How it starts."""
        return XAVIER

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> tuple[Array, ...]:
        widths = expect_channels("MultiLevelNeck", self.in_channels)
        check_maps("MultiLevelNeck", tuple(inputs), widths)
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        out, scales = self.out_channels, tuple(self.scales)
        maps = [
            ConvModule(width, out, 1, name=f"lateral_convs_{at}", **cfgs)(x, train)
            for at, (width, x) in enumerate(zip(widths, inputs, strict=True))
        ]
        maps = maps * len(scales) if len(maps) == 1 else maps
        return tuple(
            ConvModule(out, out, 3, padding=1, name=f"convs_{at}", **cfgs)(
                x if scale == 1 else interpolate(x, scale_factor=scale, mode="bilinear"), train
            )
            for at, (x, scale) in enumerate(zip(maps, scales, strict=False))
        )


class _Aggregation(nn.Module):
    """Maps from the last to the first, each added to those before it."""

    out: int
    cfgs: Any

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> tuple[Array, ...]:
        maps = [
            ConvModule(x.shape[-1], self.out, 1, name=f"channel_proj_{at}", **self.cfgs)(x, train)
            for at, x in enumerate(inputs)
        ][::-1]
        for at in range(1, len(maps)):
            maps[at] = maps[at - 1] + maps[at]
        return tuple(
            ConvModule(self.out, self.out, 3, padding=1, name=f"feat_extract_{at}", **self.cfgs)(x, train)
            for at, x in enumerate(maps)
        )


class MLANeck(nn.Module):
    """SETR's multi-level aggregation (Zheng et al. 2021): maps are normed, and added from the last to the first.

    Attributes:
        in_channels: of each map.
        out_channels: of every map that is given.
        norm_layer: of the maps.
        norm_cfg, act_cfg: of convolutions.
    """

    in_channels: Sequence[int]
    out_channels: int
    norm_layer: Any = frozendict(type="LN", eps=1e-6, requires_grad=True)
    norm_cfg: Any = None
    act_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("norm", "mla")

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> tuple[Array, ...]:
        check_maps("MLANeck", tuple(inputs), expect_channels("MLANeck", self.in_channels))
        make: Any = norm_layer(self.norm_layer)[1]
        maps = [make(f"norm_{at}")(x, train) for at, x in enumerate(inputs)]
        cfgs = frozendict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        return _Aggregation(self.out_channels, cfgs, name="mla")(maps, train)


class Feature2Pyramid(nn.Module):
    """A pyramid of a plain transformer's four maps, enlarged by deconvolutions or reduced by pooling.

    Attributes:
        embed_dim: of the maps.
        rescales: (4, 2, 1, 0.5) or (2, 1, 0.5, 0.25).
        norm_cfg: between two deconvolutions.
    """

    embed_dim: int
    rescales: Sequence[float] = (4, 2, 1, 0.5)
    norm_cfg: Any = frozendict(type="SyncBN", requires_grad=True)

    def __post_init__(self) -> None:
        expect_rescales(self.rescales)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Maps, train: bool = False) -> tuple[Array, ...]:
        return tuple(
            self._one(x, scale, train) for x, scale in zip(inputs, expect_rescales(self.rescales), strict=False)
        )

    def _one(self, x: Array, scale: float, train: bool) -> Array:
        if scale <= 1:
            side = int(1 / scale)
            return x if side == 1 else nn.max_pool(x, (side, side), (side, side))

        def deconv(name: str) -> ConvTranspose2d:
            return ConvTranspose2d(self.embed_dim, (2, 2), strides=(2, 2), name=name)

        if scale == 2:
            return deconv("upsample_2x_0")(x)
        norm: Any = norm_layer(self.norm_cfg)[1]("upsample_4x_1")
        x = nn.gelu(norm(deconv("upsample_4x_0")(x), train), approximate=False)
        return deconv("upsample_4x_3")(x)

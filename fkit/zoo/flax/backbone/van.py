"""VAN (Guo et al. 2022), with mmpretrain's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.van import VanStage, van_stages
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout, DropPath
from fkit.backend.jax.layers import BatchNorm, Conv2d, norm_layer
from fkit.zoo.flax.small import check_channels

__all__ = ["VAN"]

Array = jax.Array

_GELU = frozendict(type="GELU")
_NONE = frozendict[str, Any]()


class _Mlp(nn.Module):
    """Two layers a pixel, and a filter a channel between."""

    width: int
    hidden: int
    act_cfg: Any
    rate: float
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        kept: dict[str, Any] = {"trainable": not self.frozen}
        drop = Dropout(self.rate, name="drop")
        x = Conv2d(self.hidden, (1, 1), name="fc1", **kept)(x)
        x = Conv2d(self.hidden, (3, 3), padding=1, feature_group_count=self.hidden, name="dwconv", **kept)(x)
        x = drop(act_layer(self.act_cfg)("act")(x), train)
        return drop(Conv2d(self.width, (1, 1), name="fc2", **kept)(x), train)


class _LargeKernel(nn.Module):
    """Maps times what a large filter makes of them: 5x5, then 7x7 of every third pixel, a channel each, and 1x1."""

    frozen: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[-1]
        kept: dict[str, Any] = {"trainable": not self.frozen}
        y = Conv2d(width, (5, 5), padding=2, feature_group_count=width, name="DW_conv", **kept)(x)
        wide = {"kernel_dilation": 3, "padding": 9, "feature_group_count": width}
        y = Conv2d(width, (7, 7), name="DW_D_conv", **wide, **kept)(y)
        return x * Conv2d(width, (1, 1), name="conv1", **kept)(y)


class _Attention(nn.Module):
    """A large kernel between two layers a pixel, added to what came in."""

    act_cfg: Any
    frozen: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kept: dict[str, Any] = {"trainable": not self.frozen}
        y = act_layer(self.act_cfg)("activation")(Conv2d(x.shape[-1], (1, 1), name="proj-1", **kept)(x))
        y = _LargeKernel(self.frozen, name="spatial_gating_unit")(y)
        return Conv2d(x.shape[-1], (1, 1), name="proj-2", **kept)(y) + x


class _Block(nn.Module):
    """Attention and two layers a pixel, each with its norm first and a factor a channel, added to maps (N, H, W, C)."""

    hidden: int
    drop: float
    rate: float
    frozen: bool
    act_cfg: Any = _GELU
    norm_cfg: Any = frozendict(type="BN", eps=1e-5)
    layer_scale_init_value: float = 0.01
    torch_order: ClassVar[tuple[str, ...]] = ("layer_scale_1", "layer_scale_2", "norm1", "attn", "norm2", "mlp")

    @property
    def trainable(self) -> bool:
        """Whether gradients reach the factors."""
        return not self.frozen

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width, norm, scale = x.shape[-1], norm_layer(self.norm_cfg)[1], self.layer_scale_init_value
        start, drop = nn.initializers.constant(scale), DropPath(self.rate, name="drop_path")
        scales: list[Any] = [self.param(f"layer_scale_{i}", start, (width,)) if scale > 0 else 1 for i in (1, 2)]
        one: Any = norm("norm1", self.frozen)
        two: Any = norm("norm2", self.frozen)
        y = _Attention(self.act_cfg, self.frozen, name="attn")(one(x, train))
        x = x + drop(scales[0] * y, train)
        y = _Mlp(width, self.hidden, self.act_cfg, self.drop, self.frozen, name="mlp")(two(x, train), train)
        return x + drop(scales[1] * y, train)


class _Embed(nn.Module):
    """A convolution to smaller maps, and a batch norm."""

    stage: VanStage
    frozen: bool

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        side = self.stage.side
        x = Conv2d(
            self.stage.width, (side, side), strides=self.stage.stride, padding=side // 2, trainable=not self.frozen,
            name="projection",
        )(x)  # fmt: skip
        return BatchNorm(trainable=not self.frozen, name="norm")(x, train)


class VAN(nn.Module):
    """VAN, a backbone: images (N, H, W, C) to a tuple of maps at strides 4, 8, 16, 32.

    Attributes:
        arch: "tiny", "small", "base" or "large", or a mapping with ``embed_dims``, ``depths`` and ``ffn_ratios``.
        patch_sizes: sides of the convolutions that the stages begin with.
        drop_rate: of the layers a pixel.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the stages whose maps are given.
        frozen_stages: no gradient, and norms in evaluation mode, for the stages up to this one.
        norm_eval: batch norms stay in evaluation mode.
        norm_cfg: of the norm after each stage.
        block_cfgs: ``act_cfg``, ``norm_cfg`` and ``layer_scale_init_value`` of all blocks.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "tiny"
    patch_sizes: Sequence[int] = (7, 3, 3, 3)
    in_channels: int = 3
    drop_rate: float = 0.0
    drop_path_rate: float = 0.0
    out_indices: Any = (3,)
    frozen_stages: int = -1
    norm_eval: bool = False
    norm_cfg: Any = frozendict(type="LN")
    block_cfgs: Any = _NONE
    init_cfg: Any = None

    def __post_init__(self) -> None:
        _ = self.stages, norm_layer(self.norm_cfg)
        super().__post_init__()

    @property
    def stages(self) -> tuple[tuple[VanStage, ...], tuple[int, ...]]:
        """The stages, and those whose maps are given."""
        return van_stages(
            self.arch, self.patch_sizes, self.in_channels, self.drop_path_rate, self.out_indices, self.block_cfgs
        )

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("VAN", x, self.in_channels)
        stages, outputs = self.stages
        maps: list[Array] = []
        for i, stage in enumerate(stages, 1):
            still = i - 1 <= self.frozen_stages
            moving = train and not still and not self.norm_eval
            x = _Embed(stage, still, name=f"patch_embed{i}")(x, moving)
            for j, rate in enumerate(stage.rates):
                x = _Block(stage.hidden, self.drop_rate, rate, still, **self.block_cfgs, name=f"blocks{i}_{j}")(
                    x, moving
                )
            norm: Any = norm_layer(self.norm_cfg)[1](f"norm{i}", still)
            x = norm(x, moving)
            if i - 1 in outputs:
                maps.append(x)
        return tuple(maps)

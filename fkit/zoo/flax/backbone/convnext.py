"""ConvNeXt (Liu et al. 2022; V2: Woo et al. 2023), with mmpretrain's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.arch import CONVNEXT, arch_of, outputs_of
from fkit.backbone.swin import spread
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import DropPath
from fkit.backend.jax.layers import Conv2d, Linear, norm_layer
from fkit.zoo.flax.small import check_channels

__all__ = ["GRN", "ConvNeXt", "ConvNeXtBlock"]

Array = jax.Array

_INIT = (
    frozendict(type="TruncNormal", layer=("Conv2d", "Linear"), std=0.02, bias=0.0),
    frozendict(type="Constant", layer=("LayerNorm",), val=1.0, bias=0.0),
)


class GRN(nn.Module):
    """Global response normalisation (Woo et al. 2023): each channel of a map by its norm over the mean norm, ``gamma`` and
    ``beta``; (N, ..., C), the same.

    Attributes:
        eps: beside the mean norm.
    """

    eps: float = 1e-6
    trainable: bool = True
    torch_order: ClassVar[tuple[str, ...]] = ("gamma", "beta")

    @nn.compact
    def __call__(self, x: Array) -> Array:
        width = x.shape[-1]
        gamma = self.param("gamma", nn.initializers.zeros, (width,))
        beta = self.param("beta", nn.initializers.zeros, (width,))
        square = jnp.square(x).sum((1, 2), keepdims=True)
        size = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)  # no gradient of 0, as torch's
        return gamma * (x * (size / (size.mean(-1, keepdims=True) + self.eps))) + beta + x


class ConvNeXtBlock(nn.Module):
    """A filter a channel (7x7), a norm, and two layers a pixel, wider inside; added to maps (N, H, W, C)."""

    width: int
    norm_cfg: Any
    act_cfg: Any
    linear: bool
    rate: float
    scale: float
    grn: bool
    trainable: bool = True
    side: int = 7
    torch_order: ClassVar[tuple[str, ...]] = ("depthwise_conv", "norm", "pointwise_conv1", "pointwise_conv2", "grn")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        kept: dict[str, Any] = {"trainable": self.trainable}
        width, side = self.width, (self.side, self.side)
        y = Conv2d(width, side, padding=self.side // 2, feature_group_count=width, name="depthwise_conv", **kept)(x)
        y = norm_layer(self.norm_cfg)[1]("norm", not self.trainable)(y, train)  # pyright: ignore[reportCallIssue]
        y = act_layer(self.act_cfg)("act")(self._pixel(4 * width, "pointwise_conv1")(y))
        y = GRN(name="grn", **kept)(y) if self.grn else y
        y = self._pixel(width, "pointwise_conv2")(y)
        if self.scale > 0:
            y = y * self.param("gamma", nn.initializers.constant(self.scale), (width,))
        return x + DropPath(self.rate, name="drop_path")(y, train)

    def _pixel(self, width: int, name: str) -> Any:
        if self.linear:
            return Linear(width, trainable=self.trainable, name=name)
        return Conv2d(width, (1, 1), trainable=self.trainable, name=name)


class ConvNeXt(nn.Module):
    """ConvNeXt, a backbone: images (N, H, W, C) to a tuple of maps, or of features.

    Attributes:
        arch: "atto" to "huge", or a mapping with ``depths`` and ``channels``.
        stem_patch_size: of the first convolution.
        linear_pw_conv: whether layers a pixel are linear layers; else they are 1x1 convolutions.
        use_grn: `GRN` between them.
        drop_path_rate: of the last block; the others' rise linearly from 0.
        layer_scale_init_value: above 0, a branch has a learnt factor a channel, ``gamma``, that begins with it.
        out_indices: the stages whose outputs are given; -1 is the last.
        frozen_stages: how many stages, from the first, have no gradient.
        gap_before_final_norm: outputs are features (N, C), means of maps before their norm.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    arch: Any = "tiny"
    in_channels: int = 3
    stem_patch_size: int = 4
    norm_cfg: Any = frozendict(type="LN2d", eps=1e-6)
    act_cfg: Any = frozendict(type="GELU")
    linear_pw_conv: bool = True
    use_grn: bool = False
    drop_path_rate: float = 0.0
    layer_scale_init_value: float = 1e-6
    out_indices: Any = -1
    frozen_stages: int = 0
    gap_before_final_norm: bool = True
    with_cp: bool = False
    init_cfg: Any = _INIT
    torch_order: ClassVar[tuple[str, ...]] = ("downsample_layers", "stages", "norm0", "norm1", "norm2", "norm3")

    def __post_init__(self) -> None:
        plan = arch_of("ConvNeXt", self.arch, CONVNEXT)
        outputs_of("ConvNeXt", self.out_indices, len(plan["depths"]))
        _ = act_layer(self.act_cfg), norm_layer(self.norm_cfg)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("ConvNeXt", x, self.in_channels)
        plan = arch_of("ConvNeXt", self.arch, CONVNEXT)
        depths, norm = plan["depths"], norm_layer(self.norm_cfg)[1]
        outputs = outputs_of("ConvNeXt", self.out_indices, len(depths))
        rates = iter(spread(self.drop_path_rate, sum(depths)))
        block: Any = nn.remat(ConvNeXtBlock, static_argnums=(2,)) if self.with_cp else ConvNeXtBlock
        outs: list[Array] = []
        for i, (depth, width) in enumerate(zip(depths, plan["channels"], strict=True)):
            still = i < self.frozen_stages
            moving, side, at = train and not still, self.stem_patch_size if i == 0 else 2, int(i > 0)
            conv = Conv2d(
                width, (side, side), strides=side, padding=0, trainable=not still, name=f"downsample_layers_{i}_{at}"
            )
            layer: Any = norm(f"downsample_layers_{i}_{1 - at}", still)
            x = conv(layer(x, moving)) if at else layer(conv(x), moving)
            options = (width, self.norm_cfg, self.act_cfg, self.linear_pw_conv)
            for j in range(depth):
                more = (next(rates), self.layer_scale_init_value, self.use_grn, not still)
                x = block(*options, *more, name=f"stages_{i}_{j}")(x, moving)
            if i in outputs:
                final: Any = norm(f"norm{i}")
                pooled = self.gap_before_final_norm
                outs.append(final(x.mean((1, 2), keepdims=True), train)[:, 0, 0] if pooled else final(x, train))
        return tuple(outs)

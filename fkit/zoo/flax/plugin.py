"""mmcv's blocks that stand inside of networks: scales, non-local blocks, context blocks; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backbone.brick import check_fusion, check_mode, context_start, nonlocal_start
from fkit.backend.jax.layers import Conv2d, LayerNorm
from fkit.zoo.flax.brick import ConvModule

__all__ = ["ContextBlock", "LayerScale", "NonLocal1d", "NonLocal2d", "NonLocal3d", "Scale"]

Array = jax.Array


class Scale(nn.Module):
    """A learnt factor, the parameter ``scale`` of no axis; it begins with ``start``.

    Example:
        >>> Scale(2.0).init_with_output(jax.random.key(0), jnp.ones(2))[0].tolist()
        [2.0, 2.0]
    """

    start: float = 1.0

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        return x * self.param("scale", nn.initializers.constant(self.start), ()).astype(x.dtype)


class LayerScale(nn.Module):
    """A learnt factor a channel (the last axis), ``weight`` (Touvron et al. 2021).

    Attributes:
        dim: how many channels.
        inplace, data_format: change no number; taken for OpenMMLab's configs.
        scale: what it begins with.
        trainable: False is no gradient.

    Example:
        >>> LayerScale(2, scale=0.5).init_with_output(jax.random.key(0), jnp.ones((1, 2)))[0].tolist()
        [[0.5, 0.5]]
    """

    dim: int
    inplace: bool = False
    data_format: str = "channels_last"
    scale: float = 1e-5
    trainable: bool = True

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        return x * self.param("weight", nn.initializers.constant(self.scale), (self.dim,)).astype(x.dtype)


class NonLocal2d(nn.Module):
    """Each position sees all others (Wang et al. 2018): ``g``, ``theta``, ``phi`` and ``conv_out``, added to the input.

    Attributes:
        in_channels: C.
        sub_sample: 2x2 max pooling of what is seen.
        conv_cfg: the convolutions; None is of as many axes as the class says.
        reduction: C by it are the channels inside.
        use_scale: "embedded_gaussian" by the root of the channels inside.
        norm_cfg: of ``conv_out``.
        mode: how two positions are compared: "embedded_gaussian", "gaussian", "dot_product" or "concatenation".
        std, zeros_init: initial weights are N(0, std), and 0 for the last layer if ``zeros_init``.
    """

    in_channels: int
    sub_sample: bool = False
    conv_cfg: Any = None
    reduction: int = 2
    use_scale: bool = True
    norm_cfg: Any = None
    mode: str = "embedded_gaussian"
    std: float = 0.01
    zeros_init: bool = True
    axes: ClassVar[int] = 2
    starts_anew: ClassVar[bool] = True
    torch_order: ClassVar[tuple[str, ...]] = ("g", "conv_out", "theta", "phi", "concat_project")

    def __post_init__(self) -> None:
        check_mode(self.mode)
        super().__post_init__()

    @property
    def start_cfg(self) -> Any:
        """How the layers start when they are made."""
        out = ConvModule(1, 1, 1, norm_cfg=self.norm_cfg, parent=None)
        return nonlocal_start(self.mode, self.sub_sample, out.norm_name, self.std, self.zeros_init)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        inner = max(self.in_channels // self.reduction, 1)
        conv: dict[str, Any] = {"conv_cfg": self.conv_cfg or {"type": f"Conv{self.axes}d"}, "act_cfg": None}
        at = "_0" if self.sub_sample else ""
        g = self._seen(ConvModule(self.in_channels, inner, 1, name=f"g{at}", **conv)(x))
        if self.mode == "gaussian":
            theta, phi = x, self._seen(x)
        else:
            theta = ConvModule(self.in_channels, inner, 1, name="theta", **conv)(x)
            phi = self._seen(ConvModule(self.in_channels, inner, 1, name=f"phi{at}", **conv)(x))
        flat = [part.reshape(x.shape[0], -1, part.shape[-1]) for part in (theta, phi, g)]
        seen = self._weights(flat[0], flat[1]) @ flat[2]
        out = ConvModule(inner, self.in_channels, 1, norm_cfg=self.norm_cfg, name="conv_out", **conv)
        return x + out(seen.reshape(*x.shape[:-1], inner), train)

    def _seen(self, x: Array) -> Array:
        if not self.sub_sample:
            return x
        window = (1, 2, 2) if self.axes == 3 else (2,) * self.axes
        return nn.max_pool(x, window, window)

    def _weights(self, theta: Array, phi: Array) -> Array:
        """What each position (L) takes of each that it sees (M), (N, L, M)."""
        if self.mode == "concatenation":
            pair = (theta.shape[0], theta.shape[1], phi.shape[1], theta.shape[2])
            both = [jnp.broadcast_to(theta[:, :, None], pair), jnp.broadcast_to(phi[:, None], pair)]
            project = ConvModule(2 * theta.shape[2], 1, 1, bias=False, name="concat_project")
            return project(jnp.concatenate(both, -1))[..., 0] / phi.shape[1]
        scores = theta @ phi.swapaxes(1, 2)
        if self.mode == "dot_product":
            return scores / phi.shape[1]
        if self.mode == "embedded_gaussian" and self.use_scale:
            scores = scores / theta.shape[-1] ** 0.5
        return nn.softmax(scores)


class NonLocal1d(NonLocal2d):
    """`NonLocal2d` on (N, L, C)."""

    axes: ClassVar[int] = 1


class NonLocal3d(NonLocal2d):
    """`NonLocal2d` on (N, D, H, W, C)."""

    axes: ClassVar[int] = 3


class ContextBlock(nn.Module):
    """One context of all positions, added to each or multiplied with it (Cao et al. 2019).

    Attributes:
        in_channels: C.
        ratio: the channels inside, as a share of C.
        pooling_type: "att", a learnt weight a position (``conv_mask``), or "avg".
        fusion_types: "channel_add" (``channel_add_conv``), "channel_mul" (``channel_mul_conv``), or both.
        frozen: no gradient.
    """

    in_channels: int
    ratio: float
    pooling_type: str = "att"
    fusion_types: tuple[str, ...] = ("channel_add",)
    frozen: bool = False
    torch_order: ClassVar[tuple[str, ...]] = ("conv_mask", "channel_add_conv", "channel_mul_conv")

    def __post_init__(self) -> None:
        check_fusion(self.pooling_type, self.fusion_types)
        super().__post_init__()

    @property
    def start_cfg(self) -> Any:
        """How the layers start when they are made."""
        return context_start(self.pooling_type, tuple(self.fusion_types))

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        if self.pooling_type == "avg":
            context = x.mean((1, 2), keepdims=True)
        else:
            mask = Conv2d(1, (1, 1), trainable=not self.frozen, name="conv_mask")(x)
            weights = nn.softmax(mask.reshape(x.shape[0], 1, -1))
            context = (weights @ x.reshape(x.shape[0], -1, x.shape[-1]))[:, :, None]
        out = x
        if "channel_mul" in self.fusion_types:
            out = out * nn.sigmoid(self._bottleneck(context, "channel_mul_conv"))
        if "channel_add" in self.fusion_types:
            out = out + self._bottleneck(context, "channel_add_conv")
        return out

    def _bottleneck(self, context: Array, name: str) -> Array:
        width, planes, trainable = self.in_channels, int(self.in_channels * self.ratio), not self.frozen
        y = Conv2d(planes, (1, 1), trainable=trainable, name=f"{name}_0")(context)
        y = nn.relu(_PixelNorm(trainable=trainable, name=f"{name}_1")(y))
        return Conv2d(width, (1, 1), trainable=trainable, name=f"{name}_3")(y)


class _PixelNorm(LayerNorm):
    """Layer normalisation of maps of one pixel, (N, 1, 1, C); its parameters are torch's (C, 1, 1)."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        shape = (x.shape[-1], 1, 1)
        scale, bias = self.param("scale", nn.initializers.ones, shape), self.param("bias", nn.initializers.zeros, shape)
        dtype, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        moved = x - x.mean(-1, keepdims=True)
        y = moved * jax.lax.rsqrt(jnp.square(moved).mean(-1, keepdims=True) + self.eps)
        return (y * scale.reshape(-1) + bias.reshape(-1)).astype(dtype)

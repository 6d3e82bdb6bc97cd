"""Heads with one block between or beside plain convolutions, with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.resize import adaptive_avg_pool
from fkit.segmentation.decode import labels_of
from fkit.segmentation.encode import code_norm, present
from fkit.segmentation.loss.base import called
from fkit.segmentation.loss.entropy import CrossEntropyLoss
from fkit.structures.batch import Samples
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.classifier import Part
from fkit.zoo.flax.plugin import ContextBlock, NonLocal2d, Scale
from fkit.zoo.flax.segment.head import DecodeHead, FCNHead, Maps, joined

__all__ = ["APCHead", "CCHead", "CrissCrossAttention", "DMHead", "DNLHead", "EncHead", "GCHead", "NLHead"]

Array = jax.Array


class _Between(FCNHead, kw_only=True):
    """An `FCNHead` of two convolutions with something between them."""

    def between(self, x: Array, train: bool) -> Array:
        """What is done between the convolutions."""
        raise NotImplementedError

    def convolved(self, x: Array, at: int, train: bool) -> Array:
        x = super().convolved(x, at, train)
        return self.between(x, train) if at == 0 else x


class GCHead(_Between, kw_only=True):
    """A context of all positions between two convolutions (Cao et al. 2019).

    Attributes:
        ratio, pooling_type, fusion_types: see `ContextBlock`.
    """

    ratio: float = 1 / 4
    pooling_type: str = "att"
    fusion_types: tuple[str, ...] = ("channel_add",)
    torch_order: ClassVar[tuple[str, ...]] = (*FCNHead.torch_order, "gc_block")

    def between(self, x: Array, train: bool) -> Array:
        fusions = tuple(self.fusion_types)
        return ContextBlock(self.channels, self.ratio, self.pooling_type, fusions, name="gc_block")(x, train)


class NLHead(_Between, kw_only=True):
    """A non-local block between two convolutions (Wang et al. 2018).

    Attributes:
        reduction, use_scale, mode: see `NonLocal2d`.
    """

    reduction: int = 2
    use_scale: bool = True
    mode: str = "embedded_gaussian"
    torch_order: ClassVar[tuple[str, ...]] = (*FCNHead.torch_order, "nl_block")

    def between(self, x: Array, train: bool) -> Array:
        block = NonLocal2d(
            self.channels, reduction=self.reduction, use_scale=self.use_scale, mode=self.mode, conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg, name="nl_block",
        )  # fmt: skip
        return block(x, train)


class _Disentangled(NonLocal2d):
    """A non-local block of differences from the mean, and a weight of each position alone, ``conv_mask`` (Yin et al. 2020)."""

    temperature: float = 0.05
    torch_order: ClassVar[tuple[str, ...]] = (*NonLocal2d.torch_order, "conv_mask")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        wide = self.in_channels
        inner = max(wide // self.reduction, 1)
        conv: dict[str, Any] = {"conv_cfg": self.conv_cfg or {"type": "Conv2d"}, "act_cfg": None}
        g = ConvModule(wide, inner, 1, name="g", **conv)(x)
        theta = phi = x
        if self.mode != "gaussian":
            theta = ConvModule(wide, inner, 1, name="theta", **conv)(x)
            phi = ConvModule(wide, inner, 1, name="phi", **conv)(x)
        theta, phi, g = (part.reshape(x.shape[0], -1, part.shape[-1]) for part in (theta, phi, g))
        theta, phi = (part - part.mean(1, keepdims=True) for part in (theta, phi))
        mask = Conv2d(1, (1, 1), name="conv_mask")(x).reshape(x.shape[0], 1, -1)
        seen = self._weights(theta, phi) @ g + nn.softmax(mask) @ g
        out = ConvModule(inner, wide, 1, norm_cfg=self.norm_cfg, name="conv_out", **conv)
        return x + out(seen.reshape(*x.shape[:-1], inner), train)

    def _weights(self, theta: Array, phi: Array) -> Array:
        if self.mode != "embedded_gaussian":
            return super()._weights(theta, phi)
        scale = theta.shape[-1] ** 0.5 if self.use_scale else 1.0
        return nn.softmax(theta @ phi.swapaxes(1, 2) / scale / self.temperature)


class DNLHead(NLHead, kw_only=True):
    """A disentangled non-local block between two convolutions (Yin et al. 2020).

    Attributes:
        temperature: what scores are divided by.
    """

    temperature: float = 0.05
    torch_order: ClassVar[tuple[str, ...]] = (*FCNHead.torch_order, "dnl_block")

    def between(self, x: Array, train: bool) -> Array:
        block = _Disentangled(
            self.channels, reduction=self.reduction, use_scale=self.use_scale, mode=self.mode, conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg, temperature=self.temperature, name="dnl_block",
        )  # fmt: skip
        return block(x, train)


class CrissCrossAttention(nn.Module):
    """Each position sees those of its row and its column (Huang et al. 2019); mmcv's CrissCrossAttention.

    Attributes:
        in_channels: C.
    """

    in_channels: int
    torch_order: ClassVar[tuple[str, ...]] = ("query_conv", "key_conv", "value_conv", "gamma")

    def setup(self) -> None:
        wide = self.in_channels
        self.query_conv, self.key_conv = (Conv2d(wide // 8, (1, 1)) for _ in range(2))
        self.value_conv = Conv2d(wide, (1, 1))
        self.gamma = Scale(0.0)

    def __call__(self, x: Array, train: bool = False) -> Array:
        del train
        query, key, value = self.query_conv(x), self.key_conv(x), self.value_conv(x)
        high = x.shape[1]
        itself = jnp.eye(high, dtype=bool)[None, :, None]
        column = jnp.where(itself, -jnp.inf, jnp.einsum("bhwc,biwc->bhwi", query, key))
        row = jnp.einsum("bhwc,bhjc->bhwj", query, key)
        chance = nn.softmax(jnp.concatenate([column, row], -1))
        out = jnp.einsum("biwc,bhwi->bhwc", value, chance[..., :high])
        return self.gamma(out + jnp.einsum("bhjc,bhwj->bhwc", value, chance[..., high:])) + x


class CCHead(_Between, kw_only=True):
    """Criss-cross attention, several times, between two convolutions (Huang et al. 2019).

    Attributes:
        recurrence: how many times.
    """

    recurrence: int = 2
    torch_order: ClassVar[tuple[str, ...]] = (*FCNHead.torch_order, "cca")

    def between(self, x: Array, train: bool) -> Array:
        block = CrissCrossAttention(self.channels, name="cca")
        for _ in range(self.recurrence):
            x = block(x, train)
        return x


class _Adaptive(nn.Module):
    """Positions take of the means over a grid what they ask for (He et al. 2019)."""

    scale: int
    fusion: bool
    out: int
    cfgs: Any
    torch_order: ClassVar[tuple[str, ...]] = (
        "pooled_redu_conv", "input_redu_conv", "global_info", "gla", "residual_conv", "fusion_conv",
    )  # fmt: skip

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        out = self.out

        def conv(name: str, x: Array) -> Array:
            return ConvModule(x.shape[-1], out, 1, name=name, **self.cfgs)(x, train)

        cells = conv("pooled_redu_conv", adaptive_avg_pool(x, (self.scale, self.scale))).reshape(x.shape[0], -1, out)
        x = conv("input_redu_conv", x)
        asked = Conv2d(self.scale**2, (1, 1), name="gla")(x + conv("global_info", x.mean((1, 2), keepdims=True)))
        seen = nn.sigmoid(asked.reshape(x.shape[0], -1, self.scale**2)) @ cells
        x = nn.relu(conv("residual_conv", seen.reshape(x.shape)) + x)
        return conv("fusion_conv", x) if self.fusion else x


class APCHead(DecodeHead, kw_only=True):
    """Adaptive pyramid context (He et al. 2019).

    Attributes:
        pool_scales: the sizes of the grids.
        fusion: whether a convolution follows each.
    """

    pool_scales: Sequence[int] = (1, 2, 3, 6)
    fusion: bool = True
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "acm_modules", "bottleneck")

    def features(self, maps: Maps, train: bool) -> Array:
        x, cfgs = self.taken(maps), frozendict(self.cfgs)
        parts = [
            _Adaptive(scale, self.fusion, self.channels, cfgs, name=f"acm_modules_{at}")(x, train)
            for at, scale in enumerate(self.pool_scales)
        ]
        both = joined(x, *parts)
        return self.conv(both.shape[-1], self.channels, 3, "bottleneck", padding=1)(both, train)


class _Dynamic(nn.Module):
    """A convolution of each channel by a filter that the map itself makes (He et al. 2019)."""

    size: int
    fusion: bool
    out: int
    cfgs: Any
    torch_order: ClassVar[tuple[str, ...]] = ("filter_gen_conv", "input_redu_conv", "norm", "activate", "fusion_conv")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        size, out = self.size, self.out
        filters = Conv2d(out, (1, 1), name="filter_gen_conv")(adaptive_avg_pool(x, (size, size)))
        x = ConvModule(x.shape[-1], out, 1, name="input_redu_conv", **self.cfgs)(x, train)
        high, wide = x.shape[1:3]
        after = (size - 1) // 2
        edges = (size - 1 - after, after)
        x = jnp.pad(x, ((0, 0), edges, edges, (0, 0)))
        total: Any = 0.0
        for row in range(size):
            for column in range(size):
                part = x[:, row : row + high, column : column + wide]
                total = total + part * filters[:, row : row + 1, column : column + 1]
        if self.cfgs["norm_cfg"] is not None:
            norm: Any = norm_layer(self.cfgs["norm_cfg"])[1]("norm")
            total = norm(total, train)
        x = act_layer(self.cfgs["act_cfg"])("activate")(total)
        return ConvModule(out, out, 1, name="fusion_conv", **self.cfgs)(x, train) if self.fusion else x


class DMHead(DecodeHead, kw_only=True):
    """Dynamic multi-scale filters (He et al. 2019).

    Attributes:
        filter_sizes: of each convolution whose filter the map makes.
        fusion: whether another follows each.
    """

    filter_sizes: Sequence[int] = (1, 3, 5, 7)
    fusion: bool = False
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "dcm_modules", "bottleneck")

    def features(self, maps: Maps, train: bool) -> Array:
        x, cfgs = self.taken(maps), frozendict(self.cfgs)
        parts = [
            _Dynamic(size, self.fusion, self.channels, cfgs, name=f"dcm_modules_{at}")(x, train)
            for at, size in enumerate(self.filter_sizes)
        ]
        both = joined(x, *parts)
        return self.conv(both.shape[-1], self.channels, 3, "bottleneck", padding=1)(both, train)


class _Encoding(nn.Module):
    """Residuals of positions from learnt code words, weighed by how near they are (Zhang et al. 2018): (N, K, C)."""

    num_codes: int
    torch_order: ClassVar[tuple[str, ...]] = ("codewords", "scale")

    @nn.compact
    def __call__(self, x: Array) -> Array:
        count, wide = self.num_codes, x.shape[-1]
        std = (count * wide) ** -0.5
        words = self.param(
            "codewords", lambda key, shape: jax.random.uniform(key, shape, minval=-std, maxval=std), (count, wide)
        )
        scale = self.param("scale", lambda key, shape: -jax.random.uniform(key, shape), (count,))
        apart = x.reshape(x.shape[0], -1, 1, wide) - words.astype(x.dtype)
        weights = nn.softmax(scale.astype(x.dtype) * jnp.square(apart).sum(3))
        return (weights[..., None] * apart).sum(1)


class _Encoded(nn.Module):
    """A map whose channels are weighed by its encoding, and the encoding."""

    num_codes: int
    cfgs: Any
    torch_order: ClassVar[tuple[str, ...]] = ("encoding_project", "encoding", "fc")

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, Array]:
        wide = x.shape[-1]
        code = _Encoding(self.num_codes, name="encoding_0")(
            ConvModule(wide, wide, 1, name="encoding_project", **self.cfgs)(x, train)
        )
        norm: Any = norm_layer(code_norm(self.cfgs["norm_cfg"]))[1]("encoding_1")
        code = nn.relu(norm(code.swapaxes(1, 2), train)).mean(-1)
        shares = nn.sigmoid(Linear(wide, name="fc_0")(code))
        return code, nn.relu(x + x * shares[:, None, None])


class EncHead(DecodeHead, kw_only=True):
    """Channels weighed by an encoding of the whole picture, which tells the classes that are there, too (Zhang et al. 2018).

    Attributes:
        num_codes: code words.
        use_se_loss: whether the classes that are there are learnt: ``loss_se``.
        add_lateral: whether the other maps are taken beside the last.
        loss_se_decode: that loss, built.
    """

    num_codes: int = 32
    use_se_loss: bool = True
    add_lateral: bool = False
    loss_se_decode: Part = CrossEntropyLoss(use_sigmoid=True, loss_weight=0.2)
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg", "bottleneck", "lateral_convs", "fusion", "enc_module", "se_layer",
    )  # fmt: skip

    @property
    def transform(self) -> str | None:
        """It takes several maps."""
        return "multiple_select"

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        several, out = self.taken(maps), self.channels
        x = self.conv(several[-1].shape[-1], out, 3, "bottleneck", padding=1)(several[-1], train)
        if self.add_lateral:
            sides = [
                self.conv(one.shape[-1], out, 1, f"lateral_convs_{at}")(one, train)
                for at, one in enumerate(several[:-1])
            ]
            both = joined(x, *(self.resized(one, x.shape[1:3]) for one in sides))
            x = self.conv(both.shape[-1], out, 3, "fusion", padding=1)(both, train)
        code, x = _Encoded(self.num_codes, frozendict(self.cfgs), name="enc_module")(x, train)
        logits = self.classified(x, train)
        return (logits, Linear(self.logic.num_classes, name="se_layer")(code)) if self.use_se_loss else logits

    def loss(self, maps: Maps, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        said = self(maps, train)
        if not self.use_se_loss:
            return self.losses_of(said, samples)
        xp = JaxOps()
        there = present(xp, labels_of(xp, samples), self.logic.num_classes)
        extra = called(self.loss_se_decode, xp, said[1], there, ignore_index=-100)
        return {**self.losses_of(said[0], samples), "loss_se": extra}

    def logits(self, maps: Maps, size: Sequence[int]) -> Array:
        said = self(maps)
        return self.resized(said[0] if self.use_se_loss else said, size)

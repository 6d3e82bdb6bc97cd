"""Heads in which positions attend to positions, regions or channels, with mmseg's arguments and parameter names; channels
last."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.resize import adaptive_avg_pool, interpolate
from fkit.segmentation.attend import expect_plain, grid, psa_places, shrunk, zero_start
from fkit.segmentation.decode import prefixed
from fkit.structures.batch import Samples
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.plugin import Scale
from fkit.zoo.flax.segment.head import DecodeHead, Maps, joined, resized

__all__ = ["ANNHead", "DAHead", "ISAHead", "OCRHead", "PSAHead", "SelfAttentionBlock"]

Array = jax.Array


class SelfAttentionBlock(nn.Module):
    """Positions of one map attend to those of another; mmseg's SelfAttentionBlock.

    Attributes:
        channels, out_channels, share, pool_scales, key_convs, key_norm, value_norm, scaled, with_out, cfgs: as of torch's twin
            (`fkit.zoo.torch.segment.attend.SelfAttentionBlock`).
    """

    channels: int
    out_channels: int
    share: bool = False
    pool_scales: Sequence[int] | None = None
    key_convs: int = 1
    key_norm: bool = True
    value_norm: bool = False
    scaled: bool = True
    with_out: bool = True
    cfgs: Any = frozendict()
    torch_order: ClassVar[tuple[str, ...]] = (
        "key_project", "query_project", "value_project", "out_project", "gamma", "output_project", "bottleneck",
    )  # fmt: skip

    @property
    def start_cfg(self) -> Any:
        """How the layers start when they are made."""
        return zero_start(self.with_out and not self.value_norm)

    @property
    def torch_aliases(self) -> Mapping[str, str]:
        """Children that are others too, by torch's names."""
        return frozendict(query_project="key_project") if self.share else frozendict()

    def attended(self, query: Array, key: Array, train: bool) -> Array:
        """What the positions of ``query`` see of ``key``."""
        project = self._projection("key_project", key)
        keys = project(key, train)
        # a shared one is called twice, as torch's: its norms move twice
        queries = (project if self.share else self._projection("query_project", query))(query, train)
        inner = self.channels if self.with_out else self.out_channels
        values = self._last(key, "value_project", inner, train)
        keys, values = self._seen(keys), self._seen(values)
        factor = self.channels**-0.5 if self.scaled else 1.0
        flat = queries.reshape(queries.shape[0], -1, queries.shape[-1])
        out = nn.softmax(factor * (flat @ keys.swapaxes(1, 2))) @ values
        out = out.reshape(*query.shape[:3], -1)
        if not self.with_out:
            return out
        return self._last(out, "out_project", self.out_channels, train)

    @nn.compact
    def __call__(self, query: Array, key: Array, train: bool = False) -> Array:
        return self.attended(query, key, train)

    def _projection(self, name: str, x: Array) -> Any:
        """The convolutions of keys or queries, which may be called several times."""
        names = [name] if self.key_convs == 1 else [f"{name}_{at}" for at in range(self.key_convs)]

        def layer(at: int, one: str) -> Any:
            if not self.key_norm:
                return Conv2d(self.channels, (1, 1), name=one)
            return ConvModule(x.shape[-1] if at == 0 else self.channels, self.channels, 1, name=one, **self.cfgs)

        layers = [layer(at, one) for at, one in enumerate(names)]

        def run(y: Array, train: bool) -> Array:
            for one in layers:
                y = one(y, train) if self.key_norm else one(y)
            return y

        return run

    def _last(self, x: Array, name: str, out: int, train: bool) -> Array:
        if self.value_norm:
            return ConvModule(x.shape[-1], out, 1, name=name, **self.cfgs)(x, train)
        return Conv2d(out, (1, 1), name=name)(x)

    def _seen(self, x: Array) -> Array:
        count, wide = x.shape[0], x.shape[-1]
        if self.pool_scales is None:
            return x.reshape(count, -1, wide)
        cells = [adaptive_avg_pool(x, (scale, scale)).reshape(count, -1, wide) for scale in self.pool_scales]
        return jnp.concatenate(cells, 1)


class _ObjectAttention(SelfAttentionBlock):
    """Positions attend to classes, and the outcome beside them."""

    @nn.compact
    def __call__(self, query: Array, key: Array, train: bool = False) -> Array:
        both = joined(self.attended(query, key, train), query)
        return ConvModule(both.shape[-1], self.out_channels, 1, name="bottleneck", **self.cfgs)(both, train)


class OCRHead(DecodeHead, kw_only=True):
    """Positions attend to the classes that a head before it found (Yuan et al. 2020); a head of a cascade.

    Attributes:
        ocr_channels: inside of the attention.
        scale: 1.
    """

    ocr_channels: int
    scale: int = 1
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "object_context_block", "bottleneck")

    def __post_init__(self) -> None:
        expect_plain("OCRHead", "scale", (self.scale,))
        super().__post_init__()

    @nn.compact
    def __call__(self, maps: Maps, before: Array, train: bool = False) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        x = self.taken(maps)
        x = self.conv(x.shape[-1], self.channels, 3, "bottleneck", padding=1)(x, train)
        count, wide = x.shape[0], x.shape[-1]
        shares = nn.softmax(before.reshape(count, -1, before.shape[-1]), 1)
        classes = shares.swapaxes(1, 2) @ x.reshape(count, -1, wide)
        block = _ObjectAttention(
            self.ocr_channels,
            wide,
            key_convs=2,
            value_norm=True,
            cfgs=frozendict(self.cfgs),
            name="object_context_block",
        )
        return self.classified(block(x, classes[:, :, None], train), train)

    def loss(self, maps: Maps, before: Array, samples: Samples | None, train: bool = False) -> dict[str, Array]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.losses_of(self(maps, before, train), samples)

    def logits(self, maps: Maps, before: Array, size: Sequence[int]) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.resized(self(maps, before), size)


class _Fused(nn.Module):
    """Positions of one map attend to means of another (or of itself), and the outcome beside them."""

    channels: int
    out: int
    count: int
    scales: tuple[int, ...]
    cfgs: Any
    share: bool = False

    @nn.compact
    def __call__(self, low: Array, high: Array, train: bool = False) -> Array:
        wide = self.out if self.share else high.shape[-1]
        total: Any = 0.0
        for at in range(self.count):
            block = SelfAttentionBlock(
                self.channels, wide, self.share, self.scales, cfgs=self.cfgs, name=f"stages_{at}"
            )
            total = total + block(high, low, train)
        both = joined(total, high)
        last: dict[str, Any] = dict(self.cfgs) if self.share else {**self.cfgs, "act_cfg": None}
        return ConvModule(both.shape[-1], self.out, 1, name="bottleneck", **last)(both, train)


class ANNHead(DecodeHead, kw_only=True):
    """Positions attend to means over grids (Zhu et al. 2019, asymmetric non-local networks).

    Attributes:
        project_channels: inside of attentions.
        query_scales: 1 for each attention.
        key_pool_scales: the sizes of the grids.
    """

    project_channels: int
    query_scales: Sequence[int] = (1,)
    key_pool_scales: Sequence[int] = (1, 3, 6, 8)
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "fusion", "bottleneck", "context")

    def __post_init__(self) -> None:
        expect_plain("ANNHead", "query_scales", self.query_scales)
        if not isinstance(self.widths, tuple) or len(self.widths) != 2:
            raise FkitValueError(f"ANNHead takes two maps, and in_channels={self.in_channels}.")
        super().__post_init__()

    @property
    def transform(self) -> str | None:
        """It takes several maps."""
        return "multiple_select"

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        low, high = self.taken(maps)
        inner, count, scales, cfgs = (
            self.project_channels, len(self.query_scales), tuple(self.key_pool_scales), frozendict(self.cfgs),
        )  # fmt: skip
        drop = self.drop()
        x = _Fused(inner, high.shape[-1], count, scales, cfgs, name="fusion")(low, high, train)
        x = drop(x, train)
        x = self.conv(x.shape[-1], self.channels, 3, "bottleneck", padding=1)(x, train)
        x = _Fused(inner, self.channels, count, scales, cfgs, True, name="context")(x, x, train)
        return self.classified(x, train, drop)


class _Positions(SelfAttentionBlock):
    """A map and what its positions see of each other."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Scale(0.0, name="gamma")(self.attended(x, x, train)) + x


class _Channels(nn.Module):
    """A map and what its channels see of each other."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        energy = flat.swapaxes(1, 2) @ flat
        chance = nn.softmax(energy.max(-1, keepdims=True) - energy)
        return Scale(0.0, name="gamma")((flat @ chance.swapaxes(1, 2)).reshape(x.shape)) + x


class DAHead(DecodeHead, kw_only=True):
    """Attention of positions and of channels, each a head of its own, too (Fu et al. 2019).

    Attributes:
        pam_channels: inside of the attention of positions.
    """

    pam_channels: int
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg", "pam_in_conv", "pam", "pam_out_conv", "pam_conv_seg", "cam_in_conv", "cam", "cam_out_conv",
        "cam_conv_seg",
    )  # fmt: skip

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False) -> tuple[Array, Array, Array]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, out, drop = self.taken(maps), self.channels, self.drop()
        wide, classes = x.shape[-1], self.logic.num_classes
        places = self.conv(wide, out, 3, "pam_in_conv", padding=1)(x, train)
        places = _Positions(
            self.pam_channels, out, key_norm=False, scaled=False, with_out=False, name="pam"
        )(places, train)  # fmt: skip
        places = self.conv(out, out, 3, "pam_out_conv", padding=1)(places, train)
        first = Conv2d(classes, (1, 1), name="pam_conv_seg")(drop(places, train))
        channels = _Channels(name="cam")(self.conv(wide, out, 3, "cam_in_conv", padding=1)(x, train))
        channels = self.conv(out, out, 3, "cam_out_conv", padding=1)(channels, train)
        second = Conv2d(classes, (1, 1), name="cam_conv_seg")(drop(channels, train))
        both = drop(places + channels, train)
        return Conv2d(self.logic.out_channels, (1, 1), name="conv_seg")(both), first, second

    def loss(self, maps: Maps, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        said: dict[str, Array] = {}
        for name, logits in zip(("pam_cam", "pam", "cam"), self(maps, train), strict=True):
            said |= prefixed(self.losses_of(logits, samples), name)
        return said

    def logits(self, maps: Maps, size: Sequence[int]) -> Array:
        return self.resized(self(maps)[0], size)


class _Relation(SelfAttentionBlock):
    """Positions attend to each other, and a last convolution."""

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        wide = self.out_channels
        return ConvModule(wide, wide, 1, name="output_project", **self.cfgs)(self.attended(x, x, train), train)


class ISAHead(DecodeHead, kw_only=True):
    """Attention between far positions of a lattice, then inside of its cells (Huang et al. 2019, interlaced).

    Attributes:
        isa_channels: inside of attentions.
        down_factor: (height, width) of cells.
    """

    isa_channels: int
    down_factor: tuple[int, int] = (8, 8)
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "in_conv", "global_relation", "local_relation", "out_conv")

    def features(self, maps: Maps, train: bool) -> Array:
        x, out = self.taken(maps), self.channels
        residual = self.conv(x.shape[-1], out, 3, "in_conv", padding=1)(x, train)
        count, height, width, wide = residual.shape
        (rows, cell_h), (columns, cell_w), (top, bottom, left, right) = grid((height, width), self.down_factor)
        cfgs = frozendict(self.cfgs)

        def relation(name: str) -> _Relation:
            return _Relation(self.isa_channels, out, key_convs=2, with_out=False, cfgs=cfgs, name=name)

        x = jnp.pad(residual, ((0, 0), (top, bottom), (left, right), (0, 0)))
        x = x.reshape(count, rows, cell_h, columns, cell_w, wide).transpose(0, 2, 4, 1, 3, 5)
        x = relation("global_relation")(x.reshape(-1, rows, columns, wide), train)
        x = x.reshape(count, cell_h, cell_w, rows, columns, wide).transpose(0, 3, 4, 1, 2, 5)
        x = relation("local_relation")(x.reshape(-1, cell_h, cell_w, wide), train)
        x = x.reshape(count, rows, columns, cell_h, cell_w, wide).transpose(0, 1, 3, 2, 4, 5)
        x = x.reshape(count, rows * cell_h, columns * cell_w, wide)
        both = joined(x[:, top : top + height, left : left + width], residual)
        return self.conv(out * 2, out, 1, "out_conv")(both, train)


class PSAHead(DecodeHead, kw_only=True):
    """Each position's own weights for all others (Zhao et al. 2018, point-wise spatial attention).

    Attributes:
        mask_size, psa_type, compact, shrink_factor, normalization_factor, psa_softmax: as of torch's twin.
    """

    mask_size: tuple[int, int]
    psa_type: str = "bi-direction"
    compact: bool = False
    shrink_factor: int = 2
    normalization_factor: float | None = 1.0
    psa_softmax: bool = True
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg", "reduce", "attention", "reduce_p", "attention_p", "proj", "bottleneck",
    )  # fmt: skip

    def __post_init__(self) -> None:
        kinds = ("collect", "distribute", "bi-direction")
        if self.psa_type not in kinds:
            raise FkitValueError(f"PSAHead: psa_type={self.psa_type!r}.", value=self.psa_type, choices=kinds)
        super().__post_init__()

    def features(self, maps: Maps, train: bool) -> Array:
        x = self.taken(maps)
        size, aligned = shrunk((x.shape[1], x.shape[2]), self.shrink_factor, self.align_corners)
        both = self.psa_type == "bi-direction"
        kinds = ("collect", "distribute") if both else (self.psa_type,)
        parts = [
            self._branch(x, end, kind != "collect", (size, aligned), train)
            for end, kind in zip(("", "_p"), kinds, strict=False)
        ]
        out = self.conv(self.channels * len(kinds), x.shape[-1], 1, "proj", padding=1)(joined(*parts), train)
        out = joined(x, resized(out, x.shape[1:3], aligned))
        return self.conv(out.shape[-1], self.channels, 3, "bottleneck", padding=1)(out, train)

    def _branch(self, x: Array, end: str, spread: bool, form: tuple[tuple[int, int], bool], train: bool) -> Array:
        size, aligned = form
        out, masked = self.channels, self.mask_size[0] * self.mask_size[1]
        x = self.conv(x.shape[-1], out, 1, f"reduce{end}")(x, train)
        if self.shrink_factor != 1:
            x = interpolate(x, size, mode="bilinear", align_corners=aligned)
        weights = self.conv(out, out, 1, f"attention{end}_0")(x, train)
        weights = Conv2d(masked, (1, 1), use_bias=False, name=f"attention{end}_1")(weights)
        cells = size[0] * size[1]
        weights = weights.reshape(x.shape[0], cells, masked).swapaxes(1, 2)
        if self.compact:
            if masked != cells:
                raise FkitTypeError(f"PSAHead: compact weights are of {masked} positions, the map has {cells}.")
            turned = (self.psa_type == "bi-direction") == spread
            weights = weights.swapaxes(1, 2) if turned else weights
        else:
            places, inside = psa_places(JaxOps(), size, self.mask_size, weights)
            weights = jnp.take_along_axis(weights, places[None], 1) * inside
            weights = weights.swapaxes(1, 2) if spread else weights
        weights = nn.softmax(weights, 1) if self.psa_softmax else weights
        factor = 1.0 / (masked if self.normalization_factor is None else self.normalization_factor)
        flat = x.reshape(x.shape[0], cells, -1)
        return (weights.swapaxes(1, 2) @ flat).reshape(x.shape) * factor

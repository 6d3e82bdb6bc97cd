"""A head that tells positions by a few bases, with mmseg's arguments and parameter names; channels last."""

from typing import ClassVar

import jax
from flax import linen as nn

from fkit.backend.jax.ops import JaxOps
from fkit.segmentation.bases import expected, moved, unit
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.segment.head import DecodeHead, Maps, joined

__all__ = ["EMAHead"]

Array = jax.Array


class _Bases(nn.Module):
    """Maps told by ``bases`` (1, C, K), which training moves; no gradient passes."""

    num_bases: int
    num_stages: int
    momentum: float

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        xp = JaxOps()
        shape = (1, x.shape[-1], self.num_bases)
        kept = self.variable(
            "batch_stats", "bases", lambda: unit(xp, jax.random.normal(self.make_rng("params"), shape), 1)
        )
        flat = jax.lax.stop_gradient(x.reshape(x.shape[0], -1, x.shape[-1]))
        shares, bases = expected(xp, flat, kept.value, self.num_stages)
        if train and not self.is_initializing():
            kept.value = moved(xp, kept.value, bases.mean(0, keepdims=True), self.momentum)
        return (shares @ bases.swapaxes(1, 2)).reshape(x.shape)


class EMAHead(DecodeHead, kw_only=True):
    """Positions told by a few bases, which expectation maximisation finds (Li et al. 2019).

    Attributes:
        ema_channels: of the map that is told.
        num_bases: how many.
        num_stages: steps of expectation maximisation.
        concat_input: whether a last convolution takes the input, too.
        momentum: how far a batch moves the bases that it begins with.
    """

    ema_channels: int
    num_bases: int
    num_stages: int
    concat_input: bool = True
    momentum: float = 0.1
    torch_order: ClassVar[tuple[str, ...]] = (
        "conv_seg", "ema_module", "ema_in_conv", "ema_mid_conv", "ema_out_conv", "bottleneck", "conv_cat",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.num_stages < 1:
            raise FkitValueError(f"EMAHead: num_stages={self.num_stages}, but it is from 1.")
        super().__post_init__()

    def features(self, maps: Maps, train: bool) -> Array:
        x, inner, out = self.taken(maps), self.ema_channels, self.channels
        before = self.conv(x.shape[-1], inner, 3, "ema_in_conv", padding=1)(x, train)
        middle = ConvModule(
            inner, inner, 1, conv_cfg=self.conv_cfg, act_cfg=None, frozen=True, name="ema_mid_conv"
        )(before, train)  # fmt: skip
        told = _Bases(self.num_bases, self.num_stages, self.momentum, name="ema_module")(middle, train)
        told = self.conv(inner, inner, 1, "ema_out_conv", act_cfg=None)(nn.relu(told), train)
        last = self.conv(inner, out, 3, "bottleneck", padding=1)(nn.relu(before + told), train)
        if not self.concat_input:
            return last
        both = joined(x, last)
        return self.conv(both.shape[-1], out, 3, "conv_cat", padding=1)(both, train)

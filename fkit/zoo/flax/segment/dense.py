"""The head of dense prediction transformers, with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.conv import Conv2d, ConvTranspose2d
from fkit.backend.jax.layers import Linear
from fkit.segmentation.neck import expect_four, halves_of, readout_of
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.segment.head import DecodeHead, Maps, joined, resized

__all__ = ["DPTHead"]

Array = jax.Array

_BN = frozendict(type="BN")
_GELU = frozendict(type="GELU")
_FIRST = ("act", "conv", "norm")


class _Reassemble(nn.Module):
    """Maps of a transformer as a pyramid: of four times the size, of twice, of the same and of half; the token is read before."""

    wide: int
    widths: Sequence[int]
    readout: str
    torch_order: ClassVar[tuple[str, ...]] = ("projects", "resize_layers", "readout_projects")

    @nn.compact
    def __call__(self, pairs: Sequence[Any], train: bool = False) -> list[Array]:
        made: list[Array] = []
        for at, ((x, token), width) in enumerate(zip(pairs, self.widths, strict=True)):
            if self.readout == "add":
                x = x + token[:, None, None]
            if self.readout == "project":
                both = joined(x, jnp.broadcast_to(token[:, None, None], x.shape))
                x = Linear(self.wide, name=f"readout_projects_{at}_0")(both)
                x = act_layer(_GELU)(f"readout_projects_{at}_1")(x)
            x = ConvModule(self.wide, width, 1, act_cfg=None, name=f"projects_{at}")(x, train)
            name = f"resize_layers_{at}"
            if at < 2:
                side = 4 // (at + 1)
                x = ConvTranspose2d(width, (side, side), strides=(side, side), name=name)(x)
            elif at == 3:
                x = Conv2d(width, (3, 3), strides=2, padding=1, name=name)(x)
            made.append(x)
        return made


class _Unit(nn.Module):
    """Two convolutions, each with its activation first, added to what came in."""

    width: int
    act_cfg: Any
    norm_cfg: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        y, wide = x, self.width
        for name in ("conv1", "conv2"):
            y = ConvModule(
                wide, wide, 3, padding=1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg, bias=False, order=_FIRST, name=name
            )(y, train)  # fmt: skip
        return y + x


class _Fusion(nn.Module):
    """A map and a finer one, together and enlarged twice."""

    width: int
    act_cfg: Any
    norm_cfg: Any
    torch_order: ClassVar[tuple[str, ...]] = ("project", "res_conv_unit1", "res_conv_unit2")

    @nn.compact
    def __call__(self, x: Array, finer: Array | None = None, train: bool = False) -> Array:
        layers = (self.width, self.act_cfg, self.norm_cfg)
        if finer is not None:
            finer = resized(finer, x.shape[1:3], False) if finer.shape != x.shape else finer
            x = x + _Unit(*layers, name="res_conv_unit1")(finer, train)
        x = _Unit(*layers, name="res_conv_unit2")(x, train)
        x = resized(x, (2 * x.shape[1], 2 * x.shape[2]), True)
        return ConvModule(self.width, self.width, 1, act_cfg=None, bias=True, name="project")(x, train)


class DPTHead(DecodeHead, kw_only=True):
    """A pyramid of a transformer's four maps, put together from the coarsest on (Ranftl et al. 2021).

    Attributes: as of torch's twin (`fkit.zoo.torch.segment.dense.DPTHead`).
    """

    embed_dims: int = 768
    post_process_channels: Sequence[int] = (96, 192, 384, 768)
    readout_type: str = "ignore"
    patch_size: int = 16
    expand_channels: bool = False
    act_cfg: Any = RELU
    norm_cfg: Any = _BN
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "reassemble_blocks", "convs", "fusion_blocks", "project")

    def __post_init__(self) -> None:
        expect_four(self.post_process_channels, self.expand_channels)
        readout_of(self.readout_type)
        super().__post_init__()

    def features(self, maps: Maps, train: bool) -> Array:
        widths, out = self.post_process_channels, self.channels
        found, tokens = halves_of(maps)
        pairs = list(zip(self.taken(found), [tokens[at] for at in self.in_index], strict=True))
        whole = _Reassemble(self.embed_dims, widths, self.readout_type, name="reassemble_blocks")
        made = [
            ConvModule(width, out, 3, padding=1, act_cfg=None, bias=False, name=f"convs_{at}")(x, train)
            for at, (width, x) in enumerate(zip(widths, whole(pairs, train), strict=True))
        ]
        x, finer = made[-1], (None, *reversed(made[:-1]))
        for at, one in enumerate(finer):
            x = _Fusion(out, self.act_cfg, self.norm_cfg, name=f"fusion_blocks_{at}")(x, one, train)
        return ConvModule(out, out, 3, padding=1, norm_cfg=self.norm_cfg, name="project")(x, train)

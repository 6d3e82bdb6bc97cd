"""Heads of fast networks: STDC, DDRNet and PIDNet, with mmseg's arguments and parameter names; channels last."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.layers import norm_layer
from fkit.backend.jax.ops import JaxOps
from fkit.segmentation.boundary import FUSION, LAPLACE, boundaries, boundary_losses, expect_losses
from fkit.segmentation.decode import accuracy, labels_of
from fkit.segmentation.loss.base import called
from fkit.structures.batch import Samples
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.segment.head import DecodeHead, FCNHead, Maps

__all__ = ["DDRHead", "PIDHead", "STDCHead"]

Array = jax.Array

_FIRST = ("norm", "act", "conv")


class STDCHead(FCNHead, kw_only=True):
    """An `FCNHead` that learns boundaries, which it makes of the labels (Fan et al. 2021).

    Attributes:
        boundary_threshold: above which a difference counts.
    """

    boundary_threshold: float = 0.1
    trainable: ClassVar[bool] = False  # of the array that is its own

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False, kernels: bool = False) -> Any:
        def laplace() -> Array:
            return jnp.asarray(LAPLACE).reshape(1, 1, 3, 3)

        fusion = self.param("fusion_kernel", lambda key: jnp.asarray(FUSION).reshape(1, 3, 1, 1))
        edges = self.variable("buffers", "laplacian_kernel", laplace)
        said = self.classified(self.features(maps, train), train)
        return (said, edges.value, fusion) if kernels else said

    def loss(self, maps: Maps, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        logits, laplace, fusion = self(maps, train, kernels=True)
        xp = JaxOps()
        labels = labels_of(xp, samples)
        fusion = jax.lax.stop_gradient(fusion)
        edges = boundaries(xp, labels, laplace.reshape(-1), fusion.reshape(-1), self.boundary_threshold)
        logits = jnp.moveaxis(self.resized(logits, labels.shape[1:]), -1, 1)
        return self.logic.losses_of(xp, logits, edges)


class DDRHead(DecodeHead, kw_only=True):
    """A head of the whole, and while training one of the details (Pan et al. 2022).

    Attributes: as of torch's twin (`fkit.zoo.torch.segment.realtime.DDRHead`).
    """

    norm_cfg: Any = frozendict(type="BN")
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "head", "aux_head", "aux_cls_seg")

    def __post_init__(self) -> None:
        expect_losses("DDRHead", self.logic, 2)
        super().__post_init__()

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not train and not self.is_initializing():
            return self.classified(self._made(maps, "head", train), train)
        detail, whole = maps if isinstance(maps, (tuple, list)) else (maps[..., ::2], maps)
        said = self.classified(self._made(whole, "head", train), train)
        aux = Conv2d(self.logic.out_channels, (1, 1), name="aux_cls_seg")(self._made(detail, "aux_head", train))
        return (said, aux) if train else said

    def _made(self, x: Array, name: str, train: bool) -> Array:
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg, "order": _FIRST}
        x = ConvModule(x.shape[-1], self.channels, 3, padding=1, name=f"{name}_0", **cfgs)(x, train)
        norm: Any = norm_layer(self.norm_cfg)[1](f"{name}_1")
        return act_layer(self.act_cfg)(f"{name}_2")(norm(x, train))

    def loss(self, maps: Any, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        xp = JaxOps()
        labels = labels_of(xp, samples)
        whole, detail = (jnp.moveaxis(self.resized(one, labels.shape[1:]), -1, 1) for one in self(maps, True))
        return {
            "loss_context": called(self.logic.losses[0], xp, whole, labels),
            "loss_spatial": called(self.logic.losses[1], xp, detail, labels),
            "acc_seg": accuracy(xp, whole, labels, self.logic.ignore_index),
        }


class _Branch(nn.Module):
    """Norm, activation and convolution, then norm and activation: ``conv``, ``norm``."""

    out: int
    norm_cfg: Any
    act_cfg: Any

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        cfgs: dict[str, Any] = {"norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg, "order": _FIRST}
        x = ConvModule(x.shape[-1], self.out, 3, padding=1, name="conv", **cfgs)(x, train)
        norm: Any = norm_layer(self.norm_cfg)[1]("norm")
        return act_layer(self.act_cfg)("act")(norm(x, train))


class PIDHead(DecodeHead, kw_only=True):
    """A head of the whole, and while training one of the details and one of the boundaries (Xu et al. 2023).

    Attributes: as of torch's twin (`fkit.zoo.torch.segment.realtime.PIDHead`).
    """

    norm_cfg: Any = frozendict(type="BN")
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "i_head", "p_head", "d_head", "p_cls_seg", "d_cls_seg")

    def __post_init__(self) -> None:
        expect_losses("PIDHead", self.logic, 4)
        super().__post_init__()

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        out, wide = self.channels, self.in_channels
        whole_head = _Branch(out, self.norm_cfg, self.act_cfg, name="i_head")
        if not train and not self.is_initializing():
            return self.classified(whole_head(maps, train), train)
        several = isinstance(maps, (tuple, list))
        detail, whole, edge = maps if several else (maps[..., ::2], maps, maps[..., ::2])
        first = _Branch(out, self.norm_cfg, self.act_cfg, name="p_head")(detail, train)
        first = Conv2d(self.logic.out_channels, (1, 1), name="p_cls_seg")(first)
        second = self.classified(whole_head(whole, train), train)
        third = _Branch(wide // 4, self.norm_cfg, RELU, name="d_head")(edge, train)
        third = Conv2d(1, (1, 1), name="d_cls_seg")(third)
        return (first, second, third) if train else second

    def loss(self, maps: Maps, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        xp = JaxOps()
        labels, edges = labels_of(xp, samples), labels_of(xp, samples, "gt_edge_map")
        logits = [jnp.moveaxis(self.resized(one, labels.shape[1:]), -1, 1) for one in self(maps, True)]
        return boundary_losses(xp, self.logic, logits, labels, edges)

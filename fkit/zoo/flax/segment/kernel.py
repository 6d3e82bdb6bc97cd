"""K-Net's heads, which make their kernels anew from what these found, with mmseg's arguments and parameter names; channels
last."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.brick import RELU
from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.layers import Linear, norm_layer
from fkit.catalog.build import Builder
from fkit.segmentation.attend import KERNEL_INIT, UPDATOR, expect_plain, expect_stages
from fkit.segmentation.part import part
from fkit.structures.batch import Samples
from fkit.zoo.flax.attention import MultiheadAttention
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.ffn import FFN
from fkit.zoo.flax.segment.head import Maps, resized

__all__ = ["IterativeDecodeHead", "KernelUpdateHead", "KernelUpdator", "iterative_decode_head", "kernel_update_head"]

Array = jax.Array

_LN = frozendict(type="LN")


def _normed(cfg: Any, name: str, x: Array, train: bool) -> Array:
    norm: Any = norm_layer(cfg)[1](name)
    return norm(x, train)


class KernelUpdator(nn.Module):
    """New kernels of means of features and of the kernels that these were gathered with, each by a gate (Zhang et al. 2021).

    Attributes: as of torch's twin (`fkit.zoo.torch.segment.kernel.KernelUpdator`).
    """

    in_channels: int = 256
    feat_channels: int = 64
    out_channels: int | None = None
    gate_sigmoid: bool = True
    gate_norm_act: bool = False
    activate_out: bool = False
    norm_cfg: Any = _LN
    act_cfg: Any = RELU
    torch_order: ClassVar[tuple[str, ...]] = (
        "dynamic_layer", "input_layer", "input_gate", "update_gate", "gate_norm", "norm_in", "norm_out", "input_norm_in",
        "input_norm_out", "fc_layer", "fc_norm",
    )  # fmt: skip

    @nn.compact
    def __call__(self, gathered: Array, kernels: Array, train: bool = False) -> Array:
        """(M, C) of means (..., in_channels) and kernels of as many numbers."""
        width, act = self.feat_channels, act_layer(self.act_cfg)("activation")
        two = Linear(2 * width, name="dynamic_layer")(gathered.reshape(-1, self.in_channels))
        of_kernels = Linear(2 * width, name="input_layer")(kernels.reshape(-1, width))
        (into, out), (kernel_in, kernel_out) = (jnp.split(x, 2, 1) for x in (two, of_kernels))
        gates = kernel_in * into
        if self.gate_norm_act:
            gates = act(_normed(self.norm_cfg, "gate_norm", gates, train))
        keep = _normed(self.norm_cfg, "input_norm_in", Linear(width, name="input_gate")(gates), train)
        renew = _normed(self.norm_cfg, "norm_in", Linear(width, name="update_gate")(gates), train)
        if self.gate_sigmoid:
            keep, renew = nn.sigmoid(keep), nn.sigmoid(renew)
        out = _normed(self.norm_cfg, "norm_out", out, train)
        kernel_out = _normed(self.norm_cfg, "input_norm_out", kernel_out, train)
        if self.activate_out:
            out, kernel_out = act(out), act(kernel_out)
        last = Linear(self.out_channels or self.in_channels, name="fc_layer")(renew * out + keep * kernel_out)
        return act(_normed(self.norm_cfg, "fc_norm", last, train))


class KernelUpdateHead(nn.Module):
    """Kernels of classes made anew; see `kernel_update_head`.

    Attributes: as its arguments, of which ``kernel_update_conv`` is built.
    """

    kernel_update_conv: Any
    num_ffn_fcs: int
    num_heads: int
    num_mask_fcs: int
    feedforward_channels: int
    in_channels: int
    out_channels: int
    dropout: float
    act_cfg: Any
    ffn_act_cfg: Any
    feat_transform_cfg: Any
    with_ffn: bool
    init_cfg: Any
    torch_order: ClassVar[tuple[str, ...]] = (
        "attention", "attention_norm", "kernel_update_conv", "feat_transform", "ffn", "ffn_norm", "mask_fcs", "fc_mask",
    )  # fmt: skip

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    @nn.compact
    def __call__(self, maps: Array, kernels: Array, said: Array, train: bool = False) -> tuple[Array, Array]:
        width, x = self.in_channels, maps
        if self.feat_transform_cfg is not None:
            cfg = {key: value for key, value in self.feat_transform_cfg.items() if key != "kernel_size"}
            size = self.feat_transform_cfg.get("kernel_size", 1)
            x = ConvModule(width, width, size, name="feat_transform", **cfg)(x, train)
        shares = resized(said, x.shape[1:3]) if said.shape[1:3] != x.shape[1:3] else said
        gathered = jnp.einsum("nhwk,nhwc->nkc", nn.softmax(shares, -1), x)
        new = self.kernel_update_conv(gathered, kernels, train).reshape(kernels.shape)
        attend = MultiheadAttention(width, self.num_heads, self.dropout, name="attention")
        new = _normed(_LN, "attention_norm", attend(new.swapaxes(0, 1), train=train), train).swapaxes(0, 1)
        if self.with_ffn:
            net = FFN(width, self.feedforward_channels, self.num_ffn_fcs, self.ffn_act_cfg, self.dropout, name="ffn")
            new = _normed(_LN, "ffn_norm", net(new, train=train), train)
        last = new
        for at in range(self.num_mask_fcs):
            last = Linear(width, use_bias=False, name=f"mask_fcs_{3 * at}")(last)
            last = act_layer(self.act_cfg)(f"mask_fcs_{3 * at + 2}")(
                _normed(_LN, f"mask_fcs_{3 * at + 1}", last, train)
            )
        return jnp.einsum("nkc,nhwc->nhwk", Linear(self.out_channels, name="fc_mask")(last), x), new


def kernel_update_head(
    num_classes: int = 150,
    num_ffn_fcs: int = 2,
    num_heads: int = 8,
    num_mask_fcs: int = 3,
    feedforward_channels: int = 2048,
    in_channels: int = 256,
    out_channels: int = 256,
    dropout: float = 0.0,
    act_cfg: Any = RELU,
    ffn_act_cfg: Any = RELU,
    conv_kernel_size: int = 1,
    feat_transform_cfg: Any = None,
    kernel_init: bool = False,
    with_ffn: bool = True,
    feat_gather_stride: int = 1,
    mask_transform_stride: int = 1,
    kernel_updator_cfg: Any = UPDATOR,
    *,
    build: Builder,
) -> KernelUpdateHead:
    """Kernels of classes made anew: from what they found, from one another, and by themselves; and what the new ones find.

    Args: as of torch's twin (`fkit.zoo.torch.segment.kernel.KernelUpdateHead`).

    Returns:
        ``(maps, kernels, said, train)``: new logits and kernels of maps (N, H, W, C), kernels (N, K, C) and logits (N, H, W, K).
    """
    expect_plain("KernelUpdateHead", "conv_kernel_size", (conv_kernel_size,))
    expect_plain("KernelUpdateHead", "the strides", (feat_gather_stride, mask_transform_stride))
    return KernelUpdateHead(
        part(build, "models", kernel_updator_cfg), num_ffn_fcs, num_heads, num_mask_fcs, feedforward_channels,
        in_channels, out_channels, dropout, act_cfg, ffn_act_cfg, feat_transform_cfg, with_ffn,
        KERNEL_INIT[bool(kernel_init)],
    )  # fmt: skip


class IterativeDecodeHead(nn.Module):
    """A head, and others that make its classes' kernels anew; see `iterative_decode_head`.

    Attributes:
        kernel_generate_head, kernel_update_head: built.
    """

    kernel_generate_head: Any
    kernel_update_head: Any
    torch_order: ClassVar[tuple[str, ...]] = ("kernel_generate_head", "kernel_update_head")

    @property
    def logic(self) -> Any:
        """That of the first head."""
        return self.kernel_generate_head.logic

    def stages(self, maps: Maps, train: bool) -> list[Array]:
        """Logits of every head."""
        first, x, kernels = self.kernel_generate_head(maps, train, whole=True)
        said, kernels = [first], jnp.broadcast_to(kernels, (x.shape[0], *kernels.shape))
        for head in self.kernel_update_head:
            new, kernels = head(x, kernels, said[-1], train)
            said.append(new)
        return said

    def __call__(self, maps: Maps, train: bool = False) -> Any:
        said = self.stages(maps, train)
        return said if train else said[-1]

    def loss(self, maps: Maps, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        """Losses by name and head, and ``acc_seg`` of each."""
        return {
            f"{name}.s{at}": value
            for at, logits in enumerate(self.stages(maps, train))
            for name, value in self.kernel_generate_head.losses_of(logits, samples).items()
        }

    def logits(self, maps: Maps, size: Sequence[int]) -> Array:
        """Logits of prediction, of a size."""
        return self.kernel_generate_head.resized(self.stages(maps, False)[-1], size)


def iterative_decode_head(
    num_stages: int, kernel_generate_head: Any, kernel_update_head: Any, *, build: Builder
) -> IterativeDecodeHead:
    """A head, and others that make its classes' kernels anew, one after the other (Zhang et al. 2021, K-Net).

    Args:
        num_stages: how many others.
        kernel_generate_head: config of the first.
        kernel_update_head: a config for each other.
    """
    expect_stages(num_stages, kernel_update_head)
    first, others = (part(build, "models", cfg) for cfg in (kernel_generate_head, kernel_update_head))
    return IterativeDecodeHead(first, others)

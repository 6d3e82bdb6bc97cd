"""K-Net's heads, which make their kernels anew from what these found, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import RELU
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import norm_layer
from fkit.catalog.build import Builder
from fkit.segmentation.attend import KERNEL_INIT, UPDATOR, expect_plain, expect_stages
from fkit.segmentation.part import part
from fkit.structures.batch import Samples
from fkit.zoo.torch.attention import MultiheadAttention
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.ffn import FFN
from fkit.zoo.torch.segment.head import Maps, resized

__all__ = ["IterativeDecodeHead", "KernelUpdateHead", "KernelUpdator"]

_LN = frozendict(type="LN")


class KernelUpdator(nn.Module):
    """New kernels of means of features and of the kernels that these were gathered with, each by a gate (Zhang et al. 2021).

    Args:
        in_channels, feat_channels, out_channels: of what comes in, inside, and of what is given (None: as came in).
        gate_sigmoid: whether gates are between 0 and 1.
        gate_norm_act: whether what gates are made of has norm and activation.
        activate_out: whether what gates choose between has.
        norm_cfg, act_cfg: layers.
    """

    norm_in: nn.Module
    norm_out: nn.Module
    input_norm_in: nn.Module
    input_norm_out: nn.Module

    def __init__(
        self,
        in_channels: int = 256,
        feat_channels: int = 64,
        out_channels: int | None = None,
        gate_sigmoid: bool = True,
        gate_norm_act: bool = False,
        activate_out: bool = False,
        norm_cfg: Any = _LN,
        act_cfg: Any = RELU,
    ) -> None:
        super().__init__()
        self.in_channels, self.feat_channels = in_channels, feat_channels
        self.gate_sigmoid, self.gate_norm_act, self.activate_out = gate_sigmoid, gate_norm_act, activate_out
        out = out_channels or in_channels
        self.dynamic_layer = nn.Linear(in_channels, 2 * feat_channels)
        self.input_layer = nn.Linear(in_channels, 2 * feat_channels)
        self.input_gate = nn.Linear(in_channels, feat_channels)
        self.update_gate = nn.Linear(in_channels, feat_channels)
        if gate_norm_act:
            self.gate_norm = norm_layer(norm_cfg, feat_channels)[1]
        for name in ("norm_in", "norm_out", "input_norm_in", "input_norm_out"):
            self.add_module(name, norm_layer(norm_cfg, feat_channels)[1])
        self.activation = act_layer(act_cfg)
        self.fc_layer = nn.Linear(feat_channels, out)
        self.fc_norm = norm_layer(norm_cfg, out)[1]

    def forward(self, gathered: Tensor, kernels: Tensor) -> Tensor:
        """(M, C) of means (..., in_channels) and kernels of as many numbers."""
        into, out = self.dynamic_layer(gathered.reshape(-1, self.in_channels)).split(self.feat_channels, 1)
        kernel_in, kernel_out = self.input_layer(kernels.reshape(-1, self.feat_channels)).split(self.feat_channels, 1)
        gates = kernel_in * into
        if self.gate_norm_act:
            gates = self.activation(self.gate_norm(gates))
        keep = self.input_norm_in(self.input_gate(gates))
        renew = self.norm_in(self.update_gate(gates))
        if self.gate_sigmoid:
            keep, renew = keep.sigmoid(), renew.sigmoid()
        out, kernel_out = self.norm_out(out), self.input_norm_out(kernel_out)
        if self.activate_out:
            out, kernel_out = self.activation(out), self.activation(kernel_out)
        return self.activation(self.fc_norm(self.fc_layer(renew * out + keep * kernel_out)))


class KernelUpdateHead(nn.Module):
    """Kernels of classes made anew: from what they found, from one another, and by themselves; and what the new ones find.

    Args:
        num_classes: how many kernels.
        num_ffn_fcs, feedforward_channels, with_ffn, ffn_act_cfg: of the feed-forward network, and whether there is one.
        num_heads, dropout: of the attention.
        num_mask_fcs: how many layers stand before the last one.
        in_channels, out_channels: of maps and kernels.
        act_cfg: layers.
        conv_kernel_size, feat_gather_stride, mask_transform_stride: 1.
        feat_transform_cfg: layers of a convolution of the maps, or None.
        kernel_init: whether the last layer starts near 0.
        kernel_updator_cfg: config of what `KernelUpdator` does.

    ``forward(maps, kernels, said)``: new logits and kernels of maps (N, C, H, W), kernels (N, K, C) and logits (N, K, H, W).
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__()
        expect_plain("KernelUpdateHead", "conv_kernel_size", (conv_kernel_size,))
        expect_plain("KernelUpdateHead", "the strides", (feat_gather_stride, mask_transform_stride))
        self.init_cfg = KERNEL_INIT[bool(kernel_init)]
        self.attention = MultiheadAttention(in_channels, num_heads, dropout)
        self.attention_norm = norm_layer(_LN, in_channels)[1]
        self.kernel_update_conv = part(build, "models", kernel_updator_cfg)
        self.feat_transform = None
        if feat_transform_cfg is not None:
            size = feat_transform_cfg.get("kernel_size", 1)
            cfg = {key: value for key, value in feat_transform_cfg.items() if key != "kernel_size"}
            self.feat_transform = ConvModule(in_channels, in_channels, size, **cfg)
        if with_ffn:
            self.ffn = FFN(in_channels, feedforward_channels, num_ffn_fcs, ffn_act_cfg, dropout)
            self.ffn_norm = norm_layer(_LN, in_channels)[1]
        self.with_ffn = with_ffn
        self.mask_fcs = nn.ModuleList()
        for _ in range(num_mask_fcs):
            self.mask_fcs.append(nn.Linear(in_channels, in_channels, bias=False))
            self.mask_fcs.append(norm_layer(_LN, in_channels)[1])
            self.mask_fcs.append(act_layer(act_cfg))
        self.fc_mask = nn.Linear(in_channels, out_channels)

    def forward(self, maps: Tensor, kernels: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        x = maps if self.feat_transform is None else self.feat_transform(maps)
        shares = resized(said, x.shape[2:]) if said.shape[2:] != x.shape[2:] else said
        gathered = torch.einsum("nkhw,nchw->nkc", shares.softmax(1), x)
        new = self.kernel_update_conv(gathered, kernels).reshape(kernels.shape)
        new = self.attention_norm(self.attention(new.transpose(0, 1))).transpose(0, 1)
        new = self.ffn_norm(self.ffn(new)) if self.with_ffn else new
        last = new
        for layer in self.mask_fcs:
            last = layer(last)
        return torch.einsum("nkc,nchw->nkhw", self.fc_mask(last), x), new


class IterativeDecodeHead(nn.Module):
    """A head, and others that make its classes' kernels anew, one after the other (Zhang et al. 2021, K-Net).

    Args:
        num_stages: how many others.
        kernel_generate_head: config of the first.
        kernel_update_head: a config for each other.
    """

    def __init__(self, num_stages: int, kernel_generate_head: Any, kernel_update_head: Any, *, build: Builder) -> None:
        super().__init__()
        expect_stages(num_stages, kernel_update_head)
        self.kernel_generate_head = part(build, "models", kernel_generate_head)
        self.kernel_update_head = nn.ModuleList(part(build, "models", kernel_update_head))

    @property
    def logic(self) -> Any:
        """That of the first head."""
        return self.kernel_generate_head.logic

    def stages(self, maps: Maps) -> list[Tensor]:
        """Logits of every head."""
        first = self.kernel_generate_head
        x = first.features(maps)
        said = [first.classified(x)]
        kernels = first.conv_seg.weight.flatten(1).expand(len(x), -1, -1)
        for head in self.kernel_update_head:
            new, kernels = head(x, kernels, said[-1])
            said.append(new)
        return said

    def forward(self, maps: Maps) -> Any:
        said = self.stages(maps)
        return said if self.training else said[-1]

    def loss(self, maps: Maps, samples: Samples | None) -> dict[str, Tensor]:
        """Losses by name and head, and ``acc_seg`` of each."""
        return {
            f"{name}.s{at}": value
            for at, logits in enumerate(self.stages(maps))
            for name, value in self.kernel_generate_head.losses_of(logits, samples).items()
        }

    def logits(self, maps: Maps, size: Sequence[int]) -> Tensor:
        """Logits of prediction, of a size."""
        return self.kernel_generate_head.resized(self.stages(maps)[-1], size)

"""What heads of pixels' classes share, and the plainest ones, with mmseg's arguments and parameter names."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.brick import RELU
from fkit.backend.torch.drop import Dropout2d
from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.segmentation.decode import INIT, LOSS, decode_logic, input_channels, labels_of, picked
from fkit.structures.batch import Samples
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule

__all__ = ["DecodeHead", "DepthwiseSeparableFCNHead", "FCNHead", "resized"]

Maps = Sequence[Tensor]


def resized(x: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Maps (N, C, H, W) of another size, bilinear."""
    return F.interpolate(x, (size[0], size[1]), mode="bilinear", align_corners=align_corners)


class DecodeHead(nn.Module):
    """What heads share: from a backbone's maps to logits (N, K, h, w); mmseg's BaseDecodeHead.

    Args:
        in_channels: of the map that it takes, or of each of several.
        channels: of what ``conv_seg`` classifies.
        num_classes: how many labels there are.
        out_channels: of the logits: as many, or 1 for two classes.
        threshold: of one channel: the probability above which a pixel is of class 1; None: 0.3.
        dropout_ratio: the share of channels that training drops before ``conv_seg``.
        conv_cfg, norm_cfg, act_cfg: layers.
        in_index: which map it takes, or which ones.
        input_transform: None (one map), "resize_concat" (several, at the first one's size) or "multiple_select".
        loss_decode: config of the loss, or of several.
        ignore_index: a label that costs nothing.
        sampler: config of what chooses pixels, or None.
        align_corners: how maps and logits are resized.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
        in_channels: Any,
        channels: int,
        *,
        num_classes: int,
        out_channels: int | None = None,
        threshold: float | None = None,
        dropout_ratio: float = 0.1,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = RELU,
        in_index: Any = -1,
        input_transform: str | None = None,
        loss_decode: Any = LOSS,
        ignore_index: int | None = 255,
        sampler: Any = None,
        align_corners: bool = False,
        init_cfg: Any = INIT,
        build: Builder,
    ) -> None:
        super().__init__()
        self.logic = decode_logic(
            build, type(self).__name__, num_classes, out_channels, threshold, ignore_index, loss_decode, sampler,
            align_corners,
        )  # fmt: skip
        self.in_channels = input_channels(type(self).__name__, in_channels, in_index, input_transform)
        self.in_index, self.input_transform, self.widths = in_index, input_transform, in_channels
        self.channels, self.align_corners, self.init_cfg = channels, align_corners, init_cfg
        self.cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv = partial(ConvModule, **self.cfgs)
        self.conv_seg: nn.Module = nn.Conv2d(channels, self.logic.out_channels, 1)
        self.dropout = Dropout2d(dropout_ratio) if dropout_ratio > 0 else None

    def taken(self, maps: Maps) -> Any:
        """The map that the head takes, or a list of those."""
        several = picked(type(self).__name__, maps, self.in_index, self.widths, 1)
        if self.input_transform is None:
            return several[0]
        if self.input_transform == "multiple_select":
            return several
        return torch.cat([self.resized(x, several[0].shape[2:]) for x in several], 1)

    def resized(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Maps of another size."""
        return resized(x, size, self.align_corners)

    def classified(self, x: Tensor) -> Tensor:
        """Logits of features."""
        return self.conv_seg(x if self.dropout is None else self.dropout(x))

    def features(self, maps: Maps) -> Tensor:
        """What is classified."""
        raise NotImplementedError

    def forward(self, maps: Maps) -> Any:
        return self.classified(self.features(maps))

    def loss(self, maps: Maps, samples: Samples | None) -> dict[str, Tensor]:
        """Losses by name, and ``acc_seg``."""
        return self.losses_of(self(maps), samples)

    def losses_of(self, logits: Tensor, samples: Samples | None) -> dict[str, Tensor]:
        """Those of logits of any size."""
        xp = Torch(logits.device)
        labels = labels_of(xp, samples)
        return self.logic.losses_of(xp, self.resized(logits, labels.shape[1:]), labels)

    def logits(self, maps: Maps, size: Sequence[int]) -> Tensor:
        """Logits of prediction, of a size."""
        return self.resized(self(maps), size)


class FCNHead(DecodeHead):
    """Convolutions, and one of their input and output together (Long et al. 2015).

    Args:
        num_convs, kernel_size, dilation: of the convolutions.
        concat_input: whether there is that last one.
        more: see `DecodeHead`.
    """

    def __init__(
        self,
        num_convs: int = 2,
        kernel_size: int = 3,
        concat_input: bool = True,
        dilation: int = 1,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        super().__init__(build=build, **more)
        if num_convs == 0 and self.in_channels != self.channels:
            raise FkitValueError(
                f"{type(self).__name__}: without convolutions channels={self.channels} are in_channels={self.in_channels}."
            )
        conv, pad = self.brick(), kernel_size // 2
        wide = [self.in_channels, *[self.channels] * max(num_convs - 1, 0)]
        layers = [
            conv(width, self.channels, kernel_size=kernel_size, padding=pad * dilation, dilation=dilation)
            for width in wide[:num_convs]
        ]
        self.convs = nn.Sequential(*layers) if layers else nn.Identity()
        self.conv_cat = (
            conv(self.in_channels + self.channels, self.channels, kernel_size=kernel_size, padding=pad)
            if concat_input
            else None
        )

    def brick(self) -> Any:
        """What makes its convolutions."""
        return self.conv

    def features(self, maps: Maps) -> Tensor:
        x = self.taken(maps)
        out = self.convs(x)
        return out if self.conv_cat is None else self.conv_cat(torch.cat([x, out], 1))


class DepthwiseSeparableFCNHead(FCNHead):
    """`FCNHead` of depthwise separable convolutions (Poudel et al. 2019).

    Args:
        dw_act_cfg: the activation of depthwise convolutions; None is none.
        more: see `FCNHead`.
    """

    def __init__(self, dw_act_cfg: Any = None, *, build: Builder, **more: Any) -> None:
        self.dw_act_cfg = dw_act_cfg
        super().__init__(build=build, **more)

    def brick(self) -> Any:
        return partial(DepthwiseSeparableConvModule, norm_cfg=self.cfgs["norm_cfg"], dw_act_cfg=self.dw_act_cfg)

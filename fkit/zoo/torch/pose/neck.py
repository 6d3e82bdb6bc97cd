"""Necks of pose estimators."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backbone.cspnext import CSP_INIT
from fkit.pose.neck import CSP_BN, SWISH, TWICE, chosen_maps, expect_factor, expect_none
from fkit.zoo.torch.csp import CSPLayer, CSPNeXtPAFPN

__all__ = ["FeatureMapProcessor", "PosePAFPN"]


class FeatureMapProcessor(nn.Module):
    """Maps chosen, joined at the first one's size, and resized; mmpose's FeatureMapProcessor.

    Args:
        select_index: which maps; None: all.
        concat: join them along their channels.
        scale_factor: of height and width.
        apply_relu: a ReLU of each before it is resized.
        align_corners: of resizing.
    """

    def __init__(
        self,
        select_index: int | Sequence[int] | None = None,
        concat: bool = False,
        scale_factor: float = 1.0,
        apply_relu: bool = False,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.select_index, self.concat = select_index, concat
        self.scale_factor, self.apply_relu, self.align_corners = expect_factor(scale_factor), apply_relu, align_corners

    def forward(self, maps: Any) -> Any:
        if isinstance(maps, Tensor):
            return self._each([maps])[0]
        several = chosen_maps(maps, self.select_index)
        if self.concat:
            size = several[0].shape[2:]
            parts = [F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners) for x in several]
            several = [torch.cat(parts, 1)]
        return tuple(self._each(several))

    def _each(self, maps: list[Tensor]) -> list[Tensor]:
        if self.apply_relu:
            maps = [F.relu(x) for x in maps]
        if self.scale_factor == 1.0:
            return maps
        options: Any = {"scale_factor": self.scale_factor, "mode": "bilinear", "align_corners": self.align_corners}
        return [F.interpolate(x, **options) for x in maps]


class PosePAFPN(CSPNeXtPAFPN):
    """Some of the maps of a `CSPNeXtPAFPN`'s paths, without its last convolutions; mmpose's CSPNeXtPAFPN.

    Args:
        out_channels: None: maps keep their channels.
        out_indices: which maps.
        in_channels, num_csp_blocks, use_depthwise, expand_ratio, upsample_cfg, conv_cfg, norm_cfg, act_cfg, init_cfg: see
            `CSPNeXtPAFPN`.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: None = None,
        out_indices: Sequence[int] = (0, 1, 2),
        num_csp_blocks: int = 3,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        upsample_cfg: Mapping[str, Any] = TWICE,
        conv_cfg: Any = None,
        norm_cfg: Any = CSP_BN,
        act_cfg: Any = SWISH,
        init_cfg: Any = CSP_INIT,
    ) -> None:
        nn.Module.__init__(self)
        self.init_cfg, self.out_indices = init_cfg, tuple(out_indices)
        expect_none(out_channels)
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        layer = partial(
            CSPLayer, expand_ratio=expand_ratio, num_blocks=num_csp_blocks, add_identity=False,
            use_depthwise=use_depthwise, use_cspnext_block=True, **cfgs,
        )  # fmt: skip
        self._build(in_channels, layer, use_depthwise, upsample_cfg, cfgs)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(chosen_maps(self.paths(inputs), self.out_indices))

"""Necks of pose estimators."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.pose.neck import chosen_maps, expect_factor

__all__ = ["FeatureMapProcessor"]


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

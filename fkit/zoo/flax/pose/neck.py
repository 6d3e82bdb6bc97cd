"""Necks of pose estimators; channels last."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.resize import interpolate
from fkit.pose.neck import chosen_maps, expect_factor

__all__ = ["FeatureMapProcessor", "GlobalAveragePooling"]

Array = jax.Array


class GlobalAveragePooling(nn.Module):
    """Maps (N, H, W, C) to features: the mean over all positions, (N, C); a tuple gives a tuple."""

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> Any:
        return jax.tree.map(lambda x: x.mean((1, 2)), maps)


class FeatureMapProcessor(nn.Module):
    """Maps chosen, joined at the first one's size, and resized; mmpose's FeatureMapProcessor.

    Attributes:
        select_index: which maps; None: all.
        concat: join them along their channels.
        scale_factor: of height and width.
        apply_relu: a ReLU of each before it is resized.
        align_corners: of resizing.
    """

    select_index: int | Sequence[int] | None = None
    concat: bool = False
    scale_factor: float = 1.0
    apply_relu: bool = False
    align_corners: bool = False

    def __post_init__(self) -> None:
        expect_factor(self.scale_factor)
        super().__post_init__()

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> Any:
        if not isinstance(maps, (tuple, list)):
            return self._each([maps])[0]
        several = chosen_maps(maps, self.select_index)
        if self.concat:
            size = several[0].shape[1:3]
            parts = [interpolate(x, size, mode="bilinear", align_corners=self.align_corners) for x in several]
            several = [jnp.concatenate(parts, -1)]
        return tuple(self._each(several))

    def _each(self, maps: list[Array]) -> list[Array]:
        if self.apply_relu:
            maps = [nn.relu(x) for x in maps]
        if self.scale_factor == 1.0:
            return maps
        options: Any = {"scale_factor": self.scale_factor, "mode": "bilinear", "align_corners": self.align_corners}
        return [interpolate(x, **options) for x in maps]

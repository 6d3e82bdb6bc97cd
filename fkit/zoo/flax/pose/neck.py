"""Necks of pose estimators; channels last."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.resize import interpolate
from fkit.pose.neck import chosen_maps, expect_factor, expect_none
from fkit.zoo.flax.csp import CSPNeXtPAFPN

__all__ = ["FeatureMapProcessor", "GlobalAveragePooling", "PosePAFPN"]

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


class PosePAFPN(CSPNeXtPAFPN):
    """Some of the maps of a `CSPNeXtPAFPN`'s paths, without its last convolutions; mmpose's CSPNeXtPAFPN.

    Attributes:
        out_channels: None: maps keep their channels.
        out_indices: which maps; the others are `CSPNeXtPAFPN`'s.
    """

    out_channels: Any = None
    out_indices: Sequence[int] = (0, 1, 2)

    def __post_init__(self) -> None:
        expect_none(self.out_channels)
        super().__post_init__()

    def _last(self, width: int, name: str) -> Any:
        return lambda x, train: x

    def __call__(self, inputs: tuple[Array, ...], train: bool = False) -> tuple[Array, ...]:
        return tuple(chosen_maps(super().__call__(inputs, train), self.out_indices))

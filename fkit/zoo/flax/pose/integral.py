"""Heads of coordinates that are the mean places of heatmaps."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.pose.deconv import ONE, final_of
from fkit.pose.flow import REGRESSION_INIT, SMOOTH
from fkit.pose.integral import BOTH, Integrals, Means, map_size, mean_places
from fkit.pose.line import expect_pixels
from fkit.zoo.flax.pose.heatmap import heatmap_head, last_layer
from fkit.zoo.flax.small import check_channels

__all__ = ["IntegralRegressionHead", "dsnt_head", "integral_head"]

Array = jax.Array


class IntegralRegressionHead(nn.Module):
    """Coordinates as mean places of maps; see `integral_head`.

    Attributes:
        size: (width, height) of the maps.
        simplebaseline_head: of maps; None: ``final_layer`` alone makes them.
        logic: what is made of coordinates and maps.
        trainable: of the places of columns and rows.
    """

    in_channels: int
    num_joints: int
    size: tuple[int, int]
    beta: float
    debias: bool
    final_layer: Any
    logic: Means
    simplebaseline_head: Any = None
    init_cfg: Any = REGRESSION_INIT

    trainable: ClassVar[bool] = False
    torch_order: ClassVar[tuple[str, ...]] = ("linspace_x", "linspace_y", "simplebaseline_head", "final_layer")

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Means:
        """What is made of coordinates and maps."""
        return self.logic

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> tuple[Array, Array]:
        lines = [
            self.param(f"linspace_{name}", _places, shape)
            for name, shape in (("x", (1, 1, 1, self.size[0])), ("y", (1, 1, self.size[1], 1)))
        ]
        if self.simplebaseline_head is not None:
            x = self.simplebaseline_head(maps, train)
        else:
            check_channels(self.logic.name, maps[-1], self.in_channels)
            x = last_layer(self.logic.name, self.final_layer, self.in_channels, self.num_joints, maps[-1])
            x = jnp.moveaxis(x, -1, 1)
        if self.is_initializing():  # whatever example the layers are made of
            x = jnp.zeros((*x.shape[:2], *reversed(self.size)), x.dtype)
        expect_pixels(self.logic.name, x.shape[2] * x.shape[3], self.size[0] * self.size[1])
        across, down = (jax.lax.stop_gradient(line).astype(x.dtype) for line in lines)
        return mean_places(JaxOps(), x, across, down, self.beta, self.debias)


def _places(key: Array, shape: tuple[int, ...]) -> Array:
    """Columns or rows, in parts of their number."""
    size = max(shape)
    return (jnp.arange(size) / size).reshape(shape)


def _made(
    who: str, kind: Any, in_channels: int, size: Sequence[int], joints: int, debias: bool, beta: float,
    layers: tuple[Any, Any, Any, Any], final_layer: Any, loss: Any, decoder: Any, init_cfg: Any, build: Builder,
) -> IntegralRegressionHead:  # fmt: skip
    whole = map_size(who, size, len(layers[0] or ()))
    final_of(who, final_layer, in_channels, joints)
    body = heatmap_head(in_channels, joints, *layers, final_layer, build=build) if layers[0] else None
    logic = kind.of(build, who, loss, decoder)
    rules = REGRESSION_INIT if init_cfg is None else init_cfg
    return IntegralRegressionHead(in_channels, joints, whole, beta, debias, final_layer, logic, body, rules)


def integral_head(
    in_channels: int,
    in_featuremap_size: Sequence[int],
    num_joints: int,
    debias: bool = False,
    beta: float = 1.0,
    deconv_out_channels: Sequence[int] | None = (256, 256, 256),
    deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
    conv_out_channels: Sequence[int] | None = None,
    conv_kernel_sizes: Sequence[int] | None = None,
    final_layer: Any = ONE,
    loss: Any = SMOOTH,
    decoder: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> IntegralRegressionHead:
    """Coordinates as mean places of maps (Sun et al. 2018); mmpose's IntegralRegressionHead.

    Args:
        in_channels: of the map.
        in_featuremap_size: its (width, height).
        num_joints: keypoints.
        debias: without the softmax's bias (Gu et al. 2021).
        beta: maps are multiplied with it before their softmax.
        deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes, final_layer: see `heatmap_head`.
        loss: config of the loss.
        decoder: config of a codec, without which there are no predictions.
        init_cfg: rules for initial weights.

    Returns:
        ``(maps, train)`` -> coordinates (N, K, 2) in parts of the input's sides, and the maps' softmax (N, K, H, W).
    """
    layers = (deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes)
    return _made(
        "IntegralRegressionHead", Means, in_channels, in_featuremap_size, num_joints, debias, beta, layers, final_layer,
        loss, decoder, init_cfg, build,
    )  # fmt: skip


def dsnt_head(
    in_channels: int,
    in_featuremap_size: Sequence[int],
    num_joints: int,
    lambda_t: int = -1,
    debias: bool = False,
    beta: float = 1.0,
    deconv_out_channels: Sequence[int] | None = (256, 256, 256),
    deconv_kernel_sizes: Sequence[int] | None = (4, 4, 4),
    conv_out_channels: Sequence[int] | None = None,
    conv_kernel_sizes: Sequence[int] | None = None,
    final_layer: Any = ONE,
    loss: Any = BOTH,
    decoder: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> IntegralRegressionHead:
    """`integral_head` whose maps learn too (Nibali et al. 2018); mmpose's DSNTHead.

    Args:
        lambda_t: the epoch from which maps learn no more; 0 and less: they do to the end.
        in_channels, in_featuremap_size, num_joints, debias, beta, deconv_out_channels, deconv_kernel_sizes, conv_out_channels,
        conv_kernel_sizes, final_layer, loss, decoder, init_cfg: see `integral_head`.
    """
    layers = (deconv_out_channels, deconv_kernel_sizes, conv_out_channels, conv_kernel_sizes)
    head = _made(
        "DSNTHead", Integrals, in_channels, in_featuremap_size, num_joints, debias, beta, layers, final_layer,
        loss, decoder, init_cfg, build,
    )  # fmt: skip
    return head.clone(logic=replace(head.logic, lambda_t=lambda_t))

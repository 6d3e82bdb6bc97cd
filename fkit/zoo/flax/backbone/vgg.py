"""VGG (Simonyan and Zisserman 2015) and AlexNet (Krizhevsky et al. 2012), with mmpretrain's arguments and parameter names; channels
last."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.vgg import INIT, VggPlan, vgg_layers
from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import Conv2d, Linear, max_pool
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["VGG", "AlexNet"]

Array = jax.Array


def _flat(x: Array) -> Array:
    """Maps as rows of features, channels first, as torch flattens them."""
    return jnp.moveaxis(x, -1, 1).reshape(x.shape[0], -1)


class VGG(nn.Module):
    """VGG, a backbone: images (N, H, W, 3) to a tuple of maps; with classes, of their logits (N, K) too, from images of 224.

    Attributes:
        depth: 11, 13, 16 or 19.
        num_classes: K; none or less: no linear layers.
        num_stages, dilations: the stages, and of their convolutions.
        out_indices: the stages whose maps are given; None is the last, or the logits alone.
        frozen_stages: how many stages have no gradient.
        norm_eval: batch norms stay in evaluation mode.
        ceil_mode: whether pooling takes windows that are not whole.
        with_last_pool: whether the last stage ends in a pooling.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    depth: int
    num_classes: int = -1
    num_stages: int = 5
    dilations: Sequence[int] = (1, 1, 1, 1, 1)
    out_indices: Sequence[int] | None = None
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = frozendict(type="ReLU")
    norm_eval: bool = False
    ceil_mode: bool = False
    with_last_pool: bool = True
    init_cfg: Any = INIT

    def __post_init__(self) -> None:
        _ = self.plan
        super().__post_init__()

    @property
    def plan(self) -> VggPlan:
        """The layers."""
        return vgg_layers(
            self.depth, self.num_classes, self.num_stages, self.dilations, self.out_indices, self.with_last_pool
        )

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("VGG", x, 3)
        plan, outs = self.plan, list[Array]()
        still = plan.ends[self.frozen_stages - 1] if self.frozen_stages > 0 else 0
        layers: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        for i, conv in enumerate(plan.layers):
            if conv is None:
                x = self._pooled(x)
            else:
                inner, width, gap = conv
                layer = ConvModule(
                    inner, width, 3, padding=gap, dilation=gap, bias=True, frozen=i < still, name=f"features_{i}",
                    **layers,
                )  # fmt: skip
                x = layer(x, train and not self.norm_eval and i >= still)
            if i + 1 in plan.ends and plan.ends.index(i + 1) in plan.outputs:
                outs.append(x)
        if self.num_classes > 0:
            x = _flat(x)
            for i, width in ((0, 4096), (3, 4096)):
                x = nn.relu(Linear(width, name=f"classifier_{i}")(x))
                x = Dropout(0.5, name=f"classifier_{i + 2}")(x, train)
            outs.append(Linear(self.num_classes, name="classifier_6")(x))
        return tuple(outs)

    def _pooled(self, x: Array) -> Array:
        if self.ceil_mode:
            pad = ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0))
            x = jnp.pad(x, pad, constant_values=-jnp.inf)
        return max_pool(x, 2)


class AlexNet(nn.Module):
    """AlexNet, a backbone: images (N, H, W, 3) to a tuple of one map, or of logits (N, K) from images of 224.

    Attributes:
        num_classes: K; none or less: no linear layers.
        init_cfg: rules for initial weights.
    """

    num_classes: int = -1
    init_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("AlexNet", x, 3)
        x = nn.relu(Conv2d(64, (11, 11), strides=4, padding=2, name="features_0")(x))
        x = nn.relu(Conv2d(192, (5, 5), padding=2, name="features_3")(max_pool(x, 3, 2)))
        x = max_pool(x, 3, 2)
        for i, width in ((6, 384), (8, 256), (10, 256)):
            x = nn.relu(Conv2d(width, (3, 3), padding=1, name=f"features_{i}")(x))
        x = max_pool(x, 3, 2)
        if self.num_classes <= 0:
            return (x,)
        x = _flat(x)
        for i in (1, 4):
            x = Dropout(0.5, name=f"classifier_{i - 1}")(x, train)
            x = nn.relu(Linear(4096, name=f"classifier_{i}")(x))
        return (Linear(self.num_classes, name="classifier_6")(x),)

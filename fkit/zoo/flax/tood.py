"""TOOD's head: shared convolutions, of which classes and boxes each take what they need; channels last."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import Conv2d
from fkit.backend.jax.ops import JaxOps
from fkit.detection.headed import headed
from fkit.detection.tood import TOODHead as TOOD
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.dense_head import DenseHead, names

__all__ = ["TOODHead", "TaskDecomposition"]

Array = jax.Array


class TaskDecomposition(nn.Module):
    """Of the outputs of several convolutions, each weighted by a number that they say themselves, one map.

    Attributes:
        width: channels of each.
        depth: how many.
        conv_cfg, norm_cfg: of the layer that brings them together.
    """

    width: int
    depth: int
    conv_cfg: Any = None
    norm_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, mean: Array, train: bool) -> Array:
        inner = nn.relu(Conv2d(self.width // 8, (1, 1), name="layer_attention_0")(mean))
        share = nn.sigmoid(Conv2d(self.depth, (1, 1), name="layer_attention_2")(inner))
        x = x * jnp.repeat(share, self.width, axis=-1)
        layer = ConvModule(
            self.width * self.depth,
            self.width,
            1,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            name="reduction_conv",
        )
        if self.norm_cfg is not None:
            return layer(x, train)
        plain = layer(x, train, activate=False)
        return nn.relu(plain - layer(0 * mean, train, activate=False))  # its bias takes no part


class _TOOD(DenseHead):
    """See `fkit.detection.tood.TOODHead`."""

    def setup(self) -> None:
        super().setup()
        logic = self.logic
        width, depth = logic.feat_channels, logic.stacked_convs
        for name in ("cls_decomp", "reg_decomp"):
            setattr(self, name, TaskDecomposition(width, depth, logic.conv_cfg, logic.norm_cfg))
        for name, outer in (("cls_prob_module", 1), ("reg_offset_module", 8)):
            setattr(self, f"{name}_0", Conv2d(width // 4, (1, 1)))
            setattr(self, f"{name}_2", Conv2d(outer, (3, 3), padding=1))

    def _level(self, level: int, x: Array, train: bool) -> tuple[Array, ...]:
        logic = self.logic
        mine: Any = self  # its layers by their names
        steps: list[Array] = []
        for name in names(logic.plan.towers[0]):
            x = getattr(self, name)(x, train)
            steps.append(x)
        feature = jnp.concatenate(steps, -1)
        mean = feature.mean((1, 2), keepdims=True)
        sides = mine.tood_reg(mine.reg_decomp(feature, mean, train))
        sides = getattr(self, f"scales_{level}")(jnp.exp(sides) if logic.anchor_type == "anchor_free" else sides)
        logits = mine.tood_cls(mine.cls_decomp(feature, mean, train))
        chance = mine.cls_prob_module_2(nn.relu(mine.cls_prob_module_0(feature)))
        offset = mine.reg_offset_module_2(nn.relu(mine.reg_offset_module_0(feature)))
        return logic.met(JaxOps(), level, logits, chance, sides, offset)


TOODHead = headed(_TOOD, TOOD)

"""Heads of classifiers whose images have any number of labels, as mmpretrain has them; channels last."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import Conv2d, Linear
from fkit.detection.loss.label import temperatures, truth_of
from fkit.structures.batch import Samples
from fkit.zoo.flax.classifier import Head, last

__all__ = [
    "CSRAClsHead",
    "MultiLabelClsHead",
    "MultiLabelLinearClsHead",
    "csra_cls_head",
    "multi_label_cls_head",
    "multi_label_linear_cls_head",
]

Array = jax.Array

_LOSS = frozendict(type="CrossEntropyLoss", use_sigmoid=True)
_INIT = frozendict(type="Normal", layer="Linear", std=0.01)


class MultiLabelClsHead(Head):
    """Features that are logits already: loss and predictions, of images with any number of labels.

    Attributes:
        loss_module: what ``loss`` was built to.
        thr, limit: from which score on a class is predicted, or how many are; for those who read the scores.
        init_cfg: rules for initial weights.

    The truth is ``gt_score`` (N, K), or ``gt_label`` (N,) of images with one label each.
    """

    loss_module: Any
    thr: float | None = None
    limit: int | None = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        self.check_classes()
        super().__post_init__()

    @property
    def label_ranges(self) -> None:
        """None: labels are scores, too."""
        return

    def __call__(self, features: Any) -> Array:
        return last(features)

    def loss(self, features: Any, samples: Samples | None, *told: bool) -> dict[str, Array]:
        """``loss``."""
        logits = self(features, *told)
        wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        return {"loss": self.loss_module(wide, truth_of({} if samples is None else samples.targets))}

    def predict(self, features: Any) -> dict[str, Array]:
        """``pred_score`` (N, K), a sigmoid of each class."""
        return {"pred_score": nn.sigmoid(self(features))}


class MultiLabelLinearClsHead(MultiLabelClsHead):
    """One linear layer from features to logits: ``fc``.

    Attributes:
        num_classes: K.
        in_channels: of the features.
        loss_module, thr, limit, init_cfg: see `MultiLabelClsHead`.
    """

    num_classes: int = 1
    in_channels: int = 1

    def setup(self) -> None:
        self.fc = Linear(self.num_classes)

    def __call__(self, features: Any) -> Array:
        return self.fc(last(features))


class _Residual(nn.Module):
    """Logits of a class: the mean of its scores over a map, and of the scores where they are greatest; ``head``."""

    classes: int
    heat: float | None
    lam: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        layer = Conv2d(self.classes, (1, 1), use_bias=False, name="head")
        scores = layer(x)
        kernel = layer.variables["params"]["kernel"].reshape(-1, self.classes)
        scores = (scores / jnp.sqrt(jnp.square(kernel).sum(0))).reshape(x.shape[0], -1, self.classes)
        if self.heat is None:
            seen = scores.max(1)
        else:
            seen = (scores * nn.softmax(scores * self.heat, 1)).sum(1)
        return scores.mean(1) + self.lam * seen


class CSRAClsHead(MultiLabelLinearClsHead):
    """Residual attention of each class (Zhu and Wu 2021), of maps (N, H, W, C): ``csra_heads.0.head``, ...

    Attributes:
        num_classes: K.
        in_channels: of the maps.
        num_heads: 1, 2, 4, 6 or 8, of different temperatures.
        lam: the weight of the attention beside the mean, above 0.
        loss_module, thr, limit, init_cfg: see `MultiLabelClsHead`.
    """

    num_heads: int = 1
    lam: float = 0.1

    def __post_init__(self) -> None:
        temperatures("CSRAClsHead", self.num_heads, self.lam)
        super().__post_init__()

    def setup(self) -> None:
        heats = temperatures("CSRAClsHead", self.num_heads, self.lam)
        self.csra_heads = [_Residual(self.num_classes, heat, self.lam) for heat in heats]

    def __call__(self, features: Any) -> Array:
        x = last(features)
        parts = [head(x) for head in self.csra_heads]
        return sum(parts[1:], parts[0])


def multi_label_cls_head(
    loss: Any = _LOSS, thr: float | None = None, topk: int | None = None, init_cfg: Any = None, *, build: Any
) -> MultiLabelClsHead:
    """The maker of `MultiLabelClsHead` from a config."""
    return MultiLabelClsHead(build("models", loss), thr, topk, init_cfg)


def multi_label_linear_cls_head(
    num_classes: int,
    in_channels: int,
    loss: Any = _LOSS,
    thr: float | None = None,
    topk: int | None = None,
    init_cfg: Any = _INIT,
    *,
    build: Any,
) -> MultiLabelLinearClsHead:
    """The maker of `MultiLabelLinearClsHead` from a config."""
    return MultiLabelLinearClsHead(build("models", loss), thr, topk, init_cfg, num_classes, in_channels)


def csra_cls_head(
    num_classes: int,
    in_channels: int,
    num_heads: int,
    lam: float,
    init_cfg: Any = _INIT,
    loss: Any = _LOSS,
    thr: float | None = None,
    topk: int | None = None,
    *,
    build: Any,
) -> CSRAClsHead:
    """The maker of `CSRAClsHead` from a config."""
    return CSRAClsHead(build("models", loss), thr, topk, init_cfg, num_classes, in_channels, num_heads, lam)

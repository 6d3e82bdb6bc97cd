"""Heads of classifiers whose images have any number of labels, as mmpretrain has them."""

from collections.abc import Mapping
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.detection.loss.label import temperatures, truth_of
from fkit.structures.batch import Samples
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.classifier import last

__all__ = ["CSRAClsHead", "MultiLabelClsHead", "MultiLabelLinearClsHead"]

_LOSS = frozendict(type="CrossEntropyLoss", use_sigmoid=True)
_INIT = frozendict(type="Normal", layer="Linear", std=0.01)


class MultiLabelClsHead(nn.Module):
    """Features that are logits already: loss and predictions, of images with any number of labels.

    Args:
        loss: config of the loss.
        thr, topk: from which score on a class is predicted, or how many are; for those who read the scores.
        init_cfg: rules for initial weights.

    The truth is ``gt_score`` (N, K), or ``gt_label`` (N,) of images with one label each.
    """

    def __init__(
        self,
        loss: Any = _LOSS,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: Any = None,
        num_classes: int | None = None,
        *,
        build: Any,
    ) -> None:
        super().__init__()
        if num_classes is not None and num_classes <= 0:
            raise FkitValueError(f"{type(self).__name__}: num_classes={num_classes}, but it counts classes, from 1.")
        self.init_cfg = init_cfg
        self.thr, self.topk = 0.5 if thr is None and topk is None else thr, topk
        self.loss_module = build("models", loss)

    def forward(self, features: Any) -> Tensor:
        return last(features)

    def loss(self, features: Any, samples: Samples | None) -> Mapping[str, Tensor]:
        """``loss``."""
        logits = self(features)
        return {"loss": self.loss_module(logits, truth_of({} if samples is None else samples.targets))}

    def predict(self, features: Any) -> Mapping[str, Tensor]:
        """``pred_score`` (N, K), a sigmoid of each class."""
        return {"pred_score": self(features).sigmoid()}


class MultiLabelLinearClsHead(MultiLabelClsHead):
    """One linear layer from features to logits: ``fc``.

    Args:
        num_classes: K.
        in_channels: of the features.
        loss, thr, topk, init_cfg: see `MultiLabelClsHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss: Any = _LOSS,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: Any = _INIT,
        *,
        build: Any,
    ) -> None:
        super().__init__(loss, thr, topk, init_cfg, num_classes, build=build)
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, features: Any) -> Tensor:
        return self.fc(last(features))


class _Residual(nn.Module):
    """Logits of a class: the mean of its scores over a map, and of the scores where they are greatest; ``head``."""

    def __init__(self, num_classes: int, in_channels: int, heat: float | None, lam: float) -> None:
        super().__init__()
        self.heat, self.lam = heat, lam
        self.head = nn.Conv2d(in_channels, num_classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(self.head.weight, dim=1, keepdim=True).transpose(0, 1)
        scores = (self.head(x) / size).flatten(2)
        if self.heat is None:
            seen = scores.amax(2)
        else:
            seen = (scores * (scores * self.heat).softmax(2)).sum(2)
        return scores.mean(2) + self.lam * seen


class CSRAClsHead(MultiLabelClsHead):
    """Residual attention of each class (Zhu and Wu 2021), of maps (N, C, H, W): ``csra_heads.0.head``, ...

    Args:
        num_classes: K.
        in_channels: of the maps.
        num_heads: 1, 2, 4, 6 or 8, of different temperatures.
        lam: the weight of the attention beside the mean, above 0.
        loss, thr, topk, init_cfg: see `MultiLabelClsHead`.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__(loss, thr, topk, init_cfg, num_classes, build=build)
        heats = temperatures("CSRAClsHead", num_heads, lam)
        self.csra_heads = nn.ModuleList(_Residual(num_classes, in_channels, heat, lam) for heat in heats)

    def forward(self, features: Any) -> Tensor:
        x = last(features)
        logits, *parts = (head(x) for head in self.csra_heads)
        for part in parts:
            logits = logits + part
        return logits

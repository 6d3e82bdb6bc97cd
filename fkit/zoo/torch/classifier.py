"""The image classifier, its neck, head and loss, as mmpretrain has them."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["CrossEntropyLoss", "GlobalAveragePooling", "ImageClassifier", "LinearClsHead"]

_MODES = ("tensor", "loss", "predict")
_LOSS = frozendict(type="CrossEntropyLoss", loss_weight=1.0)
_NO_LABEL = -100  # torch's: labels below 0 are refused before they come here
_INIT = frozendict(type="Normal", layer="Linear", std=0.01)


class _Build(Protocol):
    def __call__(self, kind: str, cfg: Any, /, **defaults: Any) -> Any: ...


class ImageClassifier(nn.Module):
    """Backbone, neck and head.

    Args:
        backbone: config of a module (N, C, H, W) -> tuple of feature maps.
        neck: config of a module from those to features, or None.
        head: config of a classification head, or None: then there are features only.
        init_cfg: rules for initial weights.

    ``forward(inputs, samples, mode)``: "tensor" gives logits (N, K), or features where there is no head; "loss" a
    dict of losses; "predict" ``pred_score`` (N, K), a softmax, and ``pred_label`` (N,) int64. Labels are
    ``samples.targets["gt_label"]``, (N,) int.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any = None,
        head: Any = None,
        pretrained: Any = None,
        train_cfg: Any = None,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
        *,
        build: _Build,
    ) -> None:
        super().__init__()
        for name, value in (
            ("train_cfg", train_cfg),
            ("data_preprocessor", data_preprocessor),
        ):
            if value is not None:
                raise FkitValueError(
                    f"ImageClassifier: {name}={value!r} is not supported yet.", repair=f"Leave {name} out."
                )
        self.init_cfg = init_cfg_of(pretrained, init_cfg, "ImageClassifier")
        self.backbone = build("models", backbone)
        self.neck = None if neck is None else build("models", neck)
        self.head = None if head is None else build("models", head)

    @property
    def label_ranges(self) -> Mapping[str, Any] | None:
        """What labels may be: those of the head's classes."""
        return getattr(self.head, "label_ranges", None)

    def forward(self, inputs: Tensor, samples: Samples | None = None, mode: str = "tensor") -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        features = self.backbone(inputs)
        if self.neck is not None:
            features = self.neck(features)
        if self.head is None:
            if mode == "loss":
                raise FkitValueError("ImageClassifier without a head has no loss.", repair="Give the model a head.")
            return features
        if mode == "loss":
            return self.head.loss(features, samples)
        return self.head(features) if mode == "tensor" else self.head.predict(features)


class GlobalAveragePooling(nn.Module):
    """Feature maps to features: the mean over all positions, (N, C, ...) -> (N, C); a tuple gives a tuple.

    Args:
        dim: 1, 2 or 3, the number of axes of positions.
    """

    def __init__(self, dim: int = 2) -> None:
        super().__init__()
        if dim not in (1, 2, 3):
            raise FkitValueError(f"GlobalAveragePooling: dim={dim}, but it is 1, 2 or 3.")
        self.axes = tuple(range(-dim, 0))

    def forward(self, inputs: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(inputs, Tensor):
            return inputs.mean(self.axes)
        return tuple(x.mean(self.axes) for x in inputs)


class CrossEntropyLoss(nn.Module):
    """Softmax cross entropy of logits (N, K) with labels (N,), or with scores (N, K) of each class.

    Args:
        loss_weight: what the loss is multiplied with.
        reduction: "mean" or "sum" over samples.
        ignore_index: the label of samples that take no part (the mean is over the others); None: there is none.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: str = "mean", ignore_index: int | None = None) -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise FkitValueError(f"reduction={reduction!r}.", value=reduction, choices=("mean", "sum"))
        self.loss_weight = loss_weight
        self.reduction = reduction
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        # scores have no label to ignore, and torch takes none beside them
        ignore = _NO_LABEL if self.ignore_index is None or labels.dim() == logits.dim() else self.ignore_index
        loss = F.cross_entropy(logits, labels, reduction=self.reduction, ignore_index=ignore)
        return loss if self.loss_weight == 1.0 else loss * self.loss_weight


class LinearClsHead(nn.Module):
    """One linear layer from features to logits.

    Args:
        num_classes: K.
        in_channels: of the features.
        loss: config of the loss.
        topk: which accuracies, if any.
        cal_acc: log ``accuracy_top-k`` (percent) beside the loss.
        init_cfg: rules for initial weights.
        ignore_index: of the loss, see `CrossEntropyLoss`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss: Any = _LOSS,
        topk: int | tuple[int, ...] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = _INIT,
        ignore_index: int | None = None,
        *,
        build: _Build,
    ) -> None:
        super().__init__()
        if num_classes <= 0:
            raise FkitValueError(f"LinearClsHead: num_classes={num_classes}, but it counts classes, from 1.")
        self.init_cfg = init_cfg
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.cal_acc = cal_acc
        ignoring = {} if ignore_index is None else {"ignore_index": ignore_index}
        self.loss_module = build("models", loss, **ignoring)
        self.label_ranges = frozendict(gt_label=(num_classes, getattr(self.loss_module, "ignore_index", None)))
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, features: Any) -> Tensor:
        return self.fc(features if isinstance(features, Tensor) else features[-1])

    def loss(self, features: Any, samples: Samples | None) -> Mapping[str, Tensor]:
        targets = {} if samples is None else samples.targets
        if "gt_label" not in targets:
            raise FkitKeyError(
                "a loss needs labels: the batch has no targets['gt_label'].", choices=targets, label="Targets"
            )
        labels = targets["gt_label"].long()
        logits = self(features)
        scores = targets.get("gt_score")
        if scores is not None and self.cal_acc:
            raise FkitValueError(
                "LinearClsHead: an accuracy of mixed labels says nothing.", repair="Set cal_acc=False."
            )
        losses = {"loss": self.loss_module(logits, labels if scores is None else scores)}
        if self.cal_acc:
            ranked = logits.detach().topk(max(self.topk), 1).indices == labels[:, None]
            for k in self.topk:
                losses[f"accuracy_top-{k}"] = ranked[:, :k].any(1).to(torch.float32).mean() * 100
        return losses

    def predict(self, features: Any) -> Mapping[str, Tensor]:
        scores = self(features).softmax(1)
        return {"pred_score": scores, "pred_label": scores.argmax(1)}

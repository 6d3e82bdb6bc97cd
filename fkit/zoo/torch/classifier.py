"""The image classifier, its neck, head and loss, as mmpretrain has them."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.detection.loss.label import check_topk, check_weights, label_loss
from fkit.structures.batch import Samples
from fkit.training.mix import augments_of
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["LOSS", "ClsHead", "CrossEntropyLoss", "GlobalAveragePooling", "ImageClassifier", "LinearClsHead", "last"]

_MODES = ("tensor", "loss", "predict")
LOSS = frozendict(type="CrossEntropyLoss", loss_weight=1.0)
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
        train_cfg: ``augments`` and ``probs`` of batch augmentations: what stands before a model (`ClsDataPreprocessor`) mixes.
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
        if data_preprocessor is not None:
            raise FkitValueError(
                f"ImageClassifier: data_preprocessor={data_preprocessor!r} is the run's, not the model's.",
                repair="Leave data_preprocessor out.",
            )
        augments_of(train_cfg, "ImageClassifier: train_cfg")
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
        use_sigmoid: a sigmoid of each class, in place of the softmax; the classes of a sample are added.
        use_soft: labels are scores (which is seen from their shape).
        class_weight: (K,) what the loss of a class is multiplied with; the mean stays that over samples.
        pos_weight: (K,) with ``use_sigmoid``, what the loss of a positive is multiplied with.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        reduction: str = "mean",
        ignore_index: int | None = None,
        use_sigmoid: bool = False,
        use_soft: bool = False,
        class_weight: Any = None,
        pos_weight: Any = None,
    ) -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise FkitValueError(f"reduction={reduction!r}.", value=reduction, choices=("mean", "sum"))
        if use_sigmoid and use_soft:
            raise FkitValueError("CrossEntropyLoss: use_sigmoid and use_soft exclude each other.")
        self.loss_weight = loss_weight
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.use_sigmoid = use_sigmoid
        self.weights = check_weights("CrossEntropyLoss", class_weight, pos_weight, use_sigmoid)
        if ignore_index is not None and (use_sigmoid or class_weight is not None):
            raise FkitValueError("CrossEntropyLoss: ignore_index is for a softmax without class_weight.")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.use_sigmoid or self.weights[0] is not None:
            loss: Tensor = label_loss(logits, labels, self.use_sigmoid, *self.weights, self.reduction)
        else:
            # scores have no label to ignore, and torch takes none beside them
            ignore = _NO_LABEL if self.ignore_index is None or labels.dim() == logits.dim() else self.ignore_index
            loss = F.cross_entropy(logits, labels, reduction=self.reduction, ignore_index=ignore)
        return loss if self.loss_weight == 1.0 else loss * self.loss_weight


class ClsHead(nn.Module):
    """Features that are logits already: loss and predictions.

    Args:
        loss: config of the loss.
        topk: which accuracies, if any.
        cal_acc: log ``accuracy_top-k`` (percent) beside the loss.
        init_cfg: rules for initial weights.
        ignore_index: of the loss, see `CrossEntropyLoss`.

    Heads with layers derive from it and give logits (N, K) in ``forward``.
    """

    def __init__(
        self,
        loss: Any = LOSS,
        topk: int | tuple[int, ...] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = None,
        ignore_index: int | None = None,
        num_classes: int | None = None,
        *,
        build: _Build,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if num_classes is not None and num_classes <= 0:
            raise FkitValueError(f"{name}: num_classes={num_classes}, but it counts classes, from 1.")
        self.init_cfg = init_cfg
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        self.cal_acc = cal_acc
        ignoring = {} if ignore_index is None else {"ignore_index": ignore_index}
        self.loss_module = build("models", loss, **ignoring)
        if num_classes is not None:
            self.label_ranges = frozendict(gt_label=(num_classes, getattr(self.loss_module, "ignore_index", None)))

    def forward(self, features: Any) -> Tensor:
        return last(features)

    def loss(self, features: Any, samples: Samples | None) -> Mapping[str, Tensor]:
        """``loss``, and accuracies in percent where they are asked for."""
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
                f"{type(self).__name__}: an accuracy of mixed labels says nothing.", repair="Set cal_acc=False."
            )
        losses = {"loss": self.loss_module(logits, labels if scores is None else scores)}
        if self.cal_acc:
            check_topk(type(self).__name__, self.topk, logits.shape[1])
            ranked = logits.detach().topk(max(self.topk), 1).indices == labels[:, None]
            for k in self.topk:
                losses[f"accuracy_top-{k}"] = ranked[:, :k].any(1).to(torch.float32).mean() * 100
        return losses

    def predict(self, features: Any) -> Mapping[str, Tensor]:
        """``pred_score`` and ``pred_label``."""
        scores = self(features).softmax(1)
        return {"pred_score": scores, "pred_label": scores.argmax(1)}


def last(features: Any) -> Tensor:
    """The last of several features."""
    return features if isinstance(features, Tensor) else features[-1]


class LinearClsHead(ClsHead):
    """One linear layer from features to logits.

    Args:
        num_classes: K.
        in_channels: of the features.
        loss, topk, cal_acc, init_cfg, ignore_index: see `ClsHead`.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        loss: Any = LOSS,
        topk: int | tuple[int, ...] = (1,),
        cal_acc: bool = False,
        init_cfg: Any = _INIT,
        ignore_index: int | None = None,
        *,
        build: _Build,
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, ignore_index, num_classes, build=build)
        self.fc = nn.Linear(in_channels, num_classes)

    def forward(self, features: Any) -> Tensor:
        x = last(features)
        if x.shape[-1] != self.fc.in_features:
            raise FkitValueError(
                f"{type(self).__name__}: in_channels={self.fc.in_features}, but the features have {x.shape[-1]}.",
                repair=f"in_channels={x.shape[-1]}; a neck of type GlobalAveragePooling pools maps.",
            )
        return self.fc(x)

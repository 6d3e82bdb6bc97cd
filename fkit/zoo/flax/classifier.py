"""The image classifier, its neck, head and loss, as mmpretrain has them; channels last inside."""

from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import Linear
from fkit.catalog.entry import Built
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["CrossEntropyLoss", "GlobalAveragePooling", "ImageClassifier", "LinearClsHead"]

Array = jax.Array
# a config that the registry builds before the module is made
Part = Annotated[Any, Built("models")]

_MODES = ("tensor", "loss", "predict")
_LOSS = frozendict(type="CrossEntropyLoss", loss_weight=1.0)
_INIT = frozendict(type="Normal", layer="Linear", std=0.01)


class ImageClassifier(nn.Module):
    """Backbone, neck and head.

    Attributes:
        backbone: ``(x, train)``, (N, H, W, C) -> tuple of feature maps (channels last).
        neck: from those to features, or None.
        head: a classification head, or None: then there are features only.
        init_cfg: rules for initial weights.

    ``__call__(inputs, samples, mode, train)`` on images (N, C, H, W): "tensor" gives logits (N, K), or features
    (maps as (N, C, H, W)) where there is no head; "loss" a dict of losses; "predict" ``pred_score`` (N, K), a
    softmax, and ``pred_label`` (N,). Labels are ``samples.targets["gt_label"]``, (N,) int.
    """

    backbone: Part
    neck: Part = None
    head: Part = None
    pretrained: Any = None
    train_cfg: Any = None
    data_preprocessor: Any = None
    init_cfg: Any = None

    def __post_init__(self) -> None:
        for name in ("train_cfg", "data_preprocessor"):
            if (value := getattr(self, name)) is not None:
                raise FkitValueError(
                    f"ImageClassifier: {name}={value!r} is not supported yet.", repair=f"Leave {name} out."
                )
        super().__post_init__()

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or what ``pretrained`` says."""
        return init_cfg_of(self.pretrained, self.init_cfg, "ImageClassifier")

    @property
    def label_ranges(self) -> Mapping[str, Any] | None:
        """What labels may be: those of the head's classes."""
        return getattr(self.head, "label_ranges", None)

    def __call__(self, inputs: Any, samples: Samples | None = None, mode: str = "tensor", train: bool = False) -> Any:
        if mode not in _MODES:
            raise FkitValueError(f"mode={mode!r} is unknown.", value=mode, choices=_MODES, label="Modes")
        features = self.backbone(jnp.moveaxis(inputs, 1, -1), train)
        if self.neck is not None:
            features = self.neck(features)
        if self.head is None:
            if mode == "loss":
                raise FkitValueError("ImageClassifier without a head has no loss.", repair="Give the model a head.")
            return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 1), features)
        if mode == "loss":
            return self.head.loss(features, samples)
        return self.head(features) if mode == "tensor" else self.head.predict(features)


class GlobalAveragePooling(nn.Module):
    """Feature maps to features: the mean over all positions, (N, ..., C) -> (N, C); a tuple gives a tuple.

    Attributes:
        dim: 1, 2 or 3, the number of axes of positions.
    """

    dim: int = 2

    def __post_init__(self) -> None:
        if self.dim not in (1, 2, 3):
            raise FkitValueError(f"GlobalAveragePooling: dim={self.dim}, but it is 1, 2 or 3.")
        super().__post_init__()

    def __call__(self, inputs: Any) -> Any:
        axes = tuple(range(-1 - self.dim, -1))
        return jax.tree.map(lambda x: x.mean(axes), inputs)


class CrossEntropyLoss(nn.Module):
    """Softmax cross entropy of logits (N, K) with labels (N,), or with scores (N, K) of each class.

    Attributes:
        loss_weight: what the loss is multiplied with.
        reduction: "mean" or "sum" over samples.
        ignore_index: the label of samples that take no part (the mean is over the others); None: there is none.
    """

    loss_weight: float = 1.0
    reduction: str = "mean"
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise FkitValueError(f"reduction={self.reduction!r}.", value=self.reduction, choices=("mean", "sum"))
        super().__post_init__()

    def __call__(self, logits: Array, labels: Array) -> Array:
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        if labels.ndim == logits.ndim:
            losses = -(labels * nn.log_softmax(logits)).sum(-1)
            return (losses.mean() if self.reduction == "mean" else losses.sum()) * self.loss_weight
        kept = None if self.ignore_index is None else labels != self.ignore_index
        labels = (labels if kept is None else jnp.where(kept, labels, 0)).astype(jnp.int32)  # True and False too
        losses = -jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], 1)[:, 0]
        if self.reduction == "mean":
            return losses.mean(where=kept) * self.loss_weight
        return losses.sum(where=kept) * self.loss_weight


class LinearClsHead(nn.Module):
    """One linear layer from features to logits.

    Attributes:
        num_classes: K.
        in_channels: of the features.
        loss_module: what ``loss`` was built to.
        topk: which accuracies, if any.
        cal_acc: log ``accuracy_top-k`` (percent) beside the loss.
        init_cfg: rules for initial weights.

    The labels that ``loss`` ignores are those of its loss module.
    """

    num_classes: int
    in_channels: int
    loss_module: nn.Module
    topk: tuple[int, ...] = (1,)
    cal_acc: bool = False
    init_cfg: Any = _INIT

    def __post_init__(self) -> None:
        if self.num_classes <= 0:
            raise FkitValueError(f"LinearClsHead: num_classes={self.num_classes}, but it counts classes, from 1.")
        super().__post_init__()

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: 0 up to the number of classes, and what the loss ignores."""
        return frozendict(gt_label=(self.num_classes, getattr(self.loss_module, "ignore_index", None)))

    def setup(self) -> None:
        self.fc = Linear(self.num_classes)

    def __call__(self, features: Any) -> Array:
        features = features[-1] if isinstance(features, (tuple, list)) else features
        if features.shape[-1] != self.in_channels:
            raise FkitValueError(
                f"LinearClsHead: in_channels={self.in_channels}, but the features have {features.shape[-1]}."
            )
        return self.fc(features)

    def loss(self, features: Any, samples: Samples | None) -> dict[str, Array]:
        """``loss``, and accuracies in percent where they are asked for."""
        targets = {} if samples is None else samples.targets
        if "gt_label" not in targets:
            raise FkitKeyError(
                "a loss needs labels: the batch has no targets['gt_label'].", choices=targets, label="Targets"
            )
        labels = targets["gt_label"]
        logits = self(features)
        scores = targets.get("gt_score")
        if scores is not None and self.cal_acc:
            raise FkitValueError(
                "LinearClsHead: an accuracy of mixed labels says nothing.", repair="Set cal_acc=False."
            )
        losses = {"loss": self.loss_module(logits, labels if scores is None else scores)}
        if self.cal_acc:
            ranked = jax.lax.top_k(jax.lax.stop_gradient(logits), max(self.topk))[1] == labels[:, None]
            for k in self.topk:
                losses[f"accuracy_top-{k}"] = ranked[:, :k].any(1).astype(jnp.float32).mean() * 100
        return losses

    def predict(self, features: Any) -> dict[str, Array]:
        """``pred_score`` and ``pred_label``."""
        scores = nn.softmax(self(features))
        return {"pred_score": scores, "pred_label": scores.argmax(1)}


def linear_cls_head(
    num_classes: int,
    in_channels: int,
    loss: Any = _LOSS,
    topk: int | tuple[int, ...] = (1,),
    cal_acc: bool = False,
    init_cfg: Any = _INIT,
    ignore_index: int | None = None,
    *,
    build: Any,
) -> LinearClsHead:
    """The maker of `LinearClsHead` from a config: builds ``loss``, also where it is the default.

    Args:
        ignore_index: of the loss, see `CrossEntropyLoss`.
    """
    topk = (topk,) if isinstance(topk, int) else tuple(topk)
    ignoring = {} if ignore_index is None else {"ignore_index": ignore_index}
    return LinearClsHead(num_classes, in_channels, build("models", loss, **ignoring), topk, cal_acc, init_cfg)

"""The image classifier, its neck, head and loss, as mmpretrain has them; channels last inside."""

from collections.abc import Mapping
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import Linear
from fkit.catalog.entry import Built
from fkit.detection.loss.label import check_topk, check_weights, label_loss
from fkit.structures.batch import Samples
from fkit.training.mix import augments_of
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = [
    "LOSS",
    "ClsHead",
    "CrossEntropyLoss",
    "GlobalAveragePooling",
    "Head",
    "ImageClassifier",
    "LinearClsHead",
    "cls_head",
    "last",
    "linear_cls_head",
    "shared",
]

Array = jax.Array
# a config that the registry builds before the module is made
Part = Annotated[Any, Built("models")]

_MODES = ("tensor", "loss", "predict")
LOSS = frozendict(type="CrossEntropyLoss", loss_weight=1.0)
_INIT = frozendict(type="Normal", layer="Linear", std=0.01)


class ImageClassifier(nn.Module):
    """Backbone, neck and head.

    Attributes:
        backbone: ``(x, train)``, (N, H, W, C) -> tuple of feature maps (channels last).
        neck: from those to features, or None.
        head: a classification head, or None: then there are features only.
        train_cfg: ``augments`` and ``probs`` of batch augmentations: what stands before a model (`ClsDataPreprocessor`) mixes.
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
        if self.data_preprocessor is not None:
            raise FkitValueError(
                f"ImageClassifier: data_preprocessor={self.data_preprocessor!r} is the run's, not the model's.",
                repair="Leave data_preprocessor out.",
            )
        augments_of(self.train_cfg, "ImageClassifier: train_cfg")
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
            features = self.neck(features, *_told(self.neck, train))
        if self.head is None:
            if mode == "loss":
                raise FkitValueError("ImageClassifier without a head has no loss.", repair="Give the model a head.")
            return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 1) if x.ndim == 4 else x, features)
        told = _told(self.head, train)
        if mode == "loss":
            return self.head.loss(features, samples, *told)
        return self.head(features, *told) if mode == "tensor" else self.head.predict(features)


def _told(part: Any, train: bool) -> tuple[bool, ...]:
    """Whether it trains, for a part that asks (``takes_train``)."""
    return (train,) if getattr(part, "takes_train", False) else ()


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
        use_sigmoid: a sigmoid of each class, in place of the softmax; the classes of a sample are added.
        use_soft: labels are scores (which is seen from their shape).
        class_weight: (K,) what the loss of a class is multiplied with; the mean stays that over samples.
        pos_weight: (K,) with ``use_sigmoid``, what the loss of a positive is multiplied with.
    """

    loss_weight: float = 1.0
    reduction: str = "mean"
    ignore_index: int | None = None
    use_sigmoid: bool = False
    use_soft: bool = False
    class_weight: Any = None
    pos_weight: Any = None

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise FkitValueError(f"reduction={self.reduction!r}.", value=self.reduction, choices=("mean", "sum"))
        if self.use_sigmoid and self.use_soft:
            raise FkitValueError("CrossEntropyLoss: use_sigmoid and use_soft exclude each other.")
        check_weights("CrossEntropyLoss", self.class_weight, self.pos_weight, self.use_sigmoid)
        if self.ignore_index is not None and (self.use_sigmoid or self.class_weight is not None):
            raise FkitValueError("CrossEntropyLoss: ignore_index is for a softmax without class_weight.")
        super().__post_init__()

    def __call__(self, logits: Array, labels: Array) -> Array:
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        if self.use_sigmoid or self.class_weight is not None:
            weights = (self.class_weight, self.pos_weight)
            return label_loss(logits, labels, self.use_sigmoid, *weights, self.reduction) * self.loss_weight
        if labels.ndim == logits.ndim:
            losses = -(labels * nn.log_softmax(logits)).sum(-1)
            return (losses.mean() if self.reduction == "mean" else losses.sum()) * self.loss_weight
        kept = None if self.ignore_index is None else labels != self.ignore_index
        labels = (labels if kept is None else jnp.where(kept, labels, 0)).astype(jnp.int32)  # True and False too
        losses = -jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], 1)[:, 0]
        if self.reduction == "mean":
            return losses.mean(where=kept) * self.loss_weight
        return losses.sum(where=kept) * self.loss_weight


class Head(nn.Module):
    """What heads share that give logits (N, K): loss and predictions.

    A head has ``loss_module`` (what ``loss`` was built to), ``topk`` and ``cal_acc``; one whose layers differ in training
    ``takes_train``. The labels that ``loss`` ignores are those of its loss module.
    """

    @property
    def label_ranges(self) -> Mapping[str, Any] | None:
        """What labels may be: 0 up to the number of classes, and what the loss ignores."""
        classes, module = getattr(self, "num_classes", None), getattr(self, "loss_module", None)
        if classes is None:
            return None
        return frozendict(gt_label=(classes, getattr(module, "ignore_index", None)))

    def check_classes(self) -> None:
        """Refuse a number of classes that is none."""
        classes: Any = getattr(self, "num_classes", 1)
        if classes is not None and classes <= 0:
            raise FkitValueError(f"{type(self).__name__}: num_classes={classes}, but it counts classes, from 1.")

    def loss(self, features: Any, samples: Samples | None, *told: bool) -> dict[str, Array]:
        """``loss``, and accuracies in percent where they are asked for."""
        me: Any = self
        targets = {} if samples is None else samples.targets
        if "gt_label" not in targets:
            raise FkitKeyError(
                "a loss needs labels: the batch has no targets['gt_label'].", choices=targets, label="Targets"
            )
        labels = targets["gt_label"]
        logits = me(features, *told)
        scores = targets.get("gt_score")
        if scores is not None and me.cal_acc:
            raise FkitValueError(
                f"{type(self).__name__}: an accuracy of mixed labels says nothing.", repair="Set cal_acc=False."
            )
        wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        losses = {"loss": me.loss_module(wide, labels if scores is None else scores)}
        if me.cal_acc:
            check_topk(type(self).__name__, me.topk, logits.shape[1])
            ranked = jax.lax.top_k(jax.lax.stop_gradient(logits), max(me.topk))[1] == labels[:, None]
            for k in me.topk:
                losses[f"accuracy_top-{k}"] = ranked[:, :k].any(1).astype(jnp.float32).mean() * 100
        return losses

    def predict(self, features: Any) -> dict[str, Array]:
        """``pred_score`` and ``pred_label``."""
        me: Any = self
        scores = nn.softmax(me(features))
        return {"pred_score": scores, "pred_label": scores.argmax(1)}


def last(features: Any) -> Array:
    """The last of several features."""
    return features[-1] if isinstance(features, (tuple, list)) else features


class ClsHead(Head):
    """Features that are logits already: loss and predictions.

    Attributes:
        loss_module: what ``loss`` was built to.
        topk: which accuracies, if any.
        cal_acc: log ``accuracy_top-k`` (percent) beside the loss.
        init_cfg: rules for initial weights.
    """

    loss_module: Any
    topk: tuple[int, ...] = (1,)
    cal_acc: bool = False
    init_cfg: Any = None
    num_classes: int | None = None

    def __call__(self, features: Any) -> Array:
        return last(features)


class LinearClsHead(Head):
    """One linear layer from features to logits.

    Attributes:
        num_classes: K.
        in_channels: of the features.
        loss_module, topk, cal_acc, init_cfg: see `ClsHead`.
    """

    num_classes: int
    in_channels: int
    loss_module: Any
    topk: tuple[int, ...] = (1,)
    cal_acc: bool = False
    init_cfg: Any = _INIT

    def __post_init__(self) -> None:
        self.check_classes()
        super().__post_init__()

    def setup(self) -> None:
        self.fc = Linear(self.num_classes)

    def __call__(self, features: Any) -> Array:
        features = last(features)
        if features.shape[-1] != self.in_channels:
            raise FkitValueError(
                f"LinearClsHead: in_channels={self.in_channels}, but the features have {features.shape[-1]}."
            )
        return self.fc(features)


def shared(build: Any, loss: Any, topk: int | tuple[int, ...], ignore_index: int | None) -> tuple[Any, tuple[int, ...]]:
    """A head's loss, built, also where it is the default; and its accuracies."""
    ignoring = {} if ignore_index is None else {"ignore_index": ignore_index}
    return build("models", loss, **ignoring), (topk,) if isinstance(topk, int) else tuple(topk)


def cls_head(
    loss: Any = LOSS,
    topk: int | tuple[int, ...] = (1,),
    cal_acc: bool = False,
    init_cfg: Any = None,
    ignore_index: int | None = None,
    num_classes: int | None = None,
    *,
    build: Any,
) -> ClsHead:
    """The maker of `ClsHead` from a config."""
    return ClsHead(*shared(build, loss, topk, ignore_index), cal_acc, init_cfg, num_classes)


def linear_cls_head(
    num_classes: int,
    in_channels: int,
    loss: Any = LOSS,
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
    return LinearClsHead(num_classes, in_channels, *shared(build, loss, topk, ignore_index), cal_acc, init_cfg)

"""Losses of whole images' labels, as mmpretrain has them: of softmaxes or sigmoids, of soft and smoothed labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fkit.structures.content import family, namespace
from fkit.tree.check import check_fields
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["LabelSmoothLoss", "check_topk", "check_weights", "label_loss", "temperatures", "truth_of"]

_MODES = ("original", "classy_vision", "multi_label")


def label_loss(
    logits: Any,
    labels: Any,
    use_sigmoid: bool = False,
    class_weight: Sequence[float] | None = None,
    pos_weight: Sequence[float] | None = None,
    reduction: str = "mean",
) -> Any:
    """Cross entropy with labels or scores of each class.

    Args:
        logits: (N, K).
        labels: (N,) whole numbers, or (N, K) scores.
        use_sigmoid: a sigmoid of each class, in place of the softmax.
        class_weight: (K,) what the loss of a class is multiplied with.
        pos_weight: (K,) with ``use_sigmoid``, what that of a positive is.
        reduction: "mean" or "sum" over samples; the classes of one are added.

    Raises:
        FkitTypeError: the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> float(label_loss(np.zeros((2, 4)), np.array([0, 3])).round(6))
        1.386294
    """
    lib, scores = namespace(logits), _scores(logits, labels)
    if use_sigmoid:
        # log(1 + exp(-|x|)), which never overflows
        rest = lib.log1p(lib.exp(-lib.abs(logits)))
        low = lib.where(logits > 0, logits * 0, -logits) + rest  # of a positive
        if pos_weight is None:
            losses = (1 - scores) * logits + low
        else:
            losses = (1 - scores) * logits + (1 + (_row(logits, pos_weight, "pos_weight") - 1) * scores) * low
    else:
        moved = logits - lib.amax(logits, axis=-1, keepdims=True)
        losses = -scores * (moved - lib.log(lib.exp(moved).sum(-1)[:, None]))
    if class_weight is not None:
        losses = losses * _row(logits, class_weight, "class_weight")
    return losses.sum() / logits.shape[0] if reduction == "mean" else losses.sum()


def _row(logits: Any, values: Sequence[float], what: str) -> Any:
    """A number a class."""
    if len(values) != logits.shape[1]:
        raise FkitTypeError(f"{what} has {len(values)} numbers for {logits.shape[1]} classes.")
    where = {"device": logits.device} if family(logits) == "torch" else {}
    return namespace(logits).asarray(list(values), dtype=logits.dtype, **where)


def _scores(logits: Any, labels: Any) -> Any:
    """Scores (N, K) of labels or scores."""
    if labels.ndim == 2 and tuple(labels.shape) == tuple(logits.shape):
        return labels + 0 * logits[:1, :1] if labels.dtype != logits.dtype else labels
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.ndim != 1 or labels.shape[0] != logits.shape[0]:
        raise FkitTypeError(
            f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}: labels are (N,) classes or (N, K) scores."
        )
    lib = namespace(logits)
    where = {"device": logits.device} if family(logits) == "torch" else {}
    return (labels[:, None] == lib.arange(logits.shape[1], **where)) * lib.ones_like(logits[:1, :1])


def check_topk(name: str, topk: Sequence[int], count: int) -> None:
    """Refuse an accuracy of more classes than there are.

    Raises:
        FkitValueError: there are fewer.

    Example:
        >>> check_topk("LinearClsHead", (1, 5), 10)
    """
    if max(topk) > count:
        raise FkitValueError(
            f"{name}: topk={tuple(topk)}, and there are {count} classes.", repair=f"topk=(1,), or up to {count}."
        )


def check_weights(name: str, class_weight: Any, pos_weight: Any, use_sigmoid: bool) -> tuple[Any, Any]:
    """A loss's weights of classes, as tuples.

    Raises:
        FkitError: they are no sequences of numbers, or there are ``pos_weight`` of a softmax.

    Example:
        >>> check_weights("CrossEntropyLoss", [1.0, 2.0], None, False)
        ((1.0, 2.0), None)
    """
    found: list[Any] = []
    for what, values in (("class_weight", class_weight), ("pos_weight", pos_weight)):
        if values is not None and not (
            isinstance(values, (list, tuple)) and all(type(v) in (int, float) for v in values)  # pyright: ignore[reportUnknownVariableType]
        ):
            raise FkitTypeError(f"{name}: {what}={values!r:.80}: a number a class, or None.")
        found.append(None if values is None else tuple(values))  # pyright: ignore[reportUnknownArgumentType]
    if pos_weight is not None and not use_sigmoid:
        raise FkitValueError(f"{name}: pos_weight is for use_sigmoid=True.", repair="Leave pos_weight out.")
    return found[0], found[1]


def truth_of(targets: Mapping[str, Any]) -> Any:
    """The scores of images with any number of labels, ``gt_score`` (N, K), or else their labels, ``gt_label``.

    Raises:
        FkitKeyError: there is neither.

    Example:
        >>> truth_of({"gt_label": [1], "gt_score": [[0.0, 1.0]]})
        [[0.0, 1.0]]
    """
    for name in ("gt_score", "gt_label"):
        if name in targets:
            return targets[name]
    raise FkitKeyError(
        "a loss needs labels: the batch has neither targets['gt_score'] nor targets['gt_label'].",
        choices=targets,
        label="Targets",
    )


def temperatures(name: str, heads: int, weight: float) -> tuple[float | None, ...]:
    """The temperatures of the heads of a residual attention of classes (Zhu and Wu 2021): 1, 2, ...; the last of several is
    None, a maximum.

    Args:
        name: the head, for messages.
        heads: how many: 1, 2, 4, 6 or 8.
        weight: of the attention beside the mean.

    Raises:
        FkitValueError: another number of heads, or a weight that is not above 0.

    Example:
        >>> temperatures("CSRAClsHead", 4, 0.1)
        (1.0, 2.0, 4.0, None)
    """
    if heads not in (1, 2, 4, 6, 8):
        raise FkitValueError(f"{name}: num_heads={heads}: 1, 2, 4, 6 or 8.")
    if not weight > 0:
        raise FkitValueError(f"{name}: lam={weight}: above 0.")
    if heads == 1:
        return (1.0,)
    return (1.0, 2.0, 4.0, None) if heads == 4 else (*(float(i) for i in range(1, heads)), None)


@dataclass(frozen=True)
class LabelSmoothLoss:
    """Cross entropy with smoothed labels (Szegedy et al. 2016).

    Args:
        label_smooth_val: epsilon, from 0 and below 1.
        num_classes: K; None is that of the logits.
        use_sigmoid: a sigmoid of each class; None is so in the mode "multi_label" alone.
        mode: "original": ``(1 - epsilon) * score + epsilon / K``; "classy_vision": the same with
            ``epsilon / (1 + epsilon)`` for epsilon; "multi_label": ``1 - epsilon`` for positives, else ``epsilon``.
        reduction: "mean" or "sum" over samples.
        loss_weight: what the loss is multiplied with.
        class_weight, pos_weight: see `label_loss`.

    Called with logits (N, K) and labels (N,) or scores (N, K).

    Raises:
        FkitError: an argument outside of what is allowed.

    Example:
        >>> import numpy as np
        >>> float(LabelSmoothLoss(0.1)(np.zeros((2, 4)), np.array([0, 3])).round(6))
        1.386294
    """

    label_smooth_val: float
    num_classes: int | None = None
    use_sigmoid: bool | None = None
    mode: str = "original"
    reduction: str = "mean"
    loss_weight: float = 1.0
    class_weight: Sequence[float] | None = None
    pos_weight: Sequence[float] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.label_smooth_val < 1:
            raise FkitValueError(f"LabelSmoothLoss: label_smooth_val={self.label_smooth_val}: from 0, below 1.")
        if self.mode not in _MODES:
            raise FkitValueError(f"LabelSmoothLoss: mode={self.mode!r}.", value=self.mode, choices=_MODES)
        if self.reduction not in ("mean", "sum"):
            raise FkitValueError(f"reduction={self.reduction!r}.", value=self.reduction, choices=("mean", "sum"))
        weights = check_weights("LabelSmoothLoss", self.class_weight, self.pos_weight, self.of_sigmoids)
        object.__setattr__(self, "class_weight", weights[0])
        object.__setattr__(self, "pos_weight", weights[1])

    @property
    def of_sigmoids(self) -> bool:
        """Whether each class has a sigmoid."""
        return self.mode == "multi_label" if self.use_sigmoid is None else self.use_sigmoid

    def __call__(self, logits: Any, labels: Any) -> Any:
        classes, part = logits.shape[1], self.label_smooth_val
        if self.num_classes is not None and self.num_classes != classes:
            raise FkitValueError(f"LabelSmoothLoss: num_classes={self.num_classes}, but there are {classes} logits.")
        scores = _scores(logits, labels)
        if self.mode == "multi_label":
            scores = namespace(logits).where(scores > 0, 0 * scores + 1 - part, 0 * scores + part)
        else:
            part = part / (1 + part) if self.mode == "classy_vision" else part
            scores = scores * (1 - part) + part / classes
        loss = label_loss(logits, scores, self.of_sigmoids, self.class_weight, self.pos_weight, self.reduction)
        return loss * self.loss_weight

"""Which of two values of a metric is better, and which metric a user's word means."""

import re
from collections.abc import Iterable, Mapping

from fkit.tree.error import FkitKeyError

__all__ = ["GREATER", "LESS", "RULES", "is_better", "metric_of", "rule_of"]

RULES = ("greater", "less")

GREATER = ("acc", "top", "AR@", "auc", "precision", "mAP", "mDice", "mIoU", "mAcc", "aAcc")
LESS = ("loss",)
"""OpenMMLab's lists: the metrics of which more is better, and less; what a name holds of them counts, in any case."""

# words of a metric's name beside OpenMMLab's; whatever says "loss" or "error" is to be small
_LESS = re.compile(r"loss|error|(^|[/_])(mae|mse|rmse|epe|nme|fid|kid|nll|brier|perplexity)($|[/_])", re.IGNORECASE)
_GREATER = re.compile(
    r"acc|top[-_]?\d|auc|precision|recall|dice|iou|pck|psnr|ssim|f1|f[-_]score|(^|[/_])m?(ap|ar)($|[/_@\d])",
    re.IGNORECASE,
)


def rule_of(metric: str, greater: Iterable[str] | None = None, less: Iterable[str] | None = None) -> str | None:
    """Whether more or less of a metric is better, by its name: "greater", "less", or None where it does not say.

    A name that is in one of the lists is what the list says; then, one that holds a word of theirs. Where both are left
    out, a name that says loss or error is "less" before all, and more words are known than OpenMMLab's lists have.

    Args:
        greater, less: words for the lists of OpenMMLab (`GREATER`, `LESS`).

    Example:
        >>> rule_of("accuracy/top1"), rule_of("coco/bbox_mAP_50"), rule_of("loss"), rule_of("temperature")
        ('greater', 'greater', 'less', None)
        >>> rule_of("temperature", greater=["temp"]), rule_of("acc", less=["acc"])
        ('greater', 'less')
    """
    if greater is None and less is None:
        if _LESS.search(metric):
            return "less"
        if _GREATER.search(metric):
            return "greater"
    name = metric.lower()
    rows = [("greater", _lowered(greater, GREATER)), ("less", _lowered(less, LESS))]
    if greater is None:  # a list that a user gives goes before OpenMMLab's
        rows.reverse()
    exact = next((rule for rule, words in rows if name in words), None)
    return exact or next((rule for rule, words in rows if any(word in name for word in words)), None)


def is_better(rule: str, value: float, than: float) -> bool:
    """Whether a value is better than another; an equal one is not.

    Example:
        >>> is_better("less", 0.0, 0.5), is_better("greater", 0.5, 0.5)
        (True, False)
    """
    return value > than if rule == "greater" else value < than


def metric_of(word: str, metrics: Mapping[str, float], what: str) -> str:
    """The metric that a word means: that of its name; else the one whose name ends in it behind a ``/``, or differs in case
    and in marks alone, as mmcv 1.x's names do.

    Args:
        what: asks, for the message.

    Raises:
        FkitKeyError: there is none, or there are several.

    Example:
        >>> metric_of("bbox_mAP", {"coco/bbox_mAP": 0.4, "coco/bbox_mAP_50": 0.6}, "save_best")
        'coco/bbox_mAP'
        >>> metric_of("accuracy_top-1", {"accuracy/top1": 0.9}, "save_best")
        'accuracy/top1'
    """
    if word in metrics:
        return word
    for alike in (
        [name for name in metrics if name.rpartition("/")[2] == word],
        [name for name in metrics if _plain(name) == _plain(word)],
    ):
        if len(alike) == 1:
            return alike[0]
    raise FkitKeyError(
        f"{what}={word!r} is no metric of validation.", value=word, choices=tuple(metrics), label="Metrics"
    )


def _lowered(words: Iterable[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.lower() for word in (default if words is None else words))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

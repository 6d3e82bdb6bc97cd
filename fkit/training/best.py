"""Which of two values of a metric is better."""

import re

__all__ = ["rule_of"]

# words of a metric's name, after OpenMMLab's lists; whatever says "loss" or "error" is to be small
_LESS = re.compile(r"loss|error|(^|[/_])(mae|mse|rmse|epe|nme|fid|kid|nll|brier|perplexity)($|[/_])", re.IGNORECASE)
_GREATER = re.compile(
    r"acc|top[-_]?\d|auc|precision|recall|dice|iou|pck|psnr|ssim|f1|f[-_]score|(^|[/_])m?(ap|ar)($|[/_@\d])",
    re.IGNORECASE,
)


def rule_of(metric: str) -> str | None:
    """Whether more or less of a metric is better, by its name: "greater", "less", or None where it does not say.

    Example:
        >>> rule_of("accuracy/top1"), rule_of("coco/bbox_mAP_50"), rule_of("loss"), rule_of("temperature")
        ('greater', 'greater', 'less', None)
    """
    if _LESS.search(metric):
        return "less"
    return "greater" if _GREATER.search(metric) else None

"""mmdet's inference by its names, and results as its second generation has them."""

from typing import Any

import numpy as np

from fkit.edge.served import inference_model as inference_detector
from fkit.edge.served import init_model as init_detector
from fkit.structures.instance import InstanceData
from fkit.tree.check import expect_number
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["bbox_results", "inference_detector", "init_detector"]


def bbox_results(result: Any, num_classes: int) -> Any:
    """A sample of the second generation as mmdet 2.x's result: a list of (N, 5) arrays x1, y1, x2, y2, score, one a class.

    Args:
        result: a sample with ``pred_instances``, or these.
        num_classes: how many classes the model tells apart.

    Returns:
        the list; where there are masks a pair of it and of the list of each class's masks.

    Example:
        >>> found = InstanceData(bboxes=np.ones((1, 4)), scores=np.array([0.5]), labels=np.array([1]))
        >>> [one.shape for one in bbox_results(found, 2)]
        [(0, 5), (1, 5)]
    """
    expect_number(num_classes, "num_classes", whole=True)
    found: Any = getattr(result, "pred_instances", result)
    if not isinstance(found, InstanceData) or any(name not in found for name in ("bboxes", "scores", "labels")):
        raise FkitTypeError(
            f"`result` is a sample with pred_instances of boxes, scores and labels, not {quoted(result)}."
        )
    boxes, scores, labels = (np.asarray(found[name]) for name in ("bboxes", "scores", "labels"))
    rows = np.concatenate([boxes.reshape(-1, 4), scores.reshape(-1, 1)], 1).astype(np.float32)
    several = [rows[labels == label] for label in range(num_classes)]
    if "masks" not in found:
        return several
    masks: Any = found["masks"]
    return several, [[masks[at] for at in np.nonzero(labels == label)[0]] for label in range(num_classes)]

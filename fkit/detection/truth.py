"""The objects of a batch, as assigners take them."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.detection.assigner import Truth
from fkit.structures.batch import Samples
from fkit.tree.error import FkitKeyError

__all__ = ["regions", "truths"]


def truths(samples: Samples | None, name: str = "gt_instances") -> Truth:
    """The objects of each image: a `Truth` whose arrays have a first axis of N images.

    Raises:
        FkitKeyError: the batch has none, or boxes without labels.

    Example:
        >>> import numpy as np
        >>> objects = {"bboxes": np.zeros((2, 3, 4)), "labels": np.zeros((2, 3), int)}
        >>> truths(Samples({"gt_instances": objects})).valid.shape
        (2, 3)
    """
    targets: Mapping[str, Any] = {} if samples is None else samples.targets
    if samples is None or name not in targets:
        raise FkitKeyError(
            f"a loss needs objects: the batch has no targets[{name!r}].", choices=targets, label="Targets"
        )
    group = cast("Mapping[str, Any]", targets[name])
    for key in ("bboxes", "labels"):
        if key not in group:
            raise FkitKeyError(
                f"a loss needs boxes and labels: targets[{name!r}] has no {key!r}.", choices=group, label="Fields"
            )
    labels = group["labels"]
    valid = samples.valid.get(name)
    return Truth(group["bboxes"], labels, labels == labels if valid is None else valid, group.get("masks"))


def regions(samples: Samples | None) -> Truth | None:
    """The ignored objects of each image, or None where the batch says of none.

    Example:
        >>> regions(None) is None
        True
    """
    if samples is None or "ignored_instances" not in samples.targets:
        return None
    return truths(samples, "ignored_instances")._replace(masks=None)

"""The objects of a batch, as assigners take them."""

from collections.abc import Mapping
from typing import Any, cast

from frozendict import frozendict

from fkit.detection.assigner import Truth
from fkit.structures.batch import Samples
from fkit.tree.error import FkitKeyError

__all__ = ["classless", "epoch_of", "regions", "truths"]


def truths(samples: Samples | None, name: str = "gt_instances") -> Truth:
    """The objects of each image: a `Truth` whose arrays have a first axis of N images; of at least one object, which may be
    none that is valid.

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
    labels, valid = group["labels"], samples.valid.get(name)
    truth = Truth(group["bboxes"], labels, labels == labels if valid is None else valid, group.get("masks"))
    return _one(truth) if labels.shape[1] == 0 else truth


def _one(truth: Truth) -> Truth:
    """Of batches in which no image has any object: with one that counts nowhere, so that there is one to point at."""
    bboxes, labels, masks = (
        None if field is None else field.sum(1)[:, None] for field in (truth.bboxes, truth.labels, truth.masks)
    )
    return Truth(bboxes, labels, labels != labels, masks)


def classless(samples: Samples | None) -> Samples | None:
    """The batch as a head that proposes regions is to see it: each object is of class 0.

    Example:
        >>> import numpy as np
        >>> objects = {"bboxes": np.zeros((1, 2, 4)), "labels": np.array([[3, 1]])}
        >>> seen = classless(Samples({"gt_instances": objects}))
        >>> seen.targets["gt_instances"]["labels"].tolist()
        [[0, 0]]
    """
    group: Any = None if samples is None else samples.targets.get("gt_instances")
    if samples is None or not isinstance(group, Mapping) or "labels" not in group:
        return samples
    objects = cast("Mapping[str, Any]", group)
    alike = frozendict({**objects, "labels": objects["labels"] * 0})
    return samples._replace(targets=frozendict({**samples.targets, "gt_instances": alike}))


def regions(samples: Samples | None) -> Truth | None:
    """The ignored objects of each image, or None where the batch says of none.

    Example:
        >>> regions(None) is None
        True
    """
    if samples is None or "ignored_instances" not in samples.targets:
        return None
    return truths(samples, "ignored_instances")._replace(masks=None)


def epoch_of(samples: Samples | None) -> Any:
    """The number of the epoch that a batch is of, (N,), from 0; None where the batch does not say it.

    Example:
        >>> epoch_of(Samples({"epoch": (3, 3)}))
        (3, 3)
    """
    return None if samples is None else samples.targets.get("epoch")

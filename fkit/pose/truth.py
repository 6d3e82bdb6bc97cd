"""What a batch tells a pose estimator: one person a sample, its labels and fields, and where its pixels come from."""

from collections.abc import Mapping
from typing import Any, cast

from fkit.structures.batch import Samples
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["expect_target", "field_of", "label_of", "levels_of", "partners", "person"]


def _of(samples: Samples | None, group: str, name: str, who: str) -> Any:
    targets: Mapping[str, Any] = {} if samples is None else samples.targets
    known = cast("Mapping[str, Any]", targets.get(group, {}))
    if name not in known:
        raise FkitKeyError(
            f"{who} learns of targets[{group!r}][{name!r}], and the batch has none.",
            choices=known or targets,
            label="It has",
            repair="GenerateTarget with the head's codec makes it, and PackPoseInputs packs it.",
        )
    return known[name]


def expect_target(who: str, predicted: Any, target: Any) -> None:
    """Refuse targets of another shape than what is predicted.

    Raises:
        FkitTypeError: they have one.

    Example:
        >>> import numpy as np
        >>> expect_target("HeatmapHead", np.zeros((1, 17, 8, 8)), np.zeros((1, 17, 8, 8)))
    """
    if tuple(predicted.shape) != tuple(target.shape):
        raise FkitTypeError(
            f"{who}: predicts {tuple(predicted.shape)}, but its targets are {tuple(target.shape)}.",
            repair="Let GenerateTarget's codec be the head's decoder, and out_channels the data's keypoints.",
        )


def field_of(samples: Samples | None, name: str, who: str) -> Any:
    """(N, ...) of ``targets["gt_fields"]``: heatmaps and their like.

    Raises:
        FkitKeyError: the batch has none.

    Example:
        >>> field_of(Samples({"gt_fields": {"heatmaps": 3}}), "heatmaps", "HeatmapHead")
        3
    """
    return _of(samples, "gt_fields", name, who)


def label_of(samples: Samples | None, name: str, who: str) -> Any:
    """(N, ...) of ``targets["gt_instance_labels"]`` (N, 1, ...): of the one person that a sample has.

    Raises:
        FkitKeyError: the batch has none.
        FkitValueError: samples have several.

    Example:
        >>> import numpy as np
        >>> label_of(Samples({"gt_instance_labels": {"keypoint_weights": np.ones((2, 1, 3))}}), "keypoint_weights", "Head").shape
        (2, 3)
    """
    return person(_of(samples, "gt_instance_labels", name, who), f"{who}: {name}")


def levels_of(samples: Samples | None, name: str, count: int, who: str) -> Any:
    """(N, L, ...) of ``targets["gt_instance_labels"]`` (N, L or more, 1, ...): of each level of the one person that a sample has.

    Raises:
        FkitKeyError: the batch has none.
        FkitValueError: there are fewer levels, or several persons.
    """
    rows = _of(samples, "gt_instance_labels", name, who)
    if rows.ndim != 4 or rows.shape[1] < count or rows.shape[2] != 1:
        raise FkitValueError(
            f"{who}: {name} has the shape {tuple(rows.shape)}, but there are {count} levels of one person a sample.",
            repair="GenerateTarget(multilevel=True, encoder=[...]) with one codec a level.",
        )
    return rows[:, :count, 0]


def person(rows: Any, what: str) -> Any:
    """Rows (N, 1, ...) of the one person of each sample, as (N, ...).

    Raises:
        FkitValueError: there are several.
    """
    if rows.shape[1] != 1:
        raise FkitValueError(
            f"{what} has the shape {tuple(rows.shape)}, but a top-down model takes one person a sample.",
            repair="The data set's data_mode is 'topdown'.",
        )
    return rows[:, 0]


def partners(samples: Samples | None) -> Any:
    """(N, K): of each keypoint that of the other side, ``targets["flip_indices"]``.

    Raises:
        FkitKeyError: the batch has none.
    """
    targets: Mapping[str, Any] = {} if samples is None else samples.targets
    if "flip_indices" not in targets:
        raise FkitKeyError(
            "flip_test takes the mirrored picture too, and the batch has no targets['flip_indices'].",
            choices=targets,
            label="It has",
            repair="PackPoseInputs packs them of a data set of MMPose's; or set test_cfg=dict(flip_test=False).",
        )
    return targets["flip_indices"]

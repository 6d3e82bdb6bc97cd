"""Rows of the built-in registry: pose estimators, their heads, necks and losses."""

from typing import Any, Final

__all__ = ["ESTIMATE"]

# name, torch's file and class, flax's maker (a class of the same name where there is none)
_HEADS: Final = (("HeatmapHead", "heatmap", "heatmap_head"),)

_PARTS: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.pose.{file}:{target}", backend, None)
    for name, file, maker in (("TopdownPoseEstimator", "topdown", "topdown_pose_estimator"), *_HEADS)
    for backend, room, target in (("torch", "torch", name), ("jax", "flax", maker))
)

_LOSSES: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.pose.loss.{file}:{name}", None, None)
    for file, names in (
        (
            "heatmap",
            (
                "AdaptiveWingLoss",
                "CombinedTargetMSELoss",
                "FocalHeatmapLoss",
                "KeypointMSELoss",
                "KeypointOHKMMSELoss",
            ),
        ),
    )
    for name in names
)

ESTIMATE = (*_PARTS, *_LOSSES)

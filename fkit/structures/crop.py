"""Points of an image in pixels of the crop of it that a top-down model was shown."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.tree.check import expect

__all__ = ["in_crop"]

_POINTS, _BOXES = ("keypoints",), ("bboxes",)


def in_crop(said: Mapping[str, Any], known: Mapping[str, Any], size: tuple[int, int]) -> Mapping[str, Any]:
    """What is predicted of people, in pixels of the crop.

    Args:
        said: ``pred_instances`` with ``keypoints`` (..., K, 2) and ``bboxes`` (..., 4) in pixels of the image.
        known: ``input_center`` and ``input_scale`` (x, y): the middle and the sides of what was cut out of the image; where they
            are not there, ``said`` comes back as it is.
        size: (height, width) of the crop.

    Example:
        >>> said = {"pred_instances": {"keypoints": np.array([[[30.0, 20.0]]])}}
        >>> where = {"input_center": (30, 20), "input_scale": (20, 10)}
        >>> in_crop(said, where, (20, 40))["pred_instances"]["keypoints"].tolist()
        [[[20.0, 10.0]]]
    """
    expect(said, Mapping, "`said` is a mapping: what is predicted of an image")
    expect(known, Mapping, "`known` is a mapping: what is known of an image")
    group: Any = said.get("pred_instances")
    if "input_center" not in known or "input_scale" not in known or not isinstance(group, Mapping):
        return said
    middle, sides = (np.asarray(known[name], np.float64).reshape(2) for name in ("input_center", "input_scale"))
    factor = np.array(size[::-1], np.float64) / sides
    corner = middle - sides / 2

    def moved(name: str, value: Any) -> Any:
        if name not in (*_POINTS, *_BOXES):
            return value
        points: NDArray[Any] = np.asarray(value, np.float64)
        pairs = points[..., :2] if name in _POINTS else points.reshape(*points.shape[:-1], 2, 2)
        return ((pairs - corner) * factor).reshape(*points.shape[:-1], -1)

    fields = cast("Mapping[str, Any]", group)
    return frozendict(
        {**said, "pred_instances": frozendict({name: moved(name, value) for name, value in fields.items()})}
    )

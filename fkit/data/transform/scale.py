"""Resizing to a size that is drawn, chosen, or follows from the picture."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np

from fkit.data.transform.content import image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.foreign import Foreign, as_transform
from fkit.data.transform.resize import Resize, scale_pair
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["RandomChoiceResize", "RandomResize", "ResizeShortestEdge", "at_scale"]

Build = Callable[..., Any]


@dataclass(frozen=True, init=False)
class RandomResize(Transform):
    """Resize to a random size; mmcv 2.x's RandomResize.

    Args:
        scale: (width, height) in pixels, with ``ratio_range``; or two of them, between which width and height are drawn.
        ratio_range: least and largest factor of ``scale``: one is drawn for both sides.
        resize_type: the transform that resizes, which takes ``scale``: a name of the registry, a class, or "Resize".
        build: of the registry, which calls it; None knows `Resize` alone.
        **resize_kwargs: what ``resize_type`` takes beside.

    Params: the scale (width, height). Changes what ``resize_type`` does.

    Example:
        >>> RandomResize((8, 8), (0.5, 2.0)).apply({"img": np.zeros((4, 4, 3), np.uint8)}, (6, 5))["img"].shape
        (5, 6, 3)
    """

    scale: tuple[Any, ...]
    ratio_range: tuple[float, float] | None
    resize: Transform

    def __init__(
        self,
        scale: Sequence[Any],
        ratio_range: Sequence[float] | None = None,
        resize_type: Any = "Resize",
        *,
        build: Build | None = None,
        **resize_kwargs: Any,
    ) -> None:
        expect(scale, (list, tuple), "RandomResize: scale is (width, height), or two of them")
        rows = [_row(one) for one in scale]
        if all(isinstance(one, tuple) for one in rows) and len(rows) == 2:
            chosen: tuple[Any, ...] = tuple(scale_pair(one, "RandomResize: scale") for one in rows)
        else:
            chosen = scale_pair(rows, "RandomResize: scale")
            if ratio_range is None:
                raise FkitValueError(
                    f"RandomResize: scale = {scale!r} is one size, and ratio_range is not given.",
                    repair="Give ratio_range=(least, largest) factor, or two sizes to draw between.",
                )
        if ratio_range is not None:
            ratio_range = _ratios(ratio_range)
        object.__setattr__(self, "scale", chosen)
        object.__setattr__(self, "ratio_range", ratio_range)
        object.__setattr__(self, "resize", _resize("RandomResize", resize_type, resize_kwargs, build, (1, 1)))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[int, int]:
        source = needed(rng, self)
        if isinstance(self.scale[0], tuple):
            (low_x, low_y), (high_x, high_y) = cast("tuple[tuple[int, int], tuple[int, int]]", self.scale)
            wide, high = (int(source.integers(min(pair), max(pair) + 1)) for pair in ((low_x, high_x), (low_y, high_y)))
            return wide, high
        least, largest = cast("tuple[float, float]", self.ratio_range)
        ratio = float(source.random()) * (largest - least) + least
        return int(self.scale[0] * ratio), int(self.scale[1] * ratio)

    def apply(self, sample: Sample, params: tuple[int, int]) -> Sample:
        return at_scale(self.resize, params)(replaced(sample, scale=params))


@dataclass(frozen=True, init=False)
class RandomChoiceResize(Transform):
    """Resize to one of several sizes; mmcv 2.x's RandomChoiceResize.

    Args:
        scales: a list of sizes as ``resize_type`` takes them, (width, height) or an int; a tuple of ints is one size.
        resize_type: as `RandomResize`.
        build: as `RandomResize`.
        **resize_kwargs: what ``resize_type`` takes beside.

    Params: the number of the size. Changes what ``resize_type`` does; sets ``scale_idx``.

    Example:
        >>> resize = RandomChoiceResize([(8, 4), (6, 3)], keep_ratio=True)
        >>> resize.apply({"img": np.zeros((4, 4, 3), np.uint8)}, 1)["img"].shape
        (3, 3, 3)
    """

    scales: tuple[Any, ...]
    resizes: tuple[Transform, ...]

    def __init__(
        self, scales: Sequence[Any], resize_type: Any = "Resize", *, build: Build | None = None, **resize_kwargs: Any
    ) -> None:
        expect(scales, (list, tuple), "RandomChoiceResize: scales is a list of sizes")
        one = isinstance(scales, tuple) and all(isinstance(side, int) for side in scales)
        rows = tuple(_row(scale) for scale in ((scales,) if one else scales))
        if not rows:
            raise FkitValueError("RandomChoiceResize: scales is an empty list.")
        for row in rows:
            scale_pair(row, "RandomChoiceResize: scales")
        resize = _resize("RandomChoiceResize", resize_type, resize_kwargs, build, rows[0])
        object.__setattr__(self, "scales", rows)
        object.__setattr__(self, "resizes", tuple(at_scale(resize, row) for row in rows))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> int:
        return int(needed(rng, self).integers(len(self.scales)))

    def apply(self, sample: Sample, params: int) -> Sample:
        return replaced(self.resizes[params](sample), scale_idx=params)


@dataclass(frozen=True, init=False)
class ResizeShortestEdge(Transform):
    """Resize so that the shorter side has a length, and the longer one no more than another; mmdet's ResizeShortestEdge.

    Args:
        scale: the shorter side, in pixels; of two the smaller one counts.
        max_size: the most of the longer side.
        resize_type: as `RandomResize`.
        build: as `RandomResize`.
        **resize_kwargs: what ``resize_type`` takes beside.

    Changes what ``resize_type`` does.

    Example:
        >>> ResizeShortestEdge(6, max_size=10)({"img": np.zeros((4, 8, 3), np.uint8)})["img"].shape
        (5, 10, 3)
    """

    scale: Any
    max_size: int | None
    resize: Transform

    def __init__(
        self,
        scale: int | Sequence[int],
        max_size: int | None = None,
        resize_type: Any = "Resize",
        *,
        build: Build | None = None,
        **resize_kwargs: Any,
    ) -> None:
        row = _row(scale)
        scale_pair(row, "ResizeShortestEdge: scale")
        if max_size is not None:
            expect_number(max_size, "ResizeShortestEdge: max_size", whole=True)
            if max_size < 1:
                raise FkitValueError(f"ResizeShortestEdge: max_size = {max_size!r} is not 1 or more.")
        object.__setattr__(self, "scale", row)
        object.__setattr__(self, "max_size", max_size)
        object.__setattr__(self, "resize", _resize("ResizeShortestEdge", resize_type, resize_kwargs, build, (1, 1)))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(width, height) of the answer for an image of ``height`` x ``width``."""
        edge = float(min(self.scale) if isinstance(self.scale, tuple) else self.scale)
        ratio = edge / min(height, width)
        high, wide = (edge, ratio * width) if height < width else (ratio * height, edge)
        if self.max_size and max(high, wide) > self.max_size:
            ratio = self.max_size / max(high, wide)
            high, wide = high * ratio, wide * ratio
        return max(int(wide + 0.5), 1), max(int(high + 0.5), 1)

    def apply(self, sample: Sample, params: Any) -> Sample:
        return at_scale(self.resize, self.size(*image_of(sample).shape[:2]))(sample)


def at_scale(resize: Transform, scale: Any) -> Transform:
    """A transform that resizes, with another ``scale``.

    Example:
        >>> at_scale(Resize(4), (6, 5)).scale
        (6, 5)
    """
    if isinstance(resize, Resize) and not isinstance(scale, tuple):
        scale = scale_pair(scale, "scale")
    done = copy.copy(resize)
    if isinstance(resize, Foreign):
        inner = cast(Any, copy.copy(resize.transform))
        inner.scale = scale
        object.__setattr__(done, "transform", inner)
    else:
        object.__setattr__(done, "scale", scale)
    return done


def _resize(name: str, kind: Any, arguments: Mapping[str, Any], build: Build | None, scale: Any) -> Transform:
    """The transform that resizes, made with a first ``scale``, which says nothing."""
    if build is not None:
        return as_transform(build("transforms", {"type": kind, **arguments, "scale": scale}))
    if isinstance(kind, str):
        if kind != "Resize":
            raise FkitKeyError(
                f"{name}: resize_type = {kind!r} is a name, which a registry knows.",
                repair=f"fkit.build({{'type': {name!r}, ...}}, registry, 'transforms') looks it up; here, pass the class.",
            )
        kind = Resize
    if not callable(kind):
        raise FkitTypeError(f"{name}: resize_type = {kind!r} is no name and no class.")
    if kind is Resize:
        allowed = [field.name for field in fields(Resize)]
        for word in arguments:
            if word not in allowed:
                raise FkitTypeError(f"{name}: Resize takes no argument {word!r}.", value=word, choices=allowed)
    resize: Any = kind(**arguments, scale=scale)
    return as_transform(resize)


def _row(scale: Any) -> Any:
    return tuple(cast("list[Any]", scale)) if isinstance(scale, list) else scale


def _ratios(value: Any) -> tuple[float, float]:
    expect(value, (list, tuple), "RandomResize: ratio_range is (least, largest)")
    for one in value:
        expect_number(one, "RandomResize: ratio_range")
    if len(value) != 2 or not 0 < value[0] <= value[1]:
        raise FkitValueError(f"RandomResize: ratio_range = {value!r} is no (least, largest) factor above 0.")
    return float(value[0]), float(value[1])

"""What regression branches predict in place of boxes: coders under MMDetection's names and arguments.

A coder has ``encode(xp, boxes, gts)``, what a branch should say at ``boxes`` (or points) for ``gts``, and
``decode(xp, boxes, pred, max_shape=None)``, the boxes that it says. Boxes are (x1, y1, x2, y2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fkit.array.code import bounded, decoded, decoded_distances, encoded, encoded_distances, within
from fkit.array.ops import Ops
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "Coder",
    "DeltaXYWHBBoxCoder",
    "DistancePointBBoxCoder",
    "LegacyDeltaXYWHBBoxCoder",
    "PseudoBBoxCoder",
    "TBLRBBoxCoder",
    "YOLOBBoxCoder",
]


class Coder(Protocol):
    """What heads ask of a coder."""

    def encode(self, xp: Ops, boxes: Any, gts: Any) -> Any:
        """(P, 4): what a branch should say at ``boxes`` (P, 4), or points (P, 2), for ``gts`` (P, 4)."""
        ...

    def decode(self, xp: Ops, boxes: Any, pred: Any, max_shape: Any = None) -> Any:
        """The boxes that ``pred`` (P, 4), or (P, K * 4) of K classes, means at ``boxes``, cut at ``max_shape``."""
        ...


@dataclass(frozen=True)
class DeltaXYWHBBoxCoder:
    """Differences of centres in shares of a box, and logarithms of ratios of sides; mmdet's DeltaXYWHBBoxCoder.

    Args:
        target_means: taken off what is encoded.
        target_stds: by which it is divided.
        clip_border: decoded boxes end at the image's border, where it is given.
        add_ctr_clamp: centres move by at most ``ctr_clamp`` pixels, and sides shrink without bound.
        ctr_clamp: in pixels.
        use_box_type: accepted; boxes are arrays here.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> coder, box = DeltaXYWHBBoxCoder(), np.array([[0.0, 0.0, 10.0, 10.0]])
        >>> coder.encode(Numpy(), box, np.array([[5.0, 0.0, 15.0, 10.0]])).tolist()
        [[0.5, 0.0, 0.0, 0.0]]
        >>> coder.decode(Numpy(), box, np.array([[0.5, 0.0, 0.0, 0.0]]), max_shape=(12, 12)).tolist()
        [[5.0, 0.0, 12.0, 10.0]]
    """

    target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0)
    target_stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
    clip_border: bool = True
    add_ctr_clamp: bool = False
    ctr_clamp: float = 32
    use_box_type: bool = False

    def __post_init__(self) -> None:
        _check_deltas(self, self.target_means, self.target_stds)

    def encode(self, xp: Ops, boxes: Any, gts: Any) -> Any:
        """(P, 4) float32, for boxes and gts (P, 4)."""
        check_boxes(self, xp, boxes, gts)
        return encoded(xp, boxes, gts, self.target_means, self.target_stds)

    def decode(self, xp: Ops, boxes: Any, pred: Any, max_shape: Any = None, wh_ratio_clip: float = 16 / 1000) -> Any:
        """Boxes of the shape of ``pred``, (P, 4) or (P, K * 4); of several images a leading axis more.

        Args:
            max_shape: (height, width), numbers or a (2,) array, (B, 2) of several images; None: no border.
            wh_ratio_clip: a side shrinks, and grows, by at most this factor.
        """
        check_boxes(self, xp, boxes)
        clamp = self.ctr_clamp if self.add_ctr_clamp else None
        result = decoded(xp, boxes, pred, self.target_means, self.target_stds, wh_ratio_clip, clamp)
        if self.clip_border and max_shape is not None:
            result = within(xp, result, max_shape)
        return result.reshape(pred.shape)


@dataclass(frozen=True)
class LegacyDeltaXYWHBBoxCoder:
    """As MMDetection 1.x coded: a box is x2 - x1 + 1 wide.

    Args:
        target_means: taken off what is encoded.
        target_stds: by which it is divided.
        use_box_type: accepted; boxes are arrays here.
    """

    target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0)
    target_stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0)
    use_box_type: bool = False

    def __post_init__(self) -> None:
        _check_deltas(self, self.target_means, self.target_stds)

    def encode(self, xp: Ops, boxes: Any, gts: Any) -> Any:
        """(P, 4) float32, for boxes and gts (P, 4)."""
        check_boxes(self, xp, boxes, gts)
        return encoded(xp, boxes, gts, self.target_means, self.target_stds, less=1)

    def decode(self, xp: Ops, boxes: Any, pred: Any, max_shape: Any = None, wh_ratio_clip: float = 16 / 1000) -> Any:
        """Boxes of the shape of ``pred``, (P, 4) or (P, K * 4)."""
        check_boxes(self, xp, boxes)
        result = decoded(xp, boxes, pred, self.target_means, self.target_stds, wh_ratio_clip, less=1)
        return (result if max_shape is None else within(xp, result, max_shape, less=1)).reshape(pred.shape)


@dataclass(frozen=True)
class TBLRBBoxCoder:
    """How far above, below, left and right of a box's centre the sides are, in shares of the box; mmdet's TBLRBBoxCoder.

    Args:
        normalizer: by which distances are divided, a number or 4.
        clip_border: decoded boxes end at the image's border, where it is given.
        use_box_type: accepted; boxes are arrays here.
    """

    normalizer: Any = 4.0
    clip_border: bool = True
    use_box_type: bool = False

    def __post_init__(self) -> None:
        for number in self._normalizer:
            expect_number(number, "TBLRBBoxCoder: normalizer")
        if len(self._normalizer) != 4:
            raise FkitValueError(f"TBLRBBoxCoder: normalizer = {quoted(self.normalizer)} is neither a number nor 4.")

    @property
    def _normalizer(self) -> list[Any]:
        return list(self.normalizer) if isinstance(self.normalizer, (list, tuple)) else [self.normalizer] * 4

    def _unit(self, xp: Ops, boxes: Any) -> Any:
        """(..., 4): what each distance is divided by."""
        side = boxes[..., 2:] - boxes[..., :2]
        factor = [xp.full((), number, boxes) for number in self._normalizer]
        return xp.lib.stack([side[..., axis] * factor[at] for at, axis in enumerate((1, 1, 0, 0))], -1)

    def encode(self, xp: Ops, boxes: Any, gts: Any) -> Any:
        """(P, 4): top, bottom, left, right; for boxes and gts (P, 4)."""
        check_boxes(self, xp, boxes, gts)
        left, top, right, bottom = _sides(encoded_distances(xp, (boxes[..., :2] + boxes[..., 2:]) / 2, gts))
        return xp.lib.stack([top, bottom, left, right], -1) / self._unit(xp, boxes)

    def decode(self, xp: Ops, boxes: Any, pred: Any, max_shape: Any = None) -> Any:
        """(P, 4)."""
        check_boxes(self, xp, boxes)
        top, bottom, left, right = _sides(pred * self._unit(xp, boxes))
        distances = xp.lib.stack([left, top, right, bottom], -1)
        result = decoded_distances(xp, (boxes[..., :2] + boxes[..., 2:]) / 2, distances)
        return within(xp, result, max_shape) if self.clip_border and max_shape is not None else result


@dataclass(frozen=True)
class YOLOBBoxCoder:
    """Where in its cell a centre is, and logarithms of ratios of sides; mmdet's YOLOBBoxCoder.

    Args:
        eps: how near 0 and 1 a place in a cell may come.
        use_box_type: accepted; boxes are arrays here.
    """

    eps: float = 1e-6
    use_box_type: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def encode(self, xp: Ops, boxes: Any, gts: Any, stride: Any) -> Any:
        """(P, 4), for boxes and gts (P, 4).

        Args:
            stride: of the cells in pixels, a number or (P,).
        """
        check_boxes(self, xp, boxes, gts)
        step = stride[..., None] if hasattr(stride, "shape") else stride
        moved = (gts[..., :2] + gts[..., 2:]) * 0.5 - (boxes[..., :2] + boxes[..., 2:]) * 0.5
        grown = (gts[..., 2:] - gts[..., :2]) / (boxes[..., 2:] - boxes[..., :2])
        place = bounded(xp, moved / step + 0.5, self.eps, 1 - self.eps)
        return xp.lib.concat([place, xp.lib.log(bounded(xp, grown, self.eps, None))], axis=-1)

    def decode(self, xp: Ops, boxes: Any, pred: Any, stride: Any) -> Any:
        """(..., 4), for boxes and pred (..., 4)."""
        check_boxes(self, xp, boxes)
        step = stride[..., None] if hasattr(stride, "shape") else stride
        center = (boxes[..., :2] + boxes[..., 2:]) * 0.5 + (pred[..., :2] - 0.5) * step
        half = (boxes[..., 2:] - boxes[..., :2]) * 0.5 * xp.lib.exp(pred[..., 2:])
        return xp.lib.concat([center - half, center + half], axis=-1)


@dataclass(frozen=True)
class DistancePointBBoxCoder:
    """How far left, up, right and down of a point the sides are; mmdet's DistancePointBBoxCoder.

    Args:
        clip_border: decoded boxes end at the image's border, where it is given.
        use_box_type: accepted; boxes are arrays here.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> point = np.array([[5.0, 5.0]])
        >>> DistancePointBBoxCoder().decode(Numpy(), point, np.array([[1.0, 2.0, 3.0, 4.0]]), max_shape=(8, 8)).tolist()
        [[4.0, 3.0, 8.0, 8.0]]
    """

    clip_border: bool = True
    use_box_type: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def encode(self, xp: Ops, boxes: Any, gts: Any, max_dis: float | None = None, eps: float = 0.1) -> Any:
        """(P, 4), for points (P, 2) and gts (P, 4); brought into [0, max_dis - eps], where ``max_dis`` is given."""
        check_boxes(self, xp, boxes, gts, last=2)
        return encoded_distances(xp, boxes, gts, max_dis, eps)

    def decode(self, xp: Ops, boxes: Any, pred: Any, max_shape: Any = None) -> Any:
        """(..., 4), for points (..., 2) and pred (..., 4)."""
        check_boxes(self, xp, boxes, last=2)
        result = decoded_distances(xp, boxes, pred)
        return within(xp, result, max_shape) if self.clip_border and max_shape is not None else result


@dataclass(frozen=True)
class PseudoBBoxCoder:
    """Boxes as they are.

    Args:
        use_box_type: accepted; boxes are arrays here.
    """

    use_box_type: bool = False

    def encode(self, xp: Ops, boxes: Any, gts: Any) -> Any:
        """``gts``."""
        return gts

    def decode(self, xp: Ops, boxes: Any, pred: Any, max_shape: Any = None) -> Any:
        """``pred``."""
        return pred


def check_boxes(coder: Any, xp: Any, boxes: Any, gts: Any = None, last: int = 4) -> None:
    """Refuse what a coder cannot take.

    Raises:
        FkitTypeError: boxes are no array (..., ``last``), or ``gts`` of another count.
    """
    shape: Any = tuple(getattr(boxes, "shape", ()))
    name = type(coder).__name__
    if not shape or shape[-1] != last or not hasattr(xp, "lib"):
        what = "boxes" if last == 4 else "points"
        raise FkitTypeError(f"{name}: {what} are an array (..., {last}) of the library `xp`, not {quoted(boxes, 60)}.")
    if gts is not None and tuple(getattr(gts, "shape", ())) != (*shape[:-1], 4):
        raise FkitTypeError(
            f"{name}.encode: for boxes {shape}, gts are an array {(*shape[:-1], 4)}, not {quoted(gts, 60)}."
        )


def _check_deltas(coder: Any, means: Any, stds: Any) -> None:
    check_fields(coder)
    for word, numbers in (("target_means", means), ("target_stds", stds)):
        expect(numbers, (list, tuple), f"{type(coder).__name__}: {word} are 4 numbers")
        if len(numbers) != 4:
            raise FkitValueError(f"{type(coder).__name__}: {word} = {quoted(numbers)} are not 4 numbers.")


def _sides(a: Any) -> tuple[Any, Any, Any, Any]:
    return a[..., 0], a[..., 1], a[..., 2], a[..., 3]

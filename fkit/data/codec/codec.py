"""What a codec is: keypoints as what a model learns, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from fkit.array.ops import Ops
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Codec", "Floats", "pair_of", "points_of", "seen_of"]

Floats = NDArray[Any]
"""An array of numbers, most often float32."""


@dataclass(frozen=True)
class Codec:
    """A frozen value that encodes keypoints and decodes what a model predicts; subclasses are mmpose's of their name.

    ``encode(keypoints, keypoints_visible, ...)`` takes (N, K, D) and (N, K) in pixels of the input and gives a mapping of
    arrays; ``decode(...)`` takes arrays and gives ``(keypoints, scores)``, (N, K, D) and (N, K).

    Attributes:
        needs: keys of a sample that `encode` takes beside keypoints.
        labels, fields, instances: which of the sample's keys are packed as ``gt_instance_labels``, ``gt_fields`` and
            ``gt_instances``, and under which name.
        decoded_from: keys of what `encode` gives that `decode` takes, in order; empty where it takes others.
        draws: whether `encode` takes ``params``, drawn by `draw`.

    Example:
        >>> from fkit.data.codec.regression import RegressionLabel
        >>> codec = RegressionLabel(input_size=(4, 2))
        >>> codec.encode(np.array([[[1.0, 1.0]]]))["keypoint_labels"].tolist()
        [[[0.25, 0.5]]]
    """

    __fkit_kind__ = "codecs"

    needs: ClassVar[tuple[str, ...]] = ()
    labels: ClassVar[Mapping[str, str]] = EMPTY
    fields: ClassVar[Mapping[str, str]] = EMPTY
    instances: ClassVar[Mapping[str, str]] = EMPTY
    decoded_from: ClassVar[tuple[str, ...]] = ()
    draws: ClassVar[bool] = False

    def encode(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Keypoints as arrays that a model learns."""
        raise FkitTypeError(f"{type(self).__name__} does not say how it encodes.", repair="Write `encode`.")

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """Keypoints and their scores, of what a model predicts."""
        raise FkitTypeError(f"{type(self).__name__} does not decode.", repair="Its model gives keypoints itself.")

    def decoded(self, xp: Ops, *encoded: Any) -> tuple[Any, Any]:
        """Keypoints (N, I, K, D) and their scores (N, I, K) of a batch of what a model predicts.

        Args:
            xp: the library of arrays; a codec that does not say how it does this there decodes sample by sample on the host,
                where the numbers are at hand.
            encoded: what `decode` takes, of a batch: (N, ...) each.

        Raises:
            FkitTypeError: they are not at hand, under a jit or on a GPU.
        """

        def each(*arrays: Floats) -> tuple[Floats, ...]:
            rows = [self.decode(*row) for row in zip(*arrays, strict=True)]
            return tuple(np.stack([row[part] for row in rows]) for part in (0, 1))

        found = xp.hosted(each, *encoded)
        if found is None:
            raise FkitTypeError(
                f"{type(self).__name__} decodes on the host, and the numbers are not there.",
                repair="Write `decoded(xp, *encoded)` of array operations, as the kit's codecs have it.",
            )
        return found[0], found[1]

    def draw(self, keypoints: Floats, rng: np.random.Generator | None) -> Any:
        """What is random in `encode`, for (N, K, D) keypoints."""
        return None


def pair_of(value: Any, what: str) -> tuple[int, int]:
    """(width, height), checked.

    Example:
        >>> pair_of([192, 256], "MSRAHeatmap: input_size")
        (192, 256)
    """
    expect(value, (list, tuple), f"{what} is (width, height)")
    for one in value:
        expect_number(one, what, whole=True)
    if len(value) != 2 or min(value) < 1:
        raise FkitValueError(f"{what} = {value!r} is no (width, height) in pixels.")
    return int(value[0]), int(value[1])


def points_of(keypoints: Any, who: Any, alone: bool = False) -> Floats:
    """Keypoints (N, K, D) as an array; ``alone``: N is 1.

    Raises:
        FkitTypeError: it is no array of numbers.
        FkitValueError: it has another shape.

    Example:
        >>> points_of(np.zeros((1, 17, 2)), None).shape
        (1, 17, 2)
    """
    name = type(who).__name__
    if not isinstance(keypoints, np.ndarray) or cast("Floats", keypoints).dtype.kind not in "iuf":
        raise FkitTypeError(f"{name}: keypoints is an array (N, K, D), not a {type(keypoints).__name__}.")
    array = cast("Floats", keypoints)
    if array.ndim != 3 or (alone and len(array) != 1):
        only = ", and this codec takes one person: N = 1" if alone else ""
        raise FkitValueError(f"{name}: keypoints has the shape {array.shape}; it is (N, K, D){only}.")
    return array


def seen_of(keypoints: Floats, visible: Floats | None) -> Floats:
    """The visibility (N, K), a copy; ones where there is none.

    Example:
        >>> seen_of(np.zeros((1, 2, 2)), None).tolist()
        [[1.0, 1.0]]
    """
    expect(keypoints, np.ndarray, "`keypoints` is an array (N, K, D)")
    if visible is None:
        return np.ones(keypoints.shape[:2], np.float32)
    expect(visible, np.ndarray, "`keypoints_visible` is an array (N, K)")
    if visible.shape[:2] != keypoints.shape[:2]:
        raise FkitValueError(f"keypoints_visible has the shape {visible.shape}, and keypoints {keypoints.shape}.")
    return visible.copy()

"""What is made of maps, or of several inputs: mmseg's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.content import image_of
from fkit.data.transform.draw import needed
from fkit.data.transform.formatting import names_of
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import check_fields
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["ConcatCDInput", "GenerateEdge", "RandomDepthMix", "Strip"]


@dataclass(frozen=True)
class GenerateEdge(Transform):
    """A map of the borders between classes, from ``gt_seg_map``; mmseg's GenerateEdge.

    Args:
        edge_width: of the borders, in pixels.
        ignore_index: the label that has no border.

    Sets ``gt_edge_map`` (H, W) uint8, 1 on borders, and ``edge_width``.

    Example:
        >>> GenerateEdge(1)({"gt_seg_map": np.uint8([[0, 0, 1]])})["gt_edge_map"].tolist()
        [[0, 1, 0]]
    """

    edge_width: int = 3
    ignore_index: int = 255

    def __post_init__(self) -> None:
        check_fields(self)
        if self.edge_width < 1:
            raise FkitValueError(f"GenerateEdge: edge_width = {self.edge_width!r} is not 1 or more.")

    def apply(self, sample: Sample, params: Any) -> Sample:
        if sample.get("gt_seg_map") is None:
            raise FkitKeyError("the sample has no 'gt_seg_map'.", value="gt_seg_map", choices=sample, label="It has")
        seg: NDArray[Any] = sample["gt_seg_map"]
        edge = np.zeros(seg.shape, np.uint8)
        # of two pixels that touch, the lower, the left, the upper left, the upper right one is marked
        head, tail = slice(None, -1), slice(1, None)
        whole = slice(None)
        for marked, other in (
            ((tail, whole), (head, whole)),
            ((whole, head), (whole, tail)),
            ((head, head), (tail, tail)),
            ((head, tail), (tail, head)),
        ):
            a, b = seg[marked], seg[other]
            edge[marked][(a != b) & (a != self.ignore_index) & (b != self.ignore_index)] = 1
        brush = cv2.getStructuringElement(cv2.MORPH_RECT, (self.edge_width, self.edge_width))
        return replaced(sample, gt_edge_map=cv2.dilate(edge, brush), edge_width=self.edge_width)


@dataclass(frozen=True)
class ConcatCDInput(Transform):
    """Several pictures as the channels of one, for change detection; mmseg's ConcatCDInput.

    Args:
        input_keys: of the pictures (H, W, C), which the sample then no longer has.

    Example:
        >>> ConcatCDInput()({"img": np.zeros((2, 2, 3)), "img2": np.zeros((2, 2, 3))})["img"].shape
        (2, 2, 6)
    """

    input_keys: Sequence[str] = ("img", "img2")

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_keys", names_of(self.input_keys, "ConcatCDInput: input_keys"))

    def apply(self, sample: Sample, params: Any) -> Sample:
        for key in self.input_keys:
            if key not in sample:
                raise FkitKeyError(f"the sample has no {key!r}.", value=key, choices=sample, label="It has")
        whole = np.concatenate([sample[key] for key in self.input_keys], axis=2)
        left = {key: value for key, value in sample.items() if key not in self.input_keys}
        return frozen({**left, "img": whole})


class Strip(NamedTuple):
    """What `RandomDepthMix` replaces: ``width`` columns from ``left`` on."""

    left: int
    width: int


@dataclass(frozen=True)
class RandomDepthMix(Transform):
    """Put a strip of the depth map into the picture; mmseg's RandomDepthMix.

    Args:
        prob: of doing anything.
        mix_scale_ratio: the largest part of what is right of the strip's begin.

    Params: a `Strip`, or None. The strip is ``gt_depth_map`` (H, W), divided by the sample's ``depth_rescale_factor``.

    Example:
        >>> sample = {"img": np.zeros((1, 3, 3)), "gt_depth_map": np.float32([[1, 2, 3]])}
        >>> RandomDepthMix().apply(sample, Strip(1, 1))["img"][..., 0].tolist()
        [[0.0, 2.0, 0.0]]
    """

    prob: float = 0.25
    mix_scale_ratio: float = 0.75

    def __post_init__(self) -> None:
        check_fields(self)
        for word in ("prob", "mix_scale_ratio"):
            if not 0 <= getattr(self, word) <= 1:
                raise FkitValueError(f"RandomDepthMix: {word} = {getattr(self, word)!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Strip | None:
        does, place, part = needed(rng, self).random(3).tolist()
        if does > self.prob:
            return None
        width = image_of(sample).shape[1]
        left = int(width * place)
        return Strip(left, int(max(1, (width - left) * self.mix_scale_ratio * part)))

    def apply(self, sample: Sample, params: Strip | None) -> Sample:
        if params is None:
            return sample
        columns = slice(params.left, params.left + params.width)
        img = image_of(sample).copy()
        depth: NDArray[Any] = sample["gt_depth_map"][:, columns] / sample.get("depth_rescale_factor", 1)
        img[:, columns] = depth[..., None] if img.ndim == 3 else depth
        return replaced(sample, img=img)

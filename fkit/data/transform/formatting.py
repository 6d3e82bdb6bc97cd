"""The last step of a pipeline: what the model gets, what it is held against, and what only the host keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.transform import Sample, Transform
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError
from fkit.tree.frozen import frozen

__all__ = ["PackInputs", "channels_first"]


@dataclass(frozen=True)
class PackInputs(Transform):
    """Pack a sample for `fkit.data.collate`; mmpretrain's PackInputs.

    Args:
        input_key: what the model gets: an image (H, W, C) or (H, W), packed as (C, H, W).
        algorithm_keys: packed into ``targets`` beside ``gt_label``, as arrays.
        meta_keys: kept in ``meta`` where the sample has them.

    Returns ``{"inputs": (C, H, W), "targets": {"gt_label": int, ...}, "meta": {...}}``; targets hold ``gt_label`` where
    the sample does.

    Example:
        >>> packed = PackInputs()({"img": np.zeros((8, 6, 3), np.float32), "gt_label": 4, "sample_idx": 0})
        >>> packed["inputs"].shape, dict(packed["targets"])
        ((3, 8, 6), {'gt_label': 4})
    """

    input_key: str = "img"
    algorithm_keys: Sequence[str] = ()
    meta_keys: Sequence[str] = (
        "sample_idx",
        "img_path",
        "ori_shape",
        "img_shape",
        "scale_factor",
        "flip",
        "flip_direction",
    )

    def __post_init__(self) -> None:
        expect(self.input_key, str, "PackInputs: input_key is a name")
        for word in ("algorithm_keys", "meta_keys"):
            names: Any = getattr(self, word)
            expect(names, (list, tuple), f"PackInputs: {word} is a list of names")
            for name in names:
                expect(name, str, f"PackInputs: {word} are names")
        object.__setattr__(self, "algorithm_keys", tuple(self.algorithm_keys))
        # the sample's number is what metrics tell samples apart by: it is kept whatever else is
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys(("sample_idx", *self.meta_keys))))

    def apply(self, sample: Sample, params: Any) -> Sample:
        if self.input_key not in sample:
            raise FkitKeyError(
                f"the sample has no {self.input_key!r}.", value=self.input_key, choices=sample, label="It has"
            )
        targets: dict[str, Any] = {"gt_label": sample["gt_label"]} if "gt_label" in sample else {}
        for name in self.algorithm_keys:
            targets[name] = sample[name]
        meta = {name: sample[name] for name in self.meta_keys if name in sample}
        return frozen(
            {"inputs": channels_first(sample[self.input_key]), "targets": frozen(targets), "meta": frozen(meta)}
        )


def channels_first(img: NDArray[Any]) -> NDArray[Any]:
    """(H, W, C) or (H, W) to (C, H, W), contiguous; any other array as it is.

    Example:
        >>> channels_first(np.zeros((8, 6))).shape
        (1, 8, 6)
    """
    expect(img, np.ndarray, "`img` is an array")
    if img.ndim == 2:
        return img[None]
    return np.ascontiguousarray(img.transpose(2, 0, 1)) if img.ndim == 3 else img

"""Transforms that read files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from frozendict import frozendict

from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitValueError

__all__ = ["LoadImageFromFile"]

_FLAGS: frozendict[str, int] = frozendict(
    color=cv2.IMREAD_COLOR, grayscale=cv2.IMREAD_GRAYSCALE, unchanged=cv2.IMREAD_UNCHANGED
)


@dataclass(frozen=True)
class LoadImageFromFile(Transform):
    """Read ``img_path``; mmcv 2.x's LoadImageFromFile.

    Args:
        to_float32: give float32 in place of the file's dtype; values stay.
        color_type: "color" (three channels, BGR), "grayscale" (one), "unchanged" (as stored).

    Sets ``img`` (H, W, C), ``img_shape`` and ``ori_shape`` (height, width), ``img_max`` (255, or 65535 for 16 bits). A
    sample that holds ``img`` and no ``img_path`` (a dataset in memory) stays as it is.

    Raises:
        FkitFileNotFoundError: there is no such file.
        FkitValueError: the file holds no image that can be read.
    """

    to_float32: bool = False
    color_type: str = "color"

    def __post_init__(self) -> None:
        if self.color_type not in _FLAGS:
            raise FkitValueError(
                f"LoadImageFromFile: color_type = {self.color_type!r} is unknown.",
                value=self.color_type,
                choices=_FLAGS,
            )

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "img" in sample and "img_path" not in sample:
            return sample
        path = str(sample["img_path"])
        try:
            data = Path(path).read_bytes()
        except FileNotFoundError as cause:
            raise FkitFileNotFoundError(f"the image {path} is not there.") from cause
        except OSError as cause:
            raise FkitOSError(f"the image {path} cannot be read: {cause.strerror}.") from cause
        img = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[self.color_type]) if data else None
        if img is None:  # pyright: ignore[reportUnnecessaryComparison]  cv2's stub leaves the failure out
            raise FkitValueError(f"{path} ({len(data)} bytes) holds no image that can be read.")
        img = img.reshape(*img.shape[:2], -1)
        largest = 1 if img.dtype.kind == "f" else int(np.iinfo(str(img.dtype)).max)
        if self.to_float32:
            img = img.astype(np.float32)
        shape = img.shape[:2]
        return replaced(sample, img=img, img_shape=shape, ori_shape=shape, img_max=largest)

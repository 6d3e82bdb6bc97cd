"""Transforms that read files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.image.io import imread
from fkit.tree.error import FkitValueError

__all__ = ["LoadImageFromFile"]

_COLOR_TYPES = ("color", "grayscale", "unchanged", "color_ignore_orientation", "grayscale_ignore_orientation")


@dataclass(frozen=True)
class LoadImageFromFile(Transform):
    """Read ``img_path``; mmcv 2.x's LoadImageFromFile.

    Args:
        to_float32: give float32 in place of the file's dtype; values stay.
        color_type: "color" (three channels, BGR), "grayscale" (one), "unchanged" (as stored), and the first two with
            ``_ignore_orientation``.
        imdecode_backend: "cv2", "pillow" or "tifffile".
        backend_args: options of the storage that holds the file.

    Sets ``img`` (H, W, C), ``img_shape`` and ``ori_shape`` (height, width), ``img_max`` (255, or 65535 for 16 bits). A
    sample that holds ``img`` and no ``img_path`` (a dataset in memory) stays as it is.

    Raises:
        FkitFileNotFoundError: there is no such file.
        FkitOSError: the file holds no whole image.
    """

    to_float32: bool = False
    color_type: str = "color"
    imdecode_backend: str = "cv2"
    backend_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.color_type not in _COLOR_TYPES:
            raise FkitValueError(
                f"LoadImageFromFile: color_type = {self.color_type!r} is unknown.",
                value=self.color_type,
                choices=_COLOR_TYPES,
            )

    def apply(self, sample: Sample, params: Any) -> Sample:
        if "img" in sample and "img_path" not in sample:
            return sample
        img = imread(sample["img_path"], self.color_type, backend=self.imdecode_backend, backend_args=self.backend_args)
        shape = img.shape[:2]
        img = img.reshape(*shape, -1)
        largest = 1 if img.dtype.kind == "f" else int(np.iinfo(str(img.dtype)).max)
        if self.to_float32:
            img = img.astype(np.float32)
        return replaced(sample, img=img, img_shape=shape, ori_shape=shape, img_max=largest)

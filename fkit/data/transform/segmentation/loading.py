"""MMSegmentation's transforms that read pictures of the earth, of any number of bands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.loading import with_img
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.image.io import imread
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["LoadMultipleRSImageFromFile", "LoadSingleRSImageFromFile"]

_ORDERS = ((3, (2, 1, 0)), (4, (2, 1, 0, 3)))


@dataclass(frozen=True)
class LoadSingleRSImageFromFile(Transform):
    """Read ``img_path`` with its bands as they are stored (red, green, blue, ...); mmseg's LoadSingleRSImageFromFile.

    Args:
        to_float32: give float32 in place of the file's dtype.

    TIFF is read by tifffile, other formats by OpenCV, in place of mmseg's gdal. Sets ``img`` (H, W, bands), ``img_shape``,
    ``ori_shape``.
    """

    to_float32: bool = True

    def __post_init__(self) -> None:
        check_fields(self)

    def apply(self, sample: Sample, params: Any) -> Sample:
        return with_img(sample, _bands(sample, "img_path"), self.to_float32)


@dataclass(frozen=True)
class LoadMultipleRSImageFromFile(LoadSingleRSImageFromFile):
    """Read ``img_path`` and ``img_path2``, one place at two times, for change detection; mmseg's LoadMultipleRSImageFromFile.

    Args:
        to_float32: give float32 in place of the files' dtype.

    Sets ``img`` and ``img2`` (H, W, bands), ``img_shape``, ``ori_shape``.

    Raises:
        FkitValueError: the two differ in shape.
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        first, second = _bands(sample, "img_path"), _bands(sample, "img_path2")
        if first.shape != second.shape:
            raise FkitValueError(f"the two pictures differ in shape: {first.shape} and {second.shape}.")
        done = with_img(sample, first, self.to_float32)
        return replaced(done, img2=second.astype(np.float32) if self.to_float32 else second)


def _bands(sample: Sample, key: str) -> NDArray[Any]:
    expect(sample, Mapping, "`sample` is a mapping")
    if key not in sample:
        raise FkitKeyError(f"the sample has no {key!r}.", value=key, choices=sample, label="It has")
    path: Any = sample[key]
    if PurePath(str(path)).suffix.lower() in (".tif", ".tiff"):
        img = imread(path, "unchanged", backend="tifffile")
        return img.reshape(*img.shape[:2], -1)
    img = imread(path, "unchanged")
    img = img.reshape(*img.shape[:2], -1)
    order = next((order for count, order in _ORDERS if count == img.shape[2]), None)
    return img if order is None else np.ascontiguousarray(img[..., order])

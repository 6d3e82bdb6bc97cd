"""Transforms that read images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.fileio.part import backend_args_of
from fkit.image.io import imread
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "InferencerLoader",
    "LoadImage",
    "LoadImageFromFile",
    "LoadImageFromNDArray",
    "LoadMultiChannelImageFromFiles",
]

_COLOR_TYPES = ("color", "grayscale", "unchanged", "color_ignore_orientation", "grayscale_ignore_orientation")
_ORDERS = ("bgr", "rgb")
_BACKENDS = ("cv2", "pillow", "tifffile", "turbojpeg")
Options = Mapping[str, Any] | None


@dataclass(frozen=True)
class LoadImageFromFile(Transform):
    """Read ``img_path``; LoadImageFromFile of mmcv 2.x and of the packages before it.

    Args:
        to_float32: give float32 in place of the file's dtype; values stay.
        color_type: "color" (three channels, BGR), "grayscale" (one), "unchanged" (as stored), and the first two with
            ``_ignore_orientation``.
        imdecode_backend: "cv2", "pillow" or "tifffile" ("turbojpeg" is read by cv2).
        file_client_args: the older name of ``backend_args``.
        ignore_empty: a file that is not there or holds no image drops the sample: another takes its place in training.
        channel_order: "bgr" or "rgb", of the packages of mmcv 1.x.
        backend_args: options of the storage that holds the file.

    Sets ``img`` (H, W, C), ``img_shape`` and ``ori_shape`` (height, width), ``img_max`` (255, or 65535 for 16 bits). A
    sample that holds ``img`` and no ``img_path`` (a dataset in memory) stays as it is.

    Raises:
        FkitFileNotFoundError: there is no such file.
        FkitOSError: the file holds no whole image.
    """

    to_float32: bool = False
    color_type: str = "color"
    imdecode_backend: str | None = "cv2"
    file_client_args: Options = None
    ignore_empty: bool = False
    channel_order: str = "bgr"
    backend_args: Options = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_fields(self)
        for word, choices in (
            ("color_type", _COLOR_TYPES),
            ("channel_order", _ORDERS),
            ("imdecode_backend", (*_BACKENDS, None)),
        ):
            value: Any = getattr(self, word)
            if value not in choices:
                raise FkitValueError(
                    f"{name}: {word} = {value!r} is unknown.", value=value, choices=[str(one) for one in choices]
                )
        backend_args_of(self.backend_args, self.file_client_args)

    def apply(self, sample: Sample, params: Any) -> Any:
        if "img" in sample and "img_path" not in sample:
            return sample
        try:
            img = self.read(_path(sample, "img_path"))
        except FkitError:
            if self.ignore_empty:
                return None
            raise
        _expect_size(sample, img)
        return with_img(sample, img, self.to_float32)

    def read(self, path: str) -> NDArray[Any]:
        """The image of a file: (H, W, C).

        Raises:
            FkitFileNotFoundError: there is no such file.
            FkitOSError: the file holds no whole image.
        """
        options = {**backend_args_of(self.backend_args, self.file_client_args)}
        backend = "cv2" if self.imdecode_backend == "turbojpeg" else self.imdecode_backend
        img = imread(path, self.color_type, self.channel_order, backend, backend_args=options or None)
        return img.reshape(*img.shape[:2], -1)


@dataclass(frozen=True)
class LoadImage(LoadImageFromFile):
    """Read ``img_path``, or take the ``img`` that the sample holds already; mmpose 1.x's LoadImage.

    Arguments as those of `LoadImageFromFile`.
    """

    def apply(self, sample: Sample, params: Any) -> Any:
        if "img" not in sample:
            return super().apply(sample, params)
        return with_img({"img_path": None, **sample}, _array(sample["img"]), self.to_float32)


@dataclass(frozen=True)
class LoadImageFromNDArray(LoadImageFromFile):
    """Take the ``img`` that the sample holds (a camera's picture); mmdet's LoadImageFromNDArray, LoadImageFromWebcam before.

    Arguments as those of `LoadImageFromFile`, of which ``to_float32`` counts.

    Example:
        >>> LoadImageFromNDArray(to_float32=True)({"img": np.zeros((4, 6, 3), np.uint8)})["img_shape"]
        (4, 6)
    """

    def apply(self, sample: Sample, params: Any) -> Sample:
        return replaced(with_img(sample, _array(sample["img"]), self.to_float32), img_path=None)


@dataclass(frozen=True)
class InferencerLoader(LoadImageFromFile):
    """Take ``img`` where the sample holds one, else read ``img_path``; mmdet's InferencerLoader.

    Arguments as those of `LoadImageFromFile`.
    """

    def apply(self, sample: Sample, params: Any) -> Any:
        if "img" in sample:
            return replaced(with_img(sample, _array(sample["img"]), self.to_float32), img_path=None)
        return super().apply(sample, params)


@dataclass(frozen=True)
class LoadMultiChannelImageFromFiles(Transform):
    """Read one file a channel; mmdet's LoadMultiChannelImageFromFiles.

    Args:
        to_float32: give float32 in place of the files' dtype.
        color_type: as in `LoadImageFromFile`.
        imdecode_backend: as in `LoadImageFromFile`.
        file_client_args: the older name of ``backend_args``.
        backend_args: options of the storage that holds the files.

    ``img_path`` is a list of files; ``img`` is (H, W, number of files), or (H, W, C, number of files) where a file has
    several channels. Sets ``img_shape`` and ``ori_shape``.
    """

    to_float32: bool = False
    color_type: str = "unchanged"
    imdecode_backend: str | None = "cv2"
    file_client_args: Options = None
    backend_args: Options = None

    def __post_init__(self) -> None:
        self._reader()

    def _reader(self) -> LoadImageFromFile:
        return LoadImageFromFile(
            self.to_float32,
            self.color_type,
            self.imdecode_backend,
            self.file_client_args,
            backend_args=self.backend_args,
        )

    def apply(self, sample: Sample, params: Any) -> Sample:
        paths: Any = sample["img_path"]
        expect(paths, (list, tuple), "`img_path` is a list of files, one a channel")
        reader = self._reader()
        images = [reader.read(path) for path in cast("list[str]", paths)]
        shapes = {img.shape for img in images}
        if len(shapes) != 1:
            raise FkitValueError(f"the files of one image differ in size: {sorted(shapes)}.")
        img = np.stack([img[..., 0] if img.shape[-1] == 1 else img for img in images], axis=-1)
        return with_img(sample, img, self.to_float32)


def with_img(sample: Sample, img: NDArray[Any], to_float32: bool = False) -> Sample:
    """The sample with an image fresh from its file: ``img``, ``img_shape``, ``ori_shape``, ``img_max``.

    Example:
        >>> with_img({}, np.zeros((4, 6, 3), np.uint8))["img_max"]
        255
    """
    expect(img, np.ndarray, "`img` is an array (H, W, C)")
    shape = img.shape[:2]
    largest = 1 if img.dtype.kind not in "iu" else int(np.iinfo(str(img.dtype)).max)
    if to_float32:
        img = img.astype(np.float32)
    return replaced(sample, img=img, img_shape=shape, ori_shape=shape, img_max=largest)


def _expect_size(sample: Sample, img: NDArray[Any]) -> None:
    """Refuse an image of another size than its record says: its boxes and masks would be of another picture."""
    said: tuple[Any, Any] = (sample.get("height"), sample.get("width"))
    if not all(isinstance(side, (int, float)) for side in said) or said == img.shape[:2]:
        return
    turned = said == (img.shape[1], img.shape[0])
    raise FkitValueError(
        f"{sample['img_path']}: is {img.shape[1]} x {img.shape[0]} pixels, and its annotations say {said[1]} x {said[0]}.",
        repair="Where the file says by EXIF that it is turned, color_type='color_ignore_orientation' reads it as it lies."
        if turned
        else "Correct the height and width of the annotations, or take the image that they are of.",
    )


def _path(sample: Sample, key: str) -> str:
    if key not in sample:
        raise FkitKeyError(f"the sample has no {key!r}.", value=key, choices=sample, label="It has")
    path: Any = sample[key]
    if path is None:
        raise FkitTypeError(f"{key} is None: there is no file to read.")
    return path


def _array(img: Any) -> NDArray[Any]:
    if not isinstance(img, np.ndarray):
        raise FkitTypeError(f"`img` is an array (H, W, C), not {quoted(img, 60)}.")
    return cast("NDArray[Any]", img)

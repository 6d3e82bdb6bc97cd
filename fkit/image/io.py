"""Pictures from files and bytes, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fkit.fileio.operation import get, put
from fkit.fileio.part import backend_args_of
from fkit.image.argument import bytes_of, local, whole
from fkit.image.decode import BACKENDS, Undecodable, decode
from fkit.image.refuse import Image, form, image, is_a, refusing
from fkit.tree.error import FkitFileNotFoundError, FkitOSError, FkitTypeError, FkitValueError
from fkit.tree.write import atomic_write

__all__ = ["imfrombytes", "imread", "imwrite", "supported_backends"]

supported_backends = BACKENDS


def imread(
    img_or_path: Image | str | Path,
    flag: str | int = "color",
    channel_order: str = "bgr",
    backend: str | None = None,
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
    allow_truncated: bool = False,
) -> Image:
    """Read a picture. The content decides how, never the extension.

    Args:
        img_or_path: a path (``~`` is the user's own folder), or an array, which is returned as it is.
        flag: "color" (EXIF orientation applied), "grayscale" (likewise), "unchanged" (as stored: depth, alpha,
            palette under Pillow; not turned), "color_ignore_orientation", "grayscale_ignore_orientation"; a number is
            handed to OpenCV as it is.
        channel_order: "bgr" or "rgb". As in mmcv it acts for "color" (under Pillow for "color_ignore_orientation"
            too); "unchanged" is always BGR.
        backend: "cv2" (None means it), "pillow" or "tifffile" (the stored array, flag and order aside). mmcv's global
            ``use_backend`` is this argument here.
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: options for ``fkit.fileio.get``, which then fetches the bytes; paths with a scheme
            (``s3://...``) go there too.
        allow_truncated: read what is left of a cut JPEG, the rest grey, in place of an error.

    Returns:
        (H, W, 3), (H, W) or, "unchanged", as stored: uint8 in 0..255, uint16, or float32.

    Raises:
        FkitFileNotFoundError: no such file.
        FkitOSError: the content is no whole picture; the message names the file.
        FkitValueError: an unknown flag, order or backend.
        FkitTypeError: neither a path nor an array.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.png"
        >>> imwrite(np.full((4, 6, 3), 9, np.uint8), path)
        True
        >>> imread(path, "grayscale").shape
        (4, 6)
    """
    if isinstance(img_or_path, np.ndarray):
        return img_or_path
    if not is_a(img_or_path, str, Path):
        raise FkitTypeError(f"imread takes a path or an array; got {form(img_or_path)}.")
    path = local("imread", "img_or_path", img_or_path)
    content = _read(path, backend_args, file_client_args)
    try:
        return decode(content, flag, channel_order, backend, allow_truncated)
    except Undecodable as cause:
        raise FkitOSError(f"{img_or_path} cannot be read as a picture: {cause}.", repair=cause.repair) from cause


def imfrombytes(
    content: bytes,
    flag: str | int = "color",
    channel_order: str = "bgr",
    backend: str | None = None,
    *,
    allow_truncated: bool = False,
) -> Image:
    """Decode a picture held in memory; arguments and result as ``imread``.

    Args:
        content: a whole encoded picture.
        flag: see ``imread``.
        channel_order: see ``imread``.
        backend: see ``imread``.
        allow_truncated: see ``imread``.

    Returns:
        (H, W, 3), (H, W) or, "unchanged", as stored: uint8 in 0..255, uint16, or float32.

    Raises:
        FkitValueError: content that is no whole picture; an unknown flag, order or backend.

    Example:
        >>> content = cv2.imencode(".png", np.full((4, 6, 3), 9, np.uint8))[1].tobytes()
        >>> imfrombytes(content)[0, 0].tolist()
        [9, 9, 9]
    """
    content = bytes_of("imfrombytes", content)
    try:
        return decode(content, flag, channel_order, backend, allow_truncated)
    except Undecodable as cause:
        raise FkitValueError(f"These {len(content)} bytes are no picture: {cause}.", repair=cause.repair) from cause


def imwrite(
    img: Image,
    file_path: str | Path,
    params: Sequence[int] | None = None,
    auto_mkdir: bool | None = None,
    file_client_args: Mapping[str, Any] | None = None,
    *,
    backend_args: Mapping[str, Any] | None = None,
) -> bool:
    """Write a picture, whole or not at all; the suffix names the format.

    Args:
        img: (H, W), (H, W, 3) BGR or (H, W, 4) BGRA; uint8, uint16 (PNG, TIFF), float32 (TIFF, HDR, EXR; rounded and
            cut to 8 bits for the others).
        file_path: where; its suffix is .png, .jpg, .tif, ...
        params: OpenCV's pairs, such as ``(cv2.IMWRITE_JPEG_QUALITY, 90)``.
        auto_mkdir: False: do not make missing folders (local files; the storages of ``fkit.fileio`` always do).
        file_client_args: mmcv 1.x's name of ``backend_args``.
        backend_args: options for ``fkit.fileio.put``, which then stores the bytes; paths with a scheme go there too.

    Returns:
        True (what cannot be written raises).

    Raises:
        FkitValueError: no or an unknown suffix, or an array that the format cannot hold.
        FkitOSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> imwrite(np.zeros((4, 6), np.uint8), Path(tempfile.mkdtemp()) / "new" / "a.png")
        True
    """
    path = Path(local("imwrite", "file_path", file_path))
    if not path.suffix:
        raise FkitValueError(f"imwrite: {path} has no suffix, which names the format.", repair="add .png or .jpg")
    if params is not None and not is_a(params, tuple, list):
        raise FkitTypeError(f"imwrite: params must be a sequence of whole numbers; got {form(params)}.")
    pairs = tuple(whole("imwrite", "params", number) for number in params or ())
    with refusing(f"imwrite to {path}", image("imwrite", img)):
        done, content = cv2.imencode(path.suffix, img, pairs)
    if not done:
        raise FkitValueError(f"imwrite: OpenCV cannot write {form(img)} as {path.suffix!r}.")
    if _is_stored(file_path, backend_args, file_client_args):
        put(content.tobytes(), file_path, backend_args_of(backend_args, file_client_args) or None)
        return True
    try:
        if auto_mkdir is not False:
            path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content.tobytes(), sync=False)
    except OSError as cause:
        raise FkitOSError(f"imwrite cannot write {path}: {cause}.") from cause
    return True


def _read(path: str, backend_args: Mapping[str, Any] | None, file_client_args: Mapping[str, Any] | None) -> bytes:
    if _is_stored(path, backend_args, file_client_args):
        return get(path, backend_args_of(backend_args, file_client_args) or None)
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as cause:
        raise FkitFileNotFoundError(f"{path} is not there.") from cause
    except OSError as cause:
        raise FkitOSError(f"{path} cannot be read: {cause}.") from cause


def _is_stored(path: object, *options: Mapping[str, Any] | None) -> bool:
    """Whether ``fkit.fileio`` handles the path; plain local paths do without, which is faster."""
    return any(option is not None for option in options) or (isinstance(path, str) and "://" in path)

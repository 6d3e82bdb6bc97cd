"""Bytes of a picture to an array, by OpenCV, Pillow or tifffile."""

import io
from typing import Any

import cv2
import numpy as np

from fkit.image.refuse import Image, optional
from fkit.tree.error import FkitValueError

__all__ = ["BACKENDS", "FLAGS", "ORDERS", "Undecodable", "decode"]

BACKENDS = ("cv2", "pillow", "tifffile")
FLAGS = ("color", "grayscale", "unchanged", "color_ignore_orientation", "grayscale_ignore_orientation")
ORDERS = ("bgr", "rgb")

_CV2_FLAGS = (
    ("color", cv2.IMREAD_COLOR),
    ("grayscale", cv2.IMREAD_GRAYSCALE),
    ("unchanged", cv2.IMREAD_UNCHANGED),
    ("color_ignore_orientation", cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION),
    ("grayscale_ignore_orientation", cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION),
)
_UNDER_ALPHA = (124, 117, 104)  # what a grey picture with alpha is laid on: the mean colour of ImageNet, RGB
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_MAGIC = (
    (_JPEG_START, "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
)


class Undecodable(Exception):
    """Content that is no whole picture; the text says why, the caller adds whose content it is."""


def decode(content: bytes, flag: str | int, channel_order: str, backend: str | None, allow_truncated: bool) -> Image:
    """Decode one picture; the arguments are those of ``imfrombytes``.

    Raises:
        FkitValueError: an unknown flag, order or backend.
        Undecodable: the content is no whole picture.

    Example:
        >>> decode(b"plain text", "color", "bgr", None, False)
        Traceback (most recent call last):
        fkit.image.decode.Undecodable: it starts with b'plain text', which is no picture format that 'cv2' knows
    """
    if channel_order not in ORDERS:
        raise FkitValueError(f"channel_order = {channel_order!r} is unknown.", value=str(channel_order), choices=ORDERS)
    if not isinstance(flag, int) and flag not in FLAGS:
        raise FkitValueError(f"flag = {flag!r} is unknown.", value=str(flag), choices=FLAGS)
    name = "cv2" if backend is None else backend
    if name not in BACKENDS:
        raise FkitValueError(f"backend = {name!r} is unknown.", value=str(name), choices=BACKENDS)
    if not content:
        raise Undecodable("it is empty")
    if allow_truncated and content.startswith(_JPEG_START):
        content = content + _JPEG_END  # an early end of image: libjpeg then fills what is missing with grey
    if name == "cv2":
        return _by_cv2(content, flag, channel_order)
    if isinstance(flag, int):
        raise FkitValueError(f"flag = {flag} is a number of OpenCV; backend {name!r} takes a name.", choices=FLAGS)
    return _by_pillow(content, flag, channel_order) if name == "pillow" else _by_tifffile(content)


def _by_cv2(content: bytes, flag: str | int, channel_order: str) -> Image:
    code = flag if isinstance(flag, int) else next(code for name, code in _CV2_FLAGS if name == flag)
    if code == cv2.IMREAD_COLOR and channel_order == "rgb":
        code = cv2.IMREAD_COLOR_RGB
    try:
        img: Image | None = cv2.imdecode(np.frombuffer(content, np.uint8), code)
    except cv2.error as cause:
        raise Undecodable(f"OpenCV says: {cause}") from cause
    if img is None:
        raise Undecodable(_why(content, "cv2"))
    return img


def _by_pillow(content: bytes, flag: str, channel_order: str) -> Image:
    pillow, ops = optional("PIL.Image", "backend='pillow'"), optional("PIL.ImageOps", "backend='pillow'")
    try:
        picture: Any = pillow.open(io.BytesIO(content))
        picture.load()
    except (OSError, SyntaxError, ValueError) as cause:  # SyntaxError: what Pillow's PNG reader raises
        said = "" if isinstance(cause, pillow.UnidentifiedImageError) else f" ({cause})"
        raise Undecodable(_why(content, "pillow") + said) from cause
    if flag == "unchanged":
        img = np.array(picture)
        if img.ndim == 3 and img.shape[2] >= 3:
            img[:, :, :3] = img[:, :, 2::-1]
        return img
    if not flag.endswith("ignore_orientation"):
        picture = ops.exif_transpose(picture)
    if picture.mode == "LA":
        above = picture.convert("RGBA")
        picture = pillow.new("RGB", above.size, _UNDER_ALPHA)
        picture.paste(above, mask=above.getchannel("A"))
    elif picture.mode != "RGB":
        picture = picture.convert("RGB")
    if flag.startswith("grayscale"):
        return np.array(picture.convert("L"))
    img = np.array(picture)
    return img if channel_order == "rgb" else cv2.cvtColor(img, cv2.COLOR_RGB2BGR)


def _by_tifffile(content: bytes) -> Image:
    tifffile = optional("tifffile", "backend='tifffile'")
    try:
        return tifffile.imread(io.BytesIO(content))
    except (tifffile.TiffFileError, OSError, ValueError, KeyError) as cause:
        raise Undecodable(f"{_why(content, 'tifffile')} ({cause})") from cause


def _why(content: bytes, backend: str) -> str:
    kind = next((name for start, name in _MAGIC if content.startswith(start)), None)
    if kind is None:
        return f"it starts with {content[:16]!r}, which is no picture format that {backend!r} knows"
    return f"it starts like a {kind} but is cut short, damaged, or of a kind that {backend!r} cannot read this way"

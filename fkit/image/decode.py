"""Bytes of a picture to an array, by OpenCV, Pillow or tifffile."""

import io
from typing import Any

import cv2
import numpy as np

from fkit.image.refuse import Image, is_a, one_of, optional
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
_AS_STORED = "flag='unchanged' reads the levels as they are stored."
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_MAGIC = (
    (_JPEG_START, "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"RIFF", "WebP"),
    (b"#?", "Radiance HDR"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"Y\xa6j\x95", "Sun raster"),
    *((b"P" + digit, "PNM") for digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"F", b"f")),
)
_ORIENTATION = 0x0112  # the tag of EXIF
# what turns a picture upright again, by the tag's value from 2 on
_TURNS = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90")


class Undecodable(Exception):
    """Content that is no whole picture; the text says why, the caller adds whose content it is.

    Args:
        why: the reason.
        repair: what to do, or "".
    """

    def __init__(self, why: str, repair: str = "") -> None:
        super().__init__(why)
        self.repair = repair


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
    one_of("imread", "channel_order", channel_order, ORDERS)
    if not isinstance(flag, int):
        one_of("imread", "flag", flag, FLAGS)
    name = "cv2" if backend is None else backend
    one_of("imread", "backend", name, BACKENDS)
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
        raise Undecodable(_why(content, "cv2"), _repair(content, code))
    return img


def _repair(content: bytes, code: int) -> str:
    """What reads content that OpenCV does not read this way."""
    if content.startswith(_JPEG_START) and not content.endswith(_JPEG_END):
        return "allow_truncated=True reads what a JPEG that was cut still holds."
    if code != cv2.IMREAD_UNCHANGED:
        try:
            stored: Image | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return ""
        if stored is not None:
            return _AS_STORED
    return ""


def _by_pillow(content: bytes, flag: str, channel_order: str) -> Image:
    pillow = optional("PIL.Image", "backend='pillow'")
    try:
        picture: Any = pillow.open(io.BytesIO(content))
        picture.load()
    except Exception as cause:  # each of Pillow's readers raises what it pleases: SyntaxError, struct.error, ...
        reason = "" if isinstance(cause, pillow.UnidentifiedImageError) else f" ({cause})"
        raise Undecodable(_why(content, "pillow") + reason, _repair(content, cv2.IMREAD_UNCHANGED)) from cause
    if flag == "unchanged":
        img = np.array(picture)
        if img.ndim == 3 and img.shape[2] >= 3:
            img[:, :, :3] = img[:, :, 2::-1]
        return img
    if not flag.endswith("ignore_orientation"):
        picture = _upright(picture, pillow)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        picture = pillow.fromarray(_eight_bits(picture))
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


def _upright(picture: Any, pillow: Any) -> Any:
    """Turned as its EXIF says; as it is where that is damaged, as OpenCV has it."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # what reading damaged EXIF raises is not documented: SyntaxError, struct.error, ...
        return picture
    turn = _TURNS[value - 2] if is_a(value, int) and 2 <= value <= 8 else None
    return picture if turn is None else picture.transpose(getattr(pillow.Transpose, turn))


def _eight_bits(picture: Any) -> Image:
    """The upper eight of a grey picture's sixteen bits, as OpenCV takes them; Pillow would cut all above 255."""
    levels: Image = np.array(picture)
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        return (levels >> 8).astype(np.uint8)
    kind = "floats" if picture.mode == "F" else "32-bit integers"
    raise Undecodable(f"its grey levels are {kind}, which have no agreed range as 8 bits", _AS_STORED)


def _by_tifffile(content: bytes) -> Image:
    tifffile = optional("tifffile", "backend='tifffile'")
    try:
        return tifffile.imread(io.BytesIO(content))
    except Exception as cause:  # TiffFileError, and whatever its readers of tags and tiles raise
        raise Undecodable(f"{_why(content, 'tifffile')} ({cause})") from cause


def _why(content: bytes, backend: str) -> str:
    kind = next((name for start, name in _MAGIC if content.startswith(start)), None)
    if content[4:8] == b"ftyp":
        kind = "AVIF, HEIC or video"
    if kind is None:
        return f"it starts with {content[:16]!r}, which is no picture format that {backend!r} knows"
    return f"it starts like a {kind} but is cut short, damaged, or of a kind that {backend!r} cannot read this way"

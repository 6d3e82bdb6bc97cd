"""Lines, areas and letters on an RGB picture, with soft edges: each function gives a new picture."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fkit.tree.error import FkitValueError, quoted

__all__ = [
    "ALIGNMENTS",
    "Colour",
    "Picture",
    "area",
    "colour_of",
    "dashes",
    "disc",
    "font",
    "palette",
    "stroke",
    "tinted",
    "words",
    "words_size",
]  # fmt: skip

Picture: TypeAlias = NDArray[np.uint8]  # (H, W, 3) RGB
Colour: TypeAlias = tuple[int, int, int]

ALIGNMENTS = (("left", "center", "right"), ("top", "center", "bottom"))
"""Of a text to its position: across, and down."""

_SHIFT = 4  # bits behind the point of OpenCV's coordinates
_FAR = 1 << 20  # px: what lies farther out looks the same, and OpenCV counts in 32 bits
_DASHES = {"--": (5.0, 3.0), ":": (1.0, 2.0), "-.": (5.0, 2.0, 1.0, 2.0)}.items()
_FAMILIES = (("sans-serif", "DejaVuSans.ttf"), ("serif", "DejaVuSerif.ttf"), ("monospace", "DejaVuSansMono.ttf"))


def colour_of(value: Any) -> Colour:
    """(red, green, blue), each 0 to 255.

    Args:
        value: a letter or name of matplotlib's ("g", "tab:blue", "#ff8800"), or three whole numbers from 0 to 255.

    Raises:
        FkitValueError: there is no such colour.

    Example:
        >>> colour_of("r"), colour_of("#0000ff"), colour_of((1, 2, 3))
        ((255, 0, 0), (0, 0, 255), (1, 2, 3))
    """
    if isinstance(value, str):
        try:
            red, green, blue = (round(255 * part) for part in to_rgb(value))
        except ValueError:
            raise FkitValueError(
                f"color = {value!r} is no colour.", repair='"r", "tab:blue", "#ff8800", or (255, 136, 0).'
            ) from None
        return red, green, blue
    numbers: NDArray[Any] = np.asarray(value)
    if numbers.shape != (3,) or numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() > 255:
        raise FkitValueError(f"color = {quoted(value)}: a colour is a name, or three whole numbers from 0 to 255.")
    red, green, blue = numbers.tolist()
    return red, green, blue


def palette(count: int) -> tuple[Colour, ...]:
    """Colours for ``count`` classes, told apart as well as may be; the first ten are hand-picked.

    Example:
        >>> len(set(palette(100)))
        100
    """
    first = ((37, 99, 235), (220, 38, 38), (5, 150, 105), (217, 119, 6), (147, 51, 234), (8, 145, 178), (219, 39, 119), (101, 163, 13), (79, 70, 229), (234, 88, 12))  # fmt: skip
    more: list[Colour] = []
    for number in range(max(count - len(first), 0)):
        hue = (number * 0.61803398875) % 1.0  # the golden ratio: neighbours in number are far apart in hue
        bright, full = (0.62, 0.42, 0.78)[number % 3], (0.85, 0.6)[(number // 3) % 2]
        more.append(_of_hue(hue, full, bright, number))
    return (*first[:count], *more)


def _of_hue(hue: float, full: float, bright: float, number: int) -> Colour:
    def part(shift: float) -> int:
        place = (shift + hue * 12) % 12
        level = bright - full * min(bright, 1 - bright) * max(-1.0, min(place - 3, 9 - place, 1.0))
        return round(255 * level)

    red, green, blue = part(0), part(8), part(4)
    return red, green, (blue + number // 10) % 256  # no two alike however many there are


def _painted(image: Picture, paint: Callable[[NDArray[np.uint8]], Any], colour: Colour, alpha: float) -> Picture:
    """The picture with a colour laid over where ``paint`` has painted a cover of 0 to 255."""
    cover = np.zeros(image.shape[:2], np.uint8)
    paint(cover)
    x, y, width, height = cv2.boundingRect(cover)
    if not width:
        return image
    out = image.copy()
    there = out[y : y + height, x : x + width]
    part = cover[y : y + height, x : x + width, None].astype(np.float32) * np.float32(alpha / 255)
    there[:] = np.rint(there + (np.array(colour, np.float32) - there) * part).astype(np.uint8)
    return out


def _fixed(points: NDArray[Any]) -> NDArray[np.int32]:
    """Pixel centres at whole numbers -> OpenCV's fixed point."""
    near = np.clip(np.nan_to_num(np.asarray(points, np.float64)), -_FAR, _FAR)
    return np.rint(near * (1 << _SHIFT)).astype(np.int32)


def stroke(
    image: Picture, points: NDArray[Any], colour: Colour, width: float = 2.0, style: str = "-", alpha: float = 1.0, closed: bool = False
) -> Picture:  # fmt: skip
    """A line through points.

    Args:
        points: (N, 2), x and y in pixels.
        style: "-", "--", ":" or "-.".
        closed: from the last point to the first too.

    Example:
        >>> stroke(np.zeros((5, 5, 3), np.uint8), np.array([[0, 2], [4, 2]]), (255, 0, 0), 1)[2, 2].tolist()[0] > 200
        True
    """
    path = np.asarray(points, np.float64).reshape(-1, 2)
    if closed:
        path = np.concatenate((path, path[:1]))
    thick = max(1, round(width))
    pieces = [path] if style == "-" else dashes(path, style, width)
    fixed = [_fixed(piece)[:, None] for piece in pieces]
    return _painted(
        image, lambda cover: cv2.polylines(cover, fixed, False, (255,), thick, cv2.LINE_AA, _SHIFT), colour, alpha
    )


def dashes(path: NDArray[np.float64], style: str, width: float) -> list[NDArray[np.float64]]:
    """The pieces of a line that are drawn.

    Raises:
        FkitValueError: there is no such style.

    Example:
        >>> len(dashes(np.array([[0.0, 0.0], [80.0, 0.0]]), "--", 1.0))
        10
    """
    lengths = next((lengths for name, lengths in _DASHES if name == style), None)
    if lengths is None:
        raise FkitValueError(
            f"line style {style!r} is unknown.", value=style, choices=("-", *(name for name, _ in _DASHES))
        )
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    ends = np.concatenate(([0.0], np.cumsum(steps)))
    at, turn, pieces = 0.0, 0, list[NDArray[np.float64]]()
    while at < ends[-1] and len(pieces) < 100_000:
        until = min(at + lengths[turn % len(lengths)] * max(width, 1.0), float(ends[-1]))
        if turn % 2 == 0:
            inside = ends[np.logical_and(ends > at, ends < until)]
            where = np.concatenate(([at], inside, [until]))
            pieces.append(np.stack([np.interp(where, ends, path[:, axis]) for axis in (0, 1)], axis=1))
        at, turn = until, turn + 1
    return pieces


def area(image: Picture, parts: Sequence[NDArray[Any]], colour: Colour, alpha: float = 1.0) -> Picture:
    """The inside of polygons; where an even number of them lie over each other is outside.

    Args:
        parts: of (N, 2), x and y in pixels.

    Example:
        >>> area(np.zeros((5, 5, 3), np.uint8), [np.array([[0, 0], [4, 0], [4, 4], [0, 4]])], (0, 255, 0))[2, 2].tolist()
        [0, 255, 0]
    """
    fixed = [_fixed(np.asarray(part).reshape(-1, 2))[:, None] for part in parts]
    return _painted(image, lambda cover: cv2.fillPoly(cover, fixed, (255,), cv2.LINE_AA, _SHIFT), colour, alpha)


def disc(image: Picture, centre: NDArray[Any], radius: float, colour: Colour, alpha: float = 1.0, width: float | None = None) -> Picture:  # fmt: skip
    """A circle: its line of ``width`` pixels, or where that is None its inside."""
    x, y = (int(part) for part in _fixed(np.asarray(centre)))
    reach = round(min(max(radius, 0.0), _FAR) * (1 << _SHIFT))
    thick = -1 if width is None else max(1, round(width))
    return _painted(
        image, lambda cover: cv2.circle(cover, (x, y), reach, (255,), thick, cv2.LINE_AA, _SHIFT), colour, alpha
    )


def tinted(image: Picture, mask: NDArray[np.bool_], colour: Colour, alpha: float) -> Picture:
    """The picture with a colour laid over where a mask is true.

    Args:
        mask: (H, W) bool.
    """

    def paint(cover: NDArray[np.uint8]) -> None:
        cover[mask] = 255

    return _painted(image, paint, colour, alpha)


def font(size: float, family: str = "sans-serif", bold: bool = False, properties: Any = None) -> ImageFont.FreeTypeFont:
    """Letters of ``size`` pixels: DejaVu's, which come with matplotlib, for "sans-serif", "serif" and "monospace"; else a font of
    that name that the machine has.

    Args:
        properties: matplotlib's FontProperties, which go before ``family``.

    Raises:
        FkitValueError: there is no such font.
    """
    pixels = max(1, round(size))
    known = None if properties is not None else next((file for name, file in _FAMILIES if name == family), None)
    if known is not None:
        file = known.replace(".ttf", "-Bold.ttf") if bold else known
        return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file), pixels)
    try:
        wanted = (
            properties if properties is not None else FontProperties(family=family, weight="bold" if bold else "normal")
        )
        return ImageFont.truetype(findfont(wanted, fallback_to_default=False), pixels)
    except (ValueError, OSError):
        raise FkitValueError(
            f"there is no font {family!r} on this machine.",
            value=str(family),
            choices=tuple(name for name, _ in _FAMILIES),
        ) from None


def words_size(text: str, letters: ImageFont.FreeTypeFont) -> tuple[float, float]:
    """(width, height) of a text in pixels, its lines' full height counted, so that texts side by side are alike.

    Example:
        >>> wide, high = words_size("one\\ntwo", font(20))
        >>> wide > 30, high > 40
        (True, True)
    """
    lines = text.split("\n")
    above, below = letters.getmetrics()
    return max(letters.getlength(line) for line in lines), (above + below) * len(lines)


def words(
    image: Picture,
    text: str,
    at: tuple[float, float],
    letters: ImageFont.FreeTypeFont,
    colour: Colour,
    align: tuple[str, str] = ("left", "top"),
    box: tuple[Colour, float, float] | None = None,
    inside: bool = False,
) -> Picture:
    """A text, on a filled box where one is wanted.

    Args:
        at: x and y of the text's corner, or middle, as ``align`` says.
        align: see `ALIGNMENTS`.
        box: its colour, its alpha, and how far it reaches beyond the text, pixels.
        inside: move it into the picture where it would reach out.
    """
    width, height = words_size(text, letters)
    pad = 0.0 if box is None else box[2]
    x = at[0] - width * ALIGNMENTS[0].index(align[0]) / 2
    y = at[1] - height * ALIGNMENTS[1].index(align[1]) / 2
    if inside:
        x = min(max(x, pad), max(image.shape[1] - width - pad, pad))
        y = min(max(y, pad), max(image.shape[0] - height - pad, pad))
    if not (math.isfinite(x) and math.isfinite(y)) or max(abs(x), abs(y)) > _FAR:
        return image
    if box is not None:
        left, top, right, bottom = x - pad, y - pad, x + width + pad - 1, y + height + pad - 1
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        image = area(image, [corners], box[0], box[1])
    canvas = Image.fromarray(image)
    ImageDraw.Draw(canvas).multiline_text((x, y), text, font=letters, fill=colour, spacing=0, align=align[0])
    return np.asarray(canvas)

"""Pictures with something said about them: an image in, an image out, nothing kept."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.visualize.shape import Picture, font

__all__ = ["draw_label", "picture", "sheet"]

_PAPER, _INK, _SOFT, _TRACK = (255, 255, 255), (31, 41, 51), (123, 135, 148), (228, 231, 235)
_LONGEST = 500  # letters of a name that are looked at
_BLUE, _GREEN, _RED = (37, 99, 235), (5, 150, 105), (220, 38, 38)


def draw_label(
    image: NDArray[Any],
    label: str,
    score: float | None = None,
    *,
    truth: str | None = None,
    others: Sequence[tuple[str, float]] = (),
    side_px: int = 256,
) -> Picture:
    """An image with a caption below it: the predicted class, its score as a number and as a bar. Every bar is as wide as the
    caption at a score of 1, so that their lengths compare.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) RGB; see `picture` for the values. Small ones are enlarged, pixel by pixel.
        label: the predicted class.
        score: in [0, 1]; None draws no bar.
        truth: the true class where it is known; the bar is green when the label is it, red when not.
        others: the next classes and their scores, a small row and a bar each.
        side_px: the longer side of the image in the answer, at least.

    Returns:
        (H', W', 3) uint8, RGB.

    Example:
        >>> draw_label(np.eye(8, dtype=np.uint8) * 255, "seven", 0.93).shape
        (324, 256, 3)
    """
    expect(label, str, "draw_label: `label` is text")
    enlarged = _enlarged(picture(image), side_px)
    width = max(enlarged.shape[1], 160)
    unit = (max(width, 200) / 256) ** 0.6  # type and spacing grow with the picture, but slower
    pad, big, small = round(14 * unit), round(24 * unit), round(14 * unit)
    row, bar = round(22 * unit), 0 if score is None else round(18 * unit)  # a line of text; a bar below it
    note = truth is not None and truth != label
    height = round(50 * unit) + bar + row * note + (row + round(12 * unit)) * len(others)
    height += round(4 * unit) if others or note else 0
    out = np.full((enlarged.shape[0] + height, width, 3), 255, np.uint8)
    left = (width - enlarged.shape[1]) // 2
    out[: enlarged.shape[0], left : left + enlarged.shape[1]] = enlarged
    canvas = Image.fromarray(out)
    pen = ImageDraw.Draw(canvas)
    top, right = enlarged.shape[0], width - pad
    pen.line((0, top, width, top), fill=_TRACK)
    colour = _BLUE if truth is None else _RED if note else _GREEN

    _line(pen, (pad, right, top + round(25 * unit)), label, score, (font(big, bold=True), font(round(18 * unit))), _INK)
    if score is not None:
        _bar(pen, (pad, top + round(48 * unit)), room=right - pad, thick=round(7 * unit), score=score, colour=colour)
    middle, fonts = top + round(57 * unit) + bar, (font(small), font(small))
    if note:
        _line(pen, (pad, right, middle), f"true class: {truth}", None, fonts, _RED)
        middle += row
    for name, part in others:
        _line(pen, (pad, right, middle), name, part, fonts, _SOFT)
        _bar(pen, (pad, middle + round(12 * unit)), room=right - pad, thick=round(5 * unit), score=part, colour=_SOFT)
        middle += row + round(12 * unit)
    return np.asarray(canvas)


def sheet(images: Iterable[NDArray[Any]], columns: int | None = None, gap_px: int = 12) -> Picture:
    """Pictures side by side in rows, on white: a contact sheet.

    Args:
        images: as `picture` takes them, of any sizes; each stands at the top of a cell of the largest.
        columns: in a row; None makes the sheet about square.
        gap_px: between the cells and round them.

    Raises:
        FkitValueError: no images.

    Example:
        >>> sheet([np.zeros((8, 8), np.uint8)] * 3, columns=2, gap_px=1).shape
        (19, 19, 3)
    """
    expect(images, Iterable, "`images` are arrays, a picture each")
    pictures = [picture(image) for image in images]
    if not pictures:
        raise FkitValueError("a sheet of no images.")
    wide = columns or math.ceil(math.sqrt(len(pictures)))
    height, width = (max(image.shape[axis] for image in pictures) for axis in (0, 1))
    rows = math.ceil(len(pictures) / wide)
    wide = min(wide, len(pictures))
    out = np.full((rows * (height + gap_px) + gap_px, wide * (width + gap_px) + gap_px, 3), 255, np.uint8)
    for place, image in enumerate(pictures):
        y = gap_px + (place // wide) * (height + gap_px)
        x = gap_px + (place % wide) * (width + gap_px) + (width - image.shape[1]) // 2
        out[y : y + image.shape[0], x : x + image.shape[1]] = image
    return out


def picture(image: NDArray[Any], largest: float | None = None) -> Picture:
    """An image as (H, W, 3) uint8, RGB.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3).
        largest: the value of white, which a sample states as ``img_max``; None takes that of the dtype, 1 for floats.

    Raises:
        FkitTypeError: it has another shape.

    Example:
        >>> picture(np.array([[0, 16]], np.uint8), 16)[0].tolist()
        [[0, 0, 0], [255, 255, 255]]
    """
    expect(image, np.ndarray, "`image` is an array, (H, W), (H, W, 1) or (H, W, 3)")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)) or image.size == 0:
        raise FkitTypeError(
            f"an image to draw on is (H, W), (H, W, 1) or (H, W, 3); got {image.shape}.",
            repair="Of a (C, H, W) array take .transpose(1, 2, 0).",
        )
    if largest is None:
        largest = 1 if image.dtype.kind in "fb" else int(np.iinfo(str(image.dtype)).max)
    values = image.reshape(*image.shape[:2], -1)
    if image.dtype != np.uint8 or largest != 255:
        scaled = np.nan_to_num(values.astype(np.float64) * (255 / largest))
        values = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def _enlarged(image: Picture, side_px: int) -> Picture:
    """By a whole factor, so that every pixel stays a square; large images stay as they are."""
    factor = side_px // max(image.shape[:2])
    if factor < 2:
        return image
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST), np.uint8)


def _line(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int, int],
    text: str,
    score: float | None,
    fonts: tuple[ImageFont.FreeTypeFont, ImageFont.FreeTypeFont],
    colour: tuple[int, int, int],
) -> None:
    """A line of text, and a score at its end.

    Args:
        at: its left and right end, and its middle from above, pixels.
        fonts: of the text, and of the score.
    """
    left, right, middle = at
    room = float(right - left)
    if score is not None:
        number = f"{100 * score:.1f}%"
        pen.text((right, middle), number, font=fonts[1], fill=_SOFT, anchor="rm")
        room -= pen.textlength(number, font=fonts[1]) + left
    pen.text((left, middle), _cut(pen, text, fonts[0], room), font=fonts[0], fill=colour, anchor="lm")


def _bar(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], *, room: int, thick: int, score: float, colour: tuple[int, int, int]
) -> None:
    x, y = at
    score = min(max(score, 0.0), 1.0) if math.isfinite(score) else 0.0
    pen.rounded_rectangle((x, y, x + room, y + thick), thick // 2, fill=_TRACK)
    length = round(room * score)
    if length > 0:
        pen.rounded_rectangle((x, y, x + length, y + thick), min(thick, length) // 2, fill=colour)


def _cut(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """The text on one line, shortened by an ellipsis where it is wider than ``room``."""
    text = " ".join(text.split())[:_LONGEST]
    if pen.textlength(text, font=font) <= room:
        return text
    while text and pen.textlength(text + "…", font=font) > room:
        text = text[:-1]
    return text + "…"

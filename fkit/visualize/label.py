"""Words on pictures: a tag for each object, where it hides least, and a strip below that names colours."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkit.tree.check import expect
from fkit.visualize.shape import Colour, Picture, area, colour_of, font, words, words_size

__all__ = ["Tag", "legend", "readable", "tagged"]

_WHITE, _INK = (255, 255, 255), (31, 41, 51)
_PAD = 2.0  # px from a text to the edge of its tag
_USUAL = 0.15  # of another object, by a tag at its usual place, the left upper corner of its own
_HIDDEN = 0.3  # of another object, at most, by a tag
_OPAQUE = 0.88


class Tag(NamedTuple):
    """What is said of one object.

    Attributes:
        text: a word or two.
        bbox: (4,) of the object: x1, y1, x2, y2, pixels.
        colour: of the tag.
    """

    text: str
    bbox: NDArray[np.float64]
    colour: Colour


def readable(colour: Colour) -> Colour:
    """Dark or white letters, whichever are read on a colour.

    Example:
        >>> readable((0, 0, 142)), readable((250, 240, 60))
        ((255, 255, 255), (31, 41, 51))
    """
    return _INK if 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 150 else _WHITE


def tagged(image: Picture, tags: Sequence[Tag], size: float, ink: Any = None) -> Picture:
    """The picture with a tag at each object, the first ones first: above it, within, below, wherever it lies on no other tag and
    hides no other object. A tag that has no such place is left out: the object's colour says its class.

    Args:
        size: of the letters, pixels.
        ink: their colour; None takes what is read on the tag's.

    Example:
        >>> box = np.array([4.0, 20.0, 60.0, 40.0])
        >>> drawn = tagged(np.zeros((48, 64, 3), np.uint8), [Tag("cell", box, (255, 0, 0))], 10)
        >>> bool(drawn[:20].any()), bool(drawn[42:].any())
        (True, False)
    """
    expect(tags, Sequence, "`tags` is a list of Tag")
    letters, taken = font(size), np.zeros((0, 4))
    boxes = np.array([tag.bbox for tag in tags], np.float64).reshape(-1, 4)
    for number, tag in enumerate(tags):
        wide, high = (side + 2 * _PAD for side in words_size(tag.text, letters))
        place = _place(image.shape, (wide, high), number, boxes, taken)
        if place is None:
            continue
        x, y = place
        taken = np.concatenate((taken, [[x, y, x + wide, y + high]]))
        shade = readable(tag.colour) if ink is None else colour_of(ink)
        at = (x + _PAD, y + _PAD)
        image = words(image, tag.text, at, letters, shade, ("left", "top"), (tag.colour, _OPAQUE, _PAD))
    return image


def _place(
    shape: tuple[int, ...], size: tuple[float, float], number: int, boxes: NDArray[Any], taken: NDArray[Any]
) -> tuple[float, float] | None:
    """The left upper corner of a tag; None where there is no room."""
    (wide, high), (rows, columns) = size, shape[:2]
    x1, y1, x2, y2 = boxes[number]
    if wide > columns or high > rows or not np.isfinite(boxes[number]).all():
        return None
    top, low = max(y1, 0.0), min(y2, rows)
    spots = (
        (x1 - 1, y1 - high),
        (x2 - wide + 1, y1 - high),
        (x1, top),
        (x1 - 1, y2),
        (x2 - wide + 1, y2),
        (x1, low - high),
    )
    others = np.delete(boxes, number, axis=0)
    best, least = None, _HIDDEN if len(boxes) > 1 else np.inf
    for spot, (x, y) in enumerate(spots):
        x = min(max(x, 0.0), columns - wide)
        inside = spot in (2, 5)
        if y < 0 or y + high > rows or (inside and len(boxes) > 1 and (wide > x2 - x1 or 3 * high > low - top)):
            continue
        corners = np.array([x, y, x + wide, y + high])
        if _shared(corners, taken).any():
            continue
        hidden = float((_shared(corners, others) / _areas(others)).max(initial=0.0))
        if hidden < min(least, _USUAL if spot == 0 else 0.02):
            return x, y
        if hidden < least:
            best, least = (x, y), hidden
    return best


def _shared(corners: NDArray[Any], boxes: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) the area that each box has in common with one."""
    sides = np.minimum(boxes[:, 2:], corners[2:]) - np.maximum(boxes[:, :2], corners[:2])
    return np.nan_to_num(np.prod(np.maximum(sides, 0.0), axis=1))


def _areas(boxes: NDArray[Any]) -> NDArray[np.float64]:
    return np.maximum(np.nan_to_num((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])), 1.0)


def legend(image: Picture, entries: Sequence[tuple[str, Colour]]) -> Picture:
    """The picture with a strip below it that names colours; the picture alone where there are none.

    Example:
        >>> legend(np.zeros((40, 100, 3), np.uint8), [("ink", (0, 0, 255))]).shape[0] > 40
        True
    """
    expect(entries, Sequence, "`entries` are pairs of a name and a colour")
    if not entries:
        return image
    letters = font(max(11.0, 12 * (image.shape[1] / 640) ** 0.5))
    high = round(words_size("A", letters)[1])
    gap, x, rows = high // 2, 0.0, list[list[tuple[str, Colour, float]]]([[]])
    for name, colour in entries:
        wide = high + words_size(name, letters)[0] + 2 * gap
        if x + wide - 2 * gap > image.shape[1] and rows[-1]:
            rows.append([])
            x = 0.0
        rows[-1].append((name, colour, x))
        x += wide
    out = np.full((image.shape[0] + gap + len(rows) * (high + gap // 2), image.shape[1], 3), 255, np.uint8)
    out[: image.shape[0]] = image
    for number, row in enumerate(rows):
        top = image.shape[0] + gap + number * (high + gap // 2)
        for name, colour, left in row:
            side = high - 5
            block = np.array([[left, top], [left + side, top], [left + side, top + side], [left, top + side]])
            out = area(out, [block + np.array([1, 2])], colour)
            out = words(out, name, (left + high + 1, top), letters, _INK)
    return out

"""Boxes and labels on a picture."""

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkit.image.argument import array, number, whole
from fkit.image.io import imread, imwrite
from fkit.image.refuse import Image, form, image, is_a, refusing
from fkit.image.show import imshow
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Color", "ColorLike", "color_val", "imshow_bboxes", "imshow_det_bboxes"]


_LARGEST = 1000  # font scale: letters of 20,000 pixels
_FAR = 1 << 20  # px: farther lines look the same, and OpenCV counts in 32 bits


class Color(enum.Enum):
    """Eight named colours, as BGR.

    Example:
        >>> Color.red.value
        (0, 0, 255)
    """

    red = (0, 0, 255)
    green = (0, 255, 0)
    blue = (255, 0, 0)
    cyan = (255, 255, 0)
    yellow = (0, 255, 255)
    magenta = (255, 0, 255)
    white = (255, 255, 255)
    black = (0, 0, 0)


ColorLike = Color | str | int | tuple[int, ...] | NDArray[Any]


def color_val(color: ColorLike) -> tuple[int, int, int]:
    """A colour as three numbers.

    Args:
        color: a ``Color``, its name, a grey level, or BGR as a tuple or array of three.

    Returns:
        (blue, green, red), each in 0..255.

    Raises:
        FkitKeyError: a name that is none of ``Color``.
        FkitValueError: not three numbers, or a number outside 0..255.
        FkitTypeError: anything else.

    Example:
        >>> color_val("red"), color_val(7)
        ((0, 0, 255), (7, 7, 7))
    """
    if isinstance(color, str):
        try:
            return Color[color].value
        except KeyError:
            raise FkitKeyError(f"color = {color!r} is unknown.", value=color, choices=Color.__members__) from None
    if isinstance(color, Color):
        return color.value
    if isinstance(color, (int, np.integer)):
        color = (int(color),) * 3
    if not is_a(color, tuple, np.ndarray):
        raise FkitTypeError(f"A colour is a name, a number, a tuple or an array; got {form(color)}.")
    if np.shape(color) != (3,) or not all(0 <= number("color_val", "color", c) <= 255 for c in color):
        raise FkitValueError(f"A colour has three numbers in 0..255; got {color!r}.")
    blue, green, red = (int(channel) for channel in color)
    return blue, green, red


def imshow_bboxes(
    img: Image | str | Path,
    bboxes: NDArray[Any] | Sequence[NDArray[Any]],
    colors: ColorLike | Sequence[ColorLike] = "green",
    top_k: int = -1,
    thickness: int = 1,
    show: bool = True,
    win_name: str = "",
    wait_time: int = 0,
    out_file: str | Path | None = None,
) -> Image:
    """Draw boxes on a copy of a picture; show it, write it, or only return it.

    Args:
        img: (H, W, 3) uint8 BGR, or a path.
        bboxes: (N, 4) x1 y1 x2 y2 in pixels, truncated to whole ones; or a list of such groups.
        colors: one for all, or a list with one for each group.
        top_k: how many boxes of each group to draw; all when not above 0.
        thickness: of the lines, pixels.
        show: open a window (``imshow``).
        win_name: its title.
        wait_time: milliseconds it stays open; 0: until a key is pressed.
        out_file: where to write the picture, or None.

    Returns:
        (H, W, 3) uint8.

    Raises:
        FkitRuntimeError: ``show`` where there is no window system.
        FkitValueError: fewer colours than groups, or a colour that is none.

    Example:
        >>> imshow_bboxes(np.zeros((4, 4, 3), np.uint8), np.array([[0, 0, 3, 3]]), "red", show=False)[0, 0].tolist()
        [0, 0, 255]
    """
    canvas = _canvas("imshow_bboxes", img)
    if not is_a(bboxes, np.ndarray, list, tuple):
        raise FkitTypeError(f"imshow_bboxes takes boxes (N, 4), or a list of such arrays; got {form(bboxes)}.")
    whole("imshow_bboxes", "top_k", top_k)
    groups: list[NDArray[Any]] = [bboxes] if isinstance(bboxes, np.ndarray) else list(bboxes)
    paints = [color_val(color) for color in colors] if isinstance(colors, list) else [color_val(colors)] * len(groups)  # pyright: ignore[reportArgumentType]
    if len(paints) < len(groups):
        raise FkitValueError(f"imshow_bboxes: {len(paints)} colours for {len(groups)} groups of boxes.")
    with refusing("imshow_bboxes", canvas):
        for group, paint in zip(groups, paints, strict=False):
            for box in _boxes("imshow_bboxes", group)[: top_k if top_k > 0 else None]:
                cv2.rectangle(canvas, tuple(box[:2]), tuple(box[2:4]), paint, thickness)
    return _released(canvas, show, win_name, wait_time, out_file)


def imshow_det_bboxes(
    img: Image | str | Path,
    bboxes: NDArray[Any],
    labels: NDArray[Any],
    class_names: Sequence[str] | None = None,
    score_thr: float = 0,
    bbox_color: ColorLike = "green",
    text_color: ColorLike = "green",
    thickness: int = 1,
    font_scale: float = 0.5,
    show: bool = True,
    win_name: str = "",
    wait_time: int = 0,
    out_file: str | Path | None = None,
) -> Image:
    """Draw detections, boxes with class and score, on a copy of a picture; show it, write it, or only return it.

    Args:
        img: (H, W, 3) uint8 BGR, or a path.
        bboxes: (N, 4) x1 y1 x2 y2 in pixels, or (N, 5) with the score last.
        labels: (N,) integers.
        class_names: names by label; "cls 0", "cls 1", ... when None.
        score_thr: leave out boxes whose score is not above it; above 0 it needs scores.
        bbox_color: of the boxes.
        text_color: of the labels.
        thickness: of the lines, pixels.
        font_scale: of the labels.
        show: open a window (``imshow``).
        win_name: its title.
        wait_time: milliseconds it stays open; 0: until a key is pressed.
        out_file: where to write the picture, or None.

    Returns:
        (H, W, 3) uint8.

    Raises:
        FkitRuntimeError: ``show`` where there is no window system.
        FkitValueError: shapes that do not fit, or a threshold without scores.

    Example:
        >>> boxes = np.array([[2, 2, 30, 30, 0.9], [5, 5, 9, 9, 0.1]])
        >>> drawn = imshow_det_bboxes(np.zeros((40, 40, 3), np.uint8), boxes, np.array([0, 0]), ["cat"], 0.5, show=False)
        >>> drawn[2, 2].tolist(), drawn[5, 5].tolist()
        ([0, 255, 0], [0, 0, 0])
    """
    canvas = _canvas("imshow_det_bboxes", img)
    array("imshow_det_bboxes", "bboxes", bboxes)
    array("imshow_det_bboxes", "labels", labels)
    if class_names is not None and (is_a(class_names, str) or not is_a(class_names, Sequence)):
        raise FkitTypeError(f"imshow_det_bboxes: class_names must be a sequence of names; got {form(class_names)}.")
    if bboxes.ndim != 2 or labels.ndim != 1 or len(bboxes) != len(labels) or bboxes.shape[1] not in (4, 5):
        raise FkitValueError(
            f"imshow_det_bboxes takes (N, 4) or (N, 5) and (N,); got {form(bboxes)} and {form(labels)}."
        )
    if number("imshow_det_bboxes", "score_thr", score_thr) > 0:
        if bboxes.shape[1] != 5:
            raise FkitValueError(
                "imshow_det_bboxes: score_thr needs a score for each box.", repair="pass bboxes (N, 5)"
            )
        shown = bboxes[:, 4] > score_thr
        bboxes, labels = bboxes[shown], labels[shown]
    line, text = color_val(bbox_color), color_val(text_color)
    if not 0 <= number("imshow_det_bboxes", "font_scale", font_scale) <= _LARGEST:  # OpenCV crashes on nan
        raise FkitValueError(f"imshow_det_bboxes: font_scale must be in 0..{_LARGEST}; got {font_scale}.")
    with refusing("imshow_det_bboxes", canvas):
        for row, box, label in zip(bboxes, _boxes("imshow_det_bboxes", bboxes), labels.tolist(), strict=True):
            cv2.rectangle(canvas, tuple(box[:2]), tuple(box[2:4]), line, thickness)
            words = _words(label, class_names) + (f"|{row[4]:.02f}" if len(row) == 5 else "")
            cv2.putText(canvas, words, (box[0], box[1] - 2), cv2.FONT_HERSHEY_COMPLEX, font_scale, text)
    return _released(canvas, show, win_name, wait_time, out_file)


def _canvas(name: str, img: Image | str | Path) -> Image:
    return np.ascontiguousarray(image(name, imread(img))).copy()


def _words(label: int, class_names: Sequence[str] | None) -> str:
    if class_names is None:
        return f"cls {label}"
    if not 0 <= label < len(class_names):
        raise FkitValueError(f"imshow_det_bboxes: label {label} has no name among the {len(class_names)} given.")
    return str(class_names[int(label)])


def _boxes(name: str, bboxes: NDArray[Any]) -> list[list[int]]:
    if array(name, "bboxes", bboxes).ndim != 2 or bboxes.shape[1] < 4:
        raise FkitValueError(f"{name} takes boxes (N, 4); got {form(bboxes)}.")
    if not np.isfinite(bboxes[:, :4]).all():
        raise FkitValueError(f"{name}: a box is not finite.", repair="leave out boxes with nan")
    return np.clip(bboxes[:, :4], -_FAR, _FAR).astype(np.int32).tolist()


def _released(canvas: Image, show: bool, win_name: str, wait_time: int, out_file: str | Path | None) -> Image:
    if out_file is not None:
        imwrite(canvas, out_file)
    if show:
        imshow(canvas, win_name, wait_time)
    return canvas

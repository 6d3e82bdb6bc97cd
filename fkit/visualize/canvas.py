"""mmengine's Visualizer as a value: each method draws on the image and gives a new visualizer."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.image.show import imshow
from fkit.structures.content import host
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen
from fkit.visualize.featmap import draw_featmap
from fkit.visualize.shape import ALIGNMENTS, Picture, area, colour_of, disc, font, stroke, tinted, words, words_size
from fkit.visualize.visualizer import picture

__all__ = ["Visualizer"]


@dataclass(frozen=True)
class Visualizer:
    """An image that can be drawn on. Nothing is kept elsewhere: ``drawn = Visualizer(image=img).draw_bboxes(boxes)``, and
    ``drawn.get_image()`` is the picture.

    Positions are x and y in pixels, arrays of numpy, torch or JAX. What is said once for all things (a colour, a width) may
    be a list, one for each. A colour is matplotlib's ("g", "tab:blue", "#ff8800") or three whole numbers, red first.

    Args:
        name: of it.
        image: (H, W, 3) RGB or (H, W), uint8, or floats from 0 to 1.
        dataset_meta: what is known of the data: ``classes``, ``palette``, ``skeleton_links``, ...

    Example:
        >>> board = Visualizer(image=np.zeros((20, 30, 3), np.uint8))
        >>> drawn = board.draw_bboxes(np.array([5, 5, 15, 15]), edge_colors="r", line_widths=1)
        >>> drawn.get_image()[5, 10].tolist()[0] > 150, board.get_image()[5, 10].tolist()
        (True, [0, 0, 0])
    """

    name: str = "visualizer"
    image: Any = None
    dataset_meta: Mapping[str, Any] = EMPTY

    draw_featmap = staticmethod(draw_featmap)

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.dataset_meta, Mapping, "Visualizer: dataset_meta is a mapping")
        object.__setattr__(self, "dataset_meta", frozen(self.dataset_meta))
        if self.image is not None:
            object.__setattr__(self, "image", picture(np.asarray(host(self.image))))

    def set_image(self, image: Any) -> Self:
        """With another image."""
        return replace(self, image=image)

    def get_image(self) -> Picture:
        """The picture, (H, W, 3) uint8, RGB; a copy.

        Raises:
            FkitValueError: there is none.
        """
        return self._picture().copy()

    def show(self, drawn_img: Any = None, win_name: str = "image", wait_time: float = 0.0) -> None:
        """Open a window, where there is one, until a key is pressed or ``wait_time`` seconds are over.

        Raises:
            FkitError: there is no screen to show it on.
        """
        shown = self._picture() if drawn_img is None else picture(np.asarray(host(drawn_img)))
        imshow(np.ascontiguousarray(shown[..., ::-1]), win_name, round(wait_time * 1000))

    @property
    def scale(self) -> float:
        """How lines and letters grow with the picture: 1 at 640 pixels, and more slowly than it."""
        return max((max(self._picture().shape[:2]) / 640) ** 0.75, 0.35)

    def draw_points(self, positions: Any, colors: Any = "g", marker: str | None = None, sizes: Any = None) -> Self:
        """Points.

        Args:
            positions: (N, 2), or (2,).
            marker: None or "o" is a disc, "x" and "+" are crosses.
            sizes: of the radius, pixels; None grows with the picture.
        """
        points = _points(positions, "positions")
        if marker not in (None, "o", "x", "+"):
            raise FkitValueError(f"draw_points: marker = {marker!r} is unknown.", value=marker, choices=("o", "x", "+"))
        image, radii = self._picture(), _each(sizes, len(points), "sizes", 3.5 * self.scale)
        for point, colour, radius in zip(points, _colours(colors, len(points)), radii, strict=False):
            if marker in (None, "o"):
                image = disc(image, point, float(radius), colour)
                continue
            arms = (
                np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])
                if marker == "x"
                else np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])
            )
            for first in (0, 2):
                image = stroke(image, point + arms[first : first + 2] * radius, colour, max(1.0, radius / 2))
        return self._with(image)

    def draw_texts(
        self, texts: str | Sequence[str], positions: Any, font_sizes: Any = None, colors: Any = "g",
        vertical_alignments: str | Sequence[str] = "top", horizontal_alignments: str | Sequence[str] = "left",
        font_families: str | Sequence[str] = "sans-serif", bboxes: Any = None, font_properties: Any = None, inside: bool = False,
    ) -> Self:  # fmt: skip
        """Texts.

        Args:
            texts: one, or one a position.
            positions: (N, 2), or (2,).
            font_sizes: pixels; None grows with the picture.
            vertical_alignments: "top", "center" or "bottom" of the text is at the position.
            horizontal_alignments: "left", "center" or "right".
            bboxes: of filled boxes below the texts: {"facecolor", "alpha" (0.8), "pad" (2)}, one or one each.
            inside: move texts into the picture where they would reach out.
        """
        several = (texts,) if isinstance(texts, str) else tuple(texts)
        points = _points(positions, "positions")
        if len(several) != len(points):
            raise FkitValueError(f"draw_texts: {len(several)} texts for {len(points)} positions.")
        count, image = len(several), self._picture()
        sizes = _each(font_sizes, count, "font_sizes", 14 * self.scale)
        across = _words(horizontal_alignments, count, "horizontal_alignments", ALIGNMENTS[0])
        down = _words(vertical_alignments, count, "vertical_alignments", ALIGNMENTS[1])
        families = cycle((font_families,) if isinstance(font_families, str) else tuple(font_families))
        boxes = cycle((bboxes,)) if bboxes is None or isinstance(bboxes, Mapping) else iter(tuple(bboxes))
        rows = zip(
            several, points.tolist(), sizes, _colours(colors, count), across, down, families, boxes, strict=False
        )
        for text, (x, y), size, colour, wide, high, family, box in rows:
            letters = font(float(size), family, properties=font_properties)
            image = words(image, str(text), (x, y), letters, colour, (wide, high), _box(box), inside)
        return self._with(image)

    @staticmethod
    def text_size(text: str, font_size: float = 14, font_family: str = "sans-serif") -> tuple[float, float]:
        """(width, height) of a text in pixels.

        Example:
            >>> wide, high = Visualizer.text_size("nucleus", 20)
            >>> wide > 2 * high
            True
        """
        return words_size(text, font(font_size, font_family))

    def draw_lines(
        self, x_datas: Any, y_datas: Any, colors: Any = "g", line_styles: Any = "-", line_widths: Any = None
    ) -> Self:
        """Straight lines.

        Args:
            x_datas: (N, 2), the x of both ends of each; or (2,).
            y_datas: the y, of the same shape.
        """
        x, y = _points(x_datas, "x_datas"), _points(y_datas, "y_datas")
        if x.shape != y.shape:
            raise FkitValueError(f"draw_lines: x_datas {x.shape} and y_datas {y.shape} have one shape.")
        return self._strokes(list(np.stack((x, y), axis=2)), colors, line_styles, line_widths, 1.0, closed=False)

    def draw_circles(
        self, center: Any, radius: Any, edge_colors: Any = "g", line_styles: Any = "-", line_widths: Any = None,
        face_colors: Any = "none", alpha: float = 0.8,
    ) -> Self:  # fmt: skip
        """Circles.

        Args:
            center: (N, 2), or (2,).
            radius: (N,), or one number.
            face_colors: of the inside; "none" leaves it.
        """
        points = _points(center, "center")
        radii: NDArray[Any] = np.atleast_1d(np.asarray(host(radius), np.float64))
        if radii.shape not in ((len(points),), (1,)):
            raise FkitValueError(f"draw_circles: radius {radii.shape} for {len(points)} centers.")
        radii = np.broadcast_to(radii, (len(points),))
        image = self._picture()
        for place, colour in enumerate(_faces(face_colors, len(points))):
            if colour is not None:
                image = disc(image, points[place], float(radii[place]), colour, alpha)
        turn = np.linspace(0, 2 * math.pi, 91)
        rings = [
            np.stack((x + r * np.cos(turn), y + r * np.sin(turn)), axis=1)
            for (x, y), r in zip(points, radii, strict=True)
        ]
        return self._with(image)._strokes(rings, edge_colors, line_styles, line_widths, alpha)

    def draw_bboxes(
        self, bboxes: Any, edge_colors: Any = "g", line_styles: Any = "-", line_widths: Any = None, face_colors: Any = "none", alpha: float = 0.8,
    ) -> Self:  # fmt: skip
        """Boxes.

        Args:
            bboxes: (N, 4) x1, y1, x2, y2, or (4,).

        Raises:
            FkitValueError: a box with x2 < x1 or y2 < y1.
        """
        boxes: NDArray[Any] = np.atleast_2d(np.asarray(host(bboxes), np.float64))
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise FkitTypeError(f"draw_bboxes: bboxes are (N, 4), found {boxes.shape}.")
        wrong = np.flatnonzero(np.logical_not(np.logical_and(boxes[:, 0] <= boxes[:, 2], boxes[:, 1] <= boxes[:, 3])))
        if wrong.size:
            raise FkitValueError(
                f"draw_bboxes: box {int(wrong[0])}, {boxes[wrong[0]].tolist()}, is no x1, y1, x2, y2.",
                repair="Of x, y, width, height make x, y, x + width, y + height.",
            )
        x1, y1, x2, y2 = boxes.T
        corners = np.stack((x1, y1, x2, y1, x2, y2, x1, y2), axis=1).reshape(-1, 4, 2)
        return self.draw_polygons(list(corners), edge_colors, line_styles, line_widths, face_colors, alpha)

    def draw_polygons(
        self, polygons: Any, edge_colors: Any = "g", line_styles: Any = "-", line_widths: Any = None, face_colors: Any = "none", alpha: float = 0.8,
    ) -> Self:  # fmt: skip
        """Polygons.

        Args:
            polygons: (M, 2) points, or a list of them.
        """
        one = hasattr(polygons, "shape") and len(polygons.shape) == 2
        several = [_points(part, "polygons") for part in ([polygons] if one else polygons)]
        image = self._picture()
        for part, colour in zip(several, _faces(face_colors, len(several)), strict=True):
            if colour is not None:
                image = area(image, [part], colour, alpha)
        return self._with(image)._strokes(several, edge_colors, line_styles, line_widths, alpha)

    def draw_binary_masks(self, binary_masks: Any, colors: Any = (0, 255, 0), alphas: Any = 0.8) -> Self:
        """Masks, laid over the picture.

        Args:
            binary_masks: (N, H, W) or (H, W) bool, of the picture's size.
            alphas: one, or one a mask.
        """
        masks: NDArray[Any] = np.asarray(host(binary_masks))
        image = self._picture()
        masks = masks[None] if masks.ndim == 2 else masks
        if masks.dtype != np.bool_ or masks.ndim != 3 or masks.shape[1:] != image.shape[:2]:
            raise FkitTypeError(
                f"draw_binary_masks: masks are (N, {image.shape[0]}, {image.shape[1]}) bool, found {masks.shape} {masks.dtype}.",
                repair="Of numbers make mask > 0.",
            )
        shares = _each(alphas, len(masks), "alphas", 0.8)
        for mask, colour, share in zip(masks, _colours(colors, len(masks)), shares, strict=False):
            image = tinted(image, mask, colour, float(share))
        return self._with(image)

    def _strokes(
        self, paths: Sequence[NDArray[Any]], colors: Any, styles: Any, widths: Any, alpha: float, closed: bool = True
    ) -> Self:
        count, image = len(paths), self._picture()
        style = _words(styles, count, "line_styles", ("-", "--", ":", "-."))
        width = _each(widths, count, "line_widths", 2 * self.scale)
        for path, colour, kind, wide in zip(paths, _colours(colors, count), style, width, strict=False):
            image = stroke(image, path, colour, float(wide), kind, alpha, closed)
        return self._with(image)

    def _picture(self) -> Picture:
        if self.image is None:
            raise FkitValueError(
                f"{type(self).__name__} has no image.", repair="Visualizer(image=img), or visualizer.set_image(img)."
            )
        return self.image

    def _with(self, image: Picture) -> Self:
        return replace(self, image=image)


def _points(values: Any, word: str) -> NDArray[np.float64]:
    points: NDArray[Any] = np.asarray(host(values), np.float64)
    points = points[None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] != 2:
        raise FkitTypeError(f"{word} are (N, 2), found {points.shape}.")
    return points


def _each(values: Any, count: int, word: str, default: float) -> Iterable[Any]:
    """A number for each thing."""
    numbers: NDArray[Any] = np.atleast_1d(np.asarray(default if values is None else host(values), np.float64))
    if numbers.shape not in ((1,), (count,)):
        raise FkitValueError(f"{word}: {len(numbers)} for {count} things.", repair="Give one, or one each.")
    return numbers if len(numbers) == count else cycle(numbers.tolist())


def _words(values: Any, count: int, word: str, known: Sequence[str]) -> Iterable[str]:
    several = (values,) if isinstance(values, str) else tuple(values)
    for one in several:
        if one not in known:
            raise FkitValueError(f"{word} = {quoted(one)} is unknown.", value=str(one), choices=tuple(known))
    if len(several) not in (1, count):
        raise FkitValueError(f"{word}: {len(several)} for {count} things.", repair="Give one, or one each.")
    return several if len(several) == count else cycle(several)


def _colours(values: Any, count: int) -> Iterable[Any]:
    """A colour for each thing."""
    if isinstance(values, str) or (
        np.asarray(host(values), object).ndim == 1
        and not any(isinstance(one, (str, tuple, list, np.ndarray)) for one in values)
    ):
        return cycle((colour_of(values),))
    several = tuple(colour_of(one) for one in values)
    if len(several) not in (1, count):
        raise FkitValueError(f"{len(several)} colours for {count} things.", repair="Give one, or one each.")
    return several if len(several) == count else cycle(several)


def _faces(values: Any, count: int) -> list[Any]:
    """A colour of the inside for each thing, or None."""
    several = (
        (values,)
        if isinstance(values, str)
        or (isinstance(values, tuple) and all(isinstance(one, int) for one in cast("tuple[Any, ...]", values)))
        else tuple(values)
    )
    found = [None if isinstance(one, str) and one == "none" else colour_of(one) for one in several]
    if len(found) not in (1, count):
        raise FkitValueError(f"{len(found)} face_colors for {count} things.", repair="Give one, or one each.")
    return found * count if len(found) == 1 else found


def _box(words: Any) -> tuple[Any, float, float] | None:
    if words is None:
        return None
    expect(words, Mapping, "draw_texts: bboxes are mappings: {'facecolor': 'black', 'alpha': 0.8, 'pad': 2}")
    table = cast("Mapping[str, Any]", words)
    unknown = [key for key in table if key not in ("facecolor", "alpha", "pad")]
    if unknown:
        raise FkitValueError(
            f"draw_texts: a box has no {unknown[0]!r}.", value=unknown[0], choices=("facecolor", "alpha", "pad")
        )
    return colour_of(table.get("facecolor", "black")), float(table.get("alpha", 0.8)), float(table.get("pad", 2))

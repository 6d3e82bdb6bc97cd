"""The Visualizer by value: what is drawn is where it was asked for, nothing else changes, wrong input is one clear error."""

from typing import Any

import numpy as np
import pytest

from fkit.tree.error import FkitError
from fkit.visualize.canvas import Visualizer
from fkit.visualize.featmap import draw_featmap
from fkit.visualize.shape import colour_of, palette

BOARD = Visualizer(image=np.zeros((60, 80, 3), np.uint8))
MASK = np.zeros((60, 80), bool)
MASK[10:20, 30:50] = True

DRAWN: tuple[tuple[str, Any, tuple[int, int], tuple[int, int]], ...] = (
    ("points", lambda board: board.draw_points(np.array([[40, 30]]), "r", sizes=4), (30, 40), (30, 60)),
    ("cross", lambda board: board.draw_points(np.array([40, 30]), "r", marker="x", sizes=6), (30, 40), (30, 60)),
    ("lines", lambda board: board.draw_lines([10, 70], [30, 30], "r", line_widths=3), (30, 40), (40, 40)),
    ("circle", lambda board: board.draw_circles([40, 30], 10, "r", face_colors="b", line_widths=2), (30, 50), (30, 70)),
    ("box", lambda board: board.draw_bboxes([20, 10, 60, 50], "r", line_widths=3), (10, 40), (30, 40)),
    ("filled", lambda board: board.draw_bboxes([20, 10, 60, 50], "r", face_colors="r"), (30, 40), (5, 5)),
    (
        "polygon",
        lambda board: board.draw_polygons(np.array([[10, 10], [70, 10], [40, 50]]), face_colors="r"),
        (20, 40),
        (50, 10),
    ),
    ("mask", lambda board: board.draw_binary_masks(MASK, "r"), (15, 40), (25, 40)),
    (
        "text box",
        lambda board: board.draw_texts("abc", [20, 20], 20, bboxes={"facecolor": "red", "pad": 3}),
        (18, 22),
        (5, 5),
    ),
)


@pytest.mark.parametrize(("draw", "there", "elsewhere"), [row[1:] for row in DRAWN], ids=[row[0] for row in DRAWN])
def test_it_is_drawn_there_and_nowhere_else(draw: Any, there: tuple[int, int], elsewhere: tuple[int, int]) -> None:
    drawn = draw(BOARD)
    assert drawn.get_image()[there].max() > 90
    assert drawn.get_image()[elsewhere].tolist() == [0, 0, 0]
    assert not BOARD.get_image().any()


def test_arrays_of_torch_and_jax_draw_the_same() -> None:
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    box = np.array([[20, 10, 60, 50]], np.float32)
    pictures = [BOARD.draw_bboxes(array).get_image() for array in (box, torch.from_numpy(box), jnp.asarray(box))]
    assert all(np.array_equal(pictures[0], one) for one in pictures)


def test_one_colour_each_or_one_for_all() -> None:
    boxes = np.array([[5, 5, 20, 20], [40, 5, 60, 20]])
    drawn = BOARD.draw_bboxes(boxes, ["r", (0, 0, 255)], line_widths=[3, 3]).get_image()
    assert drawn[5, 10].argmax() == 0
    assert drawn[5, 50].argmax() == 2


def test_dashes_leave_gaps() -> None:
    row = BOARD.draw_lines([0, 79], [30, 30], "r", "--", 2).get_image()[30, :, 0] > 90
    assert row.any()
    assert not row.all()


def test_a_text_that_reaches_out_is_moved_in() -> None:
    cut, whole = (BOARD.draw_texts("word", [78, 58], 16, "w", inside=inside).get_image() for inside in (False, True))
    assert int((whole > 0).sum()) > 3 * int((cut > 0).sum())


def test_a_text_is_as_large_as_it_says() -> None:
    wide, high = Visualizer.text_size("nucleus", 16)
    drawn = Visualizer(image=np.zeros((60, 200, 3), np.uint8)).draw_texts("nucleus", [10, 10], 16, "w").get_image()
    rows, columns = np.nonzero(drawn.max(axis=2))
    assert columns.max() - columns.min() <= wide
    assert rows.max() - rows.min() <= high


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: BOARD.draw_bboxes([20, 10, 10, 50]), "no x1, y1, x2, y2"),
        (lambda: BOARD.draw_bboxes([20, 10, 10]), r"\(N, 4\)"),
        (lambda: BOARD.draw_points([1, 2, 3]), r"positions are \(N, 2\)"),
        (lambda: BOARD.draw_binary_masks(MASK.astype(np.uint8)), "bool"),
        (lambda: BOARD.draw_texts(["a", "b"], [[1, 2]]), "2 texts for 1 positions"),
        (lambda: BOARD.draw_lines([1, 2], [1, 2], colors="rd"), "no colour"),
        (lambda: BOARD.draw_lines([1, 2], [1, 2], line_styles="~"), "line_styles"),
        (lambda: BOARD.draw_bboxes([[0, 0, 1, 1]] * 3, ["r", "g"]), "2 colours for 3"),
        (lambda: Visualizer().get_image(), "has no image"),
        (lambda: draw_featmap(np.zeros((4, 4))), r"\(C, H, W\)"),
        (lambda: draw_featmap(np.zeros((4, 4, 4)), channel_reduction=None, topk=0), "1 or 3"),
        (lambda: draw_featmap(np.zeros((9, 4, 4)), channel_reduction=None, topk=9, arrangement=(2, 4)), "too few places"),
        (lambda: draw_featmap(np.zeros((9, 4, 4)), channel_reduction="mean"), "squeeze_mean"),
    ],
    ids=["inverted", "three numbers", "three positions", "mask", "texts", "colour", "style", "colours", "no image", "flat map", "channels", "places", "reduction"],
)  # fmt: skip
def test_wrong_input_is_one_clear_error(draw: Any, words: str) -> None:
    with pytest.raises(FkitError, match=words):
        draw()


def test_the_greatest_sum_is_the_channel_that_is_selected() -> None:
    maps = np.zeros((3, 4, 4))
    maps[1, 2, 2], maps[2, 0, 0] = 5.0, 9.0
    selected = draw_featmap(maps, channel_reduction="select_max")
    assert selected[0, 0].argmax() == 0  # red, the greatest
    assert selected[2, 2].argmax() == 2  # blue, the least


def test_the_mean_over_channels_is_laid_over_the_image() -> None:
    under = np.full((8, 8, 3), 200, np.uint8)
    drawn = draw_featmap(np.arange(32, dtype=np.float32).reshape(2, 4, 4), under, alpha=0.5)
    assert drawn.shape == (8, 8, 3)
    assert drawn[0, 0, 2] > drawn[0, 0, 0]
    assert drawn[7, 7, 0] > drawn[7, 7, 2]


def test_the_strongest_channels_come_first_in_the_grid() -> None:
    maps = np.zeros((5, 4, 4))
    maps[3] += np.eye(4)
    maps[4, 0, 3] = 1.0
    grid = draw_featmap(maps, channel_reduction=None, topk=2, arrangement=(1, 2))
    first, second = grid[:, :4], grid[:, -4:]
    assert first[2, 2].argmax() == 0
    assert second[0, 3].argmax() == 0


def test_colours_of_classes_differ() -> None:
    assert len(set(palette(200))) == 200
    assert colour_of("tab:blue") == (31, 119, 180)

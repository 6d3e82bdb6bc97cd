"""Tags and legends by value: where they lie, and what they leave free."""

import numpy as np

from fkit.visualize.label import Tag, legend, readable, tagged
from fkit.visualize.sample import classes_of
from fkit.visualize.task import DetLocalVisualizer, Instances, TrackLocalVisualizer

RED, BLUE = (220, 0, 0), (0, 0, 220)
PAPER = np.full((100, 200, 3), 255, np.uint8)


def boxes(*rows: tuple[float, ...]) -> list[np.ndarray]:
    return [np.array(row, np.float64) for row in rows]


def test_a_tag_stands_above_its_object_or_at_it_where_there_is_no_room() -> None:
    high, low = boxes((10, 40, 60, 70), (10, 0, 60, 5))
    above, under = (tagged(PAPER, [Tag("cell", box, RED)], 12) for box in (high, low))
    rows = [np.flatnonzero((one != 255).any(axis=(1, 2))) for one in (above, under)]
    assert 15 < rows[0].min() <= rows[0].max() <= 41
    assert 0 <= rows[1].min() <= rows[1].max() < 30


def test_tags_lie_on_no_other_tag_and_inside_of_the_picture() -> None:
    same = boxes(*[(20, 40, 90, 60)] * 12)
    one, many = (tagged(PAPER, [Tag("cell", box, RED) for box in several], 12) for several in (same[:1], same))
    ink = [(picture.astype(int) - (220, 0, 0) == 0).all(axis=2).sum() for picture in (one, many)]
    assert (many != one).any()
    assert ink[1] <= 6 * ink[0] + 60  # each has at most six places
    out = tagged(PAPER, [Tag("nucleus", boxes((190, 50, 199, 60))[0], RED)], 12)
    columns = np.flatnonzero((out != 255).any(axis=(0, 2)))
    assert columns.max() <= 199
    assert columns.min() < 170


def test_a_tag_that_hides_a_small_object_is_left_out() -> None:
    crowd = [
        Tag("nucleus", box, RED)
        for box in boxes(*[(x, y, x + 9, y + 9) for x in range(0, 200, 10) for y in range(0, 100, 10)])
    ]
    assert (tagged(PAPER, crowd, 12) == 255).all()


def test_letters_are_read_on_their_tag_and_the_legend_wraps() -> None:
    assert readable((250, 250, 0)) != readable((0, 0, 120)) == (255, 255, 255)
    rows = [legend(PAPER, [("a class of a long name", RED)] * count).shape[0] for count in (1, 2, 4)]
    assert 100 < rows[0] < rows[1] < rows[2]
    assert legend(PAPER, []) is PAPER


def test_a_palette_of_other_classes_is_not_taken() -> None:
    coco = [(220, 20, 60), (119, 11, 32), (0, 0, 142)]
    assert classes_of({"classes": ("a", "b"), "palette": coco}, np.array([0, 1]))[1] != [tuple(one) for one in coco[:2]]
    assert classes_of({"classes": ("a", "b", "c"), "palette": coco}, np.array([1])) == (["b"], [(119, 11, 32)])


def test_what_is_followed_keeps_its_colour_whatever_its_place() -> None:
    board = TrackLocalVisualizer(dataset_meta={"classes": ("cell",)}, with_labels=False)
    a, b = (10.0, 20, 60, 80), (110.0, 20, 160, 80)

    def frame(order: list[int]) -> np.ndarray:
        track = {
            "bboxes": np.array([(a, b)[at] for at in order]),
            "labels": np.zeros(2, int),
            "instances_id": np.array(order) + 3,
        }
        return board.add_datasample("f", PAPER, {"pred_track_instances": track}).get_image()

    first, second = frame([0, 1]), frame([1, 0])
    assert (first == second).all()
    assert first[50, 10].tolist() != first[50, 110].tolist()
    scored = Instances(np.array([a]), np.array([0]), np.array([0.876]), None, np.array([12]))
    assert board.looks(scored)[0][0] == "cell #12 88"
    assert DetLocalVisualizer(dataset_meta={"classes": ("cell",)}).looks(scored)[0][0] == "cell 88"


def test_a_box_as_dark_as_the_image_is_seen_by_a_pale_seam() -> None:
    navy, box = {"classes": ("car",), "palette": [(0, 0, 142)]}, {"bboxes": np.array([[40.0, 20, 160, 80]])}
    board = DetLocalVisualizer(dataset_meta=navy, with_labels=False, line_width=2)
    dark, bright = (
        board.add_datasample("a", np.full_like(PAPER, level), {"gt_instances": box}).get_image() for level in (0, 255)
    )
    assert dark[17:24, 100].max() > 100
    assert bright[17:24, 100, 2].min() > 100
    assert bright[17:24, 100, 0].max() == 255
    assert (bright[:, :, 2] >= 142).all()  # no seam where it is seen well

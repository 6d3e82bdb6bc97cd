"""``show_result`` of OpenMMLab's first generation, for the results of both: a picture of what a model said of an image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.image.io import imread, imwrite
from fkit.image.show import imshow
from fkit.structures.coco import rle_to_bitmap
from fkit.structures.content import host, is_array
from fkit.structures.pasted import THRESHOLD
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.visualize.pose import PoseLocalVisualizer
from fkit.visualize.sample import class_of, field_of
from fkit.visualize.shape import Picture
from fkit.visualize.task import DetLocalVisualizer, SegLocalVisualizer
from fkit.visualize.visualizer import draw_label, picture

__all__ = ["show_result"]

_FORMS = (
    "A result is a list of (N, 5) arrays, one a class, or a pair of that and of masks (boxes, masks); a list of one map (H, W); a list of"
    " {'keypoints': (K, 3), 'bbox': ...}; {'pred_label', 'pred_score', 'pred_class'}; or a sample with pred_instances, pred_sem_seg,"
    " pred_score or pred_label."
)


class _Boards(NamedTuple):
    """What draws each kind of result, and the least scores."""

    objects: DetLocalVisualizer
    maps: SegLocalVisualizer
    poses: PoseLocalVisualizer
    score: float
    point: float


def show_result(
    img: str | Path | NDArray[Any], result: Any, score_thr: float = 0.3, *, classes: Sequence[str] | None = None, palette: Any = None,
    bbox_color: Any = None, text_color: Any = None, mask_color: Any = None, thickness: float | None = None, font_size: float | None = None,
    opacity: float | None = None, skeleton: Any = None, kpt_score_thr: float = 0.3, pose_kpt_color: Any = None, pose_link_color: Any = None,
    radius: float | None = None, win_name: str = "", show: bool = False, wait_time: float = 0, out_file: str | Path | None = None,
) -> NDArray[np.uint8]:  # fmt: skip
    """Draw what a model said of an image; write the picture, show it, or only return it.

    Args:
        img: (H, W, 3) uint8 BGR, or the path of a file; it stays as it is.
        result: mmdet 2.x's, a list of (N, 5) boxes x1, y1, x2, y2, score, one a class, or a pair of that and of the masks of each class,
            bitmaps or COCO's run lengths; mmseg 0.x's list of one map (H, W) of classes; mmpose 0.x's list of people, mappings with
            ``keypoints`` (K, 3) x, y, score and ``bbox``; mmcls 0.x's mapping of ``pred_label``, ``pred_score``, ``pred_class``; or a
            sample of the second generation, or the kit's predictions of one image.
        score_thr: the least score of an object that is drawn.
        classes: their names, in the order of their labels.
        palette: a colour a class, red first.
        bbox_color, text_color, mask_color: a colour for all; None takes a class's.
        thickness, font_size, radius: of lines, letters and points, pixels; None grows with the picture.
        opacity: of masks and maps, from 0 to 1.
        skeleton: pairs of keypoints that are joined.
        kpt_score_thr: the least score of a point that is drawn.
        pose_kpt_color, pose_link_color: a colour a point, and a link.
        win_name, show, wait_time: of a window, which stays open for so many milliseconds, or at 0 until a key is pressed.
        out_file: where the picture is written; missing folders are made.

    Returns:
        (H, W, 3) uint8 BGR; of a class the image stands above its caption.

    Raises:
        FkitTypeError: the result has none of these forms.
        FkitValueError: masks or a map of another size than the image.
        FkitRuntimeError: ``show`` where there is no window system.

    Example:
        >>> boxes = [np.array([[4.0, 14, 40, 40, 0.9], [50, 14, 60, 40, 0.1]]), np.zeros((0, 5))]
        >>> drawn = show_result(np.zeros((48, 64, 3), np.uint8), boxes, classes=("cat", "dog"))
        >>> drawn.shape, bool(drawn[30, 4].any()), bool(drawn[30, 50:].any())
        ((48, 64, 3), True, False)
    """
    numbers = (("score_thr", score_thr), ("kpt_score_thr", kpt_score_thr), ("wait_time", wait_time), ("thickness", thickness), ("font_size", font_size), ("radius", radius), ("opacity", opacity))  # fmt: skip
    for word, number in numbers:
        if number is not None:
            expect_number(number, f"show_result: {word}")
    expect(show, bool, "show_result: show is True or False")
    expect(win_name, str, "show_result: win_name is text")
    parts = (("classes", classes), ("palette", palette), ("skeleton_links", skeleton), ("keypoint_colors", pose_kpt_color), ("skeleton_link_colors", pose_link_color))  # fmt: skip
    known = {word: _plain(value) for word, value in parts if value is not None}
    of_mask, of_map = (kind.alpha if opacity is None else opacity for kind in (DetLocalVisualizer, SegLocalVisualizer))
    of_box = PoseLocalVisualizer.bbox_color if bbox_color is None else bbox_color
    boards = _Boards(
        DetLocalVisualizer(dataset_meta=known, bbox_color=bbox_color, text_color=text_color, mask_color=mask_color, line_width=thickness, font_size=font_size, alpha=of_mask),
        SegLocalVisualizer(dataset_meta=known, with_labels=False, alpha=of_map),
        PoseLocalVisualizer(dataset_meta=known, radius=radius, line_width=thickness, bbox_color=of_box),
        score_thr,
        kpt_score_thr,
    )  # fmt: skip
    image = np.asarray(imread(img))
    under = picture(image[..., 2::-1] if image.ndim == 3 and image.shape[2] > 1 else image)
    drawn = np.ascontiguousarray(_drawn(under, result, boards)[..., ::-1])
    if out_file is not None:
        imwrite(drawn, out_file)
    if show:
        imshow(drawn, win_name, round(wait_time))
    return drawn


def _plain(value: Any) -> Any:
    return np.asarray(host(value)).tolist() if is_array(value) else value


def _drawn(image: Picture, result: Any, boards: _Boards) -> Picture:
    """The picture of a result of any form."""
    if isinstance(result, Mapping) or field_of(result, "pred_instances") is not None:
        return _of_sample(image, cast(Any, result), boards)
    if is_array(result):
        result = [result]
    if isinstance(result, tuple) and len(cast(Any, result)) == 2 and isinstance(result[0], (list, tuple)):
        boxes, masks = cast("tuple[Any, Any]", result)
        return _of_boxes(image, boxes, masks[0] if isinstance(masks, tuple) else masks, boards)
    if not isinstance(result, (list, tuple)):
        return _of_sample(image, result, boards)
    several = cast("Sequence[Any]", result)
    if not several:
        return image
    if all(isinstance(one, Mapping) and "keypoints" in one for one in several):
        return _of_people(image, several, boards)
    if len(several) == 1 and not is_array(several[0]):
        return _of_sample(image, several[0], boards)
    if not all(is_array(one) for one in several):
        raise _unknown(result)
    first = host(several[0])
    if len(several) == 1 and first.dtype.kind in "iu" and first.ndim >= 2 and first.shape[-2:] == image.shape[:2]:
        return boards.maps.drawn(image, first, 0.0)
    return _of_boxes(image, several, None, boards)


def _of_boxes(image: Picture, boxes: Sequence[Any], masks: Any, boards: _Boards) -> Picture:
    """mmdet 2.x's: an array (N, 5) a class, and as many masks of it."""
    rows = [np.asarray(host(one), np.float64) for one in boxes]
    for label, one in enumerate(rows):
        if one.ndim != 2 or one.shape[1] != 5:
            raise FkitTypeError(f"show_result: the boxes of class {label} are {one.shape}, not (N, 5).", repair=_FORMS)
    table = np.concatenate(rows)
    labels = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    kept = table[:, 4] >= boards.score
    bitmaps = None if masks is None else [mask for of_class in masks for mask in of_class]
    if bitmaps is not None:
        if len(bitmaps) != len(table):
            raise FkitValueError(f"show_result: {len(bitmaps)} masks of {len(table)} boxes: each has one.")
        chosen = [_bitmap(bitmaps[place]) for place in np.flatnonzero(kept)]
        bitmaps = np.array(chosen, bool).reshape(len(chosen), *(chosen[0].shape if chosen else image.shape[:2]))
    fields = {"bboxes": table[kept, :4], "labels": labels[kept], "scores": table[kept, 4]}
    fields |= {} if bitmaps is None else {"masks": bitmaps}
    return boards.objects.drawn(image, fields, 0.0)


def _bitmap(mask: Any) -> NDArray[np.bool_]:
    return rle_to_bitmap(cast("Mapping[str, Any]", mask)) if isinstance(mask, Mapping) else np.asarray(host(mask), bool)


def _of_people(image: Picture, people: Sequence[Mapping[str, Any]], boards: _Boards) -> Picture:
    """mmpose 0.x's: a mapping a person."""
    points = np.array([np.asarray(host(person["keypoints"]), np.float64) for person in people])
    if points.ndim != 3 or points.shape[2] != 3:
        raise FkitTypeError(f"show_result: keypoints are (K, 3), x, y and score; these are {points.shape[1:]}.")
    boxes = [np.asarray(host(person["bbox"]), np.float64)[:4] for person in people if person.get("bbox") is not None]
    fields = {"keypoints": points[..., :2], "keypoint_scores": points[..., 2]}
    fields |= {"bboxes": np.array(boxes)} if len(boxes) == len(people) else {}
    return boards.poses.drawn(image, fields, boards.point)


def _of_sample(image: Picture, sample: Any, boards: _Boards) -> Picture:
    """A sample of the second generation, or the kit's predictions of one image; mmcls 0.x's mapping."""
    objects, seen = field_of(sample, "pred_instances"), field_of(sample, "pred_sem_seg")
    if seen is not None:
        image = boards.maps.drawn(image, seen, 0.0)
    if objects is not None:
        fields = _one(objects, field_of(field_of(sample, "valid"), "pred_instances"))
        least = field_of(sample, THRESHOLD)
        fields |= {} if least is None else {THRESHOLD: np.asarray(host(least)).flat[0]}
        if "keypoints" in fields:
            return boards.poses.drawn(image, fields, boards.point)
        return boards.objects.drawn(image, fields, boards.score)
    if seen is not None:
        return image
    said = class_of(sample, "pred", boards.objects.dataset_meta.get("classes") or ())
    if said is None:
        raise _unknown(sample)
    return draw_label(image, *said)


def _one(objects: Any, valid: Any) -> dict[str, Any]:
    """The fields of the objects of one image; of a batch of one, without its axis and without what pads."""
    words = ("bboxes", "scores", "labels", "masks", "mask_scores", "keypoints", "keypoint_scores", "keypoints_visible")
    fields = {word: value for word in words if (value := field_of(objects, word)) is not None}
    depth = 3 if "bboxes" in fields else 4
    first = fields.get("bboxes", fields.get("keypoints"))
    if first is None or np.ndim(host(first)) != depth:
        return fields
    if len(host(first)) != 1:
        raise FkitValueError(f"show_result: these are the predictions of {len(host(first))} images, and one is drawn.")
    kept = slice(None) if valid is None else np.asarray(host(valid), bool)[0]
    return {word: np.asarray(host(value))[0][kept] for word, value in fields.items()}


def _unknown(result: Any) -> FkitTypeError:
    return FkitTypeError(f"show_result: {quoted(result, 80)} is no result that can be drawn.", repair=_FORMS)

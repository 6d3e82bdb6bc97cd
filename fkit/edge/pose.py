"""mmpose's inference by its names: people in an image, each given by a box."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.edge.served import ServedModel, predicted
from fkit.edge.served import init_model as init_pose_model
from fkit.recipe.inference import open_pictures
from fkit.recipe.label import skeleton_of
from fkit.structures.content import is_array
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.visualize.result import show_result

__all__ = ["inference_top_down_pose_model", "inference_topdown", "init_pose_model", "vis_pose_result"]

_FORMATS = ("xyxy", "xywh")


def inference_topdown(
    model: ServedModel,
    img: str | Path | NDArray[Any],
    bboxes: Any = None,
    bbox_format: str = "xyxy",
    *,
    batch_size: int = 16,
) -> list[Any]:
    """The pose of each person in an image; mmpose's ``inference_topdown``.

    Args:
        model: of `fkit.init_model`, a top-down estimator.
        img: the path or address of an image, or an image (H, W, C) uint8 BGR.
        bboxes: (N, 4) in pixels of the image, or (N, 5) with a score each; None: the whole image is one.
        bbox_format: "xyxy" or "xywh".
        batch_size: people that the model is given at once, at most.

    Returns:
        `PoseDataSample`, one a box, in their order: ``pred_instances`` with ``keypoints`` (1, K, 2) in pixels of the image and
        ``keypoint_scores`` (1, K).

    Raises:
        FkitError: the image cannot be read, or the boxes are none.

    Example::

        detector, estimator = fkit.init_detector("faster_rcnn.py", "a.pth"), fkit.init_model("td-hm_hrnet-w32.py", "b.pth")
        found = fkit.inference_detector(detector, "street.jpg").pred_instances
        people = fkit.inference_topdown(estimator, "street.jpg", found.bboxes[(found.labels == 0) & (found.scores > 0.3)])
    """
    expect(model, ServedModel, "`model` is a model with its weights (fkit.init_model makes one)")
    expect_number(batch_size, "batch_size", whole=True)
    if bbox_format not in _FORMATS:
        raise FkitValueError(f"bbox_format={quoted(bbox_format)}.", value=str(bbox_format), choices=_FORMATS)
    rows = None if bboxes is None else _boxes(bboxes, bbox_format)
    count = 1 if rows is None else len(rows)
    image: Any = img if is_array(img) else str(img)
    known = () if rows is None else [{"bbox": row[None, :4], "bbox_score": row[4:]} for row in rows]
    return predicted(model, open_pictures(model.settings, model.registry, [image] * count, known=known), batch_size)


def inference_top_down_pose_model(
    model: ServedModel,
    imgs_or_paths: str | Path | NDArray[Any],
    person_results: Sequence[Mapping[str, Any]] | None = None,
    bbox_thr: float | None = None,
    format: str = "xywh",
    **options: Any,
) -> tuple[list[dict[str, Any]], list[Any]]:
    """The pose of each person in an image; mmpose 0.x's function.

    Args:
        model: of `init_pose_model`.
        imgs_or_paths: an image (H, W, C) uint8 BGR, or its path.
        person_results: ``{"bbox": (4,) or (5,) with a score}`` each; None: the whole image is one.
        bbox_thr: the least score of a box that is taken.
        format: "xyxy" or "xywh".
        options: ``dataset``, ``dataset_info`` and ``return_heatmap=False``, which say nothing that the model's config does not.

    Returns:
        ``{"keypoints": (K, 3) x, y, score, "bbox": (5,) xyxy and score, ...}`` a person, with what else its result had; and
        an empty list, of outputs that nobody asked for.

    Raises:
        FkitValueError: ``return_heatmap`` or ``outputs`` asks for what the model does not return.
    """
    asked = [name for name in ("return_heatmap", "outputs") if options.get(name)]
    unknown = [name for name in options if name not in ("dataset", "dataset_info", "return_heatmap", "outputs")]
    if asked or unknown:
        raise FkitValueError(
            f"inference_top_down_pose_model: {(asked + unknown)[0]}: keypoints alone are returned.",
            repair="model.test_cfg.output_heatmaps=True gives heatmaps in inference_topdown's samples.",
        )
    people: list[Mapping[str, Any]] = [] if person_results is None else list(person_results)
    if person_results is not None and not people:
        return [], []
    for one in people:
        if "bbox" not in one:
            raise FkitKeyError("person_results: a person has no 'bbox'.", choices=one, label="It has")
    rows = _boxes([one["bbox"] for one in people], format) if people else None
    if rows is not None and bbox_thr is not None:
        kept = rows[:, 4] > bbox_thr
        people, rows = [one for one, keep in zip(people, kept, strict=True) if keep], rows[kept]
        if not people:
            return [], []
    found = [_person(sample) for sample in inference_topdown(model, imgs_or_paths, rows)]
    results = [{**said, **one} for said, one in zip(people or [{}] * len(found), found, strict=True)]
    return results, []


def vis_pose_result(
    model: ServedModel,
    img: str | Path | NDArray[Any],
    result: Any,
    radius: float | None = None,
    thickness: float | None = None,
    kpt_score_thr: float = 0.3,
    show: bool = False,
    out_file: str | Path | None = None,
    **options: Any,
) -> NDArray[np.uint8]:
    """Draw poses with the skeleton of the model's data; mmpose 0.x's function.

    Args:
        result: of `inference_top_down_pose_model`, or of `inference_topdown`.
        radius: of points, pixels; None grows with the picture.
        thickness: of links, pixels; None likewise.
        kpt_score_thr: the least score of a point that is drawn.
        show, out_file, options: as of `fkit.visualize.show_result`.

    Returns:
        (H, W, 3) uint8 BGR.
    """
    expect(model, ServedModel, "`model` is a model with its weights (fkit.init_model makes one)")
    known = skeleton_of(model.settings, model.registry)
    words: dict[str, Any] = {"skeleton": known.get("skeleton_links"), "show": show, "out_file": out_file, **options}
    for name, value in (("radius", radius), ("thickness", thickness)):
        words |= {} if value is None else {name: value}
    several: Any = result if isinstance(result, (list, tuple)) else [result]
    people = [one if isinstance(one, Mapping) else _person(one) for one in cast("Sequence[Any]", several)]
    return show_result(img, people, kpt_score_thr=kpt_score_thr, **words)


def _person(sample: Any) -> dict[str, Any]:
    """A person of a sample as mmpose 0.x has it."""
    one: Any = sample.pred_instances
    points = np.concatenate([one.keypoints[0][:, :2], one.keypoint_scores[0][:, None]], 1)
    if "bboxes" not in one:
        return {"keypoints": points}
    score = one.bbox_scores[0] if "bbox_scores" in one else 1.0
    return {"keypoints": points, "bbox": np.append(np.asarray(one.bboxes[0]), score)}


def _boxes(bboxes: Any, form: str) -> NDArray[np.float32]:
    """(N, 5) xyxy and score."""
    try:
        rows: NDArray[Any] = np.asarray(bboxes, np.float32)
    except (TypeError, ValueError):
        raise FkitTypeError(f"boxes are (N, 4) or (N, 5), not {quoted(bboxes)}.") from None
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        raise FkitTypeError(f"boxes are (N, 4), or (N, 5) with a score each, not {rows.shape}.")
    if not len(rows):
        return np.zeros((0, 5), np.float32)
    if form == "xywh":
        rows = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4], rows[:, 4:]], 1)
    for number, row in enumerate(rows):
        if not np.isfinite(row).all() or row[2] < row[0] or row[3] < row[1]:
            raise FkitValueError(
                f"box {number} is {row[:4].tolist()}: x1, y1, x2, y2 are finite, x1 at most x2, and y1 at most y2.",
                repair="Boxes x, y, width, height are bbox_format='xywh'.",
            )
    sure = rows[:, 4:] if rows.shape[1] == 5 else np.ones((len(rows), 1), np.float32)
    return np.concatenate([rows[:, :4], sure], 1)

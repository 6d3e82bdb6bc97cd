"""How fkit is called for cases of the book ``boxes``: overlaps, boxes, suppression."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.box import corners, flipped, from_centres, inside, projected, resized, scaled, to_centres
from fkit.array.code import encoded_distances, within
from fkit.array.matrix import fast_nms, matrix_nms
from fkit.array.overlap import overlaps
from fkit.array.suppress import batched, leaders, multiclass, soft_nms
from fkit.detection.coder import DistancePointBBoxCoder
from fkit.structures.bitmap import BitmapMasks
from fkit.structures.box import HorizontalBoxes
from tests.golden.replay.arithmetic import compiled, plain


def call_overlaps(xp: Any, args: Any, case: Any) -> Any:
    mode, aligned, eps = args.get("mode", "iou"), args.get("is_aligned", False), args.get("eps", 1e-6)
    return compiled(xp, lambda a, b: overlaps(xp, a, b, mode, aligned, eps), args["bboxes1"], args["bboxes2"])


def detections(xp: Any, boxes: Any, kept: Any) -> Any:
    """What mmcv's functions give: boxes with their scores, and indices, of what is kept alone."""
    real = np.flatnonzero(plain(kept.valid))
    index = plain(kept.index)[real]
    rows = [plain(boxes).reshape(-1, 4)[index], plain(kept.scores)[real][:, None]]
    return np.concatenate(rows, 1), index


def call_nms(xp: Any, args: Any, case: Any) -> Any:
    rule = {key: value for key, value in args.items() if key not in ("boxes", "scores")}
    groups = xp.full((len(args["boxes"]),), 0, "int64")
    kept = compiled(xp, lambda *arrays: batched(xp, *arrays, rule, class_agnostic=True), args["boxes"], args["scores"], groups)  # fmt: skip
    return detections(xp, args["boxes"], kept)


def call_soft_nms(xp: Any, args: Any, case: Any) -> Any:
    boxes, scores = args.pop("boxes"), args.pop("scores")
    args["threshold"] = args.pop("iou_threshold", 0.3)
    return detections(xp, boxes, compiled(xp, lambda *arrays: soft_nms(xp, *arrays, **args), boxes, scores))


def call_batched(xp: Any, args: Any, case: Any) -> Any:
    agnostic = args.get("class_agnostic", False)
    arrays = args["boxes"], args["scores"], args["idxs"]
    kept = compiled(xp, lambda *arrays: batched(xp, *arrays, args["nms_cfg"], class_agnostic=agnostic), *arrays)
    return detections(xp, args["boxes"], kept)


def call_multiclass(xp: Any, args: Any, case: Any) -> Any:
    rule = args["score_thr"], args["nms_cfg"], args.get("max_num", -1)
    kept = compiled(
        xp,
        lambda boxes, scores, factors: multiclass(xp, boxes, scores, *rule, factors=factors),
        *(args["multi_bboxes"], args["multi_scores"], args.get("score_factors")),
    )
    real = np.flatnonzero(plain(kept.valid))
    rows = np.concatenate([plain(kept.bboxes)[real], plain(kept.scores)[real][:, None]], 1)
    out = rows, plain(kept.labels)[real], plain(kept.index)[real]
    return out if args.get("return_inds", True) else out[:2]


def call_match(xp: Any, args: Any, case: Any) -> Any:
    leader, order = (
        plain(part) for part in leaders(xp, args["dets"][:, :4], args["dets"][:, 4], args["iou_threshold"])
    )
    return [order[leader[order] == one] for one in order if leader[one] == one]


def call_fast(xp: Any, args: Any, case: Any) -> Any:
    coefficients = plain(args.pop("multi_coeffs"))
    arrays = args.pop("multi_bboxes"), args.pop("multi_scores")
    found, box = compiled(xp, lambda *arrays: fast_nms(xp, *arrays, **args), *arrays)
    real = np.flatnonzero(plain(found.valid))
    rows = np.concatenate([plain(found.bboxes), plain(found.scores)[:, None]], 1)[real]
    return rows, plain(found.labels)[real], coefficients[plain(box)[real]]


def call_matrix(xp: Any, args: Any, case: Any) -> Any:
    arrays = args.pop("masks"), args.pop("labels"), args.pop("scores")
    masks, labels = arrays[0], plain(arrays[1])
    kept = compiled(xp, lambda *arrays: matrix_nms(xp, *arrays, **args), *arrays)
    real = np.flatnonzero(plain(kept.valid))
    index = plain(kept.index)[real]
    return plain(kept.scores)[real], labels[index], plain(masks)[index], index


def as_rois(xp: Any, boxes: Any) -> Any:
    """(R, 5) of the boxes of each image: its number, then the box."""
    rows = [xp.lib.concat([xp.full((len(one), 1), at, one), one], axis=1) for at, one in enumerate(boxes)]
    return xp.lib.concat(rows, axis=0)


def rescaled(xp: Any, boxes: Any, factor: float) -> Any:
    """RoIs or boxes of another size about their centres."""
    return xp.lib.concat([boxes[:, :-4], resized(xp, boxes[:, -4:], (factor, factor))], axis=1)


def call_project(xp: Any, args: Any) -> Any:
    return within(xp, projected(xp, args["bboxes"], args["homography_matrix"]), args["img_shape"])


def aspect(xp: Any, boxes: Any) -> Any:
    centred = to_centres(xp, boxes)
    return xp.lib.concat([centred[:, :2], centred[:, 2:3] / centred[:, 3:], centred[:, 3:]], axis=1)


BOX: Mapping[str, Callable[[Any, Any], Any]] = frozendict(
    bbox_flip=lambda xp, args: flipped(xp, args["bboxes"], args["img_shape"], args["direction"]),
    bbox_mapping=lambda xp, args: flipped(xp, scaled(xp, args["bboxes"], args["scale_factor"]), args["img_shape"]),
    bbox2roi=lambda xp, args: as_rois(xp, args["bbox_list"]),
    bbox_rescale=lambda xp, args: rescaled(xp, args["bboxes"], args["scale_factor"]),
    bbox_cxcywh_to_xyxy=lambda xp, args: from_centres(xp, args["bbox"]),
    bbox_xyxy_to_cxcywh=lambda xp, args: to_centres(xp, args["bbox"]),
    distance2bbox=lambda xp, args: DistancePointBBoxCoder().decode(
        xp, args["points"], args["distance"], args.get("max_shape")
    ),
    bbox2distance=lambda xp, args: encoded_distances(xp, args["points"], args["bbox"], args["max_dis"]),
    find_inside_bboxes=lambda xp, args: inside(args["bboxes"], (args["img_h"], args["img_w"])),
    scale_boxes=lambda xp, args: scaled(xp, args["boxes"], args["scale_factor"]),
    bbox_project=call_project,
    bbox_xyxy_to_cxcyah=lambda xp, args: aspect(xp, args["bboxes"]),
    bbox2corner=lambda xp, args: corners(xp, args["bboxes"]).reshape(-1, 2),
)


def call_box(xp: Any, args: Any, case: Any) -> Any:
    return BOX[args["fn"]](xp, args)


def call_hboxes(xp: Any, args: Any, case: Any) -> Any:
    boxes = HorizontalBoxes(args.pop("boxes"), args.pop("in_mode", None))
    member = getattr(boxes, args.pop("method").rstrip("_"))
    if "other" in args:
        args["other"] = HorizontalBoxes(args["other"])
    out = member(**args) if callable(member) else member
    if isinstance(out, BitmapMasks):
        return {"$bitmaps": out.masks, "height": out.height, "width": out.width}
    return out.tensor if isinstance(out, HorizontalBoxes) else out


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(
    overlaps=call_overlaps,
    nms=call_nms,
    soft_nms=call_soft_nms,
    batched_nms=call_batched,
    multiclass=call_multiclass,
    nms_match=call_match,
    fastnms=call_fast,
    matrixnms=call_matrix,
    box=call_box,
    hboxes=call_hboxes,
)

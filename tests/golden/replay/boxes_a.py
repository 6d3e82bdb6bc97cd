"""How fkit is called for cases of the book ``boxes``: overlaps, boxes, suppression."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.overlap import overlaps
from fkit.array.suppress import batched, leaders, multiclass, soft_nms
from tests.golden.replay.arithmetic import plain


def call_overlaps(xp: Any, args: Any, case: Any) -> Any:
    return overlaps(xp, args["bboxes1"], args["bboxes2"], args.get("mode", "iou"), args.get("is_aligned", False), args.get("eps", 1e-6))  # fmt: skip


def detections(xp: Any, boxes: Any, kept: Any) -> Any:
    """What mmcv's functions give: boxes with their scores, and indices, of what is kept alone."""
    real = np.flatnonzero(plain(kept.valid))
    index = plain(kept.index)[real]
    rows = [plain(boxes).reshape(-1, 4)[index], plain(kept.scores)[real][:, None]]
    return np.concatenate(rows, 1), index


def call_nms(xp: Any, args: Any, case: Any) -> Any:
    rule = {key: value for key, value in args.items() if key not in ("boxes", "scores")}
    groups = xp.full((len(args["boxes"]),), 0, "int64")
    kept = batched(xp, args["boxes"], args["scores"], groups, rule, class_agnostic=True)
    return detections(xp, args["boxes"], kept)


def call_soft_nms(xp: Any, args: Any, case: Any) -> Any:
    boxes, scores = args.pop("boxes"), args.pop("scores")
    args["threshold"] = args.pop("iou_threshold", 0.3)
    return detections(xp, boxes, soft_nms(xp, boxes, scores, **args))


def call_batched(xp: Any, args: Any, case: Any) -> Any:
    agnostic = args.get("class_agnostic", False)
    kept = batched(xp, args["boxes"], args["scores"], args["idxs"], args["nms_cfg"], class_agnostic=agnostic)
    return detections(xp, args["boxes"], kept)


def call_multiclass(xp: Any, args: Any, case: Any) -> Any:
    kept = multiclass(
        xp,
        args["multi_bboxes"],
        args["multi_scores"],
        args["score_thr"],
        args["nms_cfg"],
        args.get("max_num", -1),
        factors=args.get("score_factors"),
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


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(
    overlaps=call_overlaps,
    nms=call_nms,
    soft_nms=call_soft_nms,
    batched_nms=call_batched,
    multiclass=call_multiclass,
    nms_match=call_match,
)

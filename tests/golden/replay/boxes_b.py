"""How fkit is called for cases of the book ``boxes``: anchors, points, coders, assigners, samplers, costs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from fkit.detection.assigner import Truth
from fkit.detection.prior import inside
from tests.golden.replay.arithmetic import plain


def built(cfg: Any, **more: Any) -> Any:
    return fkit.build({**cfg, **more}, kind="task_utils", scope="mmdet")


def call_anchors(xp: Any, args: Any, case: Any) -> Any:
    generator = built(args["cfg"])
    sizes, pad = args["featmap_sizes"], args.get("pad_shape")
    out = {
        "num_base_priors": list(generator.counts),
        "num_levels": generator.num_levels,
        "base_anchors": list(generator.bases),
        "priors": generator.priors(xp, sizes, args.get("dtype", "float32")),
    }
    if pad is not None:
        out["valid_flags"] = generator.valid(xp, sizes, pad)
    if "sparse_idx" in args:
        out["sparse"] = [generator.sparse(xp, index, sizes[level], level) for level, index in enumerate(args["sparse_idx"])]
    return out


def call_points(xp: Any, args: Any, case: Any) -> Any:
    return built(args["cfg"]).priors(xp, args["featmap_sizes"], with_stride=args["with_stride"])


def call_inside(xp: Any, args: Any, case: Any) -> Any:
    return inside(xp, args["flat_anchors"], args["valid_flags"], args["img_shape"], args["allowed_border"])


def call_encode(xp: Any, args: Any, case: Any) -> Any:
    more = {key: args[key] for key in ("max_dis", "eps", "stride") if key in args}
    return built(args["cfg"]).encode(xp, args["bboxes"], args["gt_bboxes"], **more)


def call_decode(xp: Any, args: Any, case: Any) -> Any:
    more = {key: args[key] for key in ("max_shape", "wh_ratio_clip", "stride") if key in args}
    return built(args["cfg"]).decode(xp, args["bboxes"], args["pred"], **more)


def truth_of(xp: Any, args: Any) -> Truth:
    count = args["gt_bboxes"].shape[0]
    return Truth(args["gt_bboxes"], args["gt_labels"], xp.full((count,), True, "bool"))


def padded(xp: Any, truth: Truth, count: int = 3) -> Truth:
    """Objects, and some that pad, with boxes that would be matched if they were looked at."""
    boxes = xp.lib.concat([truth.bboxes, xp.full((count, 4), 0, truth.bboxes) + xp.asarray(np.array([0, 0, 50, 50.0]), truth.bboxes)])
    labels = xp.lib.concat([truth.labels, xp.full((count,), 7, truth.labels)])
    return Truth(boxes, labels, xp.lib.concat([truth.valid, xp.full((count,), False, "bool")]))


def assigned(xp: Any, cfg: Any, args: Any) -> Any:
    more: dict[str, Any] = {}
    if "gt_bboxes_ignore" in args:
        boxes = args["gt_bboxes_ignore"]
        more["ignored"] = Truth(boxes, None, xp.full((boxes.shape[0],), True, "bool"))
    if "num_level_priors" in args:
        more["counts"] = args["num_level_priors"]
    if "scores" in args:
        more["pred"] = {"bboxes": args["bboxes"], "scores": args["scores"]}
    truth = truth_of(xp, args)
    found, again = (built(cfg).assign(xp, args["priors"], one, **more) for one in (truth, padded(xp, truth)))
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(plain(one), plain(other))
    return found


def call_assign(xp: Any, args: Any, case: Any) -> Any:
    found = assigned(xp, args["cfg"], args)
    return {"num_gts": args["gt_bboxes"].shape[0], "gt_inds": found.gt, "max_overlaps": found.overlap, "labels": found.labels}


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(
    anchors=call_anchors,
    points=call_points,
    inside_flags=call_inside,
    encode=call_encode,
    decode=call_decode,
    assign=call_assign,
)

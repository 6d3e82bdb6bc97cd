"""How fkit is called for cases of the book ``boxes``: heads of regions."""

from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from tests.golden.replay.arithmetic import plain


def call_bbox_head_predict(xp: Any, args: Any, case: Any) -> Any:
    logic = fkit.build(args["cfg"], fkit.registry(), "models", backend="torch", scope="mmdet").logic
    boxes, meta = args["rois"][:, 1:], args["img_meta"]
    shape, scale = (xp.asarray([list(meta[name])], boxes) for name in ("img_shape", "scale_factor"))
    seen = logic.detections(
        xp, boxes[None], xp.full((1, len(boxes)), 1, "bool"), logic.scores(xp, args["cls_score"])[None],
        args["bbox_pred"][None], shape, scale if args["rescale"] else None, args["rcnn_test_cfg"],
    )  # fmt: skip
    real = np.flatnonzero(plain(seen.valid)[0])
    return {name: plain(getattr(seen, name))[0][real] for name in ("bboxes", "scores", "labels")}


ADAPTERS = frozendict(bbox_head_predict=call_bbox_head_predict)

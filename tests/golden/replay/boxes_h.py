"""How fkit is called for cases of the book ``boxes``: heads of regions."""

from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from tests.golden.replay.arithmetic import compiled, plain


def call_bbox_head_predict(xp: Any, args: Any, case: Any) -> Any:
    logic = fkit.build(args["cfg"], fkit.registry(), "models", backend="torch", scope="mmdet").logic
    boxes, meta = args["rois"][:, 1:], args["img_meta"]
    shape, scale = (xp.asarray([list(meta[name])], boxes) for name in ("img_shape", "scale_factor"))

    def detections(boxes: Any, scores: Any, deltas: Any) -> Any:
        valid, rates = xp.full((1, len(boxes)), 1, "bool"), logic.scores(xp, scores)[None]
        rescaled = scale if args["rescale"] else None
        return logic.detections(xp, boxes[None], valid, rates, deltas[None], shape, rescaled, args["rcnn_test_cfg"])

    seen = compiled(xp, detections, boxes, args["cls_score"], args["bbox_pred"])
    real = np.flatnonzero(plain(seen.valid)[0])
    return {name: plain(getattr(seen, name))[0][real] for name in ("bboxes", "scores", "labels")}


ADAPTERS = frozendict(bbox_head_predict=call_bbox_head_predict)

"""How fkit is called for cases of the book ``boxes``: regions of interest, masks, heat maps."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from fkit.array import gaussian, paste
from fkit.array.box import rescale
from fkit.array.roi import levels, roi_align
from fkit.structures.mask import PolygonMasks
from tests.golden.replay.arithmetic import compiled, plain, with_gradient


def last(xp: Any, maps: Any) -> Any:
    """Channels last."""
    return xp.lib.moveaxis(maps, 1, -1)


def first(xp: Any, maps: Any) -> Any:
    return xp.lib.moveaxis(maps, -1, 1)


def boxes_of(xp: Any, rois: Any) -> tuple[Any, Any]:
    """Boxes and the images that they are of."""
    return rois[:, 1:], xp.cast(rois[:, 0], "int64")


def call_roialign(xp: Any, args: Any, case: Any) -> Any:
    boxes, image = boxes_of(xp, args["rois"])

    def pooled(maps: Any) -> Any:
        out = roi_align(
            xp, [last(xp, maps)], boxes, image, None, [args["spatial_scale"]], args["output_size"],
            args["sampling_ratio"], args["aligned"], args["pool_mode"],
        )  # fmt: skip
        return first(xp, out)

    if "grad_out" not in args:
        return {"out": compiled(xp, pooled, args["input"])}
    _, gradient = with_gradient(xp, lambda maps: pooled(maps) * args["grad_out"], args["input"])
    return {"out": compiled(xp, pooled, args["input"]), "grad_input": gradient}


def call_roi_extract(xp: Any, args: Any, case: Any) -> Any:
    extract = fkit.registry().build("models", args["cfg"])

    def extracted(maps: Any, rois: Any) -> dict[str, Any]:
        boxes, image = boxes_of(xp, rois)
        out = extract(xp, [last(xp, one) for one in maps], boxes, image, args.get("roi_scale_factor"))
        return {"levels": levels(xp, boxes, len(maps), extract.finest_scale), "out": first(xp, out)}

    return compiled(xp, extracted, list(args["feats"]), args["rois"])


def call_paste(xp: Any, args: Any, case: Any) -> Any:
    size = (args["img_h"], args["img_w"])
    whole = [(np.array(0, np.int32), np.array(side, np.int32)) for side in size] if args["skip_empty"] else None
    masks = compiled(xp, lambda *arrays: paste.paste(xp, *arrays, size), args["masks"][:, 0], args["boxes"])
    return {"masks": masks, "spatial_inds": whole}


def call_mask_predict(xp: Any, args: Any, case: Any) -> Any:
    masks, boxes, (height, width) = xp.sigmoid(args["mask_preds"]), args["bboxes"], args["ori_shape"]
    which = args["labels"] * 0 if args.get("class_agnostic") else args["labels"]
    masks = xp.take_along(masks, which[:, None, None, None], 1)[:, 0]
    across, down = args["scale_factor"]
    if args["rescale"]:
        boxes = rescale(boxes, xp.asarray([across, down], boxes))
    else:
        height, width = round(height * down), round(width * across)
    pasted = compiled(xp, lambda *arrays: paste.paste(xp, *arrays, (height, width)), masks, boxes)
    threshold = args["mask_thr_binary"]
    return pasted >= threshold if threshold >= 0 else xp.cast(pasted * 255, "uint8")


def call_mask_target(xp: Any, args: Any, case: Any) -> Any:
    size = (args["mask_size"], args["mask_size"])
    boxes, gt, masks = args["pos_proposals"], args["pos_assigned_gt_inds"], args["gt_masks"]
    if "$polygons" in masks:
        height, width = masks["height"], masks["width"]
        polygons = PolygonMasks([[plain(part) for part in one] for one in masks["$polygons"]], height, width)
        cut = np.clip(plain(boxes), 0, np.array([width, height] * 2, np.float32))
        return xp.asarray(polygons.crop_and_resize(cut, size, plain(gt)).to_ndarray(), "float32")
    masks = masks["$bitmaps"]
    soft = args.get("soft", False)
    return compiled(xp, lambda *arrays: paste.mask_targets(xp, *arrays, size, soft), masks, boxes, gt)


def call_gaussian(xp: Any, args: Any, case: Any) -> Any:
    name = args["fn"]
    if name == "gaussian_radius":
        return gaussian.radius(xp, *args["det_size"], args["min_overlap"])
    if name == "gen_gaussian_target":
        return gaussian.blob(xp, args["heatmap"], args["center"], args["radius"])
    if name == "get_local_maximum":
        return gaussian.local_maximum(xp, args["heat"], args["kernel"])
    return gaussian.peaks(xp, args["scores"], args["k"])


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(
    gaussian=call_gaussian,
    mask_predict=call_mask_predict,
    mask_target=call_mask_target,
    paste=call_paste,
    roi_extract=call_roi_extract,
    roialign=call_roialign,
)

"""How fkit is called for cases of the book ``boxes``: anchors, points, coders, assigners, samplers, costs."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from fkit.detection.assigner import Truth
from fkit.detection.prior import inside
from fkit.detection.sampler import RandomSampler
from tests.golden.replay.arithmetic import compiled, plain


def built(cfg: Any, **more: Any) -> Any:
    return fkit.registry().build("task_utils", {**cfg, **more}, scope="mmdet")


def call_anchors(xp: Any, args: Any, case: Any) -> Any:
    generator = built(args["cfg"])
    sizes, pad = args["featmap_sizes"], args.get("pad_shape")
    out = {
        "num_base_priors": list(generator.counts),
        "num_levels": generator.num_levels,
        "base_anchors": list(generator.bases),
    }
    with xp.width([np.zeros(1, args.get("dtype", "float32"))]):
        out["priors"] = compiled(xp, lambda: generator.priors(xp, sizes, args.get("dtype", "float32")))
    if pad is not None:
        out["valid_flags"] = compiled(xp, lambda: generator.valid(xp, sizes, pad))
    if "sparse_idx" in args:
        out["sparse"] = [
            generator.sparse(xp, index, sizes[level], level) for level, index in enumerate(args["sparse_idx"])
        ]
    return out


def call_points(xp: Any, args: Any, case: Any) -> Any:
    return built(args["cfg"]).priors(xp, args["featmap_sizes"], with_stride=args["with_stride"])


def call_inside(xp: Any, args: Any, case: Any) -> Any:
    return inside(xp, args["flat_anchors"], args["valid_flags"], args["img_shape"], args["allowed_border"])


def call_encode(xp: Any, args: Any, case: Any) -> Any:
    more = {key: args[key] for key in ("max_dis", "eps", "stride") if key in args}
    with np.errstate(divide="ignore", invalid="ignore"):  # boxes of no size
        coder = built(args["cfg"])
        return compiled(xp, lambda *arrays: coder.encode(xp, *arrays, **more), args["bboxes"], args["gt_bboxes"])


def call_decode(xp: Any, args: Any, case: Any) -> Any:
    more = {key: args[key] for key in ("max_shape", "wh_ratio_clip", "stride") if key in args}
    coder = built(args["cfg"])
    return compiled(xp, lambda *arrays: coder.decode(xp, *arrays, **more), args["bboxes"], args["pred"])


def truth_of(xp: Any, args: Any) -> Truth:
    count = args["gt_bboxes"].shape[0]
    return Truth(args["gt_bboxes"], args["gt_labels"], xp.full((count,), True, "bool"))


def padded(xp: Any, truth: Truth, count: int = 3) -> Truth:
    """Objects, and some that pad, with boxes that would be matched if they were looked at."""
    boxes = xp.lib.concat(
        [truth.bboxes, xp.full((count, 4), 0, truth.bboxes) + xp.asarray(np.array([0, 0, 50, 50.0]), truth.bboxes)]
    )
    labels = xp.lib.concat([truth.labels, xp.full((count,), 2, truth.labels)])
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
    assigner = built(cfg)
    found, again = compiled(
        xp,
        lambda priors, truth: [assigner.assign(xp, priors, one, **more) for one in (truth, padded(xp, truth))],
        *(args["priors"], truth),
    )
    for one, other in zip(found[:3], again[:3], strict=True):
        np.testing.assert_array_equal(plain(one), plain(other))
    return found


def call_assign(xp: Any, args: Any, case: Any) -> Any:
    found = assigned(xp, args["cfg"], args)
    return {
        "num_gts": args["gt_bboxes"].shape[0],
        "gt_inds": found.gt,
        "max_overlaps": found.overlap,
        "labels": found.labels,
    }


def matching(xp: Any, args: Any) -> tuple[Any, Any, Truth]:
    gt = args["gt"]
    count = len(next(iter(gt.values())))
    truth = Truth(gt.get("bboxes"), gt.get("labels"), xp.full((count,), True, "bool"), gt.get("masks"))
    return built(args["cfg"]), args["pred"], truth


def call_cost(xp: Any, args: Any, case: Any) -> Any:
    cost, pred, truth = matching(xp, args)
    return compiled(xp, lambda pred, truth: cost(xp, pred, truth, args.get("img_shape")), pred, truth)


def call_hungarian(xp: Any, args: Any, case: Any) -> Any:
    assigner, pred, truth = matching(xp, args)

    def both(pred: Any, truth: Truth) -> tuple[Any, ...]:
        rows = truth, padded(xp, truth)
        matches = [assigner.assign(xp, pred["bboxes"], one, pred=pred, image=args["img_shape"]) for one in rows]
        return *matches, assigner.cost(xp, pred, truth, args["img_shape"])

    found, again, cost = compiled(xp, both, pred, truth)
    np.testing.assert_array_equal(plain(found.gt), plain(again.gt))
    return {
        "cost": cost,
        "gt_inds": found.gt,
        "labels": found.labels,
    }


def call_sample(xp: Any, args: Any, case: Any) -> Any:
    """The random sampler with the recorded permutations in place of what a key decides."""
    recorded = [plain(draw["value"]) for draw in case["draws"]]
    truth, found = truth_of(xp, args), assigned(xp, args["assigner"], args)
    sampler = built(args["sampler"])
    if isinstance(sampler, RandomSampler):
        sampler = Replayed(*dataclasses.astuple(sampler), draws=tuple(recorded))
    priors, gt, labels = args["priors"], found.gt, found.labels
    own = 0
    if sampler.add_gt_as_proposals:
        own = truth.bboxes.shape[0]
        priors = xp.lib.concat([truth.bboxes, priors])
        gt, labels = xp.lib.concat([xp.cast(xp.arange(own) + 1, gt), gt]), xp.lib.concat([truth.labels, labels])
    positive, negative = (plain(one).nonzero()[0] for one in sampler.choose(xp, (1, 2), gt, image=0))
    rows, boxes = plain(gt)[positive] - 1, plain(truth.bboxes)
    return {
        "pos_inds": positive,
        "neg_inds": negative,
        "pos_priors": plain(priors)[positive],
        "neg_priors": plain(priors)[negative],
        "pos_is_gt": (positive < own).astype(np.uint8),
        "pos_assigned_gt_inds": rows,
        "pos_gt_bboxes": boxes[rows] if len(boxes) else boxes,
        "pos_gt_labels": plain(labels)[positive],
        "num_gts": len(boxes),
    }


@dataclass(frozen=True)
class Replayed(RandomSampler):
    """Priorities from permutations: the candidate that stands j-th in the recorded one of as many has priority j."""

    draws: tuple[Any, ...] = ()

    def draw(self, xp: Any, key: Any, image: Any, candidates: Any, kind: str) -> Any:
        places = plain(candidates).nonzero()[0]
        priority = np.zeros(len(candidates), np.float32)
        drawn = [draw for draw in self.draws if len(draw) == len(places)]
        if drawn:
            priority[places[drawn[0 if kind == "pos" else -1]]] = np.arange(len(places))
        return xp.asarray(priority, "float32")


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(
    anchors=call_anchors,
    points=call_points,
    inside_flags=call_inside,
    encode=call_encode,
    decode=call_decode,
    assign=call_assign,
    assign_and_sample=call_sample,
    hungarian=call_hungarian,
    match_cost=call_cost,
)

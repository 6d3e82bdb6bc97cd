"""How fkit is called for cases of the book ``boxes``: heads of one stage (rpn)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from frozendict import frozendict

import fkit
from fkit.detection.assigner import Truth
from fkit.detection.dense import Given
from fkit.detection.image import Shapes
from fkit.detection.sampler import RandomSampler
from tests.golden.replay.arithmetic import compiled, plain, with_gradient


def logic_of(args: Mapping[str, Any], **more: Any) -> Any:
    """The logic of the head that a case describes."""
    return fkit.build({**args["cfg"], **more}, fkit.registry(), "models", backend="torch", scope="mmdet").logic


def sizes_of(maps: Sequence[Any]) -> list[tuple[int, int]]:
    return [tuple(one.shape[2:]) for one in maps]


def rows(xp: Any, maps: Sequence[Any], width: int) -> tuple[Any, ...]:
    """Maps (N, A * width, H, W) as rows (N, H * W * A, width)."""
    return tuple(xp.lib.moveaxis(one, 1, -1).reshape((one.shape[0], -1, width)) for one in maps)


def shapes_of(xp: Any, meta: Mapping[str, Any]) -> Shapes:
    img, pad = (xp.asarray(np.array([meta[key]], np.float32), "float32") for key in ("img_shape", "pad_shape"))
    return Shapes(img, pad, xp.full((1, 2), 1, "float32"))


def call_predict(xp: Any, args: Any, case: Any) -> Any:
    head = logic_of(args, test_cfg=args["test_cfg"])

    def proposals(scores: Any, boxes: Any) -> Any:
        outputs = rows(xp, scores, 1), rows(xp, boxes, 4)
        return head.proposals(xp, outputs, sizes_of(scores), shapes_of(xp, args["img_meta"]))

    found = compiled(xp, proposals, list(args["cls_scores"]), list(args["bbox_preds"]))
    real = np.flatnonzero(plain(found.valid)[0])
    scores = plain(found.scores)[0, real]
    return {"bboxes": plain(found.bboxes)[0, real], "scores": scores, "labels": np.zeros(len(scores), np.int64)}


@dataclass(frozen=True)
class Replayed(RandomSampler):
    """Priorities from a permutation of the negatives: the one that stands j-th in it has priority j."""

    places: tuple[int, ...] = ()

    def draw(self, xp: Any, key: Any, image: Any, candidates: Any, kind: str) -> Any:
        if kind == "pos":
            return xp.full(candidates.shape, 0, "float32")
        number = xp.lib.cumsum(xp.cast(candidates, "int64"), 0) - 1
        table = xp.asarray(np.array(self.places, np.float32), "float32")
        return xp.take(table, xp.lib.clip(number, 0, len(self.places) - 1))


def call_loss(xp: Any, args: Any, case: Any) -> Any:
    head = logic_of(args, train_cfg=args["train_cfg"])
    order = plain(case["draws"][0]["value"])
    sampler = Replayed(*astuple(head.sampler), places=tuple(np.argsort(order).tolist()))
    head = changed(head, sampler)
    boxes = args["gt_bboxes"]
    count = boxes.shape[0]
    truth = Truth(boxes[None], xp.full((1, count), 0, "int64"), xp.full((1, count), True, "bool"))
    given = Given(truth, None, shapes_of(xp, args["img_meta"]), (1, 2), xp.arange(1))
    maps = [*args["cls_scores"], *args["bbox_preds"]]
    levels, ends = len(args["cls_scores"]), np.cumsum([int(np.prod(one.shape)) for one in maps])

    def parts(flat: Any) -> list[Any]:
        starts = [0, *ends[:-1]]
        return [flat[int(a) : int(b)].reshape(tuple(one.shape)) for a, b, one in zip(starts, ends, maps, strict=True)]

    def losses(flat: Any) -> Any:
        mine = parts(flat)
        outputs = rows(xp, mine[:levels], 1), rows(xp, mine[levels:], 4)
        return head.loss(xp, outputs, sizes_of(args["cls_scores"]), given)

    flat = xp.lib.concat([one.reshape(-1) for one in maps])
    _, gradient = with_gradient(
        xp, lambda at: xp.lib.stack([one for parts in losses(at).values() for one in parts]), flat
    )
    names = ("grad_cls", "grad_bbox")
    found = None if gradient is None else parts(gradient)
    pieces = (None, None) if found is None else (found[:levels], found[levels:])
    return {"losses": compiled(xp, losses, flat), **dict(zip(names, pieces, strict=True))}


def changed(head: Any, sampler: Any) -> Any:
    """A head with another sampler."""
    object.__setattr__(head, "sampler", sampler)
    return head


ADAPTERS: Mapping[str, Callable[[Any, Any, Any], Any]] = frozendict(rpn_predict=call_predict, rpn_loss=call_loss)

"""Detectors of two stages: what is said of proposals, by a head of regions; what both backends share."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene
from fkit.detection.image import Shapes
from fkit.detection.part import part
from fkit.detection.rpn import Proposals
from fkit.detection.truth import regions, truths
from fkit.structures.batch import Samples
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Heads", "heads_of", "proposals_of", "scene_of", "with_prefix"]


class Heads(NamedTuple):
    """A detector's heads, built.

    Attributes:
        rpn: what proposes regions, or None.
        roi: what tells what is in them.
        proposal_cfg: how proposals are chosen in training; None: as in a test.
    """

    rpn: Any
    roi: Any
    proposal_cfg: Any


def heads_of(build: Builder, name: str, rpn_head: Any, roi_head: Any, train_cfg: Any, test_cfg: Any) -> Heads:
    """The heads of a detector.

    Args:
        name: of the detector, for messages.
        train_cfg: ``rpn``, ``rpn_proposal`` and ``rcnn``; or None.
        test_cfg: ``rpn`` and ``rcnn``; or None.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    if roi_head is None:
        raise FkitTypeError(f"{name} needs a roi_head.", repair="A region proposal network alone is RPN.")
    train, test = _settings(name, train_cfg, "train_cfg"), _settings(name, test_cfg, "test_cfg")
    if isinstance(rpn_head, Mapping):
        cfg = cast("Mapping[str, Any]", rpn_head)
        if cfg.get("num_classes", 1) != 1:
            raise FkitValueError(f"{name}: rpn_head.num_classes={cfg['num_classes']}, but proposals have no class.")
        rpn_head = part(build, "models", cfg, num_classes=1, train_cfg=train.get("rpn"), test_cfg=test.get("rpn"))
    roi = part(build, "models", roi_head, train_cfg=train.get("rcnn"), test_cfg=test.get("rcnn"))
    return Heads(rpn_head, roi, train.get("rpn_proposal"))


def _settings(name: str, cfg: Any, what: str) -> Mapping[str, Any]:
    if cfg is None:
        return frozendict()
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"{name}: {what} is a mapping of rpn and rcnn, not {type(cfg).__name__}.")
    return cast("Mapping[str, Any]", cfg)


def proposals_of(xp: Ops, samples: Samples | None, kind: Any) -> Proposals | None:
    """The proposals that a batch brings, ``targets["proposals"]``: ``bboxes`` (N, K, 4), perhaps ``scores``; else None.

    Raises:
        FkitKeyError: they have no boxes.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> samples = Samples({"proposals": {"bboxes": np.zeros((1, 3, 4))}})
        >>> proposals_of(Numpy(), samples, np.zeros(1, np.float32)).valid.tolist()
        [[True, True, True]]
    """
    if samples is None or "proposals" not in samples.targets:
        return None
    group = samples.targets["proposals"]
    if not isinstance(group, Mapping) or "bboxes" not in group:
        raise FkitKeyError("targets['proposals'] has no 'bboxes': (N, K, 4) in pixels of the inputs.")
    boxes = xp.cast(group["bboxes"], kind)
    valid = samples.valid.get("proposals")
    return Proposals(boxes, boxes[..., 0], xp.full(boxes.shape[:2], 1, "bool") if valid is None else valid)


def scene_of(xp: Ops, samples: Samples | None, shapes: Shapes, proposals: Proposals | None, learns: bool) -> Scene:
    """What a head of regions is told beside the maps.

    Args:
        learns: whether the objects are to be told, too.

    Raises:
        FkitKeyError: there are no proposals, or no objects to learn from.
    """
    if proposals is None:
        raise FkitKeyError(
            "a detector without rpn_head needs proposals: the batch has no targets['proposals'].",
            choices={} if samples is None else samples.targets,
            label="Targets",
        )
    boxes = xp.detached(proposals.bboxes)
    if not learns:
        return Scene(boxes, proposals.valid, shapes.img, shapes.scale)
    semantic = None if samples is None else samples.targets.get("gt_sem_seg")
    return Scene(boxes, proposals.valid, shapes.img, shapes.scale, truths(samples), regions(samples), semantic)


def with_prefix(losses: Mapping[str, Any]) -> dict[str, Any]:
    """Losses of proposals, named so that a head's do not meet them.

    Example:
        >>> with_prefix({"loss_rpn_cls": 1, "loss_iou": 2, "acc": 3})
        {'loss_rpn_cls': 1, 'rpn_loss_iou': 2, 'acc': 3}
    """
    return {f"rpn_{name}" if "loss" in name and "rpn" not in name else name: value for name, value in losses.items()}

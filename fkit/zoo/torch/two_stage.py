"""Detectors of two stages, with MMDetection's arguments and parameter names."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict
from torch import Tensor

from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene
from fkit.detection.image import Shapes, shapes_of
from fkit.detection.truth import classless
from fkit.detection.two_stage import heads_of, proposals_of, scene_of, with_prefix
from fkit.structures.batch import Samples
from fkit.zoo.torch.detector import Detector

__all__ = [
    "CascadeRCNN",
    "FastRCNN",
    "FasterRCNN",
    "HybridTaskCascade",
    "MaskRCNN",
    "MaskScoringRCNN",
    "TwoStageDetector",
]


class TwoStageDetector(Detector):
    """Backbone, neck, a head that proposes regions, and one that tells what is in them.

    Args:
        backbone: config of a module (N, C, H, W) -> tuple of feature maps.
        neck: config of a module from those to others, or None.
        rpn_head: config of a head that proposes regions; None: the batch brings them, ``targets["proposals"]["bboxes"]``
            (N, K, 4) in pixels of the inputs. Where it does, they go before the head's, which still has its losses.
        roi_head: config of a head of regions.
        train_cfg: ``rpn``, ``rpn_proposal`` and ``rcnn``.
        test_cfg: ``rpn`` and ``rcnn``.
        data_preprocessor: accepted: a run takes it out of the model; inputs here have passed it.
        pretrained, init_cfg: see `Detector`.

    ``forward(inputs, samples, mode)``: "tensor" gives the raw outputs of each part, ``{"backbone": ..., "neck": ...,
    "rpn_head": ..., "roi.cls_score": ..., ...}``; "loss" a dict of losses, those of proposals a tuple of one a level;
    "predict" ``pred_instances`` (``bboxes`` (N, K, 4) in pixels of the original images, ``scores``, ``labels``, and with
    a mask head ``mask_scores`` (N, K, h, w), probabilities inside of each box) with ``valid``. Objects are
    ``targets["gt_instances"]``, and ``targets["ignored_instances"]``.
    """

    def __init__(
        self,
        backbone: Any,
        neck: Any = None,
        rpn_head: Any = None,
        roi_head: Any = None,
        train_cfg: Any = None,
        test_cfg: Any = None,
        data_preprocessor: Any = None,
        pretrained: Any = None,
        init_cfg: Any = None,
        *,
        build: Builder,
    ) -> None:
        del data_preprocessor
        super().__init__(backbone, neck, pretrained, init_cfg, build)
        heads = heads_of(build, type(self).__name__, rpn_head, roi_head, train_cfg, test_cfg)
        self.rpn_head = heads.rpn
        self.roi_head = heads.roi
        self.proposal_cfg = heads.proposal_cfg

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes."""
        return frozendict({"gt_instances.labels": self.roi_head.logic.num_classes})

    def raw(self, inputs: Tensor, samples: Samples | None) -> dict[str, Any]:
        parts = super().raw(inputs, samples)
        maps = parts.get("neck", parts["backbone"])
        shapes = shapes_of(Torch(inputs.device), samples, inputs)
        if self.rpn_head is not None:
            parts["rpn_head"] = self.rpn_head(maps)
        return {**parts, **self.roi_head(maps, self._scene(maps, samples, shapes))}

    def _scene(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Scene:
        xp = Torch(maps[0].device)
        proposals = proposals_of(xp, samples, maps[0])
        if self.rpn_head is not None and proposals is None:
            proposals = self.rpn_head.proposals(maps, shapes)
        return scene_of(xp, samples, shapes, proposals, learns=False)

    def loss(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        xp = Torch(maps[0].device)
        proposals, losses = proposals_of(xp, samples, maps[0]), {}
        if self.rpn_head is not None:
            seen = classless(samples)
            losses, mine = self.rpn_head.loss_and_proposals(maps, seen, shapes, self.proposal_cfg)
            proposals = mine if proposals is None else proposals
        scene = scene_of(xp, samples, shapes, proposals, learns=True)
        return {**with_prefix(losses), **self.roi_head.loss(maps, scene)}

    def predict(self, maps: tuple[Tensor, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        return self.roi_head.predict(maps, self._scene(maps, samples, shapes))


class FasterRCNN(TwoStageDetector):
    """Faster R-CNN (Ren et al. 2015); see `TwoStageDetector`."""


class MaskRCNN(TwoStageDetector):
    """Mask R-CNN (He et al. 2017); see `TwoStageDetector`."""


class MaskScoringRCNN(TwoStageDetector):
    """Mask Scoring R-CNN (Huang et al. 2019); see `TwoStageDetector`."""


class CascadeRCNN(TwoStageDetector):
    """Cascade R-CNN (Cai and Vasconcelos 2018); see `TwoStageDetector`."""


class HybridTaskCascade(CascadeRCNN):
    """Hybrid Task Cascade (Chen et al. 2019); see `TwoStageDetector`."""


class FastRCNN(TwoStageDetector):
    """Fast R-CNN (Girshick 2015), whose proposals come with the batch; see `TwoStageDetector`."""

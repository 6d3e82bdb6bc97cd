"""Detectors of two stages, with MMDetection's arguments and parameter names; channels last inside."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from frozendict import frozendict

from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene
from fkit.detection.image import Shapes
from fkit.detection.part import part
from fkit.detection.rpn import Proposals
from fkit.detection.truth import classless
from fkit.detection.two_stage import heads_of, proposals_of, scene_of, with_prefix
from fkit.structures.batch import Samples
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.flax.detector import Detector, channels_first

__all__ = ["TwoStageDetector", "two_stage_detector"]

Array = jax.Array

_NAME = "a detector of two stages"


class TwoStageDetector(Detector):
    """Backbone, neck, a head that proposes regions, and one that tells what is in them; see `two_stage_detector`.

    Attributes:
        rpn_head: a head that proposes regions, or None: the batch brings them.
        roi_head: a head of regions.
        proposal_cfg: how proposals are chosen in training; None: as in a test.
    """

    rpn_head: Any = None
    roi_head: Any = None
    proposal_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("backbone", "neck", "rpn_head", "roi_head")

    @property
    def label_ranges(self) -> Mapping[str, Any]:
        """What labels may be: those of the head's classes."""
        return frozendict({"gt_instances.labels": self.roi_head.logic.num_classes})

    def raw_heads(
        self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes, train: bool
    ) -> dict[str, Any]:
        parts = {} if self.rpn_head is None else {"rpn_head": channels_first(self.rpn_head(maps, train))}
        return {**parts, **self.roi_head(maps, self._scene(maps, samples, shapes))}

    def _scene(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes) -> Scene:
        proposals = proposals_of(JaxOps(), samples, maps[0])
        if self.rpn_head is not None and proposals is None:
            proposals = self.rpn_head.proposals(maps, shapes)
        if proposals is None and self.is_initializing():  # the layers' shapes want a region, wherever it is
            blank = jnp.zeros((maps[0].shape[0], 1, 4), maps[0].dtype)
            proposals = Proposals(blank, blank[..., 0], jnp.ones(blank.shape[:2], bool))
        return scene_of(JaxOps(), samples, shapes, proposals, learns=False)

    def loss(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes, train: bool) -> Mapping[str, Any]:
        proposals, losses = proposals_of(JaxOps(), samples, maps[0]), {}
        if self.rpn_head is not None:
            seen = classless(samples)
            losses, mine = self.rpn_head.loss_and_proposals(maps, seen, shapes, self.proposal_cfg, train)
            proposals = mine if proposals is None else proposals
        scene = scene_of(JaxOps(), samples, shapes, proposals, learns=True)
        return {**with_prefix(losses), **self.roi_head.loss(maps, scene, train)}

    def predict(self, maps: tuple[Array, ...], samples: Samples | None, shapes: Shapes) -> Mapping[str, Any]:
        return self.roi_head.predict(maps, self._scene(maps, samples, shapes))


def two_stage_detector(
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
) -> TwoStageDetector:
    """The maker of `TwoStageDetector` from a config, with the arguments and the modes of torch's twin."""
    del data_preprocessor
    heads = heads_of(build, _NAME, rpn_head, roi_head, train_cfg, test_cfg)
    rules = init_cfg_of(pretrained, init_cfg, _NAME)
    parts = part(build, "models", backbone), part(build, "models", neck)
    return TwoStageDetector(*parts, rules, heads.rpn, heads.roi, heads.proposal_cfg)

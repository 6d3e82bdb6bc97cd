"""Which keypoints a picture shows, beside where they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.pose.flip import swapped
from fkit.pose.head import Config, Head
from fkit.pose.loss.base import called
from fkit.pose.truth import label_of
from fkit.structures.batch import Samples
from fkit.tree.error import FkitTypeError

__all__ = ["SEEN", "Visible", "counts_of"]

SEEN: Final = frozendict(type="BCELoss", use_target_weight=False, use_sigmoid=True)


def counts_of(pose_cfg: Any) -> tuple[int, int]:
    """(channels in, keypoints) of a head's config.

    Raises:
        FkitTypeError: it says neither ``num_joints`` nor ``out_channels``, or no ``in_channels``.

    Example:
        >>> counts_of({"type": "HeatmapHead", "in_channels": 8, "out_channels": 17})
        (8, 17)
    """
    known = cast("Mapping[str, Any]", pose_cfg) if hasattr(pose_cfg, "keys") else {}
    joints = known.get("num_joints") or known.get("out_channels")
    if joints is None or "in_channels" not in known:
        raise FkitTypeError(
            "VisPredictHead: pose_cfg is the config of a head, with in_channels and num_joints or out_channels.",
            repair="pose_cfg=dict(type='HeatmapHead', in_channels=2048, out_channels=17, ...)",
        )
    return known["in_channels"], joints


@dataclass(frozen=True, eq=False, kw_only=True)
class Visible(Head):
    """Of what another head's network gives, and of each keypoint whether it is seen, (N, K).

    Attributes:
        pose: what is made of the other head's outputs.
        sure: what is seen are probabilities already.
    """

    pose: Head
    sure: bool = True

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        where, seen = outputs
        truth = xp.cast(label_of(samples, "keypoint_weights", self.name), seen)
        weights = xp.full(truth.shape, 1.0)
        known: Mapping[str, Any] = {} if samples is None else samples.targets.get("gt_instance_labels", {})
        if "keypoints_visible_weights" in known:
            weights = xp.cast(label_of(samples, "keypoints_visible_weights", self.name), seen)
        weights = xp.cast(weights, seen)
        counted = weights if getattr(self.loss_module, "use_target_weight", False) else xp.full(truth.shape, 1.0)
        right = xp.cast((self._likely(xp, xp.detached(seen)) >= 0.5) == (truth >= 0.5), seen)
        share = (right * counted).sum(1) / (xp.cast(counted, seen).sum(1) + 1e-6)
        loss = called(self.loss_module, xp, seen, truth, weights)
        return {"loss_vis": loss, "acc_vis": share.mean(), **self.pose.loss(xp, where, samples, {})}

    def _likely(self, xp: Ops, seen: Any) -> Any:
        return seen if self.sure else xp.sigmoid(seen)

    def readied(self, xp: Ops, outputs: Any) -> Any:
        return self.pose.readied(xp, outputs[0]), outputs[1]

    def joined(self, xp: Ops, outputs: Any, flipped: Any, partners: Any, cfg: Config) -> Any:
        where = self.pose.joined(xp, outputs[0], flipped[0], partners, cfg)
        return where, (outputs[1] + swapped(xp, flipped[1], partners)) * 0.5

    def shown(self, xp: Ops, outputs: Any, cfg: Config) -> tuple[dict[str, Any], dict[str, Any]]:
        found, fields = self.pose.shown(xp, outputs[0], cfg)
        return {**found, "keypoints_visible": self._likely(xp, outputs[1])[:, None]}, fields

"""A head of keypoints that also says which of them a picture shows; channels last inside."""

from dataclasses import replace
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.backend.jax.layers import Linear
from fkit.catalog.build import Builder
from fkit.pose.flow import REGRESSION_INIT
from fkit.pose.line import checked_channels
from fkit.pose.part import part
from fkit.pose.visible import SEEN, Visible, counts_of

__all__ = ["VisPredictHead", "vis_predict_head"]

Array = jax.Array


class VisPredictHead(nn.Module):
    """Another head, and whether each keypoint is seen; see `vis_predict_head`.

    Attributes:
        pose_head: the other head.
        logic: what is made of both; its ``pose`` is the other head's.
    """

    pose_head: Any
    in_channels: int
    joints: int
    logic: Visible
    init_cfg: Any = REGRESSION_INIT

    torch_order: ClassVar[tuple[str, ...]] = ("pose_head", "vis_head")

    @property
    def init_rules(self) -> Any:
        """``init_cfg``."""
        return self.init_cfg

    def bound(self) -> Visible:
        """What is made of both."""
        return replace(self.logic, pose=self.pose_head.bound())

    @nn.compact
    def __call__(self, maps: Any, train: bool = False) -> tuple[Any, Array]:
        where, last = self.pose_head(maps, train), maps[-1]
        pooled = last.mean((1, 2)) if last.ndim == 4 else last.reshape(last.shape[0], -1)
        checked_channels("VisPredictHead", pooled.shape[1], self.in_channels)
        seen = Linear(self.joints, name="vis_head_2")(pooled)
        return where, nn.sigmoid(seen) if self.logic.sure else seen


def vis_predict_head(pose_cfg: Any, loss: Any = SEEN, init_cfg: Any = None, *, build: Builder) -> VisPredictHead:
    """Another head, and whether each keypoint is seen by a linear layer of the map's mean; mmpose's VisPredictHead.

    Args:
        pose_cfg: config of the other head, with ``in_channels`` and ``num_joints`` or ``out_channels``.
        loss: config of the loss of what is seen; its ``use_sigmoid`` asks for probabilities.
        init_cfg: rules for initial weights.

    Returns:
        ``(maps, train)`` -> the other head's outputs, and (N, K).
    """
    channels, joints = counts_of(pose_cfg)
    head = part(build, "models", pose_cfg)
    sure = bool(loss.get("use_sigmoid", False))
    logic = Visible.of(build, "VisPredictHead", loss, None, pose=head.logic, sure=sure)
    return VisPredictHead(head, channels, joints, logic, REGRESSION_INIT if init_cfg is None else init_cfg)

"""A head of keypoints that also says which of them a picture shows."""

from typing import Any

from torch import Tensor, nn

from fkit.catalog.build import Builder
from fkit.pose.flow import REGRESSION_INIT
from fkit.pose.part import part
from fkit.pose.visible import SEEN, Visible, counts_of

__all__ = ["VisPredictHead"]


class VisPredictHead(nn.Module):
    """Another head, and whether each keypoint is seen by a linear layer of the map's mean; mmpose's VisPredictHead.

    Args:
        pose_cfg: config of the other head, with ``in_channels`` and ``num_joints`` or ``out_channels``.
        loss: config of the loss of what is seen; its ``use_sigmoid`` asks for probabilities.
        init_cfg: rules for initial weights.

    ``forward(maps)``: the other head's outputs, and (N, K).
    """

    def __init__(self, pose_cfg: Any, loss: Any = SEEN, init_cfg: Any = None, *, build: Builder) -> None:
        super().__init__()
        self.init_cfg = REGRESSION_INIT if init_cfg is None else init_cfg
        channels, joints = counts_of(pose_cfg)
        sure = bool(loss.get("use_sigmoid", False))
        self.pose_head = part(build, "models", pose_cfg)
        layers = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, joints)]
        self.vis_head = nn.Sequential(*layers, nn.Sigmoid()) if sure else nn.Sequential(*layers)
        self.logic = Visible.of(build, "VisPredictHead", loss, None, pose=self.pose_head.logic, sure=sure)

    def forward(self, maps: Any) -> tuple[Any, Tensor]:
        last = maps[-1]
        return self.pose_head(maps), self.vis_head(last.reshape(*last.shape, *(1 for _ in range(4 - last.ndim))))

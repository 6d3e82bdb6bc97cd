"""SE-ResNet (Hu et al. 2018): a ResNet whose bottlenecks weigh their channels."""

from typing import Any

from fkit.pose.plan import expect_bottlenecks
from fkit.zoo.flax.resnet import LastResNet, ResNet, ResNeXt, last_resnext

__all__ = ["pose_se_resnet", "se_resnext"]


def pose_se_resnet(depth: int, se_ratio: float = 16, **options: Any) -> ResNet:
    """mmpose's SEResNet: images to the map of the last stage, unless ``out_indices`` says more.

    Args:
        depth: 50, 101 or 152.
        se_ratio: by how much channels are fewer inside of `SELayer`.
        options: of `ResNet`.
    """
    expect_bottlenecks("SEResNet", depth, (50, 101, 152))
    plugin = {"cfg": {"type": "SELayer", "ratio": se_ratio}, "position": "after_conv3"}
    return LastResNet(depth, plugins=[plugin], **options)


def se_resnext(depth: int, groups: int = 32, width_per_group: int = 4, se_ratio: float = 16, **options: Any) -> ResNeXt:
    """mmpose's and mmpretrain's SEResNeXt: `pose_se_resnet` with bottlenecks of several groups.

    Args:
        depth: 50, 101 or 152.
        groups, width_per_group: of the 3x3, as ResNeXt has them.
        se_ratio: by how much channels are fewer inside of the weighing.
        options: of `ResNeXt`.
    """
    expect_bottlenecks("SEResNeXt", depth, (50, 101, 152))
    plugin = {"cfg": {"type": "SELayer", "ratio": se_ratio}, "position": "after_conv3"}
    return last_resnext(depth, groups, width_per_group, plugins=[plugin], **options)

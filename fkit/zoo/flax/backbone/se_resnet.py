"""SE-ResNet (Hu et al. 2018): a ResNet whose bottlenecks weigh their channels."""

from typing import Any

from fkit.pose.plan import expect_bottlenecks
from fkit.zoo.flax.resnet import LastResNet, ResNet

__all__ = ["pose_se_resnet"]


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

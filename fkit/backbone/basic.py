"""Plans of single residual blocks, for networks that are made of them in another way than ResNet."""

from fkit.backbone.resnet import BlockPlan, Convolution

__all__ = ["basic", "bottleneck"]


def basic(inner: int, width: int, stride: int = 1) -> BlockPlan:
    """Two 3x3 convolutions, and a convolution in the shortcut where channels or size change.

    Example:
        >>> basic(8, 16, 2).shortcut, basic(8, 8).shortcut
        (2, 0)
    """
    convs = (Convolution(inner, width, 3, stride), Convolution(width, width, 3))
    return BlockPlan(convs, stride if stride != 1 or inner != width else 0)


def bottleneck(inner: int, width: int, planes: int, stride: int = 1, shortcut: bool | None = None) -> BlockPlan:
    """Convolutions of 1x1, 3x3 (which strides) and 1x1, ``planes`` channels inside.

    Args:
        shortcut: whether it has a convolution of its own; None: where channels or size change.

    Example:
        >>> bottleneck(8, 16, 4).width
        16
    """
    convs = (Convolution(inner, planes, 1), Convolution(planes, planes, 3, stride), Convolution(planes, width, 1))
    changes = (stride != 1 or inner != width) if shortcut is None else shortcut
    return BlockPlan(convs, stride if changes else 0)

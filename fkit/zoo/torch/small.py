"""Small backbones: a ConvNet and an MLP."""

from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError

__all__ = ["MLP", "ConvNet"]

_NORM = frozendict(type="BN")


class ConvNet(nn.Module):
    """Stages of 3x3 convolution, norm, ReLU and 2x2 max pooling, then dropout.

    Args:
        in_channels: C of the images.
        channels: of each stage.
        norm_cfg: the norm layer.
        dropout: rate after the last stage.
        out_indices: stages whose maps are given; None is the last.
        init_cfg: rules for initial weights.

    Gives a tuple of (N, channels[i], H / 2**(i+1), W / 2**(i+1)). Names: ``conv1``, ``bn1``, ``conv2``, ...
    """

    def __init__(
        self,
        in_channels: int = 1,
        channels: tuple[int, ...] = (32, 64),
        norm_cfg: Any = _NORM,
        dropout: float = 0.25,
        out_indices: tuple[int, ...] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        widths = tuple(channels)
        self.init_cfg = init_cfg
        self.out_indices = (len(widths) - 1,) if out_indices is None else tuple(out_indices)
        if not widths or not all(0 <= i < len(widths) for i in self.out_indices):
            raise FkitValueError(f"ConvNet: out_indices={self.out_indices}, but there are {len(widths)} stages.")
        names: list[tuple[str, str]] = []
        for i, width in enumerate(widths, 1):
            self.add_module(f"conv{i}", nn.Conv2d(in_channels, width, 3, padding=1, bias=False))
            short, norm = norm_layer(norm_cfg, width)
            self.add_module(f"{short}{i}", norm)
            names.append((f"conv{i}", f"{short}{i}"))
            in_channels = width
        self.names = tuple(names)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        for i, (conv, norm) in enumerate(self.names):
            x = F.relu(getattr(self, norm)(getattr(self, conv)(x)))
            x = F.max_pool2d(x, 2)
            if i == len(self.names) - 1:
                x = self.drop(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)


class MLP(nn.Module):
    """Linear layers with ReLU over the flattened input (C, H, W order), each followed by dropout.

    Args:
        in_channels: elements of a sample, C * H * W.
        hidden: widths.
        dropout: rate after each layer.
        init_cfg: rules for initial weights.

    Gives a tuple with (N, hidden[-1]). Names: ``fc1``, ``drop1``, ``fc2``, ...
    """

    def __init__(
        self, in_channels: int, hidden: tuple[int, ...] = (64,), dropout: float = 0.0, init_cfg: Any = None
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.depth = len(tuple(hidden))
        for i, width in enumerate(hidden, 1):
            self.add_module(f"fc{i}", nn.Linear(in_channels, width))
            self.add_module(f"drop{i}", Dropout(dropout))
            in_channels = width

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x.flatten(1)
        for i in range(1, self.depth + 1):
            x = getattr(self, f"drop{i}")(F.relu(getattr(self, f"fc{i}")(x)))
        return (x,)

"""Channels weighed by what the whole map says of them (Hu et al. 2018)."""

from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import RELU
from fkit.zoo.torch.brick import ConvModule

__all__ = ["SELayer"]

_ACTS = (RELU, frozendict(type="Sigmoid"))


class SELayer(nn.Module):
    """Each channel times a weight that the mean of all positions decides: ``conv1`` and ``conv2``, of 1x1.

    Args:
        in_channels: of the map.
        ratio: by how much channels are fewer inside.
        conv_cfg, norm_cfg, act_cfg: layers; a norm and an activation each, or one of each for both.
    """

    def __init__(
        self, in_channels: int, ratio: float = 16, conv_cfg: Any = None, norm_cfg: Any = None, act_cfg: Any = _ACTS
    ) -> None:
        super().__init__()
        acts = act_cfg if isinstance(act_cfg, (tuple, list)) else (act_cfg, act_cfg)
        inner = int(in_channels / ratio)
        options: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.conv1 = ConvModule(in_channels, inner, 1, act_cfg=acts[0], **options)
        self.conv2 = ConvModule(inner, in_channels, 1, act_cfg=acts[1], **options)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv2(self.conv1(x.mean((2, 3), keepdim=True)))

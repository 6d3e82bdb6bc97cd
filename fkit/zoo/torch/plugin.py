"""mmcv's blocks that stand inside of networks: scales, non-local blocks, context blocks."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import torch
from frozendict import frozendict
from torch import Tensor, nn

from fkit.backbone.brick import check_fusion, check_mode, context_start, nonlocal_start
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule

__all__ = ["ContextBlock", "LayerScale", "NonLocal1d", "NonLocal2d", "NonLocal3d", "Scale"]


class Scale(nn.Module):
    """A learnt factor, the parameter ``scale`` of no axis.

    Example:
        >>> Scale(2.0)(torch.ones(2)).tolist()
        [2.0, 2.0]
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class LayerScale(nn.Module):
    """A learnt factor a channel, ``weight`` (Touvron et al. 2021).

    Args:
        dim: how many channels.
        data_format: "channels_last", or "channels_first" for maps (N, C, H, W).
        scale: what it begins with.

    Example:
        >>> LayerScale(2, scale=0.5)(torch.ones(1, 2)).tolist()
        [[0.5, 0.5]]
    """

    def __init__(
        self, dim: int, inplace: bool = False, data_format: str = "channels_last", scale: float = 1e-5
    ) -> None:
        super().__init__()
        formats = ("channels_last", "channels_first")
        if data_format not in formats:
            raise FkitValueError(f"LayerScale: data_format={data_format!r}.", value=data_format, choices=formats)
        del inplace
        self.first = data_format == "channels_first"
        self.weight = nn.Parameter(torch.ones(dim) * scale)

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight.view(-1, *(1,) * (x.ndim - 2)) if self.first else self.weight)


_POOLS: Final[Mapping[int, Callable[[], nn.Module]]] = frozendict(
    {1: lambda: nn.MaxPool1d(2), 2: lambda: nn.MaxPool2d((2, 2)), 3: lambda: nn.MaxPool3d((1, 2, 2))}
)


class NonLocal2d(nn.Module):
    """Each position sees all others (Wang et al. 2018): ``g``, ``theta``, ``phi`` and ``conv_out``, added to the input.

    Args:
        in_channels: C.
        sub_sample: 2x2 max pooling of what is seen.
        conv_cfg: the convolutions; None is of as many axes as the class says.
        reduction: C by it are the channels inside.
        use_scale: "embedded_gaussian" by the root of the channels inside.
        norm_cfg: of ``conv_out``.
        mode: how two positions are compared: "embedded_gaussian", "gaussian", "dot_product" or "concatenation".
        std, zeros_init: initial weights are N(0, std), and 0 for the last layer if ``zeros_init``.
    """

    axes: ClassVar[int] = 2
    starts_anew: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        sub_sample: bool = False,
        conv_cfg: Any = None,
        reduction: int = 2,
        use_scale: bool = True,
        norm_cfg: Any = None,
        mode: str = "embedded_gaussian",
        std: float = 0.01,
        zeros_init: bool = True,
    ) -> None:
        super().__init__()
        self.mode = check_mode(mode)
        self.use_scale = use_scale
        self.inter_channels = inner = max(in_channels // reduction, 1)
        conv: dict[str, Any] = {"conv_cfg": conv_cfg or {"type": f"Conv{self.axes}d"}, "act_cfg": None}
        g = ConvModule(in_channels, inner, 1, **conv)
        self.g: nn.Module = nn.Sequential(g, _POOLS[self.axes]()) if sub_sample else g
        self.conv_out = ConvModule(inner, in_channels, 1, norm_cfg=norm_cfg, **conv)
        if mode != "gaussian":
            self.theta = ConvModule(in_channels, inner, 1, **conv)
            phi = ConvModule(in_channels, inner, 1, **conv)
            self.phi: nn.Module = nn.Sequential(phi, _POOLS[self.axes]()) if sub_sample else phi
        else:
            self.phi = _POOLS[self.axes]() if sub_sample else nn.Identity()
        if mode == "concatenation":
            self.concat_project = ConvModule(2 * inner, 1, 1, bias=False)
        self.start_cfg = nonlocal_start(mode, sub_sample, self.conv_out.norm_name, std, zeros_init)

    def forward(self, x: Tensor) -> Tensor:
        g = self.g(x).flatten(2).transpose(1, 2)
        phi = self.phi(x).flatten(2)
        theta = (x if self.mode == "gaussian" else self.theta(x)).flatten(2)
        seen = self._weights(theta, phi) @ g
        return x + self.conv_out(seen.transpose(1, 2).reshape(x.shape[0], self.inter_channels, *x.shape[2:]))

    def _weights(self, theta: Tensor, phi: Tensor) -> Tensor:
        """What each position (L) takes of each that it sees (M), (N, L, M)."""
        if self.mode == "concatenation":
            pair = (theta.shape[0], theta.shape[1], theta.shape[2], phi.shape[2])
            both = torch.cat([theta[..., None].expand(pair), phi[:, :, None].expand(pair)], 1)
            return self.concat_project(both)[:, 0] / phi.shape[2]
        scores = theta.transpose(1, 2) @ phi
        if self.mode == "dot_product":
            return scores / phi.shape[2]
        if self.mode == "embedded_gaussian" and self.use_scale:
            scores = scores / self.inter_channels**0.5
        return scores.softmax(-1)


class NonLocal1d(NonLocal2d):
    """`NonLocal2d` on (N, C, L)."""

    axes: ClassVar[int] = 1


class NonLocal3d(NonLocal2d):
    """`NonLocal2d` on (N, C, D, H, W)."""

    axes: ClassVar[int] = 3


class ContextBlock(nn.Module):
    """One context of all positions, added to each or multiplied with it (Cao et al. 2019).

    Args:
        in_channels: C.
        ratio: the channels inside, as a share of C.
        pooling_type: "att", a learnt weight a position (``conv_mask``), or "avg".
        fusion_types: "channel_add" (``channel_add_conv``), "channel_mul" (``channel_mul_conv``), or both.
    """

    def __init__(
        self,
        in_channels: int,
        ratio: float,
        pooling_type: str = "att",
        fusion_types: tuple[str, ...] = ("channel_add",),
    ) -> None:
        super().__init__()
        check_fusion(pooling_type, fusion_types)
        planes = int(in_channels * ratio)
        self.conv_mask = nn.Conv2d(in_channels, 1, 1) if pooling_type == "att" else None
        self.channel_add_conv = _bottleneck(in_channels, planes) if "channel_add" in fusion_types else None
        self.channel_mul_conv = _bottleneck(in_channels, planes) if "channel_mul" in fusion_types else None
        self.start_cfg = context_start(pooling_type, tuple(fusion_types))

    def forward(self, x: Tensor) -> Tensor:
        if self.conv_mask is None:
            context = x.mean((2, 3), keepdim=True)
        else:
            weights = self.conv_mask(x).flatten(2).softmax(2)
            context = (x.flatten(2) @ weights.transpose(1, 2))[..., None]
        out = x
        if self.channel_mul_conv is not None:
            out = out * torch.sigmoid(self.channel_mul_conv(context))
        if self.channel_add_conv is not None:
            out = out + self.channel_add_conv(context)
        return out


def _bottleneck(width: int, planes: int) -> nn.Sequential:
    norm = nn.LayerNorm([planes, 1, 1])
    return nn.Sequential(nn.Conv2d(width, planes, 1), norm, nn.ReLU(inplace=True), nn.Conv2d(planes, width, 1))

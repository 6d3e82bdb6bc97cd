"""Feature pyramid networks (Lin et al. 2017; Liu et al. 2018), with mmdet's arguments and parameter names."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F

from fkit.detection.pyramid import Levels, channels_of, check_maps
from fkit.zoo.torch.brick import ConvModule

__all__ = ["FPN", "PAFPN"]

_INIT = frozendict(type="Xavier", layer="Conv2d", distribution="uniform")
_NEAREST = frozendict(mode="nearest")


class FPN(nn.Module):
    """A feature pyramid, a neck: maps of a backbone to ``num_outs`` maps of ``out_channels``.

    Args:
        in_channels: of each map.
        out_channels: of every map that is given.
        num_outs: levels; those beyond the maps' come of convolutions, or of max pooling.
        start_level, end_level: the first and the last map that is used; -1 is the last there is.
        add_extra_convs: False for max pooling, True is "on_input": what extra levels come from ("on_input", the last map;
            "on_lateral", its lateral; "on_output", the last level).
        relu_before_extra_convs: a ReLU before the extra convolutions but the first.
        no_norm_on_lateral: no norm in lateral convolutions.
        conv_cfg, norm_cfg, act_cfg: layers, see `ConvModule`.
        upsample_cfg: arguments of ``interpolate``.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: levels that contradict each other.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = None,
        upsample_cfg: Mapping[str, Any] = _NEAREST,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.levels = Levels.of(name, in_channels, num_outs, start_level, end_level, add_extra_convs)
        self.in_channels = channels_of(name, in_channels)
        self.relu_before_extra_convs = relu_before_extra_convs
        self.upsample_cfg = dict(upsample_cfg)
        self.init_cfg = init_cfg
        self._cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg, "inplace": False}
        lateral: dict[str, Any] = {**self._cfgs, "norm_cfg": None if no_norm_on_lateral else norm_cfg}
        levels, wide = self.levels, out_channels
        used = self.in_channels[levels.start : levels.end]
        self.lateral_convs = nn.ModuleList([ConvModule(width, wide, 1, **lateral) for width in used])
        self.fpn_convs = nn.ModuleList([ConvModule(wide, wide, 3, padding=1, **self._cfgs) for _ in used])
        for i in range(levels.extra if levels.source else 0):
            width = used[-1] if i == 0 and levels.source == "on_input" else wide
            self.fpn_convs.append(ConvModule(width, wide, 3, stride=2, padding=1, **self._cfgs))

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps(type(self).__name__, inputs, self.in_channels, 1)
        laterals = self._laterals(inputs)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals, strict=False)]
        return self._extended(outs, inputs, laterals)

    def _laterals(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        """Lateral maps, with those from above added."""
        used = inputs[self.levels.start : self.levels.end]
        laterals: list[Tensor] = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=True)]
        options = self.upsample_cfg
        for i in range(len(laterals) - 1, 0, -1):
            size = {} if "scale_factor" in options else {"size": laterals[i - 1].shape[2:]}
            laterals[i - 1] = laterals[i - 1] + F.interpolate(laterals[i], **size, **options)
        return laterals

    def _extended(self, outs: list[Tensor], inputs: tuple[Tensor, ...], laterals: list[Tensor]) -> tuple[Tensor, ...]:
        """The levels of ``outs``, and the extra ones."""
        levels = self.levels
        if not levels.source:
            for _ in range(levels.extra):
                outs.append(F.max_pool2d(outs[-1], 1, stride=2))
            return tuple(outs)
        x = {"on_input": inputs[levels.end - 1], "on_lateral": laterals[-1], "on_output": outs[-1]}[levels.source]
        for i, conv in enumerate(self.fpn_convs[levels.used :]):
            x = conv(F.relu(x) if i > 0 and self.relu_before_extra_convs else x)
            outs.append(x)
        return tuple(outs)


class PAFPN(FPN):
    """A pyramid with a second path, from below (Liu et al. 2018): ``downsample_convs`` and ``pafpn_convs`` beside FPN's.

    Args:
        in_channels, out_channels, num_outs, start_level, end_level, add_extra_convs, relu_before_extra_convs,
            no_norm_on_lateral, conv_cfg, norm_cfg, act_cfg, init_cfg: see `FPN`.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        add_extra_convs: bool | str = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = None,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__(
            in_channels, out_channels, num_outs, start_level, end_level, add_extra_convs, relu_before_extra_convs,
            no_norm_on_lateral, conv_cfg, norm_cfg, act_cfg, init_cfg=init_cfg,
        )  # fmt: skip
        wide, steps = out_channels, range(self.levels.used - 1)
        self.downsample_convs = nn.ModuleList(
            [ConvModule(wide, wide, 3, stride=2, padding=1, **self._cfgs) for _ in steps]
        )
        self.pafpn_convs = nn.ModuleList([ConvModule(wide, wide, 3, padding=1, **self._cfgs) for _ in steps])

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        check_maps(type(self).__name__, inputs, self.in_channels)
        laterals = self._laterals(inputs)
        inner = [conv(x) for conv, x in zip(self.fpn_convs, laterals, strict=False)]
        for i, conv in enumerate(self.downsample_convs):
            inner[i + 1] = inner[i + 1] + conv(inner[i])
        outs = [inner[0], *(conv(x) for conv, x in zip(self.pafpn_convs, inner[1:], strict=True))]
        return self._extended(outs, inputs, laterals)

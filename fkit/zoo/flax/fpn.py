"""Feature pyramid networks (Lin et al. 2017; Liu et al. 2018), with mmdet's arguments and parameter names."""

from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import max_pool
from fkit.backend.jax.resize import interpolate
from fkit.detection.pyramid import Levels, channels_of, check_maps
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.small import check_channels

__all__ = ["FPN", "PAFPN"]

Array = jax.Array

_INIT = frozendict(type="Xavier", layer="Conv2d", distribution="uniform")
_NEAREST = frozendict(mode="nearest")


class FPN(nn.Module):
    """A feature pyramid, a neck: maps (N, H, W, C) of a backbone to ``num_outs`` maps of ``out_channels``.

    Attributes:
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

    in_channels: tuple[int, ...]
    out_channels: int
    num_outs: int
    start_level: int = 0
    end_level: int = -1
    add_extra_convs: bool | str = False
    relu_before_extra_convs: bool = False
    no_norm_on_lateral: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = None
    upsample_cfg: Any = _NEAREST
    init_cfg: Any = _INIT
    torch_order: ClassVar[tuple[str, ...]] = ("lateral_convs", "fpn_convs", "downsample_convs", "pafpn_convs")

    def __post_init__(self) -> None:
        _ = self._levels
        super().__post_init__()

    @property
    def _levels(self) -> Levels:
        return Levels.of(
            type(self).__name__, self.in_channels, self.num_outs, self.start_level, self.end_level, self.add_extra_convs
        )

    @nn.compact
    def __call__(self, inputs: tuple[Array, ...], train: bool = False) -> tuple[Array, ...]:
        check_maps(type(self).__name__, inputs, channels_of(type(self).__name__, self.in_channels))
        laterals = self._laterals(inputs, train)
        outs = [self._conv(f"fpn_convs_{i}", x)(x, train) for i, x in enumerate(laterals)]
        return self._extended(self._joined(outs, train), inputs, laterals, train)

    def _conv(self, name: str, x: Array, size: int = 3, stride: int = 1) -> ConvModule:
        norm = None if name.startswith("lateral") and self.no_norm_on_lateral else self.norm_cfg
        return ConvModule(
            x.shape[-1], self.out_channels, size, stride, size // 2, conv_cfg=self.conv_cfg, norm_cfg=norm,
            act_cfg=self.act_cfg, name=name,
        )  # fmt: skip

    def _laterals(self, inputs: tuple[Array, ...], train: bool) -> list[Array]:
        """Lateral maps, with those from above added."""
        levels = self._levels
        used = inputs[levels.start : levels.end]
        for x, width in zip(used, self.in_channels[levels.start : levels.end], strict=True):
            check_channels(type(self).__name__, x, width)
        laterals = [self._conv(f"lateral_convs_{i}", x, 1)(x, train) for i, x in enumerate(used)]
        options = dict(self.upsample_cfg)
        for i in range(len(laterals) - 1, 0, -1):
            size: Any = {} if "scale_factor" in options else {"size": laterals[i - 1].shape[1:3]}
            laterals[i - 1] = laterals[i - 1] + interpolate(laterals[i], **size, **options)
        return laterals

    def _joined(self, outs: list[Array], train: bool) -> list[Array]:
        """What becomes of the levels before the extra ones."""
        del train
        return outs

    def _extended(
        self, outs: list[Array], inputs: tuple[Array, ...], laterals: list[Array], train: bool
    ) -> tuple[Array, ...]:
        """The levels of ``outs``, and the extra ones."""
        levels = self._levels
        if not levels.source:
            for _ in range(levels.extra):
                outs.append(max_pool(outs[-1], 1, 2))
            return tuple(outs)
        x = {"on_input": inputs[levels.end - 1], "on_lateral": laterals[-1], "on_output": outs[-1]}[levels.source]
        for i in range(levels.extra):
            x = nn.relu(x) if i > 0 and self.relu_before_extra_convs else x
            x = self._conv(f"fpn_convs_{levels.used + i}", x, stride=2)(x, train)
            outs.append(x)
        return tuple(outs)


class PAFPN(FPN):
    """A pyramid with a second path, from below (Liu et al. 2018): ``downsample_convs`` and ``pafpn_convs`` beside FPN's.

    Attributes: those of `FPN`.
    """

    def _joined(self, outs: list[Array], train: bool) -> list[Array]:
        for i in range(len(outs) - 1):
            outs[i + 1] = outs[i + 1] + self._conv(f"downsample_convs_{i}", outs[i], stride=2)(outs[i], train)
        return [
            outs[0],
            *(self._conv(f"pafpn_convs_{i}", x)(x, train) for i, x in enumerate(outs[1:])),
        ]

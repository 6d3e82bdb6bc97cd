"""RegNet (Radosavovic et al. 2020), with OpenMMLab's arguments and parameter names; channels last."""

from functools import partial
from typing import Any, ClassVar

from fkit.backbone.regnet import regnet_stages
from fkit.backbone.resnet import NORM, BlockPlan, StageOptions
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.resnet import ResNet

__all__ = ["DetRegNet", "LastRegNet", "RegNet", "regnet"]


class RegNet(ResNet):
    """RegNet, a backbone: images (N, H, W, C) to maps at strides 4, 8, 16, 32; see `regnet`.

    Attributes:
        arch: "regnetx_400mf" to "regnetx_12gf", or a dict of ``w0``, ``wa``, ``wm``, ``group_w``, ``depth``, ``bot_mul``.
    """

    arch: Any = None
    stem_form: ClassVar[tuple[int, int, bool]] = (3, 2, False)

    @property
    def plans(self) -> tuple[tuple[BlockPlan, ...], ...]:
        """The blocks of each stage."""
        options = StageOptions(
            "RegNet", self.strides, self.dilations, self.out_indices, self.style, self.conv_cfg, self.dcn,
            self.stage_with_dcn, self.plugins,
        )  # fmt: skip
        return regnet_stages(self.arch, self.stem_width, options)


def regnet(
    arch: Any,
    in_channels: int = 3,
    stem_channels: int = 32,
    base_channels: int = 32,
    strides: tuple[int, ...] = (2, 2, 2, 2),
    dilations: tuple[int, ...] = (1, 1, 1, 1),
    out_indices: tuple[int, ...] = (0, 1, 2, 3),
    style: str = "pytorch",
    deep_stem: bool = False,
    avg_down: bool = False,
    frozen_stages: int = -1,
    conv_cfg: Any = None,
    norm_cfg: Any = NORM,
    norm_eval: bool = False,
    dcn: Any = None,
    stage_with_dcn: tuple[bool, ...] = (False, False, False, False),
    plugins: Any = None,
    with_cp: bool = False,
    zero_init_residual: bool = True,
    pretrained: Any = None,
    init_cfg: Any = None,
) -> RegNet:
    """A RegNet.

    Args:
        arch: "regnetx_400mf" to "regnetx_12gf", or a dict of ``w0``, ``wa``, ``wm``, ``group_w``, ``depth``, ``bot_mul``.
        base_channels: accepted; widths follow from ``arch``.
        others: as ResNet's.

    Raises:
        FkitError: arguments outside what is allowed, or that do not fit together.
    """
    del base_channels
    if deep_stem:
        raise FkitValueError("RegNet: deep_stem=True, but its stem is one 3x3 convolution.")
    return RegNet(
        depth=0, arch=arch, in_channels=in_channels, stem_channels=stem_channels, strides=strides, dilations=dilations,
        out_indices=out_indices, style=style, avg_down=avg_down, frozen_stages=frozen_stages, conv_cfg=conv_cfg,
        norm_cfg=norm_cfg, norm_eval=norm_eval, dcn=dcn, stage_with_dcn=stage_with_dcn, plugins=plugins, with_cp=with_cp,
        zero_init_residual=zero_init_residual, pretrained=pretrained, init_cfg=init_cfg,
    )  # fmt: skip


# by package, where a config does not say
DetRegNet = partial(regnet, norm_eval=True)
LastRegNet = partial(regnet, out_indices=(3,))

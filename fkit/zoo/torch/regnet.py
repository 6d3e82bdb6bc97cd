"""RegNet (Radosavovic et al. 2020), with OpenMMLab's arguments and parameter names."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from fkit.backbone.regnet import regnet_stages
from fkit.backbone.resnet import NORM, StageOptions
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.resnet import ResNet

__all__ = ["DetRegNet", "LastRegNet", "RegNet"]


class RegNet(ResNet):
    """RegNet, a backbone: images (N, C, H, W) to maps at strides 4, 8, 16, 32.

    Args:
        arch: "regnetx_400mf" to "regnetx_12gf", or a dict of ``w0``, ``wa``, ``wm``, ``group_w``, ``depth``, ``bot_mul``.
        base_channels: accepted; widths follow from ``arch``.
        others: as ResNet's.

    Raises:
        FkitError: arguments outside what is allowed, or that do not fit together.
    """

    def __init__(
        self,
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
    ) -> None:
        nn.Module.__init__(self)
        del base_channels
        if deep_stem:
            raise FkitValueError("RegNet: deep_stem=True, but its stem is one 3x3 convolution.")
        self.deep_stem = self.named_stem = False
        options = StageOptions("RegNet", strides, dilations, out_indices, style, conv_cfg, dcn, stage_with_dcn, plugins)
        self._assemble(
            regnet_stages(arch, stem_channels, options), (in_channels, stem_channels), out_indices, frozen_stages,
            norm_eval, init_cfg_of(pretrained, init_cfg, "RegNet"), zero_init_residual,
            (avg_down, with_cp, conv_cfg, norm_cfg),
        )  # fmt: skip

    def _make_stem(self, channels: int, stem: int, conv_cfg: Any, norm_cfg: Any) -> tuple[str, ...]:
        short, norm = norm_layer(norm_cfg, stem)
        self.conv1 = conv_layer(conv_cfg, channels, stem, 3, stride=2, padding=1, bias=False)
        self.add_module(f"{short}1", norm)
        return ("conv1", f"{short}1")

    def _pool(self, x: Tensor) -> Tensor:
        return x


# by package, where a config does not say
DetRegNet = partial(RegNet, norm_eval=True)
LastRegNet = partial(RegNet, out_indices=(3,))

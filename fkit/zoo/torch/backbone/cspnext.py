"""CSPNeXt (Lyu et al. 2022) and CSPDarknet (Bochkovskiy et al. 2020), with mmdet's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

import torch
from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from fkit.backbone.cspnext import CSP_INIT, csp_stages
from fkit.zoo.torch.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.torch.csp import CSPLayer

__all__ = ["CSPDarknet", "CSPNeXt", "Focus", "SPPBottleneck"]

_BN = frozendict(type="BN", momentum=0.03, eps=0.001)
_SILU = frozendict(type="SiLU")
_SWISH = frozendict(type="Swish")


class SPPBottleneck(nn.Module):
    """Maps beside themselves pooled over windows of several sizes (He et al. 2015), between two 1x1 convolutions."""

    def __init__(self, width: int, kernel_sizes: Sequence[int], cfgs: dict[str, Any]) -> None:
        super().__init__()
        self.kernel_sizes = tuple(kernel_sizes)
        self.conv1 = ConvModule(width, width // 2, 1, **cfgs)
        self.conv2 = ConvModule(width // 2 * (len(self.kernel_sizes) + 1), width, 1, **cfgs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        pooled = [F.max_pool2d(x, size, 1, size // 2) for size in self.kernel_sizes]
        return self.conv2(torch.cat((x, *pooled), 1))


class Focus(nn.Module):
    """Each 2x2 pixels as channels, and a convolution of them."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, cfgs: dict[str, Any]) -> None:
        super().__init__()
        self.conv = ConvModule(in_channels * 4, out_channels, kernel_size, padding=(kernel_size - 1) // 2, **cfgs)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.conv(torch.cat(parts, 1))


class CSPNeXt(nn.Module):
    """CSPNeXt, a backbone: images (N, 3, H, W) to maps at strides 8, 16, 32.

    Args:
        arch: "P5" or "P6".
        deepen_factor, widen_factor: of blocks and of channels.
        out_indices: the stages whose maps are given; 0 is the stem.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        use_depthwise: depthwise separable convolutions.
        expand_ratio: channels of a branch, as a share.
        arch_ovewrite: stages in place of ``arch``'s; the name is mmdet's.
        spp_kernel_sizes: of the last stage's pooling.
        channel_attention: whether layers weigh channels.
        conv_cfg, norm_cfg, act_cfg: layers.
        norm_eval: batch norms stay in evaluation mode.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: str = "P5",
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        arch_ovewrite: Any = None,
        spp_kernel_sizes: Sequence[int] = (5, 9, 13),
        channel_attention: bool = True,
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _SILU,
        norm_eval: bool = False,
        init_cfg: Any = CSP_INIT,
    ) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.out_indices, self.frozen_stages, self.norm_eval = tuple(out_indices), frozen_stages, norm_eval
        stem, stages = csp_stages(
            "CSPNeXt", arch, arch_ovewrite, deepen_factor, widen_factor, self.out_indices, frozen_stages
        )
        plain: dict[str, Any] = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.stem: nn.Module = nn.Sequential(
            ConvModule(3, stem // 2, 3, 2, 1, **plain),
            ConvModule(stem // 2, stem // 2, 3, 1, 1, **plain),
            ConvModule(stem // 2, stem, 3, 1, 1, **plain),
        )
        layer: dict[str, Any] = {
            "expand_ratio": expand_ratio, "use_cspnext_block": True, "channel_attention": channel_attention
        }  # fmt: skip
        self._stages(stages, use_depthwise, spp_kernel_sizes, layer, {"conv_cfg": conv_cfg, **plain})

    def _stages(
        self, stages: Any, depthwise: bool, sizes: Sequence[int], layer: dict[str, Any], cfgs: dict[str, Any]
    ) -> None:
        """``stage1``, ``stage2``, ..."""
        conv: Any = DepthwiseSeparableConvModule if depthwise else ConvModule
        self.names = ["stem"]
        for i, stage in enumerate(stages, 1):
            parts: list[nn.Module] = [conv(stage.inner, stage.width, 3, stride=2, padding=1, **cfgs)]
            if stage.pools:
                parts.append(SPPBottleneck(stage.width, sizes, cfgs))
            parts.append(
                CSPLayer(
                    stage.width, stage.width, num_blocks=stage.blocks, add_identity=stage.identity,
                    use_depthwise=depthwise, **layer, **cfgs,
                )
            )  # fmt: skip
            self.add_module(f"stage{i}", nn.Sequential(*parts))
            self.names.append(f"stage{i}")
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in self.names[: self.frozen_stages + 1]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        for i, name in enumerate(self.names):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "CSPNeXt":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


class CSPDarknet(CSPNeXt):
    """CSPDarknet, YOLOX's backbone: images (N, 3, H, W) to maps at strides 8, 16, 32.

    Args:
        arch, deepen_factor, widen_factor, out_indices, frozen_stages, use_depthwise, arch_ovewrite, spp_kernal_sizes,
        conv_cfg, norm_cfg, act_cfg, norm_eval, init_cfg: as of `CSPNeXt`; the spelling is mmdet's.
    """

    def __init__(
        self,
        arch: str = "P5",
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        use_depthwise: bool = False,
        arch_ovewrite: Any = None,
        spp_kernal_sizes: Sequence[int] = (5, 9, 13),
        conv_cfg: Any = None,
        norm_cfg: Any = _BN,
        act_cfg: Any = _SWISH,
        norm_eval: bool = False,
        init_cfg: Any = CSP_INIT,
    ) -> None:
        nn.Module.__init__(self)
        self.init_cfg = init_cfg
        self.out_indices, self.frozen_stages, self.norm_eval = tuple(out_indices), frozen_stages, norm_eval
        stem, stages = csp_stages(
            "CSPDarknet", arch, arch_ovewrite, deepen_factor, widen_factor, self.out_indices, frozen_stages
        )
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.stem = Focus(3, stem, 3, cfgs)
        self._stages(stages, use_depthwise, spp_kernal_sizes, {}, cfgs)

"""MobileNetV2 (Sandler et al. 2018), with OpenMMLab's arguments and parameter names."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backbone.mobile import Inverted, mobile_v2
from fkit.backbone.resnet import INIT
from fkit.training.pretrained import init_cfg_of
from fkit.zoo.torch.brick import ConvModule

__all__ = ["DetMobileNetV2", "InvertedBlock", "MobileNetV2", "SegMobileNetV2"]

_NORM = frozendict(type="BN")
_RELU6 = frozendict(type="ReLU6")


class InvertedBlock(nn.Module):
    """Wider by a 1x1, a filter a channel, narrower by a 1x1: ``conv.0``, ``conv.1``, ``conv.2``; added to its input where
    that has the same shape."""

    def __init__(self, plan: Inverted, conv_cfg: Any, norm_cfg: Any, act_cfg: Any, with_cp: bool = False) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.added = plan.stride == 1 and plan.inner == plan.width
        shared: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        layers = (
            [] if plan.hidden == plan.inner else [ConvModule(plan.inner, plan.hidden, 1, act_cfg=act_cfg, **shared)]
        )
        layers.append(
            ConvModule(plan.hidden, plan.hidden, 3, plan.stride, plan.dilation, plan.dilation, groups=plan.hidden,
                       act_cfg=act_cfg, **shared)
        )  # fmt: skip
        layers.append(ConvModule(plan.hidden, plan.width, 1, act_cfg=None, **shared))
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            y: Tensor = checkpoint(self.conv, x, use_reentrant=False)  # type: ignore[assignment]
        else:
            y = self.conv(x)
        return x + y if self.added else y


class MobileNetV2(nn.Module):
    """MobileNetV2, a backbone: images (N, 3, H, W) to a tuple of maps.

    Args:
        widen_factor: of all channels.
        out_indices: the stages whose maps are given, from 0 to 6; 7 is the last layer, ``conv2``.
        strides, dilations: of the first blocks of the seven stages.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.
        last: whether there is a ``conv2``.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        widen_factor: float = 1.0,
        out_indices: Sequence[int] = (7,),
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _RELU6,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = None,
        pretrained: Any = None,
        strides: Sequence[int] = (1, 2, 2, 2, 1, 2, 1),
        dilations: Sequence[int] = (1, 1, 1, 1, 1, 1, 1),
        *,
        last: bool = True,
    ) -> None:
        super().__init__()
        stem, stages, width = mobile_v2(widen_factor, strides, dilations, out_indices, frozen_stages, last)
        init_cfg = init_cfg_of(pretrained, init_cfg, "MobileNetV2")
        self.init_cfg = INIT if init_cfg is None else init_cfg
        self.out_indices, self.frozen_stages, self.norm_eval = tuple(out_indices), frozen_stages, norm_eval
        shared: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self.conv1 = ConvModule(3, stem, 3, 2, 1, **shared)
        for i, plans in enumerate(stages, 1):
            blocks = (InvertedBlock(plan, with_cp=with_cp, **shared) for plan in plans)
            self.add_module(f"layer{i}", nn.Sequential(*blocks))
        self.names = [f"layer{i}" for i in range(1, len(stages) + 1)]
        if last:
            self.conv2 = ConvModule(stages[-1][-1].width, width, 1, **shared)
            self.names.append("conv2")
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        names = [name for name in self.names if name != "conv2"]
        return [self.conv1, *(self.get_submodule(name) for name in names[: self.frozen_stages])]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.conv1(x)
        maps: list[Tensor] = []
        for i, name in enumerate(self.names):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "MobileNetV2":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


# mmdet's gives four maps; mmseg's too, and has no last layer
DetMobileNetV2 = partial(MobileNetV2, out_indices=(1, 2, 4, 7))
SegMobileNetV2 = partial(MobileNetV2, out_indices=(1, 2, 4, 6), last=False)

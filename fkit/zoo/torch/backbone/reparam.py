"""RepVGG (Ding et al. 2021) and MobileOne (Vasu et al. 2023), whose branches become one convolution; with mmpretrain's arguments
and parameter names."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backbone.reparam import INIT_ONE, Branched, mobile_one, rep_vgg
from fkit.backbone.resnet import INIT
from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.zoo.torch.backbone.mobile import Excitation

__all__ = ["BranchedBlock", "MobileOne", "RepVGG"]

_NORM = frozendict(type="BN")
_RELU = frozendict(type="ReLU")
_GATES = (frozendict(type="ReLU"), frozendict(type="Sigmoid"))
_RATIO = frozendict(ratio=16)


def _branch(plan: Branched, size: int, conv_cfg: Any, norm_cfg: Any) -> nn.Sequential:
    """A convolution and its norm."""
    gap = plan.dilation if size > 1 else 1
    conv = conv_layer(
        conv_cfg, plan.inner, plan.width, size, stride=plan.stride, padding=size // 2 * gap, dilation=gap,
        groups=plan.groups, bias=False,
    )  # fmt: skip
    return nn.Sequential(OrderedDict(conv=conv, norm=norm_layer(norm_cfg, plan.width)[1]))


class BranchedBlock(nn.Module):
    """The sum of a norm (where the shape stays), 1x1 convolutions and larger ones, then an excitation and an activation; or one
    convolution in their place."""

    def __init__(self, plan: Branched, conv_cfg: Any, norm_cfg: Any, act_cfg: Any, with_cp: bool = False) -> None:
        super().__init__()
        self.plan, self.with_cp = plan, with_cp
        if plan.squeeze and plan.one:
            self.se = Excitation(plan.width, plan.squeeze, _GATES)
        size, gap = plan.size, plan.dilation
        if plan.deploy:
            self.branch_reparam = conv_layer(
                conv_cfg, plan.inner, plan.width, size, stride=plan.stride, padding=size // 2 * gap, dilation=gap,
                groups=plan.groups, bias=True,
            )  # fmt: skip
        else:
            self.branch_norm = norm_layer(norm_cfg, plan.inner)[1] if plan.keeps else None
            if plan.one:
                self.branch_scale = _branch(plan, 1, conv_cfg, norm_cfg) if size > 1 else None
                several = (_branch(plan, size, conv_cfg, norm_cfg) for _ in range(plan.convs))
                self.branch_conv_list = nn.ModuleList(several)
            else:
                self.branch_3x3 = _branch(plan, 3, conv_cfg, norm_cfg)
                self.branch_1x1 = _branch(plan, 1, conv_cfg, norm_cfg)
        if plan.squeeze and not plan.one:
            self.se_layer = Excitation(plan.width, plan.squeeze, _GATES)
        self.act = act_layer(act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            again: Tensor = checkpoint(self._sum, x, use_reentrant=False)  # type: ignore[assignment]
            return self.act(again)
        return self.act(self._sum(x))

    def _sum(self, x: Tensor) -> Tensor:
        plan = self.plan
        y: Any
        if plan.deploy:
            y = self.branch_reparam(x)
        else:
            branches = [self.branch_scale, *self.branch_conv_list] if plan.one else [self.branch_3x3, self.branch_1x1]
            parts = [branch(x) for branch in branches if branch is not None]
            y = sum(parts[1:], parts[0]) if self.branch_norm is None else sum(parts, self.branch_norm(x))
        if not plan.squeeze:
            return y
        if plan.one:
            return self.se(y)
        return (
            y if plan.deploy else self.se_layer(y)
        )  # RepVGG's one convolution has none after it, as mmpretrain has it


class _Branched(nn.Module):
    """What both networks share: a stem and stages, images (N, C, H, W) to a tuple of maps."""

    def __init__(
        self,
        plans: tuple[tuple[Branched, ...], ...],
        names: Sequence[str],
        options: tuple[Any, Any, Any, bool],
        outputs: tuple[int, ...],
        frozen_stages: int,
        norm_eval: bool,
        init_cfg: Any,
    ) -> None:
        super().__init__()
        self.init_cfg, self.names, self.out_indices = init_cfg, tuple(names), outputs
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        stem, *stages = plans
        self.add_module(names[0], BranchedBlock(stem[0], *options))
        for name, stage in zip(names[1:], stages, strict=True):
            self.add_module(name, nn.Sequential(*(BranchedBlock(plan, *options) for plan in stage)))
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in self.names[: self.frozen_stages + 1]]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        for i, name in enumerate(self.names):
            x = getattr(self, name)(x)
            if i - 1 in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "_Branched":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


class RepVGG(_Branched):
    """RepVGG, a backbone: images (N, C, H, W) to a tuple of maps.

    Args:
        arch: "A0" to "D2se", or a mapping with ``num_blocks``, ``width_factor``, ``group_layer_map`` and ``se_cfg``.
        base_channels: of the first stage, before its factor.
        out_indices: the stages whose maps are given.
        strides, dilations: of the stages.
        frozen_stages: no gradient for the stem (0) and the stages up to this one.
        with_cp: recompute blocks in the backward pass to save memory.
        deploy: one convolution in place of each block's branches.
        norm_eval: batch norms stay in evaluation mode.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any,
        in_channels: int = 3,
        base_channels: int = 64,
        out_indices: Any = (3,),
        strides: Sequence[int] = (2, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _RELU,
        with_cp: bool = False,
        deploy: bool = False,
        norm_eval: bool = False,
        init_cfg: Any = INIT,
    ) -> None:
        plans, outputs = rep_vgg(arch, in_channels, base_channels, strides, dilations, out_indices, deploy)
        names = ("stem", *(f"stage_{i}" for i in range(1, len(plans))))
        options = (conv_cfg, norm_cfg, act_cfg, with_cp)
        super().__init__(plans, names, options, outputs, frozen_stages, norm_eval, init_cfg)


class MobileOne(_Branched):
    """MobileOne, a backbone: images (N, C, H, W) to a tuple of maps.

    Args:
        arch: "s0" to "s4", or a mapping with ``num_blocks``, ``width_factor``, ``num_conv_branches`` and ``num_se_blocks``.
        out_indices: the stages whose maps are given.
        frozen_stages: no gradient for the stem (0) and the stages up to this one.
        se_cfg: ``ratio`` (and ``divisor``) of the excitations.
        deploy: one convolution in place of each block's branches.
        norm_eval: batch norms stay in evaluation mode.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: Any,
        in_channels: int = 3,
        out_indices: Any = (3,),
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _RELU,
        se_cfg: Any = _RATIO,
        deploy: bool = False,
        norm_eval: bool = False,
        init_cfg: Any = INIT_ONE,
    ) -> None:
        plans, outputs = mobile_one(arch, in_channels, se_cfg, out_indices, deploy)
        names = tuple(f"stage{i}" for i in range(len(plans)))
        options = (conv_cfg, norm_cfg, act_cfg, False)
        super().__init__(plans, names, options, outputs, frozen_stages, norm_eval, init_cfg)

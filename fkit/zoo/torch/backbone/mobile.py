"""EfficientNet (Tan and Le 2019), EfficientNetV2 (2021) and MobileNetV3 (Howard et al. 2019), with mmpretrain's arguments and
parameter names."""

from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backbone.arch import outputs_of
from fkit.backbone.mobile import Mobile, efficient_net, efficient_net_v2, mobile_v3
from fkit.backbone.resnet import INIT
from fkit.backend.torch.drop import DropPath
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule

__all__ = ["EfficientNet", "EfficientNetV2", "Excitation", "MobileBlock", "MobileNetV3"]

_ADAPTIVE = frozendict(type="Conv2dAdaptivePadding")
_NORM = frozendict(type="BN", eps=1e-3)
_NORM_V2 = frozendict(type="BN", eps=1e-3, momentum=0.1)
_NORM_V3 = frozendict(type="BN", eps=0.001, momentum=0.01)
_SWISH = frozendict(type="Swish")
_SIGMOID = frozendict(type="Sigmoid")
_GATES = (frozendict(type="ReLU"), frozendict(type="HSigmoid", bias=3, divisor=6, min_value=0, max_value=1))
_HARD = frozendict(type="HSwish")
_INIT_V3 = (
    frozendict(type="Kaiming", layer=("Conv2d",), nonlinearity="leaky_relu"),
    frozendict(type="Normal", layer=("Linear",), std=0.01),
    frozendict(type="Constant", layer=("BatchNorm2d",), val=1),
)


class Excitation(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): maps by a factor a channel, of two 1x1 convolutions on their means.

    Args:
        channels, squeeze: of the maps, and inside.
        acts: the activations after both.
    """

    def __init__(self, channels: int, squeeze: int, acts: Sequence[Any]) -> None:
        super().__init__()
        self.conv1 = ConvModule(channels, squeeze, 1, act_cfg=acts[0])
        self.conv2 = ConvModule(squeeze, channels, 1, act_cfg=acts[1])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv2(self.conv1(x.mean((2, 3), keepdim=True)))


class MobileBlock(nn.Module):
    """Convolutions as a plan says, with an excitation; added to the input where that has the same shape.

    Args:
        acts: of the excitation.
    """

    def __init__(
        self, plan: Mobile, conv_cfg: Any, norm_cfg: Any, act_cfg: Any, acts: Sequence[Any], with_cp: bool = False
    ) -> None:
        super().__init__()
        self.plan, self.with_cp = plan, with_cp
        conv_cfg = conv_cfg if plan.adaptive else None
        act = {"type": plan.act} if plan.act else act_cfg
        names: list[str] = []

        def add(name: str, layer: nn.Module) -> None:
            self.add_module(name, layer)
            names.append(name)

        shared: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        edge = plan.kind == "edge"
        if not edge and plan.hidden != plan.inner:
            add("expand_conv", ConvModule(plan.inner, plan.hidden, 1, act_cfg=act, **shared))
        filters = (plan.size, plan.stride, plan.size // 2)
        if edge:
            add("conv1", ConvModule(plan.inner, plan.hidden, *filters, act_cfg=act, **shared))
        else:
            add(
                "depthwise_conv",
                ConvModule(plan.hidden, plan.hidden, *filters, groups=plan.hidden, act_cfg=act, **shared),
            )
        if plan.squeeze:
            add("se", Excitation(plan.hidden, plan.squeeze, acts))
        if edge:
            shared["conv_cfg"] = None
        last = ConvModule(plan.hidden, plan.width, 1, act_cfg=None, **shared)
        add("conv2" if edge else "linear_conv", last)
        self.names = tuple(names)
        self.drop_path = DropPath(plan.rate)

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            y: Tensor = checkpoint(self._branch, x, use_reentrant=False)  # type: ignore[assignment]
        else:
            y = self._branch(x)
        return x + self.drop_path(y) if self.plan.adds else y

    def _branch(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class _Plain(ConvModule):
    """One convolution, added to its input where that has the same shape."""

    def __init__(self, plan: Mobile, norm_cfg: Any, act_cfg: Any) -> None:
        super().__init__(plan.inner, plan.width, plan.size, plan.stride, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.adds = plan.adds
        self.drop_path = DropPath(plan.rate if plan.adds else 0.0)

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        y = super().forward(x, activate, norm)
        return x + self.drop_path(y) if self.adds else y


class _Efficient(nn.Module):
    """What EfficientNets share: a stem, stages and a last layer, ``layers.0``, ``layers.1``, ...; images (N, C, H, W) to a
    tuple of maps."""

    def __init__(
        self,
        stem: ConvModule,
        stages: Sequence[nn.Module],
        last: ConvModule,
        out_indices: Any,
        frozen_stages: int,
        norm_eval: bool,
        init_cfg: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.init_cfg = init_cfg
        self.layers = nn.ModuleList([stem, *stages, last])
        self.out_indices = outputs_of(name, out_indices, len(self.layers))
        if not 0 <= frozen_stages <= len(self.layers):
            raise FkitValueError(f"{name}: frozen_stages={frozen_stages}: from 0 to {len(self.layers)}.")
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        for part in self.layers[:frozen_stages]:
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> "_Efficient":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self.layers[: self.frozen_stages]:
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


class EfficientNet(_Efficient):
    """EfficientNet, a backbone: images (N, 3, H, W) to a tuple of maps.

    Args:
        arch: "b0" to "b8", "l2", or "es", "em", "el" (EdgeTPU).
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the layers whose maps are given: 0 is the stem, 6 the last layer.
        frozen_stages: how many layers, from the stem, have no gradient.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: str = "b0",
        drop_path_rate: float = 0.0,
        out_indices: Any = (6,),
        frozen_stages: int = 0,
        conv_cfg: Any = _ADAPTIVE,
        norm_cfg: Any = _NORM,
        act_cfg: Any = _SWISH,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = INIT,
    ) -> None:
        stem, stages, width = efficient_net(arch, drop_path_rate)
        shared: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        blocks = [
            nn.Sequential(
                *(MobileBlock(plan, conv_cfg, norm_cfg, act_cfg, (act_cfg, _SIGMOID), with_cp) for plan in stage)
            )
            for stage in stages
        ]
        first = ConvModule(3, stem, 3, 2, 1, **shared)
        last = ConvModule(stages[-1][-1].width, width, 1, **shared)
        super().__init__(first, blocks, last, out_indices, frozen_stages, norm_eval, init_cfg)


class EfficientNetV2(_Efficient):
    """EfficientNetV2, a backbone: images (N, C, H, W) to a tuple of maps.

    Args:
        arch: "s", "m", "l", "xl", or "b0" to "b3".
        drop_path_rate: of the last block; the others' rise linearly from 0.
        out_indices: the layers whose maps are given: 0 is the stem, -1 the last layer.
        frozen_stages: how many layers, from the stem, have no gradient.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: str = "s",
        in_channels: int = 3,
        drop_path_rate: float = 0.0,
        out_indices: Any = (-1,),
        frozen_stages: int = 0,
        conv_cfg: Any = _ADAPTIVE,
        norm_cfg: Any = _NORM_V2,
        act_cfg: Any = _SWISH,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = INIT,
    ) -> None:
        stem, stages, width = efficient_net_v2(arch, drop_path_rate)

        def block(plan: Mobile) -> nn.Module:
            if plan.kind == "plain":
                return _Plain(plan, norm_cfg, act_cfg)
            return MobileBlock(plan, conv_cfg, norm_cfg, act_cfg, (act_cfg, _SIGMOID), with_cp)

        shared: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        blocks = [nn.Sequential(*map(block, stage)) for stage in stages]
        first = ConvModule(in_channels, stem, 3, 2, **shared)
        last = ConvModule(stages[-1][-1].width, width, 1, **shared)
        super().__init__(first, blocks, last, out_indices, frozen_stages, norm_eval, init_cfg)


class MobileNetV3(nn.Module):
    """MobileNetV3, a backbone: images (N, 3, H, W) to a tuple of maps.

    Args:
        arch: "small", "small_075", "small_050" or "large".
        out_indices: the layers whose maps are given, ``layer0`` being the stem; None is the last.
        frozen_stages: no gradient, and norms in evaluation mode, for the layers up to this one; -1 is none.
        norm_eval: batch norms stay in evaluation mode.
        with_cp: recompute blocks in the backward pass to save memory.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        arch: str = "small",
        conv_cfg: Any = None,
        norm_cfg: Any = _NORM_V3,
        out_indices: Any = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: Any = _INIT_V3,
    ) -> None:
        super().__init__()
        stem, plans, width = mobile_v3(arch)
        self.init_cfg = init_cfg
        count = len(plans) + 2
        self.out_indices = outputs_of("MobileNetV3", -1 if out_indices is None else out_indices, count)
        if not -1 <= frozen_stages < count:
            raise FkitValueError(f"MobileNetV3: frozen_stages={frozen_stages}: from -1 to {count - 1}.")
        self.frozen_stages, self.norm_eval = frozen_stages, norm_eval
        shared: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": _HARD}
        layers = [
            ConvModule(3, stem, 3, 2, 1, **shared),
            *(MobileBlock(plan, conv_cfg, norm_cfg, None, _GATES, with_cp) for plan in plans),
            ConvModule(plans[-1].width, width, 1, **shared),
        ]
        self.names = tuple(f"layer{i}" for i in range(count))
        for name, layer in zip(self.names, layers, strict=True):
            self.add_module(name, layer)
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

    def train(self, mode: bool = True) -> "MobileNetV3":
        """Training mode, but for frozen layers, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self

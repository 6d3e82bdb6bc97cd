"""ResNet (He et al. 2016), with OpenMMLab's arguments and parameter names."""

from contextlib import nullcontext
from functools import partial
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.utils.checkpoint import checkpoint

from fkit.backend.torch.again import without_statistics
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError

__all__ = ["BasicBlock", "Bottleneck", "DetResNet", "ResNet", "ResNetCifar"]

_INIT = (
    frozendict(type="Kaiming", layer="Conv2d"),
    frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
)
_NORM = frozendict(type="BN", requires_grad=True)
_STYLES = ("pytorch", "caffe")


class _Block(nn.Module):
    """A residual branch, added to its (perhaps downsampled) input. ``layers`` names its (conv, norm) pairs."""

    def __init__(self, downsample: nn.Module | None, with_cp: bool, zero_init: bool) -> None:
        super().__init__()
        self.layers: tuple[tuple[str, str], ...] = ()
        self.with_cp = with_cp
        self.zero_init = zero_init
        self.init_cfg: Any = None
        self.downsample = downsample

    def place(self, convs: tuple[nn.Module, ...], norm_cfg: Any, widths: tuple[int, ...]) -> None:
        """Register ``conv1``, ``bn1``, ``conv2``, ...; the last norm starts at 0 where ``zero_init_residual``."""
        down = self._modules.pop("downsample", None)  # last, as OpenMMLab's state_dict has it
        names: list[tuple[str, str]] = []
        for i, (conv, width) in enumerate(zip(convs, widths, strict=True), 1):
            short, norm = norm_layer(norm_cfg, width)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"{short}{i}", norm)
            names.append((f"conv{i}", f"{short}{i}"))
        self.layers = tuple(names)
        self._modules["downsample"] = down
        if self.zero_init:
            self.init_cfg = frozendict(type="Constant", val=0, override=frozendict(name=names[-1][1]))

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            branch: Tensor = checkpoint(  # type: ignore[assignment]
                self._branch, x, use_reentrant=False, context_fn=lambda: (nullcontext(), without_statistics(self))
            )
        else:
            branch = self._branch(x)
        return F.relu(branch)

    def _branch(self, x: Tensor) -> Tensor:
        y = x
        for i, (conv, norm) in enumerate(self.layers):
            y = getattr(self, norm)(getattr(self, conv)(y))
            if i < len(self.layers) - 1:
                y = F.relu(y)
        return y + (x if self.downsample is None else self.downsample(x))


class BasicBlock(_Block):
    """Two 3x3 convolutions (depths 18 and 34)."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int,
        dilation: int,
        downsample: nn.Module | None,
        style: str,
        with_cp: bool,
        conv_cfg: Any,
        norm_cfg: Any,
        zero_init: bool,
    ) -> None:
        super().__init__(downsample, with_cp, zero_init)
        first = conv_layer(
            conv_cfg, inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        second = conv_layer(conv_cfg, planes, planes, 3, padding=1, bias=False)
        self.place((first, second), norm_cfg, (planes, planes))


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions (depths 50, 101, 152). Style "pytorch" strides in the 3x3, "caffe" in the first."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int,
        dilation: int,
        downsample: nn.Module | None,
        style: str,
        with_cp: bool,
        conv_cfg: Any,
        norm_cfg: Any,
        zero_init: bool,
    ) -> None:
        super().__init__(downsample, with_cp, zero_init)
        one, three = (1, stride) if style == "pytorch" else (stride, 1)
        wide = planes * self.expansion
        convs = (
            conv_layer(conv_cfg, inplanes, planes, 1, stride=one, bias=False),
            conv_layer(conv_cfg, planes, planes, 3, stride=three, padding=dilation, dilation=dilation, bias=False),
            conv_layer(conv_cfg, planes, wide, 1, bias=False),
        )
        self.place(convs, norm_cfg, (planes, planes, wide))


_DEPTHS: tuple[tuple[int, type[BasicBlock] | type[Bottleneck], tuple[int, ...]], ...] = (
    (18, BasicBlock, (2, 2, 2, 2)),
    (34, BasicBlock, (3, 4, 6, 3)),
    (50, Bottleneck, (3, 4, 6, 3)),
    (101, Bottleneck, (3, 4, 23, 3)),
    (152, Bottleneck, (3, 8, 36, 3)),
)


class ResNet(nn.Module):
    """ResNet, a backbone: images (N, C, H, W) to a tuple of feature maps at strides 4, 8, 16, 32.

    Args:
        depth: 18, 34, 50, 101 or 152.
        stem_channels: of the stem; None is ``base_channels``.
        out_indices: the stages whose maps are given.
        style: "pytorch" or "caffe", where a bottleneck strides.
        deep_stem: three 3x3 convolutions in place of the 7x7 (``stem.0``, ``stem.1``, ...).
        avg_down: average pooling before the 1x1 of a downsampling shortcut.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        conv_cfg, norm_cfg: layers; ``requires_grad`` of the norm decides on its gradients.
        norm_eval: batch norms stay in evaluation mode. False here, as mmpretrain has it (training from scratch);
            mmdet's ResNet (`DetResNet`) has True.
        with_cp: recompute blocks in the backward pass to save memory.
        zero_init_residual: the last norm of each block starts at 0, unless ``init_cfg`` is given.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitValueError: an argument outside what is allowed, or one not supported (``dcn``, ``plugins``).
    """

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        stem_channels: int | None = None,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: tuple[int, ...] = (1, 2, 2, 2),
        dilations: tuple[int, ...] = (1, 1, 1, 1),
        out_indices: tuple[int, ...] = (0, 1, 2, 3),
        style: str = "pytorch",
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = _NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        dcn: Any = None,
        plugins: Any = None,
        init_cfg: Any = None,
        pretrained: Any = None,
    ) -> None:
        super().__init__()
        for name, value in (("dcn", dcn), ("plugins", plugins)):
            if value is not None:
                raise FkitValueError(f"ResNet: {name}={value!r} is not supported yet.", repair=f"Leave {name} out.")
        _check(depth, num_stages, strides, dilations, out_indices, style)
        self.deep_stem = deep_stem
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        init_cfg = init_cfg_of(pretrained, init_cfg, "ResNet")
        zero_init = zero_init_residual and init_cfg is None
        self.init_cfg = _INIT if init_cfg is None else init_cfg
        stem = base_channels if stem_channels is None else stem_channels
        self.stem_layers = self._make_stem(in_channels, stem, conv_cfg, norm_cfg)
        block, counts = next((block, counts) for known, block, counts in _DEPTHS if known == depth)
        inplanes = stem
        for i in range(num_stages):
            planes = base_channels * 2**i
            wide = planes * block.expansion
            blocks: list[nn.Module] = []
            for j in range(counts[i]):
                stride = strides[i] if j == 0 else 1
                down = None
                if j == 0 and (stride != 1 or inplanes != wide):
                    down = _shortcut(inplanes, wide, stride, avg_down, conv_cfg, norm_cfg)
                blocks.append(
                    block(inplanes, planes, stride, dilations[i], down, style, with_cp, conv_cfg, norm_cfg, zero_init)
                )
                inplanes = wide
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.num_stages = num_stages
        for module in self._frozen():
            module.requires_grad_(False)

    def _make_stem(self, channels: int, stem: int, conv_cfg: Any, norm_cfg: Any) -> tuple[str, ...]:
        if not self.deep_stem:
            short, norm = norm_layer(norm_cfg, stem)
            self.conv1 = conv_layer(conv_cfg, channels, stem, 7, stride=2, padding=3, bias=False)
            self.add_module(f"{short}1", norm)
            return ("conv1", f"{short}1")
        layers: list[nn.Module] = []
        for width_in, width, stride in ((channels, stem // 2, 2), (stem // 2, stem // 2, 1), (stem // 2, stem, 1)):
            layers.append(conv_layer(conv_cfg, width_in, width, 3, stride=stride, padding=1, bias=False))
            layers += [norm_layer(norm_cfg, width)[1], nn.ReLU()]
        self.stem = nn.Sequential(*layers)
        return ("stem",)

    def _frozen(self) -> list[nn.Module]:
        names = list(self.stem_layers) if self.frozen_stages >= 0 else []
        names += [f"layer{i}" for i in range(1, min(self.frozen_stages, self.num_stages) + 1)]
        return [self.get_submodule(name) for name in names]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        for name in self.stem_layers:
            x = getattr(self, name)(x)
        x = self._pool(x if self.deep_stem else F.relu(x))
        maps: list[Tensor] = []
        for i in range(self.num_stages):
            x = getattr(self, f"layer{i + 1}")(x)
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def _pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, stride=2, padding=1)

    def train(self, mode: bool = True) -> "ResNet":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


# mmdet's ResNet keeps batch norms in evaluation mode where its config does not say
DetResNet = partial(ResNet, norm_eval=True)


class ResNetCifar(ResNet):
    """ResNet for small images (mmpretrain's ``ResNet_CIFAR``): a 3x3 stem without stride, and no pooling after it."""

    def _make_stem(self, channels: int, stem: int, conv_cfg: Any, norm_cfg: Any) -> tuple[str, ...]:
        if self.deep_stem:
            raise FkitValueError("ResNet_CIFAR: deep_stem=True, but its stem is one 3x3 convolution.")
        short, norm = norm_layer(norm_cfg, stem)
        self.conv1 = conv_layer(conv_cfg, channels, stem, 3, padding=1, bias=False)
        self.add_module(f"{short}1", norm)
        return ("conv1", f"{short}1")

    def _pool(self, x: Tensor) -> Tensor:
        return x


def _shortcut(inplanes: int, wide: int, stride: int, avg_down: bool, conv_cfg: Any, norm_cfg: Any) -> nn.Module:
    layers: list[nn.Module] = []
    if avg_down:
        layers.append(nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))
    layers.append(conv_layer(conv_cfg, inplanes, wide, 1, stride=1 if avg_down else stride, bias=False))
    return nn.Sequential(*layers, norm_layer(norm_cfg, wide)[1])


def _check(
    depth: int,
    num_stages: int,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    out_indices: tuple[int, ...],
    style: str,
) -> None:
    depths = [known for known, _, _ in _DEPTHS]
    if depth not in depths:
        raise FkitValueError(f"ResNet: depth={depth}.", choices=[str(known) for known in depths], label="Depths")
    if not 1 <= num_stages <= 4:
        raise FkitValueError(f"ResNet: num_stages={num_stages}, but it is 1 to 4.")
    if len(strides) != num_stages or len(dilations) != num_stages:
        raise FkitValueError(
            f"ResNet: {len(strides)} strides and {len(dilations)} dilations for {num_stages} stages.",
            repair="Give one of each a stage.",
        )
    if not all(0 <= i < num_stages for i in out_indices):
        raise FkitValueError(f"ResNet: out_indices={tuple(out_indices)}, but there are {num_stages} stages.")
    if style not in _STYLES:
        raise FkitValueError(f"ResNet: style={style!r}.", value=style, choices=_STYLES, label="Styles")

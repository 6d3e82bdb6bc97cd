"""The residual block of ResNet and its kin."""

from contextlib import nullcontext
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fkit.backbone.resnet import NORM, BlockPlan, Convolution
from fkit.backend.torch.again import without_statistics
from fkit.backend.torch.drop import DropPath
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.backend.torch.settled import added, normed, rectified
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.plugged import plugin_layer

__all__ = ["Block", "convolution"]


class Block(nn.Module):
    """A residual branch of convolutions ``conv1``, ``conv2``, ... and norms ``bn1``, ..., added to its (perhaps downsampled)
    input.

    Args:
        plan: what it is made of.
        avg_down: average pooling before the 1x1 of a downsampling shortcut.
        with_cp: recompute the branch in the backward pass.
        conv_cfg, norm_cfg: layers.
        zero_init: the last norm starts at 0.
    """

    def __init__(
        self,
        plan: BlockPlan,
        avg_down: bool = False,
        with_cp: bool = False,
        conv_cfg: Any = None,
        norm_cfg: Any = NORM,
        zero_init: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        names: list[tuple[str, str]] = []
        for i, conv in enumerate(plan.convs, 1):
            short, norm = norm_layer(norm_cfg, conv.width)
            self.add_module(f"conv{i}", convolution(conv, conv_cfg))
            self.add_module(f"{short}{i}", norm)
            names.append((f"conv{i}", f"{short}{i}"))
        self.layers = tuple(names)
        self.downsample = _shortcut(plan, avg_down, conv_cfg, norm_cfg) if plan.shortcut else None
        plugins: list[tuple[str, ...]] = [() for _ in names]
        for plugin in plan.plugins:
            name, layer = plugin_layer(plugin.cfg, plan.convs[plugin.after - 1].width, plugin.postfix)
            if name in self._modules:
                raise FkitValueError(f"two plugins are called {name!r}.", repair="Give them a postfix each.")
            self.add_module(name, layer)
            plugins[plugin.after - 1] += (name,)
        self.plugins = tuple(plugins)
        self.drop_path = DropPath(plan.rate) if plan.rate else None
        last = frozendict(type="Constant", val=0, override=frozendict(name=names[-1][1]))
        self.init_cfg = last if zero_init else None

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            branch: Tensor = checkpoint(  # type: ignore[assignment]
                self._branch, x, use_reentrant=False, context_fn=lambda: (nullcontext(), without_statistics(self))
            )
        else:
            branch = self._branch(x)
        return rectified(branch)

    def _branch(self, x: Tensor) -> Tensor:
        y = x
        for i, (conv, norm) in enumerate(self.layers):
            y = normed(getattr(self, conv), getattr(self, norm), y, relu=i < len(self.layers) - 1)
            for plugin in self.plugins[i]:
                y = getattr(self, plugin)(y)
        if self.drop_path is not None:
            y = self.drop_path(y)
        return added(y, x if self.downsample is None else self.downsample(x))


class Shortcut(nn.Sequential):
    """A convolution and its norm, perhaps after pooling."""

    def forward(self, input: Tensor) -> Tensor:
        *pools, conv, norm = self
        for pool in pools:
            input = pool(input)
        return normed(conv, norm, input)


def convolution(conv: Convolution, conv_cfg: Any) -> nn.Module:
    """A convolution without a bias."""
    return conv_layer(
        conv_cfg if conv.cfg is None else conv.cfg, conv.inner, conv.width, conv.size, stride=conv.stride,
        padding=conv.padding, dilation=conv.dilation, groups=conv.groups, bias=False,
    )  # fmt: skip


def _shortcut(plan: BlockPlan, avg_down: bool, conv_cfg: Any, norm_cfg: Any) -> nn.Module:
    layers: list[nn.Module] = []
    stride = plan.shortcut
    if avg_down:
        layers.append(nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False))
    layers.append(conv_layer(conv_cfg, plan.inner, plan.width, 1, stride=1 if avg_down else stride, bias=False))
    return Shortcut(*layers, norm_layer(norm_cfg, plan.width)[1])

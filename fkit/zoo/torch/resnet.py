"""ResNet (He et al. 2016), with OpenMMLab's arguments and parameter names."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from fkit.backbone.resnet import INIT, NORM, BlockPlan, stages
from fkit.backend.torch.layers import conv_layer, norm_layer
from fkit.backend.torch.settled import rectified
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.block import Block

__all__ = [
    "DetResNeXt",
    "DetResNet",
    "DetResNetV1d",
    "LastResNet",
    "LastResNetV1c",
    "LastResNetV1d",
    "ResNeXt",
    "ResNet",
    "ResNetCifar",
    "ResNetV1c",
    "ResNetV1d",
    "SegResNeXt",
    "SegResNet",
    "SegResNetV1c",
    "SegResNetV1d",
    "last_resnext",
]


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
        dcn, stage_with_dcn: a deformable layer in place of the 3x3 of bottlenecks, and in which stages.
        plugins: layers after convolutions: ``dict(cfg=..., position="after_conv3", stages=(False, True, True, True))``.
        multi_grid: dilations of the blocks of the last stage.
        contract_dilation: the first block of a dilated stage has half of its dilation.
        groups, base_width: of the 3x3 of bottlenecks, as ResNeXt has them.
        named_stem: as mmpose and mmpretrain have it: the layers of a deep stem are called ``stem.0.conv``, ``stem.0.bn``, ...,
            and a shortcut without a stride pools nothing.
        expansion: outer channels of a block over its inner ones; None is 4 of bottlenecks.
        drop_path_rate: stochastic depth of the last block; the others' rates rise linearly from 0.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    # whether dcn's fallback_on_stride leaves the first block as it is, as mmdet has it
    falls_back: ClassVar[bool] = True

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
        norm_cfg: Any = NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        dcn: Any = None,
        stage_with_dcn: tuple[bool, ...] = (False, False, False, False),
        plugins: Any = None,
        multi_grid: tuple[int, ...] | None = None,
        contract_dilation: bool = False,
        init_cfg: Any = None,
        pretrained: Any = None,
        *,
        groups: int = 1,
        base_width: int = 4,
        named_stem: bool = False,
        expansion: int | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        stem = base_channels if stem_channels is None else stem_channels
        plans = stages(
            type(self).__name__, depth=depth, stem=stem, base=base_channels, count=num_stages, strides=strides,
            dilations=dilations, outputs=out_indices, style=style, conv_cfg=conv_cfg, dcn=dcn,
            stage_with_dcn=stage_with_dcn, plugins=plugins, multi_grid=multi_grid, contract_dilation=contract_dilation,
            groups=groups, base_width=base_width, expansion=expansion, drop_path_rate=drop_path_rate,
            falls_back=self.falls_back,
        )  # fmt: skip
        self.deep_stem, self.named_stem = deep_stem, named_stem
        init_cfg = init_cfg_of(pretrained, init_cfg, type(self).__name__)
        self._assemble(
            plans, (in_channels, stem), out_indices, frozen_stages, norm_eval, init_cfg, zero_init_residual,
            (avg_down, with_cp, conv_cfg, norm_cfg),
        )  # fmt: skip

    def _assemble(
        self,
        plans: tuple[tuple[BlockPlan, ...], ...],
        stem: tuple[int, int],
        out_indices: tuple[int, ...],
        frozen_stages: int,
        norm_eval: bool,
        init_cfg: Any,
        zero_init_residual: bool,
        options: tuple[bool, bool, Any, Any],
    ) -> None:
        """Register the layers; ``stem``: its channels before and after; ``options``: of blocks."""
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        zero_init = zero_init_residual and init_cfg is None
        self.init_cfg = INIT if init_cfg is None else init_cfg
        self.stem_layers = self._make_stem(*stem, *options[2:])
        for i, plan in enumerate(plans, 1):
            blocks = (self._block(one, j == 0, options, zero_init) for j, one in enumerate(plan))
            self.add_module(f"layer{i}", nn.Sequential(*blocks))
        self.num_stages = len(plans)
        for module in self._frozen():
            module.requires_grad_(False)

    def _block(self, plan: BlockPlan, first: bool, options: tuple[bool, bool, Any, Any], zero_init: bool) -> Block:
        """A block of a stage, perhaps its first; options are whether shortcuts pool, ``with_cp`` and the layers' configs."""
        del first
        avg_down, with_cp, conv_cfg, norm_cfg = options
        pooled = avg_down and (plan.shortcut > 1 or not self.named_stem)
        return Block(plan, pooled, with_cp, conv_cfg, norm_cfg, zero_init)

    def _make_stem(self, channels: int, stem: int, conv_cfg: Any, norm_cfg: Any) -> tuple[str, ...]:
        if not self.deep_stem:
            short, norm = norm_layer(norm_cfg, stem)
            self.conv1 = conv_layer(conv_cfg, channels, stem, 7, stride=2, padding=3, bias=False)
            self.add_module(f"{short}1", norm)
            return ("conv1", f"{short}1")
        layers: list[nn.Module] = []
        for width_in, width, stride in ((channels, stem // 2, 2), (stem // 2, stem // 2, 1), (stem // 2, stem, 1)):
            conv = conv_layer(conv_cfg, width_in, width, 3, stride=stride, padding=1, bias=False)
            short, norm = norm_layer(norm_cfg, width)
            if self.named_stem:
                layers.append(nn.Sequential(OrderedDict([("conv", conv), (short, norm), ("activate", nn.ReLU())])))
            else:
                layers += [conv, norm, nn.ReLU()]
        self.stem = nn.Sequential(*layers)
        return ("stem",)

    def _frozen(self) -> list[nn.Module]:
        names = list(self.stem_layers) if self.frozen_stages >= 0 else []
        names += [f"layer{i}" for i in range(1, min(self.frozen_stages, self.num_stages) + 1)]
        return [self.get_submodule(name) for name in names]

    def forward(self, x: Tensor, tap: Callable[[int, Tensor], Tensor] | None = None) -> tuple[Tensor, ...]:
        """``tap(i, x)`` gives what the next stage takes in place of what stage ``i`` gave; of the stem, 0, in place of pooling."""
        for name in self.stem_layers:
            x = getattr(self, name)(x)
        x = x if self.deep_stem else rectified(x)
        x = self._pool(x) if tap is None else tap(0, x)
        maps: list[Tensor] = []
        for i in range(self.num_stages):
            x = getattr(self, f"layer{i + 1}")(x)
            if i in self.out_indices:
                maps.append(x)
            x = x if tap is None else tap(i + 1, x)
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


class ResNeXt(ResNet):
    """ResNeXt (Xie et al. 2017): a ResNet whose 3x3 convolutions have ``groups`` of ``base_width`` channels a 64 of width."""

    falls_back: ClassVar[bool] = False


# the 7x7 of the stem as three 3x3 convolutions; d: average pooling in shortcuts too (He et al. 2019)
ResNetV1c = partial(ResNet, deep_stem=True, avg_down=False)
ResNetV1d = partial(ResNet, deep_stem=True, avg_down=True)
# mmdet's keep batch norms in evaluation mode where their config does not say; its ResNeXt's last norms of blocks start at 1
DetResNet = partial(ResNet, norm_eval=True)
DetResNetV1d = partial(ResNetV1d, norm_eval=True)
DetResNeXt = partial(ResNeXt, norm_eval=True, zero_init_residual=False)
# mmseg's have a stem of 64 channels where it does not say, whatever the base; its ResNeXt's norms start as mmdet's
SegResNet = partial(ResNet, stem_channels=64)
SegResNeXt = partial(ResNeXt, stem_channels=64, zero_init_residual=False)
SegResNetV1c = partial(ResNetV1c, stem_channels=64)
SegResNetV1d = partial(ResNetV1d, stem_channels=64)
# mmpose's and mmpretrain's give the last stage's map alone
LastResNet = partial(SegResNet, out_indices=(3,), named_stem=True)
LastResNetV1c = partial(LastResNet, deep_stem=True, avg_down=False)
LastResNetV1d = partial(LastResNet, deep_stem=True, avg_down=True)


def last_resnext(depth: int, groups: int = 32, width_per_group: int = 4, **options: Any) -> ResNeXt:
    """mmpose's and mmpretrain's ResNeXt: its last stage's map, unless ``out_indices`` says more."""
    whole: dict[str, Any] = {"stem_channels": 64, "out_indices": (3,), "named_stem": True, **options}
    return ResNeXt(depth, groups=groups, base_width=width_per_group, **whole)


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

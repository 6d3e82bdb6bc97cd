"""HRNet (Sun et al. 2019), with OpenMMLab's arguments and parameter names."""

from functools import partial
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from fkit.backbone.hrnet import HRStage, hr_extra, hr_stages, transition
from fkit.backbone.resnet import INIT, Convolution
from fkit.backend.torch.layers import norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.block import Block, convolution

__all__ = ["DetHRNet", "HRModule", "HRNet", "PoseHRNet", "SegHRNet", "pretrain_hrnet"]

_NORM = frozendict(type="BN")
_POSE_INIT = (frozendict(type="Normal", std=0.001, layer=("Conv2d",)), INIT[1])


class HRModule(nn.Module):
    """Branches of blocks, and each branch's maps with those of all others added to them.

    Args:
        stage: what it is made of.
        outputs: how many branches' maps are given.
        mode: how coarser maps are brought to a finer size, "nearest" or "bilinear".
        with_cp, conv_cfg, norm_cfg, zero_init: of blocks.
    """

    def __init__(
        self, stage: HRStage, outputs: int, mode: str, with_cp: bool, conv_cfg: Any, norm_cfg: Any, zero_init: bool
    ) -> None:
        super().__init__()
        self.mode = mode
        count = len(stage.blocks)
        self.branches = nn.ModuleList(
            nn.Sequential(*(Block(plan, False, with_cp, conv_cfg, norm_cfg, zero_init) for plan in stage.branch(place)))
            for place in range(count)
        )
        self.fuse_layers: nn.ModuleList | None = None
        if count > 1:
            self.fuse_layers = nn.ModuleList(
                nn.ModuleList(_path(stage, j, i, conv_cfg, norm_cfg) for j in range(count)) for i in range(outputs)
            )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        if self.fuse_layers is None:
            return maps
        return [F.relu(self._mixed(maps, i, row)) for i, row in enumerate(self.fuse_layers)]

    def _mixed(self, maps: list[Tensor], place: int, row: Any) -> Tensor:
        parts: list[Tensor] = []
        for j, x in enumerate(maps):
            y = x if j == place else row[j](x)
            if j > place:
                y = self._finer(y, 2 ** (j - place), maps[place])
            parts.append(y)
        return sum(parts[1:], parts[0])

    def _finer(self, x: Tensor, factor: int, like: Tensor) -> Tensor:
        if self.mode == "nearest":
            return F.interpolate(x, scale_factor=factor, mode="nearest")
        size = (x.shape[2] * factor, x.shape[3] * factor)
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)
        want = (like.shape[2], like.shape[3])
        return x if size == want else F.interpolate(x, want, mode="bilinear", align_corners=False)


class HRNet(nn.Module):
    """HRNet, a backbone: images (N, C, H, W) to maps at strides 4, 8, 16, 32; H and W are multiples of 32.

    Args:
        extra: ``stage1`` to ``stage4``, each with ``num_modules``, ``num_branches``, ``block`` ("BASIC" or "BOTTLENECK"),
            ``num_blocks`` and ``num_channels``; ``upsample`` with a ``mode``.
        norm_eval: batch norms stay in evaluation mode.
        multiscale_output: False gives the finest maps alone.
        frozen_stages: no gradient, and norms in evaluation mode, for the stem (0) and the stages up to this one.
        with_cp: recompute blocks in the backward pass to save memory.
        zero_init_residual: the last norm of each block starts at 0, unless ``init_cfg`` is given.
        pretrained: OpenMMLab's older form of ``init_cfg=dict(type="Pretrained", checkpoint=...)``.
        init_cfg: rules for initial weights; None is Kaiming for convolutions and 1 for norms.

    Raises:
        FkitError: arguments that do not fit together.
    """

    def __init__(
        self,
        extra: Any,
        in_channels: int = 3,
        conv_cfg: Any = None,
        norm_cfg: Any = _NORM,
        norm_eval: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        frozen_stages: int = -1,
        pretrained: Any = None,
        init_cfg: Any = None,
        *,
        upsampling: str = "nearest",
        default_init: Any = INIT,
    ) -> None:
        super().__init__()
        first, *others = hr_stages(extra)
        multiscale_output = dict(extra["stage4"]).get("multiscale_output", multiscale_output)  # mmpose's place for it
        upsampling = dict(extra).get("upsample", {"mode": upsampling})["mode"]
        if upsampling not in ("nearest", "bilinear"):
            raise FkitValueError(f"HRNet: mode={upsampling!r}.", value=upsampling, choices=("nearest", "bilinear"))
        self.norm_eval, self.frozen_stages = norm_eval, frozen_stages
        init_cfg = init_cfg_of(pretrained, init_cfg, "HRNet")
        zero_init = zero_init_residual and init_cfg is None
        self.init_cfg = default_init if init_cfg is None else init_cfg
        names: list[str] = []
        for i, inner in enumerate((in_channels, 64), 1):
            short, norm = norm_layer(norm_cfg, 64)
            self.add_module(f"conv{i}", convolution(Convolution(inner, 64, 3, 2), conv_cfg))
            self.add_module(f"{short}{i}", norm)
            names += [f"conv{i}", f"{short}{i}"]
        self.stem_layers = tuple(names)
        options = (with_cp, conv_cfg, norm_cfg, zero_init)
        self.layer1 = nn.Sequential(*(Block(plan, False, *options) for plan in first.branch(0, 64)))
        widths = first.widths[:1]
        for number, stage in enumerate(others, 2):
            rows = transition(widths, stage.widths)
            old = len(widths)
            self.add_module(
                f"transition{number - 1}",
                nn.ModuleList(_entry(row, conv_cfg, norm_cfg, i < old) for i, row in enumerate(rows)),
            )
            count = len(stage.blocks)
            last = 1 if number == 4 and not multiscale_output else count
            outputs = [*(count,) * (stage.modules - 1), last]
            modules = (HRModule(stage, some, upsampling, *options) for some in outputs)
            self.add_module(f"stage{number}", nn.Sequential(*modules))
            widths = stage.widths
        for module in self._frozen():
            module.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        conv1, norm1, conv2, norm2 = (getattr(self, name) for name in self.stem_layers)
        maps = [self.layer1(F.relu(norm2(conv2(F.relu(norm1(conv1(x)))))))]
        for number in (2, 3, 4):
            entries = getattr(self, f"transition{number - 1}")
            maps = [
                (maps[i] if i < len(maps) else maps[-1]) if isinstance(entry, _Same) else entry(maps[-1])
                for i, entry in enumerate(entries)
            ]
            maps = getattr(self, f"stage{number}")(maps)
        return tuple(maps)

    def train(self, mode: bool = True) -> "HRNet":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _frozen(self) -> list[nn.Module]:
        names = list(self.stem_layers) if self.frozen_stages >= 0 else []
        for number in range(1, min(self.frozen_stages, 4) + 1):
            names += [f"layer{number}" if number == 1 else f"stage{number}"]
            names += [f"transition{number}"] if number < 4 else []
        return [self.get_submodule(name) for name in names]


class _Same(nn.Identity):
    """In the place of a branch that goes on as it is."""


def _layer(conv: Convolution, conv_cfg: Any, norm_cfg: Any, active: bool) -> list[nn.Module]:
    layers = [convolution(conv, conv_cfg), norm_layer(norm_cfg, conv.width)[1]]
    return [*layers, nn.ReLU()] if active else layers


def _path(stage: HRStage, source: int, target: int, conv_cfg: Any, norm_cfg: Any) -> nn.Module:
    """From one branch's maps to another's, but for their size."""
    if source == target:
        return _Same()
    convs = stage.path(source, target)
    if source > target:
        return nn.Sequential(*_layer(convs[0], conv_cfg, norm_cfg, False))
    last = len(convs) - 1
    return nn.Sequential(*(nn.Sequential(*_layer(one, conv_cfg, norm_cfg, k < last)) for k, one in enumerate(convs)))


def _entry(row: tuple[Convolution, ...], conv_cfg: Any, norm_cfg: Any, old: bool) -> nn.Module:
    """What a branch of a stage begins with; ``old`` if the stage before has it too."""
    if not row:
        return _Same()
    if old:
        return nn.Sequential(*_layer(row[0], conv_cfg, norm_cfg, True))
    return nn.Sequential(*(nn.Sequential(*_layer(one, conv_cfg, norm_cfg, True)) for one in row))


# by package, where a config does not say
DetHRNet = partial(HRNet, norm_eval=True)
SegHRNet = partial(HRNet, upsampling="bilinear")
PoseHRNet = partial(HRNet, multiscale_output=False, default_init=_POSE_INIT)


def pretrain_hrnet(arch: str = "w32", extra: Any = None, **options: Any) -> HRNet:
    """mmpretrain's HRNet: of an architecture by its name, unless ``extra`` says it."""
    return HRNet(hr_extra(arch) if extra is None else extra, **options)

"""HRNet (Sun et al. 2019), with OpenMMLab's arguments and parameter names; channels last."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backbone.hrnet import HRStage, hr_extra, hr_stages, transition
from fkit.backbone.resnet import INIT, Convolution
from fkit.backend.jax.layers import norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.block import Block, convolution
from fkit.zoo.flax.small import check_channels

__all__ = ["DetHRNet", "HRModule", "HRNet", "PoseHRNet", "SegHRNet", "pretrain_hrnet"]

Array = jax.Array

_POSE_INIT = (frozendict(type="Normal", std=0.001, layer=("Conv2d",)), INIT[1])


class HRModule(nn.Module):
    """Branches of blocks, and each branch's maps with those of all others added to them.

    Attributes:
        stage: what it is made of.
        outputs: how many branches' maps are given.
        mode: how coarser maps are brought to a finer size, "nearest" or "bilinear".
        with_cp, conv_cfg, norm_cfg, zero_init: of blocks.
        frozen: no gradient, norms in evaluation mode.
    """

    stage: HRStage
    outputs: int
    mode: str
    with_cp: bool
    conv_cfg: Any
    norm_cfg: Any
    zero_init: bool
    frozen: bool

    @nn.compact
    def __call__(self, maps: tuple[Array, ...], train: bool = False) -> tuple[Array, ...]:
        block: Any = nn.remat(Block, static_argnums=(2,)) if self.with_cp else Block
        after: list[Array] = []
        for place, x in enumerate(maps):
            for k, plan in enumerate(self.stage.branch(place)):
                options = (False, self.conv_cfg, self.norm_cfg, self.frozen, self.zero_init)
                x = block(plan, *options, name=f"branches_{place}_{k}")(x, train)
            after.append(x)
        if len(after) == 1:
            return tuple(after)
        return tuple(nn.relu(self._mixed(after, i, train)) for i in range(self.outputs))

    def _mixed(self, maps: list[Array], place: int, train: bool) -> Array:
        parts: list[Array] = []
        for j, x in enumerate(maps):
            if j == place:
                parts.append(x)
                continue
            convs = self.stage.path(j, place)
            for k, conv in enumerate(convs):
                name = f"fuse_layers_{place}_{j}" + ("" if j > place else f"_{k}")
                x = _layer(x, conv, self.conv_cfg, self.norm_cfg, name, self.frozen, train)
                x = nn.relu(x) if k < len(convs) - 1 else x
            parts.append(self._finer(x, 2 ** (j - place), maps[place]) if j > place else x)
        return sum(parts[1:], parts[0])

    def _finer(self, x: Array, factor: int, like: Array) -> Array:
        if self.mode == "nearest":
            return jnp.repeat(jnp.repeat(x, factor, 1), factor, 2)
        x = _bilinear(x, (x.shape[1] * factor, x.shape[2] * factor))
        want = (like.shape[1], like.shape[2])
        return x if x.shape[1:3] == want else _bilinear(x, want)


class HRNet(nn.Module):
    """HRNet, a backbone: images (N, H, W, C) to maps at strides 4, 8, 16, 32; H and W are multiples of 32.

    Attributes:
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

    extra: Any
    in_channels: int = 3
    conv_cfg: Any = None
    norm_cfg: Any = frozendict(type="BN")
    norm_eval: bool = False
    with_cp: bool = False
    zero_init_residual: bool = False
    multiscale_output: bool = True
    frozen_stages: int = -1
    pretrained: Any = None
    init_cfg: Any = None
    upsampling: str = "nearest"
    default_init: Any = INIT

    def __post_init__(self) -> None:
        hr_stages(self.extra)
        if self.mode not in ("nearest", "bilinear"):
            raise FkitValueError(f"HRNet: mode={self.mode!r}.", value=self.mode, choices=("nearest", "bilinear"))
        super().__post_init__()

    @property
    def mode(self) -> str:
        """How coarser maps are brought to a finer size."""
        return dict(self.extra).get("upsample", {"mode": self.upsampling})["mode"]

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "HRNet")
        return self.default_init if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("HRNet", x, self.in_channels)
        moving = train and not self.norm_eval
        first, *others = hr_stages(self.extra)
        short, norm = norm_layer(self.norm_cfg)
        still = self.frozen_stages >= 0
        for i in (1, 2):
            x = convolution(Convolution(0, 64, 3, 2), self.conv_cfg, still, f"conv{i}")(x)
            x = nn.relu(norm(f"{short}{i}", still)(x, moving and not still))
        zero = self.zero_init_residual and self.init_rules is self.default_init
        still = self.frozen_stages >= 1
        block: Any = nn.remat(Block, static_argnums=(2,)) if self.with_cp else Block
        for k, plan in enumerate(first.branch(0, 64)):
            x = block(plan, False, self.conv_cfg, self.norm_cfg, still, zero, name=f"layer1_{k}")(
                x, moving and not still
            )
        maps, widths = (x,), first.widths[:1]
        whole = dict(self.extra["stage4"]).get("multiscale_output", self.multiscale_output)  # mmpose's place for it
        for number, stage in enumerate(others, 2):
            still = number - 1 <= self.frozen_stages
            maps = self._entered(maps, transition(widths, stage.widths), number - 1, still, moving and not still)
            still, count = number <= self.frozen_stages, len(stage.blocks)
            for k in range(stage.modules):
                outputs = 1 if number == 4 and not whole and k == stage.modules - 1 else count
                maps = HRModule(
                    stage, outputs, self.mode, self.with_cp, self.conv_cfg, self.norm_cfg, zero, still,
                    name=f"stage{number}_{k}",
                )(maps, moving and not still)  # fmt: skip
            widths = stage.widths
        return tuple(maps)

    def _entered(
        self, maps: tuple[Array, ...], rows: tuple[tuple[Convolution, ...], ...], number: int, frozen: bool, train: bool
    ) -> tuple[Array, ...]:
        """What each branch of a stage begins with."""
        after: list[Array] = []
        for i, row in enumerate(rows):
            old = i < len(maps)
            x = maps[i] if old and not row else maps[-1]
            for k, conv in enumerate(row):
                name = f"transition{number}_{i}" + ("" if old else f"_{k}")
                x = nn.relu(_layer(x, conv, self.conv_cfg, self.norm_cfg, name, frozen, train))
            after.append(x)
        return tuple(after)


def _layer(x: Array, conv: Convolution, conv_cfg: Any, norm_cfg: Any, name: str, frozen: bool, train: bool) -> Array:
    """A convolution and its norm: the places 0 and 1 of a Sequential."""
    x = convolution(conv, conv_cfg, frozen, f"{name}_0")(x)
    return norm_layer(norm_cfg)[1](f"{name}_1", frozen)(x, train)


def _bilinear(x: Array, size: tuple[int, int]) -> Array:
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "linear", antialias=False)


# by package, where a config does not say
DetHRNet = partial(HRNet, norm_eval=True)
SegHRNet = partial(HRNet, upsampling="bilinear")
PoseHRNet = partial(HRNet, multiscale_output=False, default_init=_POSE_INIT)


def pretrain_hrnet(arch: str = "w32", extra: Any = None, **options: Any) -> HRNet:
    """mmpretrain's HRNet: of an architecture by its name, unless ``extra`` says it."""
    return HRNet(hr_extra(arch) if extra is None else extra, **options)

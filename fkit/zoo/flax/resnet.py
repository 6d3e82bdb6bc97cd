"""ResNet (He et al. 2016), with OpenMMLab's arguments and parameter names; channels last."""

from functools import partial
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import avg_pool, conv_layer, max_pool, norm_layer
from fkit.training.pretrained import init_cfg_of
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.small import check_channels

__all__ = ["Block", "DetResNet", "ResNet", "ResNetCifar"]

Array = jax.Array

_INIT = (
    frozendict(type="Kaiming", layer="Conv2d"),
    frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
)
_NORM = frozendict(type="BN", requires_grad=True)
_STYLES = ("pytorch", "caffe")
# depth, whether blocks are bottlenecks, blocks a stage
_DEPTHS = (
    (18, False, (2, 2, 2, 2)),
    (34, False, (3, 4, 6, 3)),
    (50, True, (3, 4, 6, 3)),
    (101, True, (3, 4, 23, 3)),
    (152, True, (3, 8, 36, 3)),
)


class Block(nn.Module):
    """A residual branch added to its (perhaps downsampled) input: two 3x3 convolutions, or 1x1, 3x3, 1x1.

    Attributes:
        planes: width; a bottleneck gives four times that.
        bottleneck: depths 50 and up. Style "pytorch" strides in the 3x3, "caffe" in the first 1x1.
        downsample: whether the shortcut has a convolution.
        frozen: no gradient, norms in evaluation mode.
        zero_init: the last norm starts at 0.
    """

    planes: int
    bottleneck: bool
    stride: int = 1
    dilation: int = 1
    downsample: bool = False
    style: str = "pytorch"
    avg_down: bool = False
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    frozen: bool = False
    zero_init: bool = False

    @property
    def init_rules(self) -> Any:
        """The rule of the last norm, with which a block starts as the identity (Goyal et al. 2017, section 5.1)."""
        if not self.zero_init:
            return None
        last = f"{norm_layer(self.norm_cfg)[0]}{3 if self.bottleneck else 2}"
        return frozendict(type="Constant", val=0, override=frozendict(name=last))

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        conv = partial(conv_layer(self.conv_cfg), use_bias=False, trainable=not self.frozen)
        short, norm = norm_layer(self.norm_cfg)
        wide = self.planes * (4 if self.bottleneck else 1)
        kernels = self._kernels()
        y = x
        for i, (width, size, stride, dilation) in enumerate(kernels, 1):
            y = conv(width, (size, size), strides=stride, padding=(size // 2) * dilation, kernel_dilation=dilation,
                     name=f"conv{i}")(y)  # fmt: skip
            y = norm(f"{short}{i}", self.frozen)(y, train)
            y = nn.relu(y) if i < len(kernels) else y
        if self.downsample:
            at = 1 if self.avg_down else 0  # the pooling layer takes the first place of the Sequential
            x = avg_pool(x, self.stride) if self.avg_down else x
            stride = 1 if self.avg_down else self.stride
            x = conv(wide, (1, 1), strides=stride, name=f"downsample_{at}")(x)
            x = norm(f"downsample_{at + 1}", self.frozen)(x, train)
        return nn.relu(y + x)

    def _kernels(self) -> tuple[tuple[int, int, int, int], ...]:
        """(width, size, stride, dilation) of each convolution of the branch."""
        planes = self.planes
        if not self.bottleneck:
            return (planes, 3, self.stride, self.dilation), (planes, 3, 1, 1)
        one, three = (1, self.stride) if self.style == "pytorch" else (self.stride, 1)
        return (planes, 1, one, 1), (planes, 3, three, self.dilation), (planes * 4, 1, 1, 1)


class ResNet(nn.Module):
    """ResNet, a backbone: images (N, H, W, C) to a tuple of feature maps at strides 4, 8, 16, 32.

    Attributes:
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

    depth: int
    in_channels: int = 3
    stem_channels: int | None = None
    base_channels: int = 64
    num_stages: int = 4
    strides: tuple[int, ...] = (1, 2, 2, 2)
    dilations: tuple[int, ...] = (1, 1, 1, 1)
    out_indices: tuple[int, ...] = (0, 1, 2, 3)
    style: str = "pytorch"
    deep_stem: bool = False
    avg_down: bool = False
    frozen_stages: int = -1
    conv_cfg: Any = None
    norm_cfg: Any = _NORM
    norm_eval: bool = False
    with_cp: bool = False
    zero_init_residual: bool = True
    dcn: Any = None
    plugins: Any = None
    init_cfg: Any = None
    pretrained: Any = None
    # the stem of a class: (kernel size, stride, whether pooling follows)
    stem_form: ClassVar[tuple[int, int, bool]] = (7, 2, True)

    def __post_init__(self) -> None:
        for name in ("dcn", "plugins"):
            if (value := getattr(self, name)) is not None:
                raise FkitValueError(f"ResNet: {name}={value!r} is not supported yet.", repair=f"Leave {name} out.")
        _check(self.depth, self.num_stages, self.strides, self.dilations, self.out_indices, self.style)
        super().__post_init__()

    @property
    def init_rules(self) -> Any:
        """``init_cfg``, or its default."""
        rules = init_cfg_of(self.pretrained, self.init_cfg, "ResNet")
        return _INIT if rules is None else rules

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array, ...]:
        check_channels("ResNet", x, self.in_channels)
        moving = train and not self.norm_eval
        stem = self.base_channels if self.stem_channels is None else self.stem_channels
        x = self._stem(x, stem, moving and self.frozen_stages < 0)
        _, bottleneck, counts = next(row for row in _DEPTHS if row[0] == self.depth)
        block: Any = nn.remat(Block, static_argnums=(2,)) if self.with_cp else Block
        maps: list[Array] = []
        width = stem
        for i in range(self.num_stages):
            planes, frozen = self.base_channels * 2**i, i + 1 <= self.frozen_stages
            wide = planes * (4 if bottleneck else 1)
            for j in range(counts[i]):
                stride = self.strides[i] if j == 0 else 1
                x = block(
                    planes, bottleneck, stride, self.dilations[i], j == 0 and (stride != 1 or width != wide),
                    self.style, self.avg_down, self.conv_cfg, self.norm_cfg, frozen,
                    self.zero_init_residual and self.init_rules is _INIT, name=f"layer{i + 1}_{j}",
                )(x, moving and not frozen)  # fmt: skip
                width = wide
            if i in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def _stem(self, x: Array, width: int, train: bool) -> Array:
        frozen = self.frozen_stages >= 0
        conv = partial(conv_layer(self.conv_cfg), use_bias=False, trainable=not frozen)
        short, norm = norm_layer(self.norm_cfg)
        size, stride, pooled = self.stem_form
        if self.deep_stem:
            for i, (out, step) in enumerate(((width // 2, 2), (width // 2, 1), (width, 1))):
                x = conv(out, (3, 3), strides=step, padding=1, name=f"stem_{3 * i}")(x)
                x = nn.relu(norm(f"stem_{3 * i + 1}", frozen)(x, train))
        else:
            x = conv(width, (size, size), strides=stride, padding=size // 2, name="conv1")(x)
            x = nn.relu(norm(f"{short}1", frozen)(x, train))
        return max_pool(x, 3, 2, 1) if pooled else x


# mmdet's ResNet keeps batch norms in evaluation mode where its config does not say
DetResNet = partial(ResNet, norm_eval=True)


class ResNetCifar(ResNet):
    """ResNet for small images (mmpretrain's ``ResNet_CIFAR``): a 3x3 stem without stride, and no pooling after it."""

    stem_form: ClassVar[tuple[int, int, bool]] = (3, 1, False)

    def __post_init__(self) -> None:
        if self.deep_stem:
            raise FkitValueError("ResNet_CIFAR: deep_stem=True, but its stem is one 3x3 convolution.")
        super().__post_init__()


def _check(
    depth: int,
    num_stages: int,
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    out_indices: tuple[int, ...],
    style: str,
) -> None:
    depths = [row[0] for row in _DEPTHS]
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

"""What heads of pixels' classes share, and the plainest ones, with mmseg's arguments and parameter names; channels last."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backbone.brick import RELU
from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.drop import Dropout2d
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.resize import interpolate
from fkit.catalog.entry import Built
from fkit.segmentation.decode import INIT, DecodeLogic, head_logic, input_channels, labels_of, picked
from fkit.structures.batch import Samples
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule, DepthwiseSeparableConvModule
from fkit.zoo.flax.classifier import Part

__all__ = ["DecodeHead", "DepthwiseSeparableFCNHead", "FCNHead", "joined", "resized"]

Array = jax.Array
Maps = Sequence[Array]


def resized(x: Array, size: Sequence[int], align_corners: bool = False) -> Array:
    """Maps (N, H, W, C) of another size, bilinear."""
    size = (size[0], size[1])
    return x if x.shape[1:3] == size else interpolate(x, size, mode="bilinear", align_corners=align_corners)


def joined(*maps: Array) -> Array:
    """Maps put together along their channels."""
    return jnp.concatenate(maps, -1)


class DecodeHead(nn.Module, kw_only=True):
    """What heads share: from a backbone's maps to logits (N, h, w, K); mmseg's BaseDecodeHead.

    Attributes:
        in_channels, channels, num_classes, out_channels, threshold, dropout_ratio, conv_cfg, norm_cfg, act_cfg, in_index,
            input_transform, loss_decode, ignore_index, sampler, align_corners, init_cfg: as of torch's twin
            (`fkit.zoo.torch.segment.head.DecodeHead`); the loss and the sampler are built.
    """

    in_channels: Any
    channels: int
    num_classes: int
    out_channels: int | None = None
    threshold: float | None = None
    dropout_ratio: float = 0.1
    conv_cfg: Any = None
    norm_cfg: Any = None
    act_cfg: Any = RELU
    in_index: Any = -1
    input_transform: str | None = None
    loss_decode: Part = None
    ignore_index: int | None = 255
    sampler: Annotated[Any, Built("task_utils")] = None
    align_corners: bool = False
    init_cfg: Any = INIT

    def __post_init__(self) -> None:
        _ = self.logic, self.widths
        super().__post_init__()

    @property
    def transform(self) -> str | None:
        """How maps are taken."""
        return self.input_transform

    @property
    def logic(self) -> DecodeLogic:
        """What is beside the layers."""
        return head_logic(
            type(self).__name__, self.num_classes, self.out_channels, self.threshold, self.ignore_index,
            self.loss_decode, self.sampler, self.align_corners,
        )  # fmt: skip

    @property
    def widths(self) -> Any:
        """The channels of what it takes."""
        return input_channels(type(self).__name__, self.in_channels, self.in_index, self.transform)

    @property
    def cfgs(self) -> dict[str, Any]:
        """Layers of its convolutions."""
        return {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}

    def conv(self, wide: int, out: int, size: int, name: str, **more: Any) -> ConvModule:
        """A convolution with the head's layers."""
        return ConvModule(wide, out, size, name=name, **{**self.cfgs, **more})

    def taken(self, maps: Maps) -> Any:
        """The map that the head takes, or a list of those."""
        several = picked(type(self).__name__, maps, self.in_index, self.in_channels, -1)
        if self.transform is None:
            return several[0]
        if self.transform == "multiple_select":
            return several
        return joined(*(self.resized(x, several[0].shape[1:3]) for x in several))

    def resized(self, x: Array, size: Sequence[int]) -> Array:
        """Maps of another size."""
        return resized(x, size, self.align_corners)

    def drop(self) -> Any:
        """What drops channels: one layer, which may be called several times."""
        return Dropout2d(self.dropout_ratio, name="dropout") if self.dropout_ratio > 0 else _same

    def classified(self, x: Array, train: bool, drop: Any = None) -> Array:
        """Logits of features; ``drop``: the head's, where it was called before."""
        drop = self.drop() if drop is None else drop
        return Conv2d(self.logic.out_channels, (1, 1), name="conv_seg")(drop(x, train))

    def features(self, maps: Maps, train: bool) -> Array:
        """What is classified."""
        raise NotImplementedError

    @nn.compact
    def __call__(self, maps: Maps, train: bool = False, whole: bool = False) -> Any:
        """Logits; with ``whole`` beside what is classified and the classes' kernels (K, C) too."""
        x = self.features(maps, train)
        said = self.classified(x, train)
        return (said, x, self.variables["params"]["conv_seg"]["kernel"][0, 0].T) if whole else said

    def loss(self, maps: Maps, samples: Samples | None, train: bool = False) -> dict[str, Array]:
        """Losses by name, and ``acc_seg``."""
        return self.losses_of(self(maps, train), samples)

    def losses_of(self, logits: Array, samples: Samples | None) -> dict[str, Array]:
        """Those of logits of any size."""
        xp = JaxOps()
        labels = labels_of(xp, samples)
        logits = jnp.moveaxis(self.resized(logits, labels.shape[1:]), -1, 1)
        return self.logic.losses_of(xp, logits, labels)

    def logits(self, maps: Maps, size: Sequence[int]) -> Array:
        """Logits of prediction, of a size."""
        return self.resized(self(maps), size)


def _same(x: Array, train: bool = False) -> Array:
    del train
    return x


class FCNHead(DecodeHead, kw_only=True):
    """Convolutions, and one of their input and output together (Long et al. 2015).

    Attributes:
        num_convs, kernel_size, dilation: of the convolutions.
        concat_input: whether there is that last one.
    """

    num_convs: int = 2
    kernel_size: int = 3
    concat_input: bool = True
    dilation: int = 1
    torch_order: ClassVar[tuple[str, ...]] = ("conv_seg", "convs", "conv_cat")

    def __post_init__(self) -> None:
        if self.num_convs == 0 and self.widths != self.channels:
            raise FkitValueError(
                f"{type(self).__name__}: without convolutions channels={self.channels} are in_channels={self.widths}."
            )
        super().__post_init__()

    def brick(self, wide: int, out: int, size: int, name: str, **more: Any) -> nn.Module:
        """One of its convolutions."""
        return self.conv(wide, out, size, name, **more)

    def features(self, maps: Maps, train: bool) -> Array:
        x = out = self.taken(maps)
        for at in range(self.num_convs):
            out = self.convolved(out, at, train)
        if not self.concat_input:
            return out
        both, size = joined(x, out), self.kernel_size
        last: Any = self.brick(both.shape[-1], self.channels, size, "conv_cat", padding=size // 2)
        return last(both, train)

    def convolved(self, x: Array, at: int, train: bool) -> Array:
        """After a convolution, by its number."""
        size, pad = self.kernel_size, self.kernel_size // 2 * self.dilation
        conv: Any = self.brick(x.shape[-1], self.channels, size, f"convs_{at}", padding=pad, dilation=self.dilation)
        return conv(x, train)


class DepthwiseSeparableFCNHead(FCNHead, kw_only=True):
    """`FCNHead` of depthwise separable convolutions (Poudel et al. 2019).

    Attributes:
        dw_act_cfg: the activation of depthwise convolutions; None is none.
    """

    dw_act_cfg: Any = None

    def brick(self, wide: int, out: int, size: int, name: str, **more: Any) -> nn.Module:
        return DepthwiseSeparableConvModule(
            wide, out, size, norm_cfg=self.norm_cfg, dw_act_cfg=self.dw_act_cfg, name=name, **more
        )

"""Box heads: what a region's features say of its class and its box, with MMDetection's arguments and parameter names.

Features of regions are (R, h, w, C) here; what is all in a row counts channels first, as torch has it.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.layers import Linear
from fkit.catalog.build import Builder
from fkit.detection.box_head import (
    BOX_CODER,
    BOX_LOSS,
    CLASS_LOSS,
    DOUBLE_INIT,
    LINEAR,
    bottleneck,
    box_init,
    check_box_type,
    check_counts,
    pair_of_size,
    predictor,
)
from fkit.detection.roi import BoxLogic, box_logic
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.block import Block
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.memory import memories, remembered

__all__ = [
    "BBoxHead",
    "ConvFCBBoxHead",
    "DoubleConvFCBBoxHead",
    "NormedLinear",
    "bbox_head",
    "conv_fc_bbox_head",
    "double_conv_fc_bbox_head",
    "shared_2fc_bbox_head",
    "shared_4conv_1fc_bbox_head",
]

Array = jax.Array

_BN = frozendict(type="BN")
_BRANCHES = (
    "shared_convs", "shared_fcs", "cls_convs", "cls_fcs", "reg_convs", "reg_fcs", "res_block", "conv_branch", "fc_branch",
)  # fmt: skip


class NormedLinear(Linear):
    """A linear layer of the cosine: weights and features divided by their norms.

    Attributes:
        tempearture: what the cosines are multiplied with; spelt as in MMDetection.
        power: of the norms.
        eps: added to them.
    """

    kernel_init: Any = nn.initializers.normal(0.01)
    tempearture: float = 20.0
    power: float = 1.0
    eps: float = 1e-6

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        kernel = self.param("kernel", self.kernel_init, (inputs.shape[-1], self.features))
        x = inputs.astype(kernel.dtype)
        kernel = kernel / (_norm(kernel, 0) ** self.power + self.eps)
        y = (x / (_norm(x, 1) ** self.power + self.eps) * self.tempearture) @ kernel
        return y + self.param("bias", nn.initializers.zeros, (self.features,)) if self.use_bias else y


def _norm(x: Array, axis: int) -> Array:
    return jnp.sqrt(jnp.square(x).sum(axis, keepdims=True))


class BBoxHead(nn.Module):
    """One linear layer for classes and one for boxes, on a region's features (R, h, w, C).

    Attributes:
        logic: of the head.
        with_avg_pool: on the mean over the region's cells, not on all of them.
        reg_predictor_cfg, cls_predictor_cfg: the linear layers: ``Linear`` or ``NormedLinear``.
        init_cfg: rules for initial weights.
        loss_cls, loss_bbox: modules of those losses of the logic that remember.
    """

    logic: BoxLogic
    with_avg_pool: bool = False
    reg_predictor_cfg: Any = LINEAR
    cls_predictor_cfg: Any = LINEAR
    init_cfg: Any = None
    loss_cls: Any = None
    loss_bbox: Any = None
    torch_order: ClassVar[tuple[str, ...]] = ("loss_cls", "loss_bbox", "fc_cls", "fc_reg", *_BRANCHES)

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array | None, Array | None]:
        del train
        x = self._flat(x)
        return self._said(x, x)

    def _said(self, x_cls: Array, x_reg: Array) -> tuple[Array | None, Array | None]:
        cls = reg = None
        if self.is_initializing():
            for name in remembered(self.logic):
                getattr(self, name).begin()
        if self.logic.with_cls:
            cls = _linear(self.cls_predictor_cfg, self.logic.class_channels, "fc_cls")(x_cls)
        if self.logic.with_reg:
            reg = _linear(self.reg_predictor_cfg, self.logic.box_channels, "fc_reg")(x_reg)
        return cls, reg

    def _flat(self, x: Array) -> Array:
        """(R, width): the mean over all cells where it is asked for, and all in a row."""
        if x.ndim > 2 and self.with_avg_pool:
            return x.mean((1, 2))
        return _in_a_row(x)


def _in_a_row(x: Array) -> Array:
    return x if x.ndim == 2 else x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)


def _linear(cfg: Any, width: int, name: str) -> nn.Module:
    kind, options = predictor(cfg)
    if "bias" in options:
        options["use_bias"] = options.pop("bias")
    return (NormedLinear if kind == "NormedLinear" else Linear)(width, **options, name=name)


class ConvFCBBoxHead(BBoxHead):
    """Convolutions and linear layers, some for both, then some for classes and some for boxes alone.

    Attributes:
        counts: of shared convolutions and linear layers, of those for classes, of those for boxes.
        conv_out_channels, fc_out_channels: their widths.
        conv_cfg, norm_cfg: of the convolutions.
    """

    counts: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
    conv_out_channels: int = 256
    fc_out_channels: int = 1024
    conv_cfg: Any = None
    norm_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> tuple[Array | None, Array | None]:
        x = self._convolved(x, self.counts[0], "shared_convs", train)
        if self.counts[1]:
            x = self._through(x, self.counts[1], "shared_fcs")
        x_cls = self._convolved(x, self.counts[2], "cls_convs", train)
        x_reg = self._convolved(x, self.counts[4], "reg_convs", train)
        x_cls = self._through(x_cls, self.counts[3], "cls_fcs")
        return self._said(x_cls, self._through(x_reg, self.counts[5], "reg_fcs"))

    def _convolved(self, x: Array, count: int, name: str, train: bool) -> Array:
        for at in range(count):
            conv = ConvModule(
                x.shape[-1], self.conv_out_channels, 3, padding=1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg,
                name=f"{name}_{at}",
            )  # fmt: skip
            x = conv(x, train)
        return x

    def _through(self, x: Array, count: int, name: str) -> Array:
        x = self._flat(x)
        for at in range(count):
            x = nn.relu(Linear(self.fc_out_channels, name=f"{name}_{at}")(x))
        return x


class _ResBlock(nn.Module):
    """A residual branch of 3x3 and 1x1, and a 1x1 beside it, to more channels."""

    wide: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        width, norm = x.shape[-1], _BN
        y = ConvModule(width, width, 3, padding=1, bias=False, norm_cfg=norm, name="conv1")(x, train)
        y = ConvModule(width, self.wide, 1, bias=False, norm_cfg=norm, act_cfg=None, name="conv2")(y, train)
        return nn.relu(y + ConvModule(width, self.wide, 1, norm_cfg=norm, act_cfg=None, name="conv_identity")(x, train))


class DoubleConvFCBBoxHead(BBoxHead):
    """Linear layers for classes and convolutions for boxes (Double-Head R-CNN, Wu et al. 2020).

    Attributes:
        num_convs, num_fcs: how many, from 1.
        conv_out_channels, fc_out_channels: their widths.
        conv_cfg, norm_cfg: of the convolutions.
    """

    num_convs: int = 0
    num_fcs: int = 0
    conv_out_channels: int = 1024
    fc_out_channels: int = 1024
    conv_cfg: Any = None
    norm_cfg: Any = _BN

    def __post_init__(self) -> None:
        if self.num_convs < 1 or self.num_fcs < 1 or not self.with_avg_pool:
            raise FkitValueError("DoubleConvFCBBoxHead: num_convs and num_fcs are 1 or more, with_avg_pool is True.")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Array, train: bool = False, x_reg: Array | None = None) -> tuple[Array | None, Array | None]:
        wide = self.conv_out_channels
        y = _ResBlock(wide, name="res_block")(x if x_reg is None else x_reg, train)
        for at in range(self.num_convs):
            name = f"conv_branch_{at}"
            block = Block(bottleneck(wide), conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, name=name)
            y = block(y, train)
        x = _in_a_row(x)
        for at in range(self.num_fcs):
            x = nn.relu(Linear(self.fc_out_channels, name=f"fc_branch_{at}")(x))
        reg = Linear(self.logic.box_channels, name="fc_reg")(y.mean((1, 2)))
        return Linear(self.logic.num_classes + 1, name="fc_cls")(x), reg


def bbox_head(
    with_avg_pool: bool = False,
    with_cls: bool = True,
    with_reg: bool = True,
    roi_feat_size: Any = 7,
    in_channels: int = 256,
    num_classes: int = 80,
    bbox_coder: Any = BOX_CODER,
    predict_box_type: str = "hbox",
    reg_class_agnostic: bool = False,
    reg_decoded_bbox: bool = False,
    reg_predictor_cfg: Any = LINEAR,
    cls_predictor_cfg: Any = LINEAR,
    loss_cls: Any = CLASS_LOSS,
    loss_bbox: Any = BOX_LOSS,
    init_cfg: Any = None,
    *,
    build: Builder,
    head: type[BBoxHead] = BBoxHead,
    **more: Any,
) -> BBoxHead:
    """The maker of `BBoxHead` and its kin from a config, with the arguments that torch's twin has."""
    del in_channels
    check_box_type(predict_box_type)
    pair_of_size(roi_feat_size)
    logic = box_logic(
        build, num_classes, bbox_coder, reg_class_agnostic, reg_decoded_bbox, loss_cls, loss_bbox, with_cls, with_reg
    )
    rules = box_init(with_cls, with_reg) if init_cfg is None else init_cfg
    return head(logic, with_avg_pool, reg_predictor_cfg, cls_predictor_cfg, rules, **memories(logic), **more)


def conv_fc_bbox_head(
    num_shared_convs: int = 0,
    num_shared_fcs: int = 0,
    num_cls_convs: int = 0,
    num_cls_fcs: int = 0,
    num_reg_convs: int = 0,
    num_reg_fcs: int = 0,
    conv_out_channels: int = 256,
    fc_out_channels: int = 1024,
    conv_cfg: Any = None,
    norm_cfg: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
    **more: Any,
) -> BBoxHead:
    """The maker of `ConvFCBBoxHead` from a config."""
    counts = (num_shared_convs, num_shared_fcs, num_cls_convs, num_cls_fcs, num_reg_convs, num_reg_fcs)
    with_cls, with_reg = more.get("with_cls", True), more.get("with_reg", True)
    check_counts(counts, with_cls, with_reg)
    if init_cfg is None:
        names = ("shared_fcs", "cls_fcs", "reg_fcs")
        there = tuple(name for name, count in zip(names, counts[1::2], strict=True) if count)
        init_cfg = box_init(with_cls, with_reg, there)
    return bbox_head(
        init_cfg=init_cfg, build=build, head=ConvFCBBoxHead, counts=counts, conv_out_channels=conv_out_channels,
        fc_out_channels=fc_out_channels, conv_cfg=conv_cfg, norm_cfg=norm_cfg, **more,
    )  # fmt: skip


def shared_2fc_bbox_head(fc_out_channels: int = 1024, *, build: Builder, **more: Any) -> BBoxHead:
    """The maker of a `ConvFCBBoxHead` of two linear layers for both."""
    return conv_fc_bbox_head(num_shared_fcs=2, fc_out_channels=fc_out_channels, build=build, **more)


def shared_4conv_1fc_bbox_head(fc_out_channels: int = 1024, *, build: Builder, **more: Any) -> BBoxHead:
    """The maker of a `ConvFCBBoxHead` of four convolutions and a linear layer for both."""
    return conv_fc_bbox_head(num_shared_convs=4, num_shared_fcs=1, fc_out_channels=fc_out_channels, build=build, **more)


def double_conv_fc_bbox_head(
    num_convs: int = 0, num_fcs: int = 0, init_cfg: Any = DOUBLE_INIT, *, build: Builder, **more: Any
) -> BBoxHead:
    """The maker of `DoubleConvFCBBoxHead` from a config."""
    more.setdefault("with_avg_pool", True)
    return bbox_head(
        init_cfg=init_cfg, build=build, head=DoubleConvFCBBoxHead, num_convs=num_convs, num_fcs=num_fcs, **more
    )

"""Heads of classifiers with more than one linear layer, as mmpretrain has them."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn
from frozendict import frozendict

from fkit.backend.jax.activation import act_layer
from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import BatchNorm1d, Linear, norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.classifier import LOSS, Head, last, shared

__all__ = [
    "DeiTClsHead",
    "LeViTClsHead",
    "StackedLinearClsHead",
    "VisionTransformerClsHead",
    "deit_cls_head",
    "levit_cls_head",
    "stacked_linear_cls_head",
    "vision_transformer_cls_head",
]

Array = jax.Array

_ZERO = frozendict(type="Constant", layer="Linear", val=0)
_TANH = frozendict(type="Tanh")
_RELU = frozendict(type="ReLU")


class Hidden(Linear):
    """A hidden layer that starts by its width, whatever its head says."""

    inner: int = 1

    @property
    def init_cfg(self) -> Any:
        """The rule."""
        return frozendict(type="TruncNormal", layer="Linear", std=math.sqrt(1 / self.inner))


class _Layers(nn.Module):
    """The layers of a head: features to logits; of two features, a mean."""

    classes: int
    hidden: int | None
    act_cfg: Any
    two: bool = False

    @nn.compact
    def __call__(self, *features: Array) -> Array:
        if self.hidden is not None:
            layer = Hidden(self.hidden, inner=features[0].shape[-1], name="pre_logits")
            features = tuple(act_layer(self.act_cfg)("act")(layer(x)) for x in features)
        logits = Linear(self.classes, name="head")(features[0])
        return (logits + Linear(self.classes, name="head_dist")(features[1])) / 2 if self.two else logits


class VisionTransformerClsHead(Head):
    """A linear layer, perhaps after a hidden one: ``layers.pre_logits``, ``layers.head``.

    Attributes:
        num_classes: K.
        in_channels: of the features.
        hidden_dim: of the hidden layer; None: there is none.
        act_cfg: the activation after it.
        init_cfg: rules for initial weights.
        loss_module, topk, cal_acc: see `ClsHead`.
    """

    num_classes: int
    in_channels: int
    loss_module: Any
    hidden_dim: int | None = None
    act_cfg: Any = _TANH
    topk: tuple[int, ...] = (1,)
    cal_acc: bool = False
    init_cfg: Any = _ZERO
    two: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.check_classes()
        _ = act_layer(self.act_cfg)
        super().__post_init__()

    def setup(self) -> None:
        self.layers = _Layers(self.num_classes, self.hidden_dim, self.act_cfg, self.two)

    def __call__(self, features: Any) -> Array:
        feature: Any = last(features)
        parts = feature if isinstance(feature, (list, tuple)) else (feature,)
        parts = tuple(parts[-2:]) if self.two else (parts[-1],)
        if parts[0].shape[-1] != self.in_channels:
            raise FkitValueError(
                f"{type(self).__name__}: in_channels={self.in_channels}, but the features have {parts[0].shape[-1]}."
            )
        return self.layers(*parts)


class DeiTClsHead(VisionTransformerClsHead):
    """The mean of two linear layers, of the class's token and of the teacher's (Touvron et al. 2021): ``layers.head`` and
    ``layers.head_dist``; of features that are pairs of tokens. See `VisionTransformerClsHead`."""

    two: ClassVar[bool] = True


class _Block(nn.Module):
    """A linear layer, and what follows it."""

    width: int
    rate: float = 0.0
    norm_cfg: Any = None
    act_cfg: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        x = Linear(self.width, name="fc")(x)
        x = x if self.norm_cfg is None else norm_layer(self.norm_cfg)[1]("norm")(x, train)  # pyright: ignore[reportCallIssue]
        x = x if self.act_cfg is None else act_layer(self.act_cfg)("act")(x)
        return Dropout(self.rate, name="dropout")(x, train) if self.rate > 0 else x


class StackedLinearClsHead(Head):
    """Several linear layers: ``layers.0.fc``, ``layers.1.fc``, ...

    Attributes:
        num_classes: K.
        in_channels: of the features.
        mid_channels: of the hidden layers.
        dropout_rate, norm_cfg, act_cfg: after each hidden layer.
        loss_module, topk, cal_acc, init_cfg: see `ClsHead`.
    """

    num_classes: int
    in_channels: int
    mid_channels: Sequence[int]
    loss_module: Any
    dropout_rate: float = 0.0
    norm_cfg: Any = None
    act_cfg: Any = _RELU
    topk: tuple[int, ...] = (1,)
    cal_acc: bool = False
    init_cfg: Any = None
    takes_train: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_classes()
        if not isinstance(self.mid_channels, (list, tuple)) or not self.mid_channels:
            raise FkitValueError(
                f"StackedLinearClsHead: mid_channels={self.mid_channels!r}: at least one hidden layer."
            )
        super().__post_init__()

    def setup(self) -> None:
        hidden = [_Block(width, self.dropout_rate, self.norm_cfg, self.act_cfg) for width in self.mid_channels]
        self.layers = [*hidden, _Block(self.num_classes)]

    def __call__(self, features: Any, train: bool = False) -> Array:
        x = last(features)
        for layer in self.layers:
            x = layer(x, train)
        return x


class _Normed(nn.Module):
    """A batch norm before a linear layer."""

    width: int

    @nn.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        return Linear(self.width, name="linear")(BatchNorm1d(name="bn")(x, train))


class LeViTClsHead(Head):
    """A batch norm and a linear layer, or the mean of two of them: ``head`` and ``head_dist``.

    Attributes:
        num_classes: K.
        distillation: whether there is a second, which a teacher taught; such a head cannot be trained.
        in_channels: of the features.
        loss_module, topk, cal_acc, init_cfg: see `ClsHead`.
    """

    num_classes: int
    distillation: bool
    in_channels: int
    loss_module: Any
    topk: tuple[int, ...] = (1,)
    cal_acc: bool = False
    init_cfg: Any = None
    takes_train: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_classes()
        super().__post_init__()

    def setup(self) -> None:
        self.head = _Normed(self.num_classes)
        if self.distillation:
            self.head_dist = _Normed(self.num_classes)

    def __call__(self, features: Any, train: bool = False) -> Array:
        x = last(features)
        if not self.distillation:
            return self.head(x, train)
        if train:
            raise FkitValueError(
                "LeViTClsHead: with distillation=True there is nothing to train.", repair="Set distillation=False."
            )
        return (self.head(x) + self.head_dist(x)) / 2


def vision_transformer_cls_head(
    num_classes: int,
    in_channels: int,
    hidden_dim: int | None = None,
    act_cfg: Any = _TANH,
    init_cfg: Any = _ZERO,
    loss: Any = LOSS,
    topk: int | tuple[int, ...] = (1,),
    cal_acc: bool = False,
    ignore_index: int | None = None,
    *,
    build: Any,
) -> VisionTransformerClsHead:
    """The maker of `VisionTransformerClsHead` from a config."""
    made, topk = shared(build, loss, topk, ignore_index)
    return VisionTransformerClsHead(num_classes, in_channels, made, hidden_dim, act_cfg, topk, cal_acc, init_cfg)


def deit_cls_head(
    num_classes: int,
    in_channels: int,
    hidden_dim: int | None = None,
    act_cfg: Any = _TANH,
    init_cfg: Any = _ZERO,
    loss: Any = LOSS,
    topk: int | tuple[int, ...] = (1,),
    cal_acc: bool = False,
    ignore_index: int | None = None,
    *,
    build: Any,
) -> DeiTClsHead:
    """The maker of `DeiTClsHead` from a config."""
    made, topk = shared(build, loss, topk, ignore_index)
    return DeiTClsHead(num_classes, in_channels, made, hidden_dim, act_cfg, topk, cal_acc, init_cfg)


def stacked_linear_cls_head(
    num_classes: int,
    in_channels: int,
    mid_channels: Sequence[int],
    dropout_rate: float = 0.0,
    norm_cfg: Any = None,
    act_cfg: Any = _RELU,
    loss: Any = LOSS,
    topk: int | tuple[int, ...] = (1,),
    cal_acc: bool = False,
    init_cfg: Any = None,
    ignore_index: int | None = None,
    *,
    build: Any,
) -> StackedLinearClsHead:
    """The maker of `StackedLinearClsHead` from a config."""
    made, topk = shared(build, loss, topk, ignore_index)
    return StackedLinearClsHead(
        num_classes, in_channels, mid_channels, made, dropout_rate, norm_cfg, act_cfg, topk, cal_acc, init_cfg
    )


def levit_cls_head(
    num_classes: int = 1000,
    distillation: bool = True,
    in_channels: int | None = None,
    deploy: bool = False,
    loss: Any = LOSS,
    topk: int | tuple[int, ...] = (1,),
    cal_acc: bool = False,
    init_cfg: Any = None,
    ignore_index: int | None = None,
    *,
    build: Any,
) -> LeViTClsHead:
    """The maker of `LeViTClsHead` from a config."""
    if in_channels is None or deploy:
        raise FkitValueError(f"LeViTClsHead: in_channels={in_channels}, deploy={deploy}: channels, and False.")
    made, topk = shared(build, loss, topk, ignore_index)
    return LeViTClsHead(num_classes, distillation, in_channels, made, topk, cal_acc, init_cfg)

"""Heads of classifiers with more than one linear layer, as mmpretrain has them."""

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout
from fkit.backend.torch.layers import norm_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.classifier import LOSS, ClsHead, last

__all__ = ["DeiTClsHead", "LeViTClsHead", "StackedLinearClsHead", "VisionTransformerClsHead"]

_ZERO = frozendict(type="Constant", layer="Linear", val=0)
_TANH = frozendict(type="Tanh")
_RELU = frozendict(type="ReLU")
_BN1D = frozendict(type="BN1d")


class VisionTransformerClsHead(ClsHead):
    """A linear layer, perhaps after a hidden one: ``layers.pre_logits``, ``layers.head``.

    Args:
        num_classes: K.
        in_channels: of the features.
        hidden_dim: of the hidden layer; None: there is none.
        act_cfg: the activation after it.
        init_cfg: rules for initial weights.
        loss, topk, cal_acc, ignore_index: see `ClsHead`.
    """

    two: ClassVar[bool] = False

    def __init__(
        self,
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
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, ignore_index, num_classes, build=build)
        layers: list[tuple[str, nn.Module]] = []
        if hidden_dim is not None:
            hidden = Hidden(in_channels, hidden_dim)
            layers += [("pre_logits", hidden), ("act", act_layer(act_cfg))]
        layers.append(("head", nn.Linear(in_channels if hidden_dim is None else hidden_dim, num_classes)))
        if self.two:
            layers.append(("head_dist", nn.Linear(hidden_dim or in_channels, num_classes)))
        self.layers = nn.Sequential(OrderedDict(layers))

    def forward(self, features: Any) -> Tensor:
        feature: Any = features if isinstance(features, Tensor) else features[-1]
        return self.layers(feature[-1] if isinstance(feature, (list, tuple)) else feature)


class Hidden(nn.Linear):
    """A hidden layer that starts by its width, whatever its head says."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__(inner, width)
        self.init_cfg = frozendict(type="TruncNormal", layer="Linear", std=math.sqrt(1 / inner))


class DeiTClsHead(VisionTransformerClsHead):
    """The mean of two linear layers, of the class's token and of the teacher's (Touvron et al. 2021): ``layers.head`` and
    ``layers.head_dist``; of features that are pairs of tokens. See `VisionTransformerClsHead`."""

    two: ClassVar[bool] = True

    def forward(self, features: Any) -> Tensor:
        *before, one, other = self.layers
        *_, token, teacher = features[-1]
        for layer in before:
            token, teacher = layer(token), layer(teacher)
        return (one(token) + other(teacher)) / 2


class _Block(nn.Module):
    """A linear layer, and what follows it."""

    def __init__(self, inner: int, width: int, rate: float = 0.0, norm_cfg: Any = None, act_cfg: Any = None) -> None:
        super().__init__()
        self.fc = nn.Linear(inner, width)
        self.norm = None if norm_cfg is None else norm_layer(norm_cfg, width)[1]
        self.act = None if act_cfg is None else act_layer(act_cfg)
        self.dropout = Dropout(rate) if rate > 0 else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        for layer in (self.norm, self.act, self.dropout):
            x = x if layer is None else layer(x)
        return x


class StackedLinearClsHead(ClsHead):
    """Several linear layers: ``layers.0.fc``, ``layers.1.fc``, ...

    Args:
        num_classes: K.
        in_channels: of the features.
        mid_channels: of the hidden layers.
        dropout_rate, norm_cfg, act_cfg: after each hidden layer.
        loss, topk, cal_acc, init_cfg, ignore_index: see `ClsHead`.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, ignore_index, num_classes, build=build)
        if not isinstance(mid_channels, (list, tuple)) or not mid_channels:
            raise FkitValueError(f"StackedLinearClsHead: mid_channels={mid_channels!r}: at least one hidden layer.")
        widths = [in_channels, *mid_channels]
        hidden = [_Block(*pair, dropout_rate, norm_cfg, act_cfg) for pair in itertools.pairwise(widths)]
        self.layers = nn.ModuleList([*hidden, _Block(widths[-1], num_classes)])

    def forward(self, features: Any) -> Tensor:
        x = last(features)
        for layer in self.layers:
            x = layer(x)
        return x


class _Normed(nn.Module):
    """A batch norm before a linear layer."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.bn = norm_layer(_BN1D, inner)[1]
        self.linear = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.bn(x))


class LeViTClsHead(ClsHead):
    """A batch norm and a linear layer, or the mean of two of them: ``head`` and ``head_dist``.

    Args:
        num_classes: K.
        distillation: whether there is a second, which a teacher taught; such a head cannot be trained.
        in_channels: of the features.
        deploy: False: norms stay layers of their own.
        loss, topk, cal_acc, init_cfg, ignore_index: see `ClsHead`.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__(loss, topk, cal_acc, init_cfg, ignore_index, num_classes, build=build)
        if in_channels is None or deploy:
            raise FkitValueError(f"LeViTClsHead: in_channels={in_channels}, deploy={deploy}: channels, and False.")
        self.head = _Normed(in_channels, num_classes)
        self.head_dist = _Normed(in_channels, num_classes) if distillation else None

    def forward(self, features: Any) -> Tensor:
        x = last(features)
        if self.head_dist is None:
            return self.head(x)
        if self.training:
            raise FkitValueError(
                "LeViTClsHead: with distillation=True there is nothing to train.", repair="Set distillation=False."
            )
        return (self.head(x) + self.head_dist(x)) / 2

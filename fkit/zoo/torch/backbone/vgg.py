"""VGG (Simonyan and Zisserman 2015) and AlexNet (Krizhevsky et al. 2012), with mmpretrain's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

from frozendict import frozendict
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from fkit.backbone.vgg import INIT, vgg_layers
from fkit.backend.torch.drop import Dropout
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule

__all__ = ["VGG", "AlexNet"]

_RELU = frozendict(type="ReLU")


class _Pool(nn.Module):
    """The greatest of each 2x2."""

    def __init__(self, ceil_mode: bool) -> None:
        super().__init__()
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2, 2, ceil_mode=self.ceil_mode)


class VGG(nn.Module):
    """VGG, a backbone: images (N, 3, H, W) to a tuple of maps; with classes, of their logits (N, K) too, from images of 224.

    Args:
        depth: 11, 13, 16 or 19.
        num_classes: K; none or less: no linear layers.
        num_stages, dilations: the stages, and of their convolutions.
        out_indices: the stages whose maps are given; None is the last, or the logits alone.
        frozen_stages: how many stages have no gradient.
        norm_eval: batch norms stay in evaluation mode.
        ceil_mode: whether pooling takes windows that are not whole.
        with_last_pool: whether the last stage ends in a pooling.
        init_cfg: rules for initial weights.

    Raises:
        FkitError: an argument outside what is allowed, or a layer that is unknown.
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = -1,
        num_stages: int = 5,
        dilations: Sequence[int] = (1, 1, 1, 1, 1),
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        act_cfg: Any = _RELU,
        norm_eval: bool = False,
        ceil_mode: bool = False,
        with_last_pool: bool = True,
        init_cfg: Any = INIT,
    ) -> None:
        super().__init__()
        plan = vgg_layers(depth, num_classes, num_stages, dilations, out_indices, with_last_pool)
        self.init_cfg, self.norm_eval, self.num_classes = init_cfg, norm_eval, num_classes
        self.out_indices, self.ends, self.frozen = plan.outputs, plan.ends, max(frozen_stages, 0)
        layers: list[nn.Module] = []
        for conv in plan.layers:
            if conv is None:
                layers.append(_Pool(ceil_mode))
                continue
            inner, width, gap = conv
            layers.append(
                ConvModule(inner, width, 3, padding=gap, dilation=gap, bias=True, conv_cfg=conv_cfg, norm_cfg=norm_cfg,
                           act_cfg=act_cfg)
            )  # fmt: skip
        self.features = nn.Sequential(*layers)
        if num_classes > 0:
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(True),
                Dropout(0.5), nn.Linear(4096, num_classes),
            )  # fmt: skip
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> list[nn.Module]:
        return [self.features[i] for i in range(self.ends[self.frozen - 1])] if self.frozen else []

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs: list[Tensor] = []
        for i, layer in enumerate(self.features, 1):
            x = layer(x)
            if i in self.ends and self.ends.index(i) in self.out_indices:
                outs.append(x)
        if self.num_classes > 0:
            outs.append(self.classifier(x.flatten(1)))
        return tuple(outs)

    def train(self, mode: bool = True) -> "VGG":
        """Training mode, but for frozen stages, and for batch norms where ``norm_eval``."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        if mode and self.norm_eval:
            for part in self.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self


class AlexNet(nn.Module):
    """AlexNet, a backbone: images (N, 3, H, W) to a tuple of one map, or of logits (N, K) from images of 224.

    Args:
        num_classes: K; none or less: no linear layers.
        init_cfg: rules for initial weights.
    """

    def __init__(self, num_classes: int = -1, init_cfg: Any = None) -> None:
        super().__init__()
        if not isinstance(num_classes, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FkitValueError(f"AlexNet: num_classes={num_classes!r}: a whole number.")
        self.init_cfg = init_cfg
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(True), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True),
            nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier: nn.Sequential | None = None
        if num_classes > 0:
            self.classifier = nn.Sequential(
                Dropout(0.5), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(True), Dropout(0.5), nn.Linear(4096, 4096),
                nn.ReLU(True), nn.Linear(4096, num_classes),
            )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.features(x)
        return (x if self.classifier is None else self.classifier(x.flatten(1)),)

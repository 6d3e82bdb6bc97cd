"""Dense heads: the layers of a plan, and the logic of `fkit.detection` on them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.drop import Draws
from fkit.backend.torch.layers import conv_layer
from fkit.backend.torch.ops import Torch
from fkit.detection.atss import ATSSHead as ATSS
from fkit.detection.dense import DenseHead as Logic
from fkit.detection.dense import Detections, Given
from fkit.detection.fcos import FCOSHead as FCOS
from fkit.detection.fovea import FoveaHead as Fovea
from fkit.detection.free_anchor import FreeAnchorRetinaHead as FreeAnchor
from fkit.detection.fsaf import FSAFHead as FSAF
from fkit.detection.gfl import GFLHead as GFL
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.paa import PAAHead as PAA
from fkit.detection.plan import Tower
from fkit.detection.retina import RetinaHead as Retina
from fkit.detection.rpn import Proposals
from fkit.detection.rpn import RPNHead as RPN
from fkit.detection.truth import epoch_of, regions, truths
from fkit.detection.yolof import YOLOFHead as YOLOF
from fkit.structures.batch import Samples
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.memory import remembering

__all__ = [
    "ATSSHead",
    "DenseHead",
    "FCOSHead",
    "FSAFHead",
    "FoveaHead",
    "FreeAnchorRetinaHead",
    "GFLHead",
    "PAAHead",
    "RPNHead",
    "RetinaHead",
    "YOLOFHead",
    "flat",
]

Maps = Sequence[Tensor]
Outputs = tuple[tuple[Tensor, ...], ...]


class DenseHead(nn.Module):
    """Predictions at every place of feature maps.

    Args:
        logic: what is made of them; it has the plan of the layers.

    ``forward(maps)``: of each output of the plan, of each level, (N, places' numbers, H, W).
    """

    def __init__(self, logic: Logic) -> None:
        super().__init__()
        self.logic = remembering(self, logic)
        self.init_cfg = logic.init_cfg
        plan = logic.plan
        for tower in plan.towers:
            self.add_module(tower.name, _tower(tower, plan.in_channels, plan.width))
        for output in plan.outputs:
            width = plan.width_of(output.source)
            self.add_module(output.name, nn.Conv2d(width, output.width, output.kernel, padding=output.kernel // 2))
        self.arrange(plan.order)
        if plan.scales:
            self.scales = nn.ModuleList(Scale() for _ in range(plan.scales))
        if plan.integral:
            self.integral = Integral(plan.integral)
            plain: Any = self.logic
            self.logic = plain.measured(self.integral)
        self.key = Draws() if logic.draws else None

    def arrange(self, order: Sequence[str]) -> None:
        """Bring layers into the order of a state_dict; those that are not made yet are passed over."""
        for name in order:
            if name in self._modules:
                self._modules[name] = self._modules.pop(name)

    def forward(self, maps: Maps) -> Outputs:
        levels = [self._level(level, x) for level, x in enumerate(maps)]
        return tuple(zip(*levels, strict=True))

    def _level(self, level: int, x: Tensor) -> tuple[Tensor, ...]:
        plan = self.logic.plan
        features: dict[str, Tensor] = {}
        for tower in plan.towers:
            y = x
            for layer in layers(getattr(self, tower.name)):
                y = layer(y)
            features[tower.name] = torch.relu(y) if tower.plain else y
        outputs: list[Tensor] = []
        for output in plan.outputs:
            y = getattr(self, output.name)(features[output.source])
            outputs.append(self.scales[level](y) if output.scaled else y)
        return self.logic.shaped(Torch(x.device), level, tuple(outputs), self.training)

    def loss(self, maps: Maps, samples: Samples | None, shapes: Shapes) -> dict[str, Any]:
        """Losses by name."""
        return self._losses(self(maps), samples, shapes)

    def predict(self, maps: Maps, shapes: Shapes, cfg: Any = None, rescale: bool = True) -> Detections:
        """The boxes of each image; see `fkit.detection.dense.DenseHead.predict`."""
        outputs = self(maps)
        xp = Torch(outputs[0][0].device)
        return self.logic.predict(xp, self._flat(outputs), _sizes(outputs), shapes, cfg, rescale)

    def proposals(self, maps: Maps, shapes: Shapes, cfg: Any = None) -> Proposals:
        """What a second stage looks at: boxes of the resized images."""
        return _proposals(self.predict(maps, shapes, cfg, rescale=False))

    def loss_and_proposals(
        self, maps: Maps, samples: Samples | None, shapes: Shapes, cfg: Any = None
    ) -> tuple[dict[str, Any], Proposals]:
        """Both, of one pass."""
        outputs = self(maps)
        losses = self._losses(outputs, samples, shapes)
        xp = Torch(outputs[0][0].device)
        boxes = self.logic.predict(xp, self._flat(outputs), _sizes(outputs), shapes, cfg, rescale=False)
        return losses, _proposals(boxes)

    def _losses(self, outputs: Outputs, samples: Samples | None, shapes: Shapes) -> dict[str, Any]:
        first = outputs[0][0]
        xp = Torch(first.device)
        key, places = ((0, 0), xp.words(0, (first.shape[0],))) if self.key is None else self.key(first)
        given = Given(truths(samples), regions(samples), shapes, key, places, epoch_of(samples))
        return self.logic.loss(xp, self._flat(outputs), _sizes(outputs), given)

    def _flat(self, outputs: Outputs) -> Outputs:
        return tuple(
            tuple(flat(level, self.logic.width(output.name)) for level in levels)
            for output, levels in zip(self.logic.plan.outputs, outputs, strict=False)
        )


class Scale(nn.Module):
    """A learned number that multiplies; mmcv's Scale.

    Args:
        scale: what it begins at.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Integral(nn.Module):
    """The places of a distribution's numbers: the buffer ``project``, as mmdet's Integral has it.

    Args:
        count: of the numbers.
    """

    project: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("project", torch.linspace(0, count - 1, count))

    def forward(self) -> Tensor:
        return self.project


def flat(x: Tensor, width: int) -> Tensor:
    """A map (N, A * width, H, W) as rows (N, H * W * A, width), in float32 at least."""
    x = x.permute(0, 2, 3, 1)
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    return wide.reshape(x.shape[0], -1, width)


def _sizes(outputs: Outputs) -> list[tuple[int, int]]:
    return [(x.shape[2], x.shape[3]) for x in outputs[0]]


def _proposals(boxes: Detections) -> Proposals:
    return Proposals(boxes.bboxes, boxes.scores, boxes.valid)


def _tower(tower: Tower, width_in: int, width: int) -> nn.Module:
    if tower.plain:
        return conv_layer(tower.conv_cfg, width_in, width, 3, padding=1)
    layers: list[nn.Module] = []
    for at in range(tower.depth):
        layers.append(
            ConvModule(
                width if at else width_in,
                width,
                3,
                padding=1,
                conv_cfg=tower.conv(at),
                norm_cfg=tower.norm_cfg,
                bias=tower.bias,
            )
        )
    return nn.ModuleList(layers)


def layers(tower: nn.Module) -> Sequence[nn.Module]:
    """The layers of a tower, one after the other."""
    return list(tower) if isinstance(tower, nn.ModuleList) else [tower]


_head = partial(headed, DenseHead)
ATSSHead = _head(ATSS)
FCOSHead = _head(FCOS)
FSAFHead = _head(FSAF)
FoveaHead = _head(Fovea)
FreeAnchorRetinaHead = _head(FreeAnchor)
GFLHead = _head(GFL)
PAAHead = _head(PAA)
RPNHead = _head(RPN)
RetinaHead = _head(Retina)
YOLOFHead = _head(YOLOF)

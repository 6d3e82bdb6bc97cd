"""Dense heads: the layers of a plan, and the logic of `fkit.detection` on them; channels last."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.drop import Draws
from fkit.backend.jax.layers import Conv2d, conv_layer
from fkit.backend.jax.ops import JaxOps
from fkit.detection.atss import ATSSHead as ATSS
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
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.memory import memories, minded, remembered

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

Array = jax.Array
Maps = Sequence[Array]
Outputs = tuple[tuple[Array, ...], ...]

_WIDE = (jnp.float32, jnp.float64)


class DenseHead(nn.Module):
    """Predictions at every place of feature maps.

    Attributes:
        logic: what is made of them; it has the plan of the layers.

    ``__call__(maps, train)``: of each output of the plan, of each level, (N, H, W, places' numbers).
    """

    logic: Any

    @property
    def init_rules(self) -> Any:
        """Rules for initial weights."""
        return self.logic.init_cfg

    def setup(self) -> None:
        plan = self.logic.plan
        for name, loss in memories(self.logic).items():
            setattr(self, name, loss)
        for tower in plan.towers:
            for name, layer in _tower(tower, plan.in_channels, plan.width):
                setattr(self, name, layer)
        for output in plan.outputs:
            setattr(self, output.name, Conv2d(output.width, (output.kernel,) * 2, padding=output.kernel // 2))
        for level in range(plan.scales):
            setattr(self, f"scales_{level}", Scale())
        if plan.integral:
            self.integral = Integral(plan.integral)
        if self.logic.draws:
            self.key = Draws()

    def __call__(self, maps: Maps, train: bool = False) -> Outputs:
        if self.logic.draws and self.is_initializing():
            self.key(maps[0])
        if self.is_initializing():
            for name in remembered(self.logic):
                getattr(self, name).begin()
        levels = [self._level(level, x, train) for level, x in enumerate(maps)]
        if self.logic.plan.integral:
            self.integral()
        return tuple(zip(*levels, strict=True))

    def _level(self, level: int, x: Array, train: bool) -> tuple[Array, ...]:
        plan = self.logic.plan
        features: dict[str, Array] = {}
        for tower in plan.towers:
            y = x
            for name in names(tower):
                layer = getattr(self, name)
                y = nn.relu(layer(y)) if tower.plain else layer(y, train)
            features[tower.name] = y
        outputs = [getattr(self, output.name)(features[output.source]) for output in plan.outputs]
        scaled = [
            getattr(self, f"scales_{level}")(y) if output.scaled else y
            for output, y in zip(plan.outputs, outputs, strict=True)
        ]
        return self.logic.shaped(JaxOps(), level, tuple(scaled), train)

    def loss(self, maps: Maps, samples: Samples | None, shapes: Shapes, train: bool = True) -> dict[str, Any]:
        """Losses by name."""
        return self._losses(self(maps, train), samples, shapes, train)

    def predict(self, maps: Maps, shapes: Shapes, cfg: Any = None, rescale: bool = True) -> Detections:
        """The boxes of each image; see `fkit.detection.dense.DenseHead.predict`."""
        outputs = self(maps)
        return self._bound().predict(JaxOps(), self._flat(outputs), _sizes(outputs), shapes, cfg, rescale)

    def proposals(self, maps: Maps, shapes: Shapes, cfg: Any = None) -> Proposals:
        """What a second stage looks at: boxes of the resized images."""
        return _proposals(self.predict(maps, shapes, cfg, rescale=False))

    def loss_and_proposals(
        self, maps: Maps, samples: Samples | None, shapes: Shapes, cfg: Any = None, train: bool = True
    ) -> tuple[dict[str, Any], Proposals]:
        """Both, of one pass."""
        outputs = self(maps, train)
        losses = self._losses(outputs, samples, shapes, train)
        boxes = self._bound().predict(JaxOps(), self._flat(outputs), _sizes(outputs), shapes, cfg, rescale=False)
        return losses, _proposals(boxes)

    def _losses(self, outputs: Outputs, samples: Samples | None, shapes: Shapes, train: bool) -> dict[str, Any]:
        xp, first = JaxOps(), outputs[0][0]
        key, places = self.key(first, train) if self.logic.draws else ((0, 0), xp.words(0, (first.shape[0],)))
        given = Given(truths(samples), regions(samples), shapes, key, places, epoch_of(samples))
        return self._bound().loss(xp, self._flat(outputs), _sizes(outputs), given)

    def _bound(self) -> Any:
        """The logic with what the head remembers."""
        logic = minded(self.logic, self)
        return logic.measured(self.integral) if logic.plan.integral else logic

    def _flat(self, outputs: Outputs) -> Outputs:
        return tuple(
            tuple(flat(level, self.logic.width(output.name)) for level in levels)
            for output, levels in zip(self.logic.plan.outputs, outputs, strict=False)
        )


class Scale(nn.Module):
    """A learned number that multiplies; mmcv's Scale.

    Attributes:
        initial: what it begins at.
    """

    initial: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return x * self.param("scale", nn.initializers.constant(self.initial), ())


class Integral(nn.Module):
    """The places of a distribution's numbers: the buffer ``project``, as mmdet's Integral has it.

    Attributes:
        count: of the numbers.
    """

    count: int

    @nn.compact
    def __call__(self) -> Array:
        return self.variable("constants", "project", lambda: jnp.arange(self.count, dtype=jnp.float32)).value


def flat(x: Array, width: int) -> Array:
    """A map (N, H, W, A * width) as rows (N, H * W * A, width), in float32 at least."""
    wide = x if x.dtype in _WIDE else x.astype(jnp.float32)
    return wide.reshape(x.shape[0], -1, width)


def _sizes(outputs: Outputs) -> list[tuple[int, int]]:
    return [(x.shape[1], x.shape[2]) for x in outputs[0]]


def _proposals(boxes: Detections) -> Proposals:
    return Proposals(boxes.bboxes, boxes.scores, boxes.valid)


def names(tower: Tower) -> list[str]:
    """The names of a tower's layers."""
    return [tower.name] if tower.plain else [f"{tower.name}_{at}" for at in range(tower.depth)]


def _tower(tower: Tower, width_in: int, width: int) -> list[tuple[str, nn.Module]]:
    if tower.plain:
        return [(tower.name, conv_layer(tower.conv_cfg)(width, (3, 3), padding=1))]  # type: ignore[list-item]
    layers: list[tuple[str, nn.Module]] = []
    for at, name in enumerate(names(tower)):
        first = width if at else width_in
        layers.append(
            (
                name,
                ConvModule(
                    first, width, 3, padding=1, conv_cfg=tower.conv(at), norm_cfg=tower.norm_cfg, bias=tower.bias
                ),
            )
        )
    return layers


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

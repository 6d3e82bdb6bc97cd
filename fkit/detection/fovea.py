"""FoveaBox's head (Kong et al. 2020): a place is an object's where it lies in the middle of its box."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.assigner import Truth
from fkit.detection.dense import Given, Outputs, Sizes
from fkit.detection.fcos import AnchorFreeHead
from fkit.detection.loss.base import called
from fkit.detection.plan import Output, Plan
from fkit.detection.rows import rows_of, spans_of, together
from fkit.tree.error import FkitValueError

__all__ = ["FoveaHead"]

_EDGES = (16, 32, 64, 128, 256)
_RANGES = ((8, 32), (16, 64), (32, 128), (64, 256), (128, 512))
_LEAST, _MOST = 1 / 16, 16.0  # of a distance, in edges
_BIG = 1e12


@dataclass(frozen=True, eq=False, kw_only=True)
class FoveaHead(AnchorFreeHead):
    """mmdet's FoveaHead; see `fkit.detection.fcos.AnchorFreeHead`.

    Args:
        base_edge_list: of each level, in what distances are measured, pixels.
        scale_ranges: of each level, the roots of areas of the objects that it is for, pixels.
        sigma: how much of a box's width and height is its middle.
        with_deform: False; the aligned form is not offered.
        deform_groups: of it.
    """

    base_edge_list: Sequence[float] = _EDGES
    scale_ranges: Sequence[Any] = _RANGES
    sigma: float = 0.4
    with_deform: bool = False
    deform_groups: int = 4
    build: InitVar[Builder]

    def __post_init__(self, build: Builder) -> None:
        if self.with_deform:
            raise FkitValueError("FoveaHead: with_deform=True is not supported yet.", repair="Leave it out.")
        for name in ("base_edge_list", "scale_ranges"):
            if len(getattr(self, name)) != len(self.strides):
                raise FkitValueError(
                    f"FoveaHead: {len(getattr(self, name))} of {name} for {len(self.strides)} strides: as many of each."
                )
        super().__post_init__(build)

    @property
    def plan(self) -> Plan:
        outputs = (Output("conv_cls", "cls_convs", self.classes_out), Output("conv_reg", "reg_convs", 4))
        order = ("reg_convs", "conv_reg", "cls_convs", "conv_cls")
        return Plan(self.in_channels, self.feat_channels, self.towers, outputs, order=order)

    def loss(self, xp: Ops, outputs: Outputs, sizes: Sizes, given: Given) -> dict[str, Any]:
        logits, sides = outputs[0], together(xp, outputs[1])
        spans = spans_of(logits)
        places = self.priors(xp, sizes, sides)
        labels, targets = xp.each(
            lambda truth: self.targets(xp, places, sizes, truth), given.truth._replace(masks=None)
        )
        positive = labels < self.num_classes
        count = xp.shared(xp.cast(positive, sides).sum())
        flat = together(xp, logits)
        classes = called(
            self.loss_cls, xp, flat.reshape((-1, flat.shape[2])), labels.reshape(-1), avg_factor=count + flat.shape[0]
        )
        rows = rows_of(xp, positive, spans)
        pred = rows.of(xp, sides)
        weight = xp.lib.broadcast_to(xp.cast(rows.real, pred)[:, None], pred.shape)
        least = xp.full((), 1, sides)
        total = xp.lib.maximum(count, least)
        box = called(self.loss_bbox, xp, pred, rows.of(xp, targets), weight, avg_factor=total)
        return {"loss_cls": classes, "loss_bbox": box}

    def targets(self, xp: Ops, places: Sequence[Any], sizes: Sizes, truth: Truth) -> tuple[Any, Any]:
        """Of one image: the class (P,) of each place, the background's where it is no object's, and the logarithms of its
        distances to the sides of its object (P, 4)."""
        levels = [self._level(xp, level, place, sizes[level], truth) for level, place in enumerate(places)]
        labels, targets = zip(*levels, strict=True)
        return xp.lib.concat(list(labels)), xp.lib.concat(list(targets))

    def _level(self, xp: Ops, level: int, places: Any, size: tuple[int, int], truth: Truth) -> tuple[Any, Any]:
        lib, boxes = xp.lib, xp.cast(truth.bboxes, places)
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        low, high = self.scale_ranges[level]
        mine = truth.valid & (lib.sqrt(area) >= low) & (lib.sqrt(area) <= high)
        cell = xp.arange(size[0] * size[1], boxes)
        row, column = lib.floor(cell / size[1])[:, None], (cell % size[1])[:, None]
        scaled = boxes / _one(self.strides[level])
        inside = self._within(xp, column, scaled[:, 0], scaled[:, 2], size[1])
        inside = inside & self._within(xp, row, scaled[:, 1], scaled[:, 3], size[0]) & mine
        # of equal ones the last is drawn over the others
        areas = lib.where(inside, area, _BIG)
        index = areas.shape[1] - 1 - xp.argmax(xp.flipped(-areas, (1,)), 1)
        there = lib.amin(areas, 1) < _BIG
        box, (x, y) = xp.take(boxes, index), (places[:, 0], places[:, 1])
        distances = lib.stack([x - box[:, 0], y - box[:, 1], box[:, 2] - x, box[:, 3] - y], -1)
        distances = lib.where(there[:, None], distances / self.base_edge_list[level], 1)
        label = lib.where(there, xp.take(truth.labels, index), self.num_classes)
        return label, lib.log(lib.clip(distances, _LEAST, _MOST))

    def _within(self, xp: Ops, cell: Any, start: Any, stop: Any, size: int) -> Any:
        """(P, G) whether a cell (P, 1) is in the middle of an object's extent (G,), in cells."""
        half = 0.5 * (stop - start)
        first = xp.lib.ceil(start + (1 - self.sigma) * half - 0.5)
        last = xp.lib.floor(start + (1 + self.sigma) * half - 0.5)
        return (cell >= xp.lib.clip(first, 0, size - 1)) & (cell <= xp.lib.clip(last, 0, size - 1))

    def deltas(self, xp: Ops, level: int, deltas: Any) -> Any:
        return xp.lib.exp(deltas) * self.base_edge_list[level]

    def decoded(self, xp: Ops, priors: Any, deltas: Any, img: Any) -> Any:
        lib = xp.lib
        sides = (
            (priors[:, 0] - deltas[:, 0], img[1]),
            (priors[:, 1] - deltas[:, 1], img[0]),
            (priors[:, 0] + deltas[:, 2], img[1]),
            (priors[:, 1] + deltas[:, 3], img[0]),
        )
        zero = xp.full((), 0, deltas)
        kept = [lib.minimum(lib.maximum(side, zero), xp.cast(limit - 1, deltas)) for side, limit in sides]
        return lib.stack(kept, -1)


def _one(stride: Any) -> float:
    return stride[0] if isinstance(stride, (tuple, list)) else stride

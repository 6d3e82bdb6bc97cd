"""Heads of regions, with MMDetection's arguments and parameter names: one stage, several, and two branches on two sizes."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.array.random import Key
from fkit.backend.jax.drop import Draws
from fkit.backend.jax.layers import counting
from fkit.backend.jax.ops import JaxOps
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene, Stages, each_stage, stages_of
from fkit.detection.part import part
from fkit.detection.roi import Rows
from fkit.zoo.flax.memory import minded

__all__ = [
    "Bound",
    "DoubleHeadRoIHead",
    "RoIHead",
    "at_stage",
    "cascade_roi_head",
    "double_head_roi_head",
    "head_of",
    "standard_roi_head",
]

Array = jax.Array


class RoIHead(nn.Module):
    """A head of regions: `fkit.detection.cascade.Layers` over its modules.

    ``__call__(maps, scene)`` gives what the layers say of a scene's proposals; ``loss`` and ``predict`` what becomes of it.
    Maps are (N, H, W, C).

    Attributes:
        logic: its stages.
        bbox_head, mask_head: a module, or a tuple of one a stage.
        bbox_roi_extractor, mask_roi_extractor: one, or a tuple of one a stage.
        shared_head: layers between the extractors and the heads, or None.
        init_cfg: rules for initial weights.
    """

    logic: Stages
    bbox_head: Any
    bbox_roi_extractor: Any
    mask_head: Any = None
    mask_roi_extractor: Any = None
    shared_head: Any = None
    init_cfg: Any = None
    torch_order: ClassVar[tuple[str, ...]] = (
        "shared_head", "bbox_roi_extractor", "bbox_head", "mask_roi_extractor", "mask_head",
    )  # fmt: skip

    def setup(self) -> None:
        self.draws = Draws()

    def draw(self, maps: Sequence[Array], train: bool = True) -> tuple[Key, Any]:
        """See `fkit.detection.cascade.Layers`."""
        return self.draws(maps[0], train)

    def boxes(self, stage: int, maps: Sequence[Array], rows: Rows, train: bool = False) -> tuple[Any, Any]:
        """See `fkit.detection.cascade.Layers`."""
        return at_stage(self.bbox_head, stage)(
            self.pooled(at_stage(self.bbox_roi_extractor, stage), maps, rows, train), train
        )

    def masks(self, stage: int, maps: Sequence[Array], rows: Rows, train: bool = False) -> Array:
        """See `fkit.detection.cascade.Layers`."""
        x = at_stage(self.mask_head, stage)(
            self.pooled(at_stage(self.mask_roi_extractor, stage), maps, rows, train), train
        )
        return x.transpose(0, 3, 1, 2)

    def pooled(self, extractor: Any, maps: Sequence[Array], rows: Rows, train: bool, **options: Any) -> Array:
        """Features of regions, (R, h, w, C)."""
        options |= {"train": train} if isinstance(extractor, nn.Module) else {}
        x = extractor(JaxOps(), maps[: extractor.num_inputs], rows.boxes, rows.image, **options)
        return x if self.shared_head is None else self.shared_head(x, train)

    def __call__(self, maps: Sequence[Array], scene: Scene) -> dict[str, Any]:
        if self.is_initializing():
            self.draws(maps[0])
        return self.logic.raw(JaxOps(), self.bound(False), maps, scene)

    def loss(self, maps: Sequence[Array], scene: Scene, train: bool = False) -> dict[str, Array]:
        """All losses."""
        return self._minded().losses(JaxOps(), self.bound(train), maps, scene)

    def predict(self, maps: Sequence[Array], scene: Scene) -> dict[str, Any]:
        """Objects in pixels of the original images."""
        return self.logic.predictions(JaxOps(), self.bound(False), maps, scene)

    def bound(self, train: bool) -> Any:
        """`fkit.detection.cascade.Layers` in training or not."""
        return Bound(self, train)

    def _minded(self) -> Stages:
        """The stages, with modules in place of losses that remember."""
        boxes = [minded(stage.box, at_stage(self.bbox_head, at)) for at, stage in enumerate(self.logic.stages)]
        stages = [replace(stage, box=box) for stage, box in zip(self.logic.stages, boxes, strict=True)]
        return replace(self.logic, stages=tuple(stages))


class Bound:
    """The layers of a head in training or not."""

    def __init__(self, head: RoIHead, train: bool) -> None:
        self.head, self.train = head, train

    def draw(self, maps: Sequence[Any]) -> tuple[Key, Any]:
        return self.head.draw(maps, self.train)

    def boxes(self, stage: int, maps: Sequence[Any], rows: Rows) -> tuple[Any, Any]:
        with self.counting(rows):
            return self.head.boxes(stage, maps, rows, self.train)

    def masks(self, stage: int, maps: Sequence[Any], rows: Rows) -> Any:
        with self.counting(rows):
            return self.head.masks(stage, maps, rows, self.train)

    def counting(self, rows: Rows) -> AbstractContextManager[None]:
        """In training, batch norms count those rows that are valid: torch has no others."""
        return counting(rows.valid) if self.train else nullcontext()


def at_stage(heads: Any, stage: int) -> Any:
    """A stage's head, or the one of all stages."""
    return heads[stage] if isinstance(heads, (tuple, list)) else heads


class DoubleHeadRoIHead(RoIHead):
    """`RoIHead` whose boxes are told from larger regions than classes (Double-Head R-CNN, Wu et al. 2020).

    Attributes:
        reg_roi_scale_factor: how much larger.
    """

    reg_roi_scale_factor: float = 1.0

    def boxes(self, stage: int, maps: Sequence[Array], rows: Rows, train: bool = False) -> tuple[Any, Any]:
        """See `fkit.detection.cascade.Layers`."""
        extractor = at_stage(self.bbox_roi_extractor, stage)
        x = self.pooled(extractor, maps, rows, train)
        wider = self.pooled(extractor, maps, rows, train, roi_scale_factor=self.reg_roi_scale_factor)
        return at_stage(self.bbox_head, stage)(x, train, wider)


def standard_roi_head(
    bbox_roi_extractor: Any = None,
    bbox_head: Any = None,
    mask_roi_extractor: Any = None,
    mask_head: Any = None,
    shared_head: Any = None,
    train_cfg: Any = None,
    test_cfg: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> RoIHead:
    """The maker of a `RoIHead` of one stage, with the arguments that torch's StandardRoIHead has."""
    box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
    return head_of(build, RoIHead, box, mask, shared_head, (train_cfg, test_cfg, init_cfg))


def double_head_roi_head(
    reg_roi_scale_factor: float,
    bbox_roi_extractor: Any = None,
    bbox_head: Any = None,
    mask_roi_extractor: Any = None,
    mask_head: Any = None,
    shared_head: Any = None,
    train_cfg: Any = None,
    test_cfg: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> RoIHead:
    """The maker of `DoubleHeadRoIHead` from a config."""
    box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
    settings = (train_cfg, test_cfg, init_cfg)
    return head_of(
        build, DoubleHeadRoIHead, box, mask, shared_head, settings, reg_roi_scale_factor=reg_roi_scale_factor
    )


def cascade_roi_head(
    num_stages: int,
    stage_loss_weights: Sequence[float],
    bbox_roi_extractor: Any = None,
    bbox_head: Any = None,
    mask_roi_extractor: Any = None,
    mask_head: Any = None,
    shared_head: Any = None,
    train_cfg: Any = None,
    test_cfg: Any = None,
    init_cfg: Any = None,
    *,
    build: Builder,
) -> RoIHead:
    """The maker of a `RoIHead` of several stages, with the arguments that torch's CascadeRoIHead has."""
    weights = each_stage(stage_loss_weights, num_stages, "stage_loss_weights")
    box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
    return head_of(build, RoIHead, box, mask, shared_head, (train_cfg, test_cfg, init_cfg), weights)


def head_of(
    build: Builder,
    head: type[RoIHead],
    box: tuple[Any, Any],
    mask: tuple[Any, Any],
    shared_head: Any,
    configs: tuple[Any, Any, Any],
    weights: Sequence[float] | None = None,
    **more: Any,
) -> RoIHead:
    count = 1 if weights is None else len(weights)

    def built(name: str, cfg: Any) -> tuple[Any, ...]:
        return tuple(part(build, "models", one) for one in each_stage(cfg, count, name))

    def placed(parts: tuple[Any, ...]) -> Any:
        return (parts[0] if weights is None else parts) if parts else None

    extractors, boxes = built("bbox_roi_extractor", box[0]), built("bbox_head", box[1])
    mask_extractors, masks = extractors, ()
    if mask[1] is not None:
        masks = built("mask_head", mask[1])
        mask_extractors = extractors if mask[0] is None else built("mask_roi_extractor", mask[0])
    train_cfg, test_cfg, init_cfg = configs
    logics = [one.logic for one in boxes], [one.logic for one in masks]
    logic = stages_of(build, *logics, train_cfg, test_cfg, weights)
    shared = part(build, "models", shared_head)
    parts = placed(boxes), placed(extractors), placed(masks), placed(mask_extractors)
    return head(logic, *parts, shared, init_cfg, **more)

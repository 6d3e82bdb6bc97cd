"""Heads of regions, with MMDetection's arguments and parameter names: one stage, several, and two branches on two sizes."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fkit.array.random import Key
from fkit.backend.torch.drop import Draws
from fkit.backend.torch.ops import Torch
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene, Stages, each_stage, stages_of
from fkit.detection.part import part
from fkit.detection.roi import Rows

__all__ = ["CascadeRoIHead", "DoubleHeadRoIHead", "StandardRoIHead", "channels_last"]


class _RoIHead(nn.Module):
    """What all heads of regions share: `fkit.detection.cascade.Layers` over their modules.

    ``forward(maps, scene)`` gives what the layers say of a scene's proposals; ``loss`` and ``predict`` what becomes of it.
    Maps are (N, C, H, W).

    Args:
        weights: of the stages' losses; None: there is one stage, and its modules are in no list.
    """

    def __init__(
        self,
        build: Builder,
        box: tuple[Any, Any],
        mask: tuple[Any, Any],
        shared_head: Any,
        configs: tuple[Any, Any, Any],
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        count = 1 if weights is None else len(weights)
        train_cfg, test_cfg, self.init_cfg = configs
        self.shared_head = part(build, "models", shared_head)
        self.extractors, self.box_heads = self._place(build, "bbox", box, weights is not None, count)
        self.mask_extractors, self.mask_heads = self.extractors, tuple[Any, ...]()
        if mask[1] is not None:
            pair = mask if mask[0] is not None else (box[0], mask[1])
            self.mask_extractors, self.mask_heads = self._place(build, "mask", pair, weights is not None, count)
        boxes, masks = [head.logic for head in self.box_heads], [head.logic for head in self.mask_heads]
        self.logic: Stages = stages_of(build, boxes, masks, train_cfg, test_cfg, weights)
        self.draws = Draws()

    def _place(
        self, build: Builder, name: str, pair: tuple[Any, Any], several: bool, count: int
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Register ``NAME_roi_extractor`` and ``NAME_head``; the extractors and the heads, one a stage."""
        extractors, heads = (
            tuple(part(build, "models", cfg) for cfg in each_stage(one, count, f"{name}_{what}"))
            for one, what in zip(pair, ("roi_extractor", "head"), strict=True)
        )
        for what, parts in (("roi_extractor", extractors), ("head", heads)):
            modules = [one for one in parts if isinstance(one, nn.Module)]
            if modules:
                self.add_module(f"{name}_{what}", nn.ModuleList(modules) if several else modules[0])
        return extractors, heads

    def draw(self, maps: Sequence[Tensor]) -> tuple[Key, Any]:
        """See `fkit.detection.cascade.Layers`."""
        return self.draws(maps[0])

    def boxes(self, stage: int, maps: Sequence[Tensor], rows: Rows) -> tuple[Any, Any]:
        """See `fkit.detection.cascade.Layers`."""
        return self.box_heads[stage](self.pooled(self.extractors[stage], maps, rows))

    def masks(self, stage: int, maps: Sequence[Tensor], rows: Rows) -> Tensor:
        """See `fkit.detection.cascade.Layers`."""
        return self.mask_heads[stage](self.pooled(self.mask_extractors[stage], maps, rows))

    def pooled(self, extractor: Any, maps: Sequence[Tensor], rows: Rows, **options: Any) -> Tensor:
        """Features of regions, (R, C, h, w), of maps that are channels last."""
        few = maps[: extractor.num_inputs]
        x = extractor(self.ops(maps), few, rows.boxes, rows.image, **options).permute(0, 3, 1, 2)
        return x if self.shared_head is None else self.shared_head(x)

    def forward(self, maps: Sequence[Tensor], scene: Scene) -> dict[str, Any]:
        return self.logic.raw(self.ops(maps), self, self.seen(maps), scene)

    def loss(self, maps: Sequence[Tensor], scene: Scene) -> dict[str, Tensor]:
        """All losses."""
        return self.logic.losses(self.ops(maps), self, self.seen(maps), scene)

    def predict(self, maps: Sequence[Tensor], scene: Scene) -> dict[str, Any]:
        """Objects in pixels of the original images."""
        return self.logic.predictions(self.ops(maps), self, self.seen(maps), scene)

    def seen(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps as the logic and the extractors take them, channels last."""
        return channels_last(maps)

    @staticmethod
    def ops(maps: Sequence[Tensor]) -> Torch:
        """Operations where the maps are."""
        return Torch(maps[0].device)


def channels_last(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps (N, C, H, W) as (N, H, W, C)."""
    return [one.permute(0, 2, 3, 1).contiguous() for one in maps]


class StandardRoIHead(_RoIHead):
    """A box head, and perhaps a mask head.

    Args:
        bbox_roi_extractor, bbox_head: configs.
        mask_roi_extractor, mask_head: configs, or None; without an extractor of its own the mask head has that of the boxes.
        shared_head: config of layers between the extractor and the heads, or None.
        train_cfg: ``assigner``, ``sampler``, ``pos_weight``, ``mask_size``.
        test_cfg: ``score_thr``, ``nms``, ``max_per_img``, ``mask_thr_binary``.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
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
    ) -> None:
        box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
        super().__init__(build, box, mask, shared_head, (train_cfg, test_cfg, init_cfg))


class DoubleHeadRoIHead(StandardRoIHead):
    """`StandardRoIHead` whose boxes are told from larger regions than classes (Double-Head R-CNN, Wu et al. 2020).

    Args:
        reg_roi_scale_factor: how much larger.
        more: see `StandardRoIHead`.
    """

    def __init__(self, reg_roi_scale_factor: float, *, build: Builder, **more: Any) -> None:
        super().__init__(build=build, **more)
        self.reg_roi_scale_factor = reg_roi_scale_factor

    def boxes(self, stage: int, maps: Sequence[Tensor], rows: Rows) -> tuple[Any, Any]:
        """See `fkit.detection.cascade.Layers`."""
        x = self.pooled(self.extractors[stage], maps, rows)
        wider = self.pooled(self.extractors[stage], maps, rows, roi_scale_factor=self.reg_roi_scale_factor)
        return self.box_heads[stage](x, wider)


class CascadeRoIHead(_RoIHead):
    """Several stages, each of which begins with the boxes of the one before (Cai and Vasconcelos 2018).

    Args:
        num_stages: how many.
        stage_loss_weights: what the losses of each are multiplied with.
        bbox_roi_extractor, bbox_head, mask_roi_extractor, mask_head: configs, one for all stages or one for each.
        train_cfg: settings, one for each stage.
        shared_head, test_cfg, init_cfg: see `StandardRoIHead`.
    """

    def __init__(
        self,
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
    ) -> None:
        weights = each_stage(stage_loss_weights, num_stages, "stage_loss_weights")
        box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
        super().__init__(build, box, mask, shared_head, (train_cfg, test_cfg, init_cfg), weights)

"""Hybrid Task Cascade's heads, with MMDetection's arguments and parameter names; channels last inside."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.backend.jax.conv import Conv2d
from fkit.backend.jax.ops import JaxOps
from fkit.backend.jax.resize import adaptive_avg_pool, interpolate
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene, each_stage
from fkit.detection.hybrid import (
    FUSION,
    SEMANTIC_INIT,
    SEMANTIC_LOSS,
    SemanticLogic,
    check_hybrid,
    hybrid,
    semantic_logic,
)
from fkit.detection.part import part
from fkit.detection.roi import Rows
from fkit.tree.error import FkitValueError
from fkit.zoo.flax.brick import ConvModule
from fkit.zoo.flax.mask_head import FCNMaskHead, fcn_mask_head
from fkit.zoo.flax.roi_head import RoIHead, at_stage, head_of

__all__ = [
    "FusedSemanticHead",
    "HTCMaskHead",
    "HybridTaskCascadeRoIHead",
    "fused_semantic_head",
    "htc_mask_head",
    "hybrid_task_cascade_roi_head",
]

Array = jax.Array


class HTCMaskHead(FCNMaskHead):
    """`FCNMaskHead` that takes the features of the stage before it, too, and gives its masks (R, 2 h, 2 w, K) and its own
    features (R, h, w, C).

    Attributes:
        with_conv_res: whether there is a convolution for those before it.
    """

    with_conv_res: bool = True
    torch_order: ClassVar[tuple[str, ...]] = ("convs", "upsample", "conv_logits", "conv_res")

    @nn.compact
    def __call__(self, x: Array, train: bool = False, before: Array | None = None) -> tuple[Array, Array]:
        if before is not None and not self.with_conv_res:
            raise FkitValueError("HTCMaskHead: after the first stage it needs with_conv_res=True.")
        if before is not None or (self.with_conv_res and self.is_initializing()):
            wide = self.conv_out_channels
            conv = ConvModule(wide, wide, 1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, name="conv_res")
            x = x + conv(x if before is None else before, train)
        x = self.features(x, train)
        return self.logits(x), x


class FusedSemanticHead(nn.Module):
    """Classes of pixels from the maps of all levels put together, and features: (N, h, w, K) and (N, h, w, C).

    Attributes:
        logic: of the head.
        fusion_level: the level whose size they are brought to.
        num_convs: how many convolutions.
        conv_out_channels: C.
        num_classes: K.
        conv_cfg, norm_cfg: of the convolutions.
        init_cfg: rules for initial weights.
    """

    logic: SemanticLogic
    fusion_level: int
    num_convs: int = 4
    conv_out_channels: int = 256
    num_classes: int = 183
    conv_cfg: Any = None
    norm_cfg: Any = None
    init_cfg: Any = SEMANTIC_INIT
    torch_order: ClassVar[tuple[str, ...]] = ("lateral_convs", "convs", "conv_embedding", "conv_logits")

    @nn.compact
    def __call__(self, maps: Sequence[Array], train: bool = False) -> tuple[Array, Array]:
        level = self.fusion_level
        x = self._conv(maps[level].shape[-1], 1, f"lateral_convs_{level}")(maps[level], train)
        for at, one in enumerate(maps):
            if at != level:
                resized = interpolate(one, x.shape[1:3], mode="bilinear", align_corners=True)
                x = x + self._conv(one.shape[-1], 1, f"lateral_convs_{at}")(resized, train)
        for at in range(self.num_convs):
            x = self._conv(self.conv_out_channels, 3, f"convs_{at}")(x, train)
        features = self._conv(self.conv_out_channels, 1, "conv_embedding")(x, train)
        return Conv2d(self.num_classes, (1, 1), name="conv_logits")(x), features

    def _conv(self, wide: int, size: int, name: str) -> ConvModule:
        options: dict[str, Any] = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "name": name}
        return ConvModule(wide, wide, size, padding=size // 2, **options)


class HybridTaskCascadeRoIHead(RoIHead):
    """`RoIHead` whose masks learn from moved boxes and from one another, and from pixels' classes (Chen et al. 2019).

    Attributes:
        semantic_extractor, semantic_head: what brings the pixels' features, or None.
        semantic_fusion: where they are added: "bbox", "mask".
        mask_info_flow: whether a mask head takes the features of the one before it.
    """

    semantic_extractor: Any = None
    semantic_head: Any = None
    semantic_fusion: tuple[str, ...] = FUSION
    mask_info_flow: bool = True
    torch_order: ClassVar[tuple[str, ...]] = (*RoIHead.torch_order, "semantic_head")

    def __call__(self, maps: Sequence[Array], scene: Scene) -> dict[str, Any]:
        return super().__call__(self._seen(maps), scene)

    def loss(self, maps: Sequence[Array], scene: Scene, train: bool = False) -> dict[str, Array]:
        """All losses."""
        if self.semantic_head is None:
            return super().loss(maps, scene, train)
        logits, features = self.semantic_head(maps, train)
        said = self.semantic_head.logic.losses(JaxOps(), logits.transpose(0, 3, 1, 2), scene)
        return {**said, **super().loss([*maps, features], scene, train)}

    def predict(self, maps: Sequence[Array], scene: Scene) -> dict[str, Any]:
        """Objects in pixels of the original images."""
        return super().predict(self._seen(maps), scene)

    def _seen(self, maps: Sequence[Array]) -> Sequence[Array]:
        """The maps, and after them that of the pixels' features."""
        return maps if self.semantic_head is None else [*maps, self.semantic_head(maps)[1]]

    def boxes(self, stage: int, maps: Sequence[Array], rows: Rows, train: bool = False) -> tuple[Any, Any]:
        """See `fkit.detection.cascade.Layers`."""
        x = self._fused("bbox", at_stage(self.bbox_roi_extractor, stage), maps, rows, train)
        return at_stage(self.bbox_head, stage)(x, train)

    def masks(self, stage: int, maps: Sequence[Array], rows: Rows, train: bool = False) -> Array:
        """See `fkit.detection.cascade.Layers`."""
        x = self._fused("mask", at_stage(self.mask_roi_extractor, stage), maps, rows, train)
        before: Array | None = None
        for head in self.mask_head[:stage] if self.mask_info_flow else ():
            before = head(x, train, before)[1]
        return self.mask_head[stage](x, train, before)[0].transpose(0, 3, 1, 2)

    def _fused(self, place: str, extractor: Any, maps: Sequence[Array], rows: Rows, train: bool) -> Array:
        """Features of regions, (R, h, w, C), with those of pixels."""
        x = self.pooled(extractor, maps, rows, train)
        if self.semantic_head is None or place not in self.semantic_fusion:
            return x
        more = self.pooled(self.semantic_extractor, maps[-1:], rows, train)
        return x + (more if more.shape == x.shape else adaptive_avg_pool(more, x.shape[1:3]))


def htc_mask_head(with_conv_res: bool = True, *, build: Builder, **more: Any) -> FCNMaskHead:
    """The maker of `HTCMaskHead` from a config, with the arguments that torch's twin has."""
    return fcn_mask_head(build=build, head=HTCMaskHead, with_conv_res=with_conv_res, **more)


def fused_semantic_head(
    num_ins: int,
    fusion_level: int,
    seg_scale_factor: float = 1 / 8,
    num_convs: int = 4,
    in_channels: int = 256,
    conv_out_channels: int = 256,
    num_classes: int = 183,
    conv_cfg: Any = None,
    norm_cfg: Any = None,
    ignore_label: int | None = None,
    loss_weight: float | None = None,
    loss_seg: Any = SEMANTIC_LOSS,
    init_cfg: Any = SEMANTIC_INIT,
    *,
    build: Builder,
) -> FusedSemanticHead:
    """The maker of `FusedSemanticHead` from a config, with the arguments that torch's twin has."""
    del num_ins, in_channels
    logic = semantic_logic(build, seg_scale_factor, loss_seg, ignore_label, loss_weight)
    return FusedSemanticHead(
        logic, fusion_level, num_convs, conv_out_channels, num_classes, conv_cfg, norm_cfg, init_cfg
    )


def hybrid_task_cascade_roi_head(
    num_stages: int,
    stage_loss_weights: Sequence[float],
    semantic_roi_extractor: Any = None,
    semantic_head: Any = None,
    semantic_fusion: Sequence[str] = FUSION,
    interleaved: bool = True,
    mask_info_flow: bool = True,
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
    """The maker of `HybridTaskCascadeRoIHead` from a config, with the arguments that torch's twin has."""
    fusion = check_hybrid("HybridTaskCascadeRoIHead", shared_head, semantic_fusion)
    weights = each_stage(stage_loss_weights, num_stages, "stage_loss_weights")
    box, mask = (bbox_roi_extractor, bbox_head), (mask_roi_extractor, mask_head)
    extractor, semantic = (part(build, "models", cfg) for cfg in (semantic_roi_extractor, semantic_head))
    head = head_of(
        build, HybridTaskCascadeRoIHead, box, mask, None, (train_cfg, test_cfg, init_cfg), weights,
        semantic_extractor=extractor, semantic_head=semantic, semantic_fusion=fusion, mask_info_flow=mask_info_flow,
    )  # fmt: skip
    return head.clone(logic=hybrid(head.logic, interleaved))

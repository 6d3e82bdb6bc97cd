"""Hybrid Task Cascade's heads, with MMDetection's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene
from fkit.detection.hybrid import FUSION, SEMANTIC_INIT, SEMANTIC_LOSS, check_hybrid, hybrid, semantic_logic
from fkit.detection.part import part
from fkit.detection.roi import Rows
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.brick import ConvModule
from fkit.zoo.torch.mask_head import FCNMaskHead
from fkit.zoo.torch.roi_head import CascadeRoIHead, channels_last

__all__ = ["FusedSemanticHead", "HTCMaskHead", "HybridTaskCascadeRoIHead"]


class HTCMaskHead(FCNMaskHead):
    """`FCNMaskHead` that takes the features of the stage before it, too.

    Args:
        with_conv_res: whether there is a convolution for those.
        conv_out_channels, conv_cfg, norm_cfg, more: see `FCNMaskHead`.
    """

    def __init__(
        self,
        with_conv_res: bool = True,
        conv_out_channels: int = 256,
        conv_cfg: Any = None,
        norm_cfg: Any = None,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        options: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        super().__init__(conv_out_channels=conv_out_channels, build=build, **options, **more)
        self.conv_res = ConvModule(conv_out_channels, conv_out_channels, 1, **options) if with_conv_res else None

    def features(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """What the convolutions make of a region's features, and of those of the stage before."""
        if before is not None:
            if self.conv_res is None:
                raise FkitValueError("HTCMaskHead: after the first stage it needs with_conv_res=True.")
            x = x + self.conv_res(before)
        return super().features(x)


class FusedSemanticHead(nn.Module):
    """Classes of pixels from the maps of all levels put together, and features: (N, K, h, w) and (N, C, h, w).

    Args:
        num_ins: how many levels.
        fusion_level: whose size they are brought to.
        seg_scale_factor: that size by the picture's.
        num_convs: how many convolutions.
        in_channels, conv_out_channels: of the maps, and C.
        num_classes: K.
        conv_cfg, norm_cfg: of the convolutions.
        ignore_label, loss_weight: as old configs have it.
        loss_seg: config of the loss.
        init_cfg: rules for initial weights.
    """

    def __init__(
        self,
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
    ) -> None:
        super().__init__()
        self.logic = semantic_logic(build, seg_scale_factor, loss_seg, ignore_label, loss_weight)
        self.fusion_level = fusion_level
        options: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg}
        self.lateral_convs = nn.ModuleList(
            ConvModule(in_channels, in_channels, 1, inplace=False, **options) for _ in range(num_ins)
        )
        widths = [in_channels] + [conv_out_channels] * (num_convs - 1)
        self.convs = nn.ModuleList(
            ConvModule(width, conv_out_channels, 3, padding=1, **options) for width in widths[:num_convs]
        )
        self.conv_embedding = ConvModule(conv_out_channels, conv_out_channels, 1, **options)
        self.conv_logits = nn.Conv2d(conv_out_channels, num_classes, 1)
        self.init_cfg = init_cfg

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        level = self.fusion_level
        x = self.lateral_convs[level](maps[level])
        size = x.shape[-2:]
        for at, one in enumerate(maps):
            if at != level:
                resized = F.interpolate(one, size=size, mode="bilinear", align_corners=True)
                x = x + self.lateral_convs[at](resized)
        for conv in self.convs:
            x = conv(x)
        return self.conv_logits(x), self.conv_embedding(x)


class HybridTaskCascadeRoIHead(CascadeRoIHead):
    """`CascadeRoIHead` whose masks learn from moved boxes and from one another, and from pixels' classes (Chen et al. 2019).

    Args:
        num_stages, stage_loss_weights, more: see `CascadeRoIHead`.
        semantic_roi_extractor, semantic_head: configs, or None; with them the batch has ``targets["gt_sem_seg"]``.
        semantic_fusion: where their features are added: "bbox", "mask".
        interleaved: whether a stage's masks learn from boxes as that stage moved them.
        mask_info_flow: whether a mask head takes the features of the one before it.
    """

    def __init__(
        self,
        num_stages: int,
        stage_loss_weights: Sequence[float],
        semantic_roi_extractor: Any = None,
        semantic_head: Any = None,
        semantic_fusion: Sequence[str] = FUSION,
        interleaved: bool = True,
        mask_info_flow: bool = True,
        *,
        build: Builder,
        **more: Any,
    ) -> None:
        self.semantic_fusion = check_hybrid(type(self).__name__, more.get("shared_head"), semantic_fusion)
        super().__init__(num_stages, stage_loss_weights, build=build, **more)
        self.semantic_extractor = part(build, "models", semantic_roi_extractor)
        self.semantic_head = part(build, "models", semantic_head)
        self.mask_info_flow = mask_info_flow
        self.logic = hybrid(self.logic, interleaved)

    def seen(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps, and after them that of the pixels' features, channels last."""
        return channels_last(maps if self.semantic_head is None else [*maps, self.semantic_head(maps)[1]])

    def loss(self, maps: Sequence[Tensor], scene: Scene) -> dict[str, Tensor]:
        """All losses."""
        if self.semantic_head is None:
            return super().loss(maps, scene)
        logits, features = self.semantic_head(maps)
        seen, xp = channels_last([*maps, features]), self.ops(maps)
        return {**self.semantic_head.logic.losses(xp, logits, scene), **self.logic.losses(xp, self, seen, scene)}

    def boxes(self, stage: int, maps: Sequence[Tensor], rows: Rows) -> tuple[Any, Any]:
        """See `fkit.detection.cascade.Layers`."""
        return self.box_heads[stage](self._fused("bbox", self.extractors[stage], maps, rows))

    def masks(self, stage: int, maps: Sequence[Tensor], rows: Rows) -> Tensor:
        """See `fkit.detection.cascade.Layers`."""
        x = self._fused("mask", self.mask_extractors[stage], maps, rows)
        before: Tensor | None = None
        for head in self.mask_heads[:stage] if self.mask_info_flow else ():
            before = head.features(x, before)
        head = self.mask_heads[stage]
        return head.logits(head.features(x, before))

    def _fused(self, place: str, extractor: Any, maps: Sequence[Tensor], rows: Rows) -> Tensor:
        """Features of regions, (R, C, h, w), with those of pixels."""
        x = self.pooled(extractor, maps, rows)
        if self.semantic_head is None or place not in self.semantic_fusion:
            return x
        more = self.pooled(self.semantic_extractor, maps[-1:], rows)
        return x + (more if more.shape == x.shape else F.adaptive_avg_pool2d(more, (x.shape[2], x.shape[3])))

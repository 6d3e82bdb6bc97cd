"""Masks of regions: targets, losses and what is said of an object's class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.paste import mask_targets
from fkit.catalog.build import Builder
from fkit.detection.loss.base import Loss, called
from fkit.detection.part import part
from fkit.detection.roi import Regions, Rows
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["CONV", "MASK_LOSS", "UPSAMPLE", "MaskLogic", "mask_init", "mask_logic", "upsampling"]

MASK_LOSS = frozendict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0)
UPSAMPLE = frozendict(type="deconv", scale_factor=2)
CONV = frozendict(type="Conv")

_METHODS = ("deconv", "nearest", "bilinear")


@dataclass(frozen=True)
class MaskLogic:
    """What a mask head makes of its layers' numbers.

    Attributes:
        num_classes: K.
        class_agnostic: one mask for all classes.
        loss_mask: built.
    """

    num_classes: int
    class_agnostic: bool
    loss_mask: Any

    @property
    def channels(self) -> int:
        """How many masks of a region there are."""
        return 1 if self.class_agnostic else self.num_classes

    def targets(self, xp: Ops, picks: Regions, rows: Rows, truth: Any, size: Any, soft: bool = False) -> Any:
        """(R, h, w) in 0 to 1: what the masks of the rows, which are positive ones, should come to.

        Args:
            size: (h, w), or one number for both.
            soft: shares of cells that objects cover, in place of 0 and 1.

        Raises:
            FkitKeyError: the objects have no masks.
        """
        if truth.masks is None:
            raise FkitKeyError(
                "a loss of masks needs masks: the batch has no targets['gt_instances']['masks'].",
                repair="Load them: LoadAnnotations(with_bbox=True, with_mask=True).",
            )
        size = (int(size), int(size)) if isinstance(size, (int, float)) else (int(size[0]), int(size[1]))
        images, count, height, width = truth.masks.shape
        flat = truth.masks.reshape(images * count, height, width)
        object_of = xp.take(picks.objects.reshape(-1), rows.index) + rows.image * count
        return mask_targets(xp, flat, rows.boxes, object_of, size, soft)

    def losses(self, xp: Ops, masks: Any, picks: Regions, rows: Rows, targets: Any) -> dict[str, Any]:
        """``loss_mask`` of masks (R, C, h, w), which are numbers before the sigmoid.

        Raises:
            FkitValueError: the loss is not one of masks of classes.
        """
        known = isinstance(self.loss_mask, Loss)
        if known and not getattr(self.loss_mask, "use_mask", False):
            raise FkitValueError(
                f"loss_mask is a {type(self.loss_mask).__name__}, which knows no masks of several classes.",
                repair="loss_mask=dict(type='CrossEntropyLoss', use_mask=True)",
            )
        labels = xp.take(picks.labels.reshape(-1), rows.index)
        if self.class_agnostic:
            labels = xp.lib.zeros_like(labels)
        # before a process that has no rows leaves: all of them take part
        mine = xp.cast(rows.valid, masks).sum()
        every = xp.shared(mine)
        if not masks.shape[0]:
            return {"loss_mask": masks.sum()}
        if not known:
            return {"loss_mask": called(self.loss_mask, xp, masks, targets, labels)}
        part = xp.lib.clip(mine, 1, None) / xp.lib.clip(every, 1, None)  # 1 where one process has the whole batch
        return {"loss_mask": called(self.loss_mask, xp, masks, targets, labels, valid=rows.valid) * part}

    def chosen(self, xp: Ops, masks: Any, labels: Any) -> Any:
        """(R, h, w) of (R, C, h, w): the masks of the labels (R,)."""
        if self.class_agnostic:
            return masks[:, 0]
        return xp.take_along(masks, labels[:, None, None, None], 1)[:, 0]


def mask_logic(build: Builder, num_classes: int, class_agnostic: bool, loss_mask: Any) -> MaskLogic:
    """The logic of a mask head, its loss built.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    if num_classes < 1:
        raise FkitValueError(f"num_classes={num_classes}, but it counts classes, from 1.")
    return MaskLogic(num_classes, class_agnostic, part(build, "models", loss_mask))


def upsampling(cfg: Any) -> tuple[str | None, int]:
    """How a mask head makes its maps greater, and by how much.

    Raises:
        FkitError: in another way.

    Example:
        >>> upsampling({"type": "deconv", "scale_factor": 2})
        ('deconv', 2)
    """
    if not isinstance(cfg, Mapping):
        raise FkitTypeError(f"upsample_cfg={cfg!r:.60}: dict(type='deconv', scale_factor=2), or dict(type=None).")
    options = cast("Mapping[str, Any]", cfg)
    method, factor = options.get("type"), options.get("scale_factor")
    if method is not None and method not in _METHODS:
        raise FkitValueError(
            f"upsample_cfg.type={method!r}.", value=str(method), choices=(*_METHODS, "None"), label="Methods"
        )
    if method is not None and (not isinstance(factor, int) or factor < 1):
        raise FkitValueError(f"upsample_cfg.scale_factor={factor!r}, but it is a whole number from 1.")
    return method, factor or 1


def mask_init(init_cfg: Any, deconv: bool) -> Any:
    """MMDetection's rules for the initial weights of a mask head.

    Raises:
        FkitValueError: there is an ``init_cfg``, which MMDetection refuses too.
    """
    if init_cfg is not None:
        raise FkitValueError("FCNMaskHead takes no init_cfg: its rules are its own.", repair="Leave init_cfg out.")
    names = ("upsample", "conv_logits") if deconv else ("conv_logits",)
    return frozendict(
        type="Kaiming",
        mode="fan_out",
        nonlinearity="relu",
        override=tuple(frozendict(name=name) for name in names),
    )

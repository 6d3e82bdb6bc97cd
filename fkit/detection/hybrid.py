"""Hybrid Task Cascade: masks of boxes as their stage moved them, and what classes the pixels are (Chen et al. 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.detection.cascade import Scene, Stages
from fkit.detection.loss.base import called
from fkit.detection.part import part
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["FUSION", "SEMANTIC_INIT", "SEMANTIC_LOSS", "SemanticLogic", "check_hybrid", "hybrid", "semantic_logic"]

FUSION = ("bbox", "mask")
SEMANTIC_LOSS = frozendict(type="CrossEntropyLoss", ignore_index=255, loss_weight=0.2)
SEMANTIC_INIT = frozendict(type="Kaiming", override=frozendict(name="conv_logits"))


@dataclass(frozen=True)
class SemanticLogic:
    """What a head of pixels' classes makes of its layers' numbers.

    Attributes:
        factor: what the classes' map is multiplied with to be of the logits' size.
        loss: built.
    """

    factor: float
    loss: Any

    def losses(self, xp: Ops, logits: Any, scene: Scene, name: str = "loss_semantic_seg") -> dict[str, Any]:
        """``loss_semantic_seg`` of logits (N, C, h, w).

        Raises:
            FkitKeyError: the scene has no classes of pixels.

        Example:
            >>> import numpy as np
            >>> from fkit.array.ops import Numpy
            >>> from fkit.detection.loss.entropy import CrossEntropyLoss
            >>> scene = Scene(None, None, None, None, semantic=np.zeros((1, 8, 8), int))
            >>> said = SemanticLogic(0.25, CrossEntropyLoss()).losses(Numpy(), np.zeros((1, 4, 2, 2)), scene)
            >>> round(float(said["loss_semantic_seg"]), 4)
            1.3863
        """
        labels = scene.semantic
        if labels is None:
            raise FkitKeyError(
                "a loss of pixels' classes needs them: the batch has no targets['gt_sem_seg'].",
                repair="Load them: LoadAnnotations(with_seg=True).",
            )
        labels = labels.reshape(labels.shape[0], *labels.shape[-2:])
        high, wide = (self._places(xp, labels.shape[axis]) for axis in (1, 2))
        labels = xp.lib.swapaxes(xp.take(xp.lib.swapaxes(labels, 0, 1), high), 0, 1)
        labels = xp.lib.swapaxes(xp.take(xp.lib.swapaxes(labels, 0, 2), wide), 0, 2)
        return {name: called(self.loss, xp, logits, xp.cast(labels, "int64"))}

    def _places(self, xp: Ops, length: int) -> Any:
        """Which lines of so many the nearest ones are."""
        count = int(length * self.factor)
        places = np.floor(np.arange(count, dtype=np.float32) * np.float32(1.0 / self.factor)).astype(np.int64)
        return xp.asarray(np.minimum(places, length - 1).tolist(), "int64")


def semantic_logic(
    build: Builder, seg_scale_factor: float, loss_seg: Any, ignore_label: int | None, loss_weight: float | None
) -> SemanticLogic:
    """The logic of a head of pixels' classes, its loss built.

    Args:
        ignore_label, loss_weight: in place of what ``loss_seg`` says, as old configs have it.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    if not 0 < seg_scale_factor <= 1:
        raise FkitValueError(f"seg_scale_factor={seg_scale_factor!r}, but it is in 0 to 1.")
    changes = {"ignore_index": ignore_label} if ignore_label else {}
    changes |= {"loss_weight": loss_weight} if loss_weight else {}
    loss = {**loss_seg, **changes} if changes else loss_seg
    return SemanticLogic(float(seg_scale_factor), part(build, "models", loss))


def check_hybrid(name: str, shared_head: Any, semantic_fusion: Sequence[str]) -> tuple[str, ...]:
    """Where pixels' features are added.

    Args:
        name: of the head, for messages.

    Raises:
        FkitValueError: there are layers before both heads, or another place than "bbox" and "mask".

    Example:
        >>> check_hybrid("HybridTaskCascadeRoIHead", None, ["bbox"])
        ('bbox',)
    """
    if shared_head is not None:
        raise FkitValueError(f"{name} has no shared_head.", repair="Leave shared_head out.")
    for place in semantic_fusion:
        if place not in FUSION:
            raise FkitValueError(f"{name}: semantic_fusion has {place!r}.", value=str(place), choices=FUSION)
    return tuple(semantic_fusion)


def hybrid(stages: Stages, interleaved: bool) -> Stages:
    """Stages whose masks are those of the last one, and perhaps learn from boxes as their stage moved them."""
    return replace(stages, interleaved=bool(interleaved), last_masks=True)

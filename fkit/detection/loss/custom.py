"""Losses that say how many scores their head has, and what these mean: those of V3Det."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fkit.array.loss.accuracy import accuracy
from fkit.array.ops import Ops
from fkit.detection.loss.entropy import CrossEntropyLoss, FocalLoss
from fkit.tree.error import FkitValueError, quoted

__all__ = ["CrossEntropyCustomLoss", "FocalCustomLoss"]


class _Custom:
    """What both share: the number of classes, and the accuracy over them."""

    num_classes: int

    custom_cls_channels = True
    custom_activation = True
    custom_accuracy = True

    def _counted(self) -> None:
        if not self.num_classes > 0:
            raise FkitValueError(
                f"{type(self).__name__}: num_classes = {quoted(self.num_classes)}, but it counts classes, from 1.",
                repair="Give it the num_classes of its head.",
            )

    def _checked(self, num_classes: int) -> int:
        if num_classes != self.num_classes:
            raise FkitValueError(
                f"{type(self).__name__}: num_classes = {self.num_classes}, but that of its head is {num_classes}.",
                repair="Give both the same.",
            )
        return num_classes

    def get_accuracy(self, xp: Ops, scores: Any, labels: Any, valid: Any = None) -> Mapping[str, Any]:
        """``acc_classes`` of the rows that are of a class; percent."""
        positive = labels < self.num_classes
        right = accuracy(
            xp, scores[:, : self.num_classes], labels, valid=positive if valid is None else positive & valid
        )
        return {"acc_classes": right}


@dataclass(frozen=True)
class CrossEntropyCustomLoss(_Custom, CrossEntropyLoss):
    """`CrossEntropyLoss` over ``num_classes`` sigmoids, with no score of their own for the background; or over a softmax with one.

    Args:
        num_classes: C, above 0. The others are those of `CrossEntropyLoss`.
    """

    num_classes: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._counted()

    def get_cls_channels(self, num_classes: int) -> int:
        """How many scores a head of ``num_classes`` has: C, or C + 1 of a softmax."""
        return self._checked(num_classes) + (not self.use_sigmoid)

    def get_activation(self, xp: Ops, scores: Any) -> Any:
        """Probabilities (N, C + 1), the last of no class."""
        classes = scores[:, : self.num_classes]
        if not self.use_sigmoid:
            return xp.softmax(xp.lib.concat([classes, scores[:, -1:]], axis=-1), -1)
        chances = xp.sigmoid(classes)
        return xp.lib.concat([chances, xp.lib.clip(1 - chances.sum(1)[:, None], 0, 1)], axis=1)


@dataclass(frozen=True)
class FocalCustomLoss(_Custom, FocalLoss):
    """`FocalLoss` over ``num_classes`` sigmoids, with no score for the background.

    Args:
        num_classes: C, above 0. The others are those of `FocalLoss`.
    """

    num_classes: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._counted()

    def get_cls_channels(self, num_classes: int) -> int:
        """How many scores a head of ``num_classes`` has: C."""
        return self._checked(num_classes)

    def get_activation(self, xp: Ops, scores: Any) -> Any:
        """Probabilities (N, C)."""
        return xp.sigmoid(scores[:, : self.num_classes])

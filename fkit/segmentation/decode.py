"""What a head of pixels' classes makes of its logits: losses, accuracy and labels; and which maps it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.segmentation.loss.base import IGNORE, called
from fkit.segmentation.loss.entropy import CrossEntropyLoss
from fkit.segmentation.part import part
from fkit.structures.batch import Samples
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = [
    "INIT",
    "LOSS",
    "DecodeLogic",
    "accuracy",
    "decode_logic",
    "input_channels",
    "labels_of",
    "picked",
    "predicted",
    "prefixed",
]

LOSS = frozendict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0)
INIT = frozendict(type="Normal", std=0.01, override=frozendict(name="conv_seg"))
_EPS = 2.0**-23
_THRESHOLD = 0.3


@dataclass(frozen=True)
class DecodeLogic:
    """What is beside a head's layers.

    Attributes:
        num_classes: how many labels there are.
        out_channels: of the logits: as many, or 1.
        threshold: of one channel: the probability above which a pixel is of class 1.
        ignore_index: a label that costs nothing.
        losses: built.
        sampler: of pixels, or None.
        align_corners: how maps are resized.
    """

    num_classes: int
    out_channels: int
    threshold: float
    ignore_index: int | None
    losses: tuple[Any, ...]
    sampler: Any
    align_corners: bool

    @property
    def label_range(self) -> tuple[int, int | None]:
        """What labels may be."""
        return self.num_classes, self.ignore_index

    def losses_of(self, xp: Ops, logits: Any, labels: Any) -> dict[str, Any]:
        """Each loss by its name, and ``acc_seg``, the per cent of pixels that are right.

        Args:
            logits: (N, C, H, W), of the labels' size.
            labels: (N, H, W).
        """
        ignore = self.ignore_index
        weight = None
        if self.sampler is not None:
            weight = self.sampler.weights(xp, logits, labels, self.losses, ignore)
        said: dict[str, Any] = {}
        for loss in self.losses:
            name = getattr(loss, "loss_name", "loss_ce")
            value = called(loss, xp, logits, labels, weight=weight, ignore_index=ignore)
            said[name] = said[name] + value if name in said else value
        return {**said, "acc_seg": accuracy(xp, logits, labels, ignore)}

    def labels(self, xp: Ops, logits: Any) -> Any:
        """(N, H, W) which class the logits (N, C, H, W) say."""
        if logits.shape[1] == 1:
            return xp.cast(xp.sigmoid(logits[:, 0]) > self.threshold, "int64")
        return xp.argmax(logits, 1)


def accuracy(xp: Ops, logits: Any, labels: Any, ignore: int | None = IGNORE) -> Any:
    """The per cent of labels (N, H, W) that logits (N, C, H, W) get right, 0-d.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> round(float(accuracy(Numpy(), np.array([[[[0.0, 1.0]], [[1.0, 0.0]]]]), np.array([[[1, 1]]]))), 3)
        50.0
    """
    counted = xp.full(labels.shape, 1, "bool") if ignore is None else labels != ignore
    logits = xp.detached(logits)
    right = xp.cast((xp.argmax(logits, 1) == labels) & counted, logits).sum()
    return (right + _EPS) * 100 / (xp.cast(counted, logits).sum() + _EPS)


def decode_logic(
    build: Builder,
    name: str,
    num_classes: int,
    out_channels: int | None,
    threshold: float | None,
    ignore_index: int | None,
    loss_decode: Any,
    sampler: Any,
    align_corners: bool,
) -> DecodeLogic:
    """`head_logic`, of a loss (or several) and a sampler that are configs yet."""
    losses, chosen = part(build, "models", loss_decode), part(build, "task_utils", sampler)
    return head_logic(name, num_classes, out_channels, threshold, ignore_index, losses, chosen, align_corners)


def head_logic(
    name: str,
    num_classes: int,
    out_channels: int | None,
    threshold: float | None,
    ignore_index: int | None,
    losses: Any,
    sampler: Any,
    align_corners: bool,
) -> DecodeLogic:
    """The logic of a head.

    Args:
        name: of the head, for messages.
        losses: built, one or several; None is cross entropy.
        sampler: built, or None.

    Raises:
        FkitError: an argument outside of what is allowed.
    """
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitValueError(f"{name}: num_classes={quoted(num_classes)}, but it counts classes, from 1.")
    channels = num_classes if out_channels is None else out_channels
    if channels not in (num_classes, 1) or (channels == 1 and num_classes > 2):
        raise FkitValueError(
            f"{name}: out_channels={channels} for num_classes={num_classes}.",
            repair="out_channels is num_classes; or 1 for num_classes=2.",
        )
    found = CrossEntropyLoss() if losses is None else losses
    several: tuple[Any, ...] = tuple(found) if isinstance(found, (list, tuple)) else (found,)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    for loss in several:
        weights: Any = getattr(loss, "class_weight", None)
        if isinstance(weights, tuple) and len(weights) != channels:  # pyright: ignore[reportUnknownArgumentType]
            raise FkitValueError(
                f"{name}: class_weight of {type(loss).__name__} has {len(weights)} numbers, and there are {channels} classes.",  # pyright: ignore[reportUnknownArgumentType]
                repair="Give class_weight one number a class.",
            )
    limit = _THRESHOLD if threshold is None else float(threshold)
    return DecodeLogic(num_classes, channels, limit, ignore_index, several, sampler, bool(align_corners))


def input_channels(name: str, in_channels: Any, in_index: Any, input_transform: str | None) -> Any:
    """How wide what a head takes is: a number, or one a map where it takes several.

    Raises:
        FkitError: the three do not fit one another.

    Example:
        >>> input_channels("FCNHead", [18, 36], [0, 1], "resize_concat")
        54
    """
    kinds = ("None", "multiple_select", "resize_concat")
    if input_transform is None:
        if isinstance(in_channels, (list, tuple)) or isinstance(in_index, (list, tuple)):
            raise FkitTypeError(
                f"{name}: in_channels={quoted(in_channels)} and in_index={quoted(in_index)}, but it takes one map.",
                repair="Say input_transform='multiple_select' or 'resize_concat', or give one number each.",
            )
        return int(in_channels)
    if input_transform not in kinds[1:]:
        raise FkitValueError(
            f"{name}: input_transform={quoted(input_transform)}.", value=input_transform, choices=kinds
        )
    wide, which = in_channels, in_index
    if not isinstance(wide, (list, tuple)) or not isinstance(which, (list, tuple)) or len(wide) != len(which):  # pyright: ignore[reportUnknownArgumentType]
        raise FkitTypeError(
            f"{name}: in_channels={quoted(wide)} and in_index={quoted(which)}: with input_transform they are two lists of "
            "one length."
        )
    several = tuple(int(one) for one in wide)  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return sum(several) if input_transform == "resize_concat" else several


def picked(name: str, maps: Sequence[Any], in_index: Any, in_channels: Any, axis: int) -> list[Any]:
    """The maps that a head takes, one or several.

    Args:
        name: of the head, for messages.
        maps: of the backbone or the neck.
        in_index, in_channels: of the head: a number each, or lists of one length.
        axis: of the channels.

    Raises:
        FkitValueError: there is no such map, or it has other channels.

    Example:
        >>> import numpy as np
        >>> [one.shape for one in picked("FCNHead", [np.zeros((1, 8, 4, 4)), np.zeros((1, 16, 2, 2))], -1, 16, 1)]
        [(1, 16, 2, 2)]
    """
    several = isinstance(in_index, (list, tuple))
    which: Sequence[int] = in_index if several else (in_index,)  # pyright: ignore[reportUnknownVariableType]
    wide: Sequence[int] = in_channels if several else (in_channels,)
    taken: list[Any] = []
    for at, channels in zip(which, wide, strict=True):
        if not -len(maps) <= at < len(maps):
            raise FkitValueError(
                f"{name}: in_index={at}, but it is given {len(maps)} maps.",
                repair=f"in_index is 0 to {len(maps) - 1}; out_indices of the backbone says which maps there are.",
            )
        found = maps[at].shape[axis]
        if found != channels:
            raise FkitValueError(
                f"{name}: in_channels={channels}, but map {at} of those that it is given has {found} channels.",
                repair=f"Set in_channels={found} there, or take another map by in_index.",
            )
        taken.append(maps[at])
    return taken


def labels_of(xp: Ops, samples: Samples | None, name: str = "gt_sem_seg") -> Any:
    """The classes of pixels, (N, H, W) whole numbers.

    Raises:
        FkitKeyError: the batch has none.
    """
    found = None if samples is None else samples.targets.get(name)
    if found is None:
        raise FkitKeyError(
            f"a segmentor's loss needs the classes of pixels: the batch has no targets[{name!r}].",
            repair="Load them: LoadAnnotations(), and PackSegInputs().",
        )
    found = found["data"] if isinstance(found, Mapping) else found
    if len(found.shape) not in (3, 4) or (len(found.shape) == 4 and found.shape[1] != 1):
        raise FkitTypeError(f"targets[{name!r}] are (N, H, W) or (N, 1, H, W) classes, not {tuple(found.shape)}.")
    return xp.cast(found.reshape(found.shape[0], *found.shape[-2:]), "int64")


def prefixed(said: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Numbers by their names after a head's.

    Example:
        >>> prefixed({"loss_ce": 1}, "decode")
        {'decode.loss_ce': 1}
    """
    return {f"{prefix}.{name}": value for name, value in said.items()}


def predicted(xp: Ops, logic: DecodeLogic, logits: Any) -> dict[str, Any]:
    """``seg_logits`` and ``pred_sem_seg`` (N, H, W), of the size of what the model was given; ``seg_rule`` (N, 2) says how the
    logits are resized (whether corners are aligned) and from which probability on one class alone is there."""
    rule = xp.asarray([float(logic.align_corners), logic.threshold], "float32")
    rules = xp.full((logits.shape[0], 1), 1.0, "float32") * rule[None]
    return {"seg_logits": logits, "pred_sem_seg": logic.labels(xp, logits), "seg_rule": rules}

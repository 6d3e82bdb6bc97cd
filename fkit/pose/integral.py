"""Coordinates as the mean place of heatmaps (Sun et al. 2018; Nibali et al. 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.catalog.build import Builder
from fkit.pose.flip import flip_maps
from fkit.pose.head import Config, Coordinates, point_accuracy
from fkit.pose.loss.base import called
from fkit.pose.part import part
from fkit.pose.truth import field_of, label_of
from fkit.structures.batch import Samples
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["BOTH", "Integrals", "Means", "SeveralLosses", "map_size", "mean_places", "several_losses"]

BOTH: Final = frozendict(
    type="MultipleLossWrapper",
    losses=(
        frozendict(type="SmoothL1Loss", use_target_weight=True),
        frozendict(type="JSDiscretLoss", use_target_weight=True),
    ),
)


def map_size(who: str, size: Sequence[int], doubled: int) -> tuple[int, int]:
    """(width, height) of a head's maps: those of ``in_featuremap_size``, doubled so many times.

    Raises:
        FkitValueError: they are not two positive numbers.

    Example:
        >>> map_size("DSNTHead", (6, 8), 3)
        (48, 64)
    """
    if len(size) != 2 or any(one < 1 for one in size):
        raise FkitValueError(f"{who}: in_featuremap_size={size!r} are the width and the height of the map.")
    width, height = (one * 2**doubled for one in size)
    return width, height


def mean_places(xp: Ops, maps: Any, across: Any, down: Any, beta: float, debias: bool) -> tuple[Any, Any]:
    """(N, K, 2) the mean places of keypoints by the softmax of their maps, and the softmax itself (N, K, H, W).

    Args:
        maps: (N, K, H, W).
        across, down: (1, 1, 1, W) and (1, 1, H, 1), where each column and row is.
        beta: maps are multiplied with it before their softmax.
        debias: without the part of the mean that the softmax's tail has (Gu et al. 2021).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> at = np.array([0.0, 0.5])
        >>> maps = np.array([[[[0.0, 9.0], [0.0, 0.0]]]])
        >>> places, _ = mean_places(Numpy(), maps, at.reshape(1, 1, 1, 2), at.reshape(1, 1, 2, 1), 10.0, False)
        >>> places.round(6).tolist()
        [[[0.5, 0.0]]]
    """
    count, joints, height, width = maps.shape
    shares = xp.softmax((maps * beta).reshape(count, joints, height * width), -1).reshape(count, joints, height, width)
    places = xp.lib.stack([(shares * line).sum((2, 3)) for line in (across, down)], axis=2)
    if debias:
        whole = xp.lib.exp(maps).sum((2, 3))[..., None]
        places = whole / (whole - 1) * (places - 1 / (2 * whole))
    return places, shares


@dataclass(frozen=True, eq=False, kw_only=True)
class Means(Coordinates):
    """Of mean places (N, K, 2), and maps whose sum is 1."""

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        return super().loss(xp, outputs[0], samples, cfg)

    def joined(self, xp: Ops, outputs: Any, flipped: Any, partners: Any, cfg: Config) -> Any:
        theirs = flip_maps(xp, flipped[1], partners, shift=cfg.get("shift_heatmap", False))
        return super().joined(xp, outputs[0], flipped[0], partners, cfg), (outputs[1] + theirs) * 0.5

    def encoded(self, xp: Ops, outputs: Any) -> tuple[Any, ...]:
        return (outputs[0],)

    def fields(self, xp: Ops, outputs: Any) -> dict[str, Any]:
        return {"heatmaps": outputs[1]}


@dataclass(frozen=True, eq=False, kw_only=True)
class Integrals(Means):
    """`Means` whose maps learn too.

    Attributes:
        lambda_t: the epoch from which maps learn no more; 0 and less: they do to the end.
    """

    lambda_t: int = -1

    @property
    def wants_epoch(self) -> bool:
        """Whether losses ask which epoch a batch is of."""
        return self.lambda_t > 0

    def loss(self, xp: Ops, outputs: Any, samples: Samples | None, cfg: Config) -> dict[str, Any]:
        points, maps = outputs
        target = xp.cast(label_of(samples, "keypoint_labels", self.name), points)
        weights = label_of(samples, "keypoint_weights", self.name)
        truth = xp.cast(field_of(samples, "heatmaps", self.name), maps)
        losses = called(self.loss_module, xp, [points, maps], [target, truth], xp.cast(weights, points))
        loss = losses[0] + losses[1]
        epoch = samples.targets.get("epoch") if samples is not None and self.wants_epoch else None
        if epoch is not None:
            loss = xp.lib.where(epoch[0] >= self.lambda_t, losses[0], loss)
        return {"loss_kpt": loss, "acc_pose": point_accuracy(xp, points, target, weights)}


@dataclass(frozen=True)
class SeveralLosses:
    """Losses of several things one after the other; see `several_losses`."""

    losses: tuple[Any, ...]

    takes_ops = True

    def __call__(self, xp: Ops, preds: Sequence[Any], targets: Sequence[Any], weights: Any = None) -> list[Any]:
        if not len(preds) == len(targets) == len(self.losses):
            raise FkitTypeError(
                f"MultipleLossWrapper has {len(self.losses)} losses of {len(preds)} predictions and {len(targets)} targets."
            )
        rows = zip(self.losses, preds, targets, strict=True)
        return [called(loss, xp, pred, target, weights) for loss, pred, target in rows]


def several_losses(losses: Sequence[Any], *, build: Builder) -> SeveralLosses:
    """A loss of each thing that a head predicts; mmpose's MultipleLossWrapper.

    Args:
        losses: configs.

    Returns:
        ``(xp, predictions, targets, weights)`` -> a list of values.
    """
    return SeveralLosses(part(build, "models", list(losses)))

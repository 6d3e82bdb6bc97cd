"""Samplers that look at more than chance: balanced over objects, over overlaps, by loss; and one made of two."""

from dataclasses import InitVar, dataclass, field
from typing import Any, cast

from fkit.array.ops import Ops
from fkit.array.random import fold
from fkit.catalog.build import Builder
from fkit.detection.part import part
from fkit.detection.sampler import Candidates, PseudoSampler, RandomSampler, first_of
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = [
    "CombinedSampler",
    "InstanceBalancedPosSampler",
    "IoUBalancedNegSampler",
    "MaskPseudoSampler",
    "OHEMSampler",
    "asks_losses",
]


@dataclass(frozen=True)
class MaskPseudoSampler(PseudoSampler):
    """Every positive and every negative, where objects are masks; mmdet's MaskPseudoSampler. It takes any argument, and none
    says anything."""

    def __init__(self, **_: Any) -> None:
        super().__init__()


@dataclass(frozen=True)
class InstanceBalancedPosSampler(RandomSampler):
    """As many positives of each object, as far as it has them; mmdet's InstanceBalancedPosSampler. Arguments as those of
    `RandomSampler`.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> gt = np.array([1] * 50 + [2] * 2)
        >>> chosen, _ = InstanceBalancedPosSampler(8, 0.5).choose(Numpy(), (1, 2), gt, image=0)
        >>> int(chosen.sum()), int(chosen[50:].sum()) > 0
        (4, True)
    """

    def positives(self, xp: Ops, of: Candidates, candidates: Any, most: int) -> Any:
        """(P,) bool: at most so many of the positive candidates (P,)."""
        lib = xp.lib
        of_object = lib.where(candidates, of.gt, 0)
        place = ranks(xp, self.draw(xp, of.key, of.image, candidates, "pos"), of_object)
        objects = lib.sum(xp.cast(candidates & (place == 0), "float32"))
        each = lib.round(most / lib.clip(objects, 1, None)) + 1
        first = candidates & (place < each)
        again = self.draw(xp, fold(xp, of.key, xp.word(1)), of.image, candidates, "pos")
        return first_of(xp, again + xp.cast(~first, again), candidates, most)


@dataclass(frozen=True)
class IoUBalancedNegSampler(RandomSampler):
    """As many negatives of each interval of overlaps, as far as it has them; mmdet's IoUBalancedNegSampler.

    Args:
        num: priors to choose.
        pos_fraction: positives among them, at most.
        floor_thr: negatives that overlap less are the floor, of 0 those that overlap nothing; -1: there is no floor.
        floor_fraction: of the negatives, so many are of the floor.
        num_bins: intervals from the floor to the greatest overlap.
        neg_pos_ub: as for `RandomSampler`.
        add_gt_as_proposals: as for `RandomSampler`.

    Raises:
        FkitValueError: an argument is out of its range.

    Notes:
        mmdet's sampler with ``floor_thr=-1`` turns into one of ``floor_thr=0`` after its first call; this one stays.
    """

    num: int
    pos_fraction: float
    floor_thr: float = field(default=-1, kw_only=True)
    floor_fraction: float = field(default=0, kw_only=True)
    num_bins: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.floor_thr < 0 and self.floor_thr != -1:
            raise FkitValueError(f"{name}: floor_thr = {self.floor_thr} is below 0 and not -1.")
        if not 0 <= self.floor_fraction <= 1:
            raise FkitValueError(f"{name}: floor_fraction = {self.floor_fraction} is not in [0, 1].")
        if self.num_bins < 1:
            raise FkitValueError(f"{name}: num_bins = {self.num_bins} is below 1.")

    def negatives(self, xp: Ops, of: Candidates, candidates: Any, most: int, limit: Any) -> Any:
        """(P,) bool: at most so many of the negative candidates (P,), and at most ``limit``, 0-d."""
        if of.overlap is None:
            raise FkitTypeError(f"{type(self).__name__}.choose asks for overlaps: overlap = (P,).")
        lib, overlap = xp.lib, of.overlap
        start = max(self.floor_thr, 0)
        above = overlap > self.floor_thr if self.floor_thr <= 0 else overlap >= self.floor_thr
        floor = (overlap >= 0) & ~above & candidates
        above = above & candidates
        shares = [int(count * (1 - self.floor_fraction)) for count in range(self.num + 1)]
        share = xp.take(xp.asarray(shares, "int64"), limit[None])[0]
        drawn, again = (
            self.draw(xp, fold(xp, of.key, xp.word(turn)), of.image, candidates, "neg") if turn else
            self.draw(xp, of.key, of.image, candidates, "neg")
            for turn in (0, 1)
        )  # fmt: skip
        late = xp.full((), 0, "bool")
        if self.num_bins > 1:
            step = (lib.amax(overlap) - start) / self.num_bins
            # each bound as mmdet computes it, so that what lies upon one is in the same interval
            bounds = [start + number * step for number in range(self.num_bins + 1)]
            group = sum((xp.cast(overlap >= bound, "int64") for bound in bounds), xp.full((), 0, "int64"))
            inside = above & (group >= 1) & (group <= self.num_bins)
            place = ranks(xp, drawn, lib.where(inside, group, 0))
            late = ~(inside & (place < share // self.num_bins))
        first = first_of(xp, again + xp.cast(late, again), above, most, share)
        order = lib.where(first, drawn, lib.where(floor, drawn + 1, drawn + 2))
        return first_of(xp, order, candidates, most, limit)


@dataclass(frozen=True)
class OHEMSampler(RandomSampler):
    """The priors of the greatest losses; mmdet's OHEMSampler. ``choose`` asks for ``losses``.

    Args:
        num: priors to choose.
        pos_fraction: positives among them, at most.
        neg_pos_ub: as for `RandomSampler`.
        add_gt_as_proposals: as for `RandomSampler`.
        context: accepted; the head gives the losses.
        loss_key: the name of the loss that counts.
    """

    context: Any = field(default=None, repr=False, compare=False)
    loss_key: str = "loss_cls"

    def positives(self, xp: Ops, of: Candidates, candidates: Any, most: int) -> Any:
        """(P,) bool: at most so many of the positive candidates (P,)."""
        return first_of(xp, self._easy(xp, of), candidates, most)

    def negatives(self, xp: Ops, of: Candidates, candidates: Any, most: int, limit: Any) -> Any:
        """(P,) bool: at most so many of the negative candidates (P,), and at most ``limit``, 0-d."""
        return first_of(xp, self._easy(xp, of), candidates, most, limit)

    def _easy(self, xp: Ops, of: Candidates) -> Any:
        if of.losses is None:
            raise FkitTypeError("OHEMSampler.choose asks for the loss of each prior: losses = (P,).")
        return -xp.detached(of.losses)


@dataclass(frozen=True)
class CombinedSampler(RandomSampler):
    """Positives by one sampler, negatives by another; mmdet's CombinedSampler.

    Args:
        num: priors to choose.
        pos_fraction: positives among them, at most.
        neg_pos_ub: as for `RandomSampler`.
        add_gt_as_proposals: as for `RandomSampler`.
        pos_sampler: of the positives: a config, to which the arguments above are defaults, or a sampler.
        neg_sampler: of the negatives.

    Raises:
        FkitTypeError: one is no sampler.
    """

    pos_sampler: Any = field(kw_only=True)
    neg_sampler: Any = field(kw_only=True)
    build: InitVar[Builder | None] = field(default=None, kw_only=True)

    def __post_init__(self, build: Builder | None) -> None:
        super().__post_init__()
        shared = {key: getattr(self, key) for key in ("num", "pos_fraction", "neg_pos_ub", "add_gt_as_proposals")}
        for key in ("pos_sampler", "neg_sampler"):
            sampler = getattr(self, key)
            if build is not None:
                sampler = part(build, "task_utils", sampler, **shared)
            if not isinstance(sampler, RandomSampler):
                raise FkitTypeError(f"CombinedSampler: {key} is a sampler, not {quoted(sampler, 60)}.")
            object.__setattr__(self, key, sampler)

    def positives(self, xp: Ops, of: Candidates, candidates: Any, most: int) -> Any:
        """(P,) bool: at most so many of the positive candidates (P,)."""
        return cast(RandomSampler, self.pos_sampler).positives(xp, of, candidates, most)

    def negatives(self, xp: Ops, of: Candidates, candidates: Any, most: int, limit: Any) -> Any:
        """(P,) bool: at most so many of the negative candidates (P,), and at most ``limit``, 0-d."""
        return cast(RandomSampler, self.neg_sampler).negatives(xp, of, candidates, most, limit)


def asks_losses(sampler: Any) -> bool:
    """Whether a sampler chooses by the losses of priors.

    Example:
        >>> asks_losses(OHEMSampler(4, 0.5)), asks_losses(PseudoSampler())
        (True, False)
    """
    parts = (sampler, getattr(sampler, "pos_sampler", None), getattr(sampler, "neg_sampler", None))
    return any(isinstance(one, OHEMSampler) for one in parts)


def ranks(xp: Ops, priority: Any, group: Any) -> Any:
    """(P,) each prior's place, from 0, among those of its group, least priority first.

    Args:
        priority: (P,).
        group: (P,) whole numbers.
    """
    order = xp.order(priority)
    order = xp.take(order, xp.order(xp.take(group, order)))
    ordered = xp.take(group, order)
    place = xp.arange(len(ordered)) - xp.lib.searchsorted(ordered, ordered)
    return xp.put(xp.arange(len(ordered)), order, xp.cast(place, "int64"))

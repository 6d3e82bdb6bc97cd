"""Which of the assigned priors a loss is of: samplers under MMDetection's names and arguments.

Draws are a function of a key, of the image's place in the batch and of the prior's place among its image's: the same on
every library, on any number of devices, and after a resume.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from fkit.array.ops import Ops
from fkit.array.random import Key, bits, fold
from fkit.tree.check import check_fields
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Candidates", "PseudoSampler", "RandomSampler", "Sampler", "check_choose", "first_of"]

_KINDS = ("pos", "neg")


class Sampler(Protocol):
    """What heads ask of a sampler.

    Attributes:
        add_gt_as_proposals: the head is to put the ground truths in front of the proposals.
    """

    add_gt_as_proposals: bool

    def choose(
        self,
        xp: Ops,
        key: Key,
        gt: Any,
        *,
        image: Any,
        overlap: Any = None,
        valid: Any = None,
        losses: Any = None,
    ) -> tuple[Any, Any]:
        """Choose priors of one image.

        Args:
            key: of this call.
            gt: (P,) what they are assigned to, as `fkit.detection.assigner.Assigned.gt`.
            image: the image's place in the whole batch, an int or a word.
            overlap: (P,) with the object that overlaps most, where the sampler asks for it.
            valid: (P,) bool, the priors that count; None: all.
            losses: (P,) the loss of each, where the sampler asks for it.

        Returns:
            (P,) bool, the positives; (P,) bool, the negatives.
        """
        ...


class Candidates(NamedTuple):
    """What a sampler is told of an image's priors; see `Sampler.choose`."""

    key: Key
    image: Any
    gt: Any
    overlap: Any
    losses: Any


@dataclass(frozen=True)
class RandomSampler:
    """So many priors, and so many of them positive; mmdet's RandomSampler.

    Args:
        num: priors to choose.
        pos_fraction: positives among them, at most.
        neg_pos_ub: negatives to a positive, at most; a negative number: no bound.
        add_gt_as_proposals: the head puts the ground truths in front of the proposals.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> pos, neg = RandomSampler(4, 0.5).choose(Numpy(), (1, 2), np.array([0, 1, 0, 0, -1, 0, 2, 1]), image=0)
        >>> int(pos.sum()), int(neg.sum()), bool(neg[4])
        (2, 2, False)
    """

    num: int
    pos_fraction: float
    neg_pos_ub: float = -1
    add_gt_as_proposals: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.pos_fraction <= 1:
            raise FkitValueError(f"{type(self).__name__}: pos_fraction = {self.pos_fraction} is not in [0, 1].")
        if self.num < 0:
            raise FkitValueError(f"{type(self).__name__}: num = {self.num} is below 0.")

    def choose(
        self,
        xp: Ops,
        key: Key,
        gt: Any,
        *,
        image: Any,
        overlap: Any = None,
        valid: Any = None,
        losses: Any = None,
    ) -> tuple[Any, Any]:
        """See `Sampler.choose`."""
        check_choose(self, xp, gt)
        positive, negative = (gt > 0, gt == 0) if valid is None else ((gt > 0) & valid, (gt == 0) & valid)
        of = Candidates(key, image, gt, overlap, losses)
        chosen = self.positives(xp, of, positive, int(self.num * self.pos_fraction))
        return chosen, self.negatives(xp, of, negative, self.num, self._left(xp, chosen))

    def positives(self, xp: Ops, of: Candidates, candidates: Any, most: int) -> Any:
        """(P,) bool: at most so many of the positive candidates (P,)."""
        return first_of(xp, self.draw(xp, of.key, of.image, candidates, "pos"), candidates, most)

    def negatives(self, xp: Ops, of: Candidates, candidates: Any, most: int, limit: Any) -> Any:
        """(P,) bool: at most so many of the negative candidates (P,), and at most ``limit``, 0-d."""
        return first_of(xp, self.draw(xp, of.key, of.image, candidates, "neg"), candidates, most, limit)

    def draw(self, xp: Ops, key: Key, image: Any, candidates: Any, kind: str) -> Any:
        """(P,) priorities: of the candidates (P,) those of least priority are chosen. The one place where chance enters.

        Args:
            key: of this call.
            image: the image's place in the whole batch, an int or a word.
            kind: "pos" or "neg".
        """
        stream = fold(xp, fold(xp, key, _word(xp, image)), xp.word(_KINDS.index(kind)))
        return xp.unit(bits(xp, stream, 0, candidates.shape))

    def _left(self, xp: Ops, chosen: Any) -> Any:
        """How many negatives there may be, 0-d: by a table, so that what counts is Python's arithmetic."""
        bound = self.neg_pos_ub
        counts = range(self.num + 1)
        table = [self.num - n if bound < 0 else min(self.num - n, int(bound * max(1, n))) for n in counts]
        return xp.take(xp.asarray(table, "int64"), chosen.sum()[None])[0]


@dataclass(frozen=True)
class PseudoSampler:
    """Every positive and every negative; mmdet's PseudoSampler. It takes any argument, and none says anything."""

    add_gt_as_proposals = False

    def __init__(self, **_: Any) -> None:
        pass

    def choose(
        self,
        xp: Ops,
        key: Key,
        gt: Any,
        *,
        image: Any,
        overlap: Any = None,
        valid: Any = None,
        losses: Any = None,
    ) -> tuple[Any, Any]:
        """See `Sampler.choose`; nothing is drawn.

        Example:
            >>> import numpy as np
            >>> from fkit.array.ops import Numpy
            >>> PseudoSampler().choose(Numpy(), (1, 2), np.array([-1, 0, 1]), image=0)[0].tolist()
            [False, False, True]
        """
        check_choose(self, xp, gt)
        return (gt > 0, gt == 0) if valid is None else ((gt > 0) & valid, (gt == 0) & valid)


def first_of(xp: Ops, priority: Any, candidates: Any, most: int, limit: Any = None) -> Any:
    """Of the candidates those of least priority; of equal ones the first.

    Args:
        priority: (P,).
        candidates: (P,) bool.
        most: how many at most.
        limit: 0-d, how many at most too, where only the arrays tell.

    Returns:
        (P,) bool.
    """
    total = candidates.shape[0]
    count = min(most, total)
    if not count:
        return candidates & False
    ranked, index = xp.topk(xp.lib.where(candidates, -priority, -float("inf")), count)
    taken = ranked > -float("inf")
    if limit is not None:
        taken = taken & (xp.arange(count) < limit)
    return xp.put(candidates & False, xp.lib.where(taken, index, total), xp.full((count,), True, "bool"))


def check_choose(sampler: Any, xp: Any, gt: Any) -> None:
    """Refuse what a sampler cannot take.

    Raises:
        FkitTypeError: ``gt`` is no array (P,), ``xp`` no library's operations.
    """
    if len(getattr(gt, "shape", ())) != 1 or not hasattr(xp, "lib"):
        raise FkitTypeError(
            f"{type(sampler).__name__}.choose: gt is an array (P,) of the library `xp`, not {quoted(gt, 60)}."
        )


def _word(xp: Ops, image: Any) -> Any:
    return xp.word(image) if isinstance(image, int) else image

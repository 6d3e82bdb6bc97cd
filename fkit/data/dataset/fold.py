"""MMPretrain's KFoldDataset: cross-validation by one data set."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fkit.data.dataset.wrapper import One, Selecting, parts_of
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["KFoldDataset"]


@dataclass(frozen=True)
class KFoldDataset(Selecting):
    """A dataset without one of its ``num_splits`` parts of equal size, or that part alone.

    Args:
        dataset: any.
        fold: which part, from 0.
        num_splits: how many parts.
        test_mode: the part alone.
        seed: the samples are put into another order first, always the same for a seed; None leaves them.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> len(KFoldDataset(Digits("test"), 1, 4)), len(KFoldDataset(Digits("test"), 1, 4, test_mode=True))
        (270, 90)
    """

    dataset: One
    fold: int = 0
    num_splits: int = 5
    test_mode: bool = False  # pyright: ignore[reportIncompatibleMethodOverride]  of which part it is
    seed: int | None = None
    places: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        (dataset,) = parts_of([self.dataset], "KFoldDataset")
        expect(self.test_mode, bool, "KFoldDataset: test_mode is True or False")
        for word in ("fold", "num_splits"):
            expect_number(getattr(self, word), f"KFoldDataset: {word}", whole=True)
        if not 0 <= self.fold < self.num_splits:
            raise FkitValueError(f"KFoldDataset: fold = {self.fold} of num_splits = {self.num_splits}.", path="fold")
        count = len(dataset)
        order: list[Any] = list(range(count))
        if self.seed is not None:
            expect_number(self.seed, "KFoldDataset: seed", whole=True)
            np.random.default_rng(self.seed).shuffle(order)
        start, end = (count * place // self.num_splits for place in (self.fold, self.fold + 1))
        kept = order[start:end] if self.test_mode else order[:start] + order[end:]
        object.__setattr__(self, "places", tuple(kept))

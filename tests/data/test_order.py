"""Which samples a run takes, as digests: the same record, however often it is asked; and where two orders part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fkit.data.aspect import AspectRatioBatchSampler
from fkit.data.loader import Loader
from fkit.data.order import Orders, strayed
from fkit.data.sampler import DefaultSampler, InfiniteSampler
from fkit.tree.error import FkitError


class Pictures(list[float]):
    """Samples of two shapes."""

    flag = np.array([0, 1, 1] * 4)[:10]


@dataclass(frozen=True)
class Exchanging(DefaultSampler):
    """Takes the samples of two places in the other's turn, in the second epoch."""

    def indices(self, epoch: int, length: int, seed: int) -> Any:
        order = super().indices(epoch, length, seed)
        if epoch == 1:
            order = order.copy()
            order[[0, 4]] = order[[4, 0]]
        return order


def loader(**options: Any) -> Loader:
    return Loader(Pictures([0.0] * 10), **{"batch_size": 2, "seed": 3, **options})


@pytest.mark.parametrize("most", [1, 7, 100])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 3},
        {"sampler": InfiniteSampler()},
        {"sampler": InfiniteSampler(), "limit": 4},
        {"drop_last": True, "batch_size": 3},
    ],
)
def test_a_record_is_the_same_order_s(options: dict[str, Any], most: int):
    then: dict[str, Any] = {}
    orders, one = Orders(loader(**options)), loader(**options)
    for step in range(most, 200, most):
        then = orders.upto(step)
        assert then == orders.upto(step) and len(then["digests"]) <= 64  # a checkpoint that is written again
        assert strayed(then, step, one) == (0, 0)
    assert strayed(then, step, loader(**{**options, "seed": 4})) == (
        (1, then["since"]) if then["since"] else (1, 1 + (most > 64))
    )


def test_steps_that_part_are_named():
    orders = Orders(loader())
    marks = {step: orders.upto(step) for step in (4, 9, 300)}
    other = loader(sampler=Exchanging())
    assert [strayed(then, step, other) for step, then in marks.items()] == [(0, 0), (6, 6), (1, 9)]
    later = Orders(loader(), 5)
    assert strayed(later.upto(20), 20, other) == (6, 6) and strayed(Orders(loader(), 8).upto(20), 20, other) == (0, 0)
    wide = Orders(loader()).upto(640)
    assert wide["every"] == 10 and strayed(wide, 640, other) == (1, 10)


def test_batches_that_are_cut_otherwise_are_others():
    plain, cut = loader(), loader(batch_sampler=AspectRatioBatchSampler(batch_size=2))
    then = Orders(cut).upto(20)
    assert strayed(then, 20, cut) == (0, 0)
    first, last = strayed(then, 20, plain) or (0, 0)
    assert first == last > 0


@pytest.mark.parametrize(
    "then", [None, 3, {}, {"from": 0, "since": "x"}, {"from": 0, "since": 0, "every": 1, "digests": []}]
)
def test_what_is_no_record_says_nothing(then: Any):
    assert strayed(then, 9, loader()) is None


def test_what_is_no_loader_is_refused():
    with pytest.raises(FkitError, match="`source` is a loader"):
        Orders(3)  # pyright: ignore[reportArgumentType]

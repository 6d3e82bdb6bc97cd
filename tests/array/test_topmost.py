"""Which of equal numbers are among the greatest: torch's choice, on every library."""

import numpy as np
import pytest
import torch

from tests.array.test_pick import plain, xp

__all__ = ["xp"]

# (n, count): a heap from 64 times the count on, else partitions
SIZES = ((5, 5), (12, 9), (273, 9), (700, 9), (130, 2))


def chosen(rows, count):
    """torch's own, on a CPU, which is `std::partial_sort` or `std::nth_element`."""
    return [set(row) for row in torch.topk(torch.tensor(rows), count)[1].tolist()]


@pytest.mark.parametrize("values", [2, 30])
@pytest.mark.parametrize(("size", "count"), SIZES)
def test_of_equal_ones_those_that_torch_takes(xp, size, count, values):
    rows = np.random.default_rng(size).integers(0, values, (4, size)).astype(np.float32)
    index = plain(xp, xp.topmost(xp.asarray(rows, "float32"), count))
    assert index.shape == (4, count)
    assert [set(row) for row in index.tolist()] == chosen(rows, count)


@pytest.mark.parametrize("share", [0.02, 0.5])
@pytest.mark.parametrize(("size", "count"), [(77, 9), (700, 9)])
def test_what_is_not_valid_is_as_if_it_were_not_there(xp, size, count, share):
    rng = np.random.default_rng(size)
    rows, valid = rng.integers(0, 20, (4, size)).astype(np.float32), rng.random(size) < share
    there = np.nonzero(valid)[0]
    expected = [{int(there[at]) for at in row} for row in chosen(rows[:, there], min(count, len(there)))]
    index = plain(xp, xp.topmost(xp.asarray(rows, "float32"), count, xp.asarray(valid, "bool")))
    assert index.shape == (4, count)
    assert [{at for at in row if valid[at]} for row in index.tolist()] == expected


def test_rows_there_are_none_of(xp):
    assert plain(xp, xp.topmost(xp.asarray(np.zeros((0, 7)), "float32"), 3)).shape == (0, 3)

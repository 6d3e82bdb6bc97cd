"""Samplers: the order is a function of (seed, epoch)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkit.data.sampler import DefaultSampler, InfiniteSampler

SAMPLERS = (DefaultSampler(), DefaultSampler(shuffle=False), InfiniteSampler(), InfiniteSampler(shuffle=False))
SEEDS = st.integers(0, 2**63)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
@settings(deadline=None)
@given(epoch=st.integers(0, 1000), length=st.integers(1, 300), seed=SEEDS)
def test_an_epoch_has_every_sample_once(sampler: Any, epoch: int, length: int, seed: int):
    found = sampler.indices(epoch, length, seed)
    assert str(found.dtype) == "int64" and len(found) == sampler.count(length) == length
    assert sorted(found.tolist()) == list(range(length))
    assert found.tolist() == sampler.indices(epoch, length, seed).tolist()


def test_seed_and_epoch_decide_the_order():
    orders = {tuple(DefaultSampler().indices(epoch, 50, seed).tolist()) for epoch in range(3) for seed in range(3)}
    assert len(orders) == 9


def test_a_seed_of_its_own_goes_before_the_runs():
    own = DefaultSampler(seed=5)
    assert (
        own.indices(2, 50, 0).tolist() == own.indices(2, 50, 1).tolist() == DefaultSampler().indices(2, 50, 5).tolist()
    )


def test_unshuffled_is_by_number():
    assert DefaultSampler(shuffle=False).indices(7, 4, 1).tolist() == [0, 1, 2, 3]

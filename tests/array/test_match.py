"""The matching of least cost, against scipy's."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fkit.array.match import partners
from fkit.array.ops import Numpy


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_the_total_is_the_least(seed, whole):
    rng = np.random.default_rng(seed)
    cost = rng.random(tuple(rng.integers(1, 9, 2)))
    cost = np.floor(cost * 4) if whole else cost
    rows = rng.random(len(cost)) < 0.8
    row = partners(Numpy(), cost, rows)
    one, other = linear_sum_assignment(cost[rows])
    columns = np.nonzero(row >= 0)[0]
    assert len(columns) == len(one) == len(set(row[columns].tolist())) and rows[row[columns]].all()
    assert np.isclose(cost[row[columns], columns].sum(), cost[rows][one, other].sum())
    if not whole:
        assert row[other].tolist() == np.nonzero(rows)[0][one].tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("shape", [(4, 7), (7, 4)])
def test_what_is_no_cost_is_matched_last(shape, value):
    cost = np.random.default_rng(2).random(shape)
    whole = np.full(shape, value)
    assert len(set(partners(Numpy(), whole, np.full(shape[0], True)).tolist()) - {-1}) == 4
    cost[1] = value
    row = partners(Numpy(), cost, np.full(shape[0], True))
    right, other = linear_sum_assignment(np.delete(cost, 1, 0))
    left = [number for number in range(shape[0]) if number != 1]
    if shape[0] < shape[1]:
        assert sorted(row[row >= 0].tolist()) == [0, 1, 2, 3]
    else:
        assert row[other].tolist() == [left[number] for number in right]
    jax = pytest.importorskip("jax")
    from fkit.backend.jax.ops import JaxOps

    for one in (whole, cost):
        compiled = jax.jit(lambda cost: partners(JaxOps(), cost, np.full(shape[0], True)))(
            np.clip(one, -3e38, 3e38).astype(np.float32)
        )
        assert np.asarray(compiled).tolist() == partners(Numpy(), one, np.full(shape[0], True)).tolist()


@pytest.mark.parametrize("shape", [(4, 7), (7, 4)])
def test_inside_of_a_compiled_step_it_is_the_same(shape):
    jax = pytest.importorskip("jax")
    from fkit.backend.jax.ops import JaxOps

    rng = np.random.default_rng(1)
    compiled = jax.jit(lambda cost, rows: partners(JaxOps(), cost, rows))
    for _ in range(8):
        cost, rows = rng.random(shape, dtype=np.float32), rng.random(shape[0]) < 0.6
        assert np.asarray(compiled(cost, rows)).tolist() == partners(Numpy(), cost.astype(np.float64), rows).tolist()

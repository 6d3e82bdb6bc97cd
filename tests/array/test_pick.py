"""Picking rows: one table over every library."""

import numpy as np
import pytest

from fkit.array.ops import Numpy

LIBRARIES = ("numpy", "torch", "jax")


@pytest.fixture(params=LIBRARIES)
def xp(request):
    if request.param == "numpy":
        return Numpy()
    if request.param == "torch":
        from fkit.backend.torch.ops import Torch

        return Torch()
    from fkit.backend.jax.ops import JaxOps

    return JaxOps()


def plain(xp, array):
    return np.asarray(array if xp.name != "torch" else array.detach().numpy())


def of(xp, values, kind="float32"):
    return xp.asarray(np.array(values), kind)


@pytest.mark.parametrize("count", [0, 1, 4, 6])
def test_the_greatest_come_first_and_equal_ones_in_order(xp, count):
    values, index = xp.topk(of(xp, [1, 3, 0, 3, 2, 3]), count)
    assert plain(xp, index).tolist() == [1, 3, 5, 4, 0, 2][:count]
    assert plain(xp, values).tolist() == [3, 3, 3, 2, 1, 0][:count]


@pytest.mark.parametrize("descending", [False, True])
def test_an_order_is_stable(xp, descending):
    found = plain(xp, xp.order(of(xp, [[2, 1, 2, 0], [0, 0, 0, 0]]), descending))
    assert found.tolist() == [[0, 2, 1, 3] if descending else [3, 1, 0, 2], [0, 1, 2, 3]]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_mask_is_packed(xp, size):
    index, valid = xp.packed(of(xp, [0, 1, 1, 0], "bool"), size)
    assert plain(xp, index).tolist() == [1, 2, 0, 0, 0][:size]
    assert plain(xp, valid).tolist() == [True, True, False, False, False][:size]


def test_rows_are_put_and_one_past_the_end_is_none(xp):
    a = of(xp, [[0, 0], [1, 1], [2, 2]])
    found = plain(xp, xp.put(a, of(xp, [2, 3, 0], "int64"), of(xp, [[5, 6], [7, 7], [8, 9]])))
    assert found.tolist() == [[8, 9], [1, 1], [5, 6]]
    assert plain(xp, a).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_segments(xp):
    values, index = of(xp, [1, 2, 4, -9]), of(xp, [1, 0, 1, 2], "int64")
    assert plain(xp, xp.segment_sum(values, index, 4)).tolist() == [2, 5, -9, 0]
    assert plain(xp, xp.segment_max(values, index, 4, -1)).tolist() == [2, 4, -1, -1]


def test_rows_of_any_shape_are_taken(xp):
    a = of(xp, [[0, 1], [2, 3], [4, 5]])
    assert plain(xp, xp.take(a, of(xp, [[2, 0], [1, 1]], "int64"))).tolist() == [[[4, 5], [0, 1]], [[2, 3], [2, 3]]]
    assert plain(xp, xp.take_along(a, of(xp, [[1], [0], [1]], "int64"), 1)).tolist() == [[1], [2], [5]]


def test_numpy_computes_where_the_numbers_are_at_hand(xp):
    found = xp.hosted(lambda a, b: (a + b, a > 1), of(xp, [1, 2]), of(xp, [3, 4]))
    if xp.name == "jax":
        assert found is None
    else:
        assert [plain(xp, part).tolist() for part in found] == [[4, 6], [False, True]]


def test_each_maps_over_rows_of_trees(xp):
    def one(pair, nothing, more):
        a, b = pair
        return {"sum": a + b, "parts": (a * 2, more["c"])}, nothing

    found, nothing = xp.each(one, (of(xp, [1, 2]), of(xp, [3, 4])), None, {"c": of(xp, [[1, 1], [2, 2]])})
    assert nothing is None
    assert plain(xp, found["sum"]).tolist() == [4, 6]
    assert plain(xp, found["parts"][0]).tolist() == [2, 4]
    assert plain(xp, found["parts"][1]).tolist() == [[1, 1], [2, 2]]


def test_a_loop_goes_on_while_its_condition_holds(xp):
    last = xp.loop(lambda state: state[0] < 100, lambda state: (state[0] * 2, state[1] + 1), (of(xp, 3), of(xp, 0)))
    assert (float(last[0]), float(last[1])) == (192.0, 6.0)


@pytest.mark.parametrize("value", [-800.0, -1.0, 0.0, 3.0, 800.0])
def test_softplus_and_log_softmax_do_not_overflow(xp, value):
    a = of(xp, [value, 0.0], "float32")
    assert plain(xp, xp.softplus(a)) == pytest.approx(np.logaddexp([value, 0.0], 0.0), rel=1e-6)
    want = np.array([value, 0.0]) - np.logaddexp(value, 0.0)
    assert plain(xp, xp.log_softmax(a, 0)) == pytest.approx(want, rel=1e-6, abs=1e-6)


def test_what_is_known_of_a_condition(xp):
    assert xp.known((of(xp, [1, 2]) > 0).all()) is True
    assert xp.known((of(xp, [1, 2]) > 1).all()) is False


def test_nothing_is_known_under_a_trace():
    import jax
    import jax.numpy as jnp

    from fkit.backend.jax.ops import JaxOps

    told = []
    jax.jit(lambda a: (told.append(JaxOps().known((a > 0).all())), a)[1])(jnp.ones(2))
    assert told == [None]


@pytest.mark.parametrize("a", [-800.0, -30.0, 0.0, 19.0, 39.0, 41.0, 800.0])
def test_softplus_is_exact(xp, a):
    with xp.width([np.zeros(1)]):
        assert float(xp.softplus(of(xp, a, "float64"))) == pytest.approx(np.logaddexp(a, 0), rel=1e-14)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shape", [(9000,), (3, 9000)])
def test_the_greatest_of_many_come_in_the_order_of_a_stable_sort(xp, shape, ties):
    numbers = np.random.default_rng(0).random(shape, dtype=np.float32)
    numbers = np.where(numbers < 0.99, -np.inf, np.floor(numbers * 20_000)).astype(np.float32) if ties else numbers
    values, index = xp.topk(xp.asarray(numbers, "float32"), 400)
    expected = np.argsort(-numbers, -1, kind="stable")[..., :400]
    assert np.array_equal(plain(xp, index), expected)
    assert np.array_equal(plain(xp, values), np.take_along_axis(numbers, expected, -1))


def test_partners_are_those_of_least_cost(xp):
    cost = of(xp, [[4, 1, 3, 9], [2, 0, 5, 9], [0, 0, 0, 0]])
    assert plain(xp, xp.partners(cost, of(xp, [1, 1, 0], "bool"))).tolist() == [1, 0, -1, -1]
    narrow = of(xp, [[4, 1], [2, 0], [0, 0], [9, 9]])
    assert plain(xp, xp.partners(narrow, of(xp, [1, 1, 0, 1], "bool"))).tolist() == [1, 0]
    assert plain(xp, xp.partners(narrow, of(xp, [0, 1, 0, 0], "bool"))).tolist() == [-1, 1]
    assert plain(xp, xp.partners(of(xp, np.zeros((0, 3))), of(xp, [], "bool"))).tolist() == [-1, -1, -1]


def test_the_best_of_each_column_is_the_first_of_equal_ones(xp):
    values, row = xp.best(of(xp, [[1, 5, 0], [2, 5, 0], [2, 4, -1]]))
    assert (plain(xp, values).tolist(), plain(xp, row).tolist()) == ([2, 5, 0], [1, 0, 0])


def test_where_shapes_are_fixed_all_rows_are_worth_computing(xp):
    assert len(plain(xp, xp.real(of(xp, [1, 0, 1], "bool")))) == (3 if xp.fixed else 2)

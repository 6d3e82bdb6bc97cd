"""Keys and their streams: one number is one seed, whatever library it comes from."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.array.ops import Host, Numpy
from fkit.array.random import (
    bits,
    call_key,
    fold,
    generator,
    keep,
    keep_elements,
    keep_samples,
    key,
    permutation,
    scramble,
    seed_of,
    tag,
    uniform,
)
from fkit.tree.error import FkitTypeError, FkitValueError

KINDS = (np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64, np.array)


@given(st.integers(0, 127), st.sampled_from(KINDS), st.integers(0, 127), st.sampled_from(KINDS))
def test_an_integer_of_numpy_is_the_integer(seed: int, kind: Any, index: int, other: Any) -> None:
    assert key(kind(seed), "data", other(index)) == key(seed, "data", index)


def test_keys_are_what_they_were() -> None:
    """Recorded: a change here would change every run."""
    assert key(0, "init", "conv1.weight") == (3986014868, 3783354984)
    assert key(-1, "data", 3, 2**70) == (2197270529, 616023458)


@pytest.mark.parametrize("wrong", [None, True, np.True_, 1.0, np.float64(1), "1", [], np.zeros(2, int)])
def test_what_is_no_whole_number_is_no_seed(wrong: Any) -> None:
    with pytest.raises(FkitTypeError, match=r"^seed = .* is not a whole number"):
        key(wrong)
    with pytest.raises(FkitTypeError, match=r"^seed = .* is not a whole number"):
        seed_of(wrong)
    if not isinstance(wrong, str):
        with pytest.raises(FkitTypeError, match=r"^a word of a key = .* is not a whole number"):
            key(0, wrong)


def test_a_seed_is_no_longer_than_python_writes() -> None:
    for call in (lambda: key(10**5000), lambda: key(0, -(10**5000))):
        with pytest.raises(FkitValueError, match=r"is a whole number of more than 10000 bits"):
            call()


def test_words_of_a_key_may_be_of_numpy() -> None:
    of = key(7, "x")
    same = tuple(np.array(of, np.uint32))
    assert generator(same).integers(2**60) == generator(of).integers(2**60)  # type: ignore[arg-type]
    assert (permutation(same, 9) == permutation(of, 9)).all()  # type: ignore[arg-type]


def test_wrong_arguments_are_told() -> None:
    of = key(0)
    for call in (
        lambda xp: bits(xp, of, 0),
        lambda xp: uniform(xp, of, 0),
        lambda xp: fold(xp, of, 0),
        lambda xp: keep(xp, 0, of, 0.5),
        lambda xp: keep_elements(xp, of, 0.5, (2,)),
        lambda xp: keep_samples(xp, of, 0.5, 2),
        lambda xp: call_key(xp, of, 0),
    ):
        for wrong in (None, 3, "x", []):
            with pytest.raises(FkitTypeError, match="`xp` is the operations of an array library"):
                call(wrong)
    for call in (lambda of: scramble(Numpy(), of, 0), lambda of: fold(Numpy(), of, 0), generator):
        for wrong in (None, 3, "x", [], (1, 2, 3)):
            with pytest.raises(FkitTypeError, match="A key is two words"):
                call(wrong)
    with pytest.raises(FkitTypeError, match="`shape` is a tuple"):
        bits(Numpy(), of, 0, 3)  # type: ignore[arg-type]
    with pytest.raises(FkitTypeError, match="Python ints have no shape"):
        bits(Host(), of, 0, (2,))
    with pytest.raises(FkitValueError, match="count = -1 is below 0"):
        permutation(of, -1)
    with pytest.raises(FkitTypeError, match="`name` is a string, not the int 3"):
        tag(3)  # type: ignore[arg-type]


@given(st.integers(1, 6), st.integers(0, 5), st.lists(st.integers(1, 4), max_size=3))
def test_a_part_of_a_batch_draws_what_the_whole_draws_there(count: int, first: int, tail: list[int]) -> None:
    of = call_key(Host(), key(3, "drop"), 1)
    whole = keep_elements(Numpy(), of, 0.5, (first + count, *tail))
    part = keep_elements(Numpy(), of, 0.5, (count, *tail), first)
    traced = keep_elements(Numpy(), of, 0.5, (count, *tail), Numpy().word(first))
    assert (whole[first:] == part).all() and (part == traced).all()
    assert (keep_samples(Numpy(), of, 0.5, first + count)[first:] == keep_samples(Numpy(), of, 0.5, count, first)).all()


def test_each_call_of_a_layer_draws_for_itself() -> None:
    of = key(0, "drop")
    masks = [keep_elements(Numpy(), call_key(Host(), of, call), 0.5, (40, 50)) for call in range(4)]
    for i, one in enumerate(masks):
        assert abs(one.mean() - 0.5) < 0.05
        assert all(abs((one == other).mean() - 0.5) < 0.05 for other in masks[:i])


def test_the_masks_of_layers_are_what_they_were() -> None:
    """Recorded: a change here would change every run with dropout, on either backend."""
    of = call_key(Host(), fold(Host(), key(5, "train"), tag("backbone.drop")), 2)
    assert of == (3454295676, 2738488434)
    words = np.packbits(keep_elements(Numpy(), of, 0.25, (3, 8), first=7)).tolist()
    assert words == [109, 223, 243]
    assert np.packbits(keep_samples(Numpy(), of, 0.25, 8, first=7)).tolist() == [251]


def test_a_generator_is_philox_of_the_key_and_so_are_its_children():
    """The same bits as ``Philox(key=...)``; ``spawn`` drew from the system's entropy, so children differed in each run."""
    of = key(3, "data", 1, 2)
    rng, want = generator(of), np.random.Generator(np.random.Philox(key=of[0] | of[1] << 32))
    assert rng.integers(2**63, size=9).tolist() == want.integers(2**63, size=9).tolist()
    assert rng.permutation(50).tolist() == want.permutation(50).tolist()
    children = [child.random() for child in [*generator(of).spawn(2), *generator(of).spawn(1)]]
    assert children[0] == children[2] != children[1] and rng.random() not in children
    first, second = rng.spawn(1) + rng.spawn(1)
    assert first.random() == children[0] and second.random() == children[1]
    assert pickle.loads(pickle.dumps(rng)).random() == rng.random()
    with pytest.raises(FkitValueError, match="two words from 0"):
        generator((0, 2**40))

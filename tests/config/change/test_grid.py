"""Grids of changes: how their words are read, and the points they span."""

import pytest

from fkit.config.change.grid import grid, is_axis, named_in, read_axis
from fkit.tree.error import FkitError

TREE = {
    "model": {"depth": 18, "head": {"lr": 1.0}},
    "optim_wrapper": {"optimizer": {"lr": 0.1, "betas": (0.9, 0.999)}},
    "stages": [{"width": 8}],
}


def test_values_are_read_as_cfg_options_reads_them():
    points = grid([read_axis("a=1,2.5,x"), read_axis("b:='7',[1,2]"), read_axis("scale=(320,320),(640,640)")])
    assert len(points) == 3 * 2 * 2
    assert points[0].changes == {"a": 1, "b": "7", "scale": (320, 320)}
    assert points[-1].changes == {"a": "x", "b": [1, 2], "scale": (640, 640)}
    assert points[0].words == ("a=1", "b:='7'", "scale=(320,320)")
    assert len({point.name for point in points}) == len(points) and "/" not in points[0].name


def test_a_range_is_of_whole_numbers_and_holds_both_ends():
    assert read_axis("seed=-1..2").texts == ("-1", "0", "1", "2")
    assert [point.name for point in grid([read_axis("seed=3..3")])] == ["seed=3"]


def test_a_key_may_be_the_end_of_one_path():
    assert named_in(TREE, read_axis("optimizer.lr=1,2")).words == (
        "optim_wrapper.optimizer.lr=1",
        "optim_wrapper.optimizer.lr=2",
    )
    assert named_in(TREE, read_axis("depth:=18,50")).words == ("model.depth:=18", "model.depth:=50")
    assert named_in(TREE, read_axis("stages.0.width=8,16")).key == "stages.0.width"
    assert named_in(TREE, read_axis("seed=0..1"), ("seed",)).key == "seed"


def test_short_names_tell_axes_apart():
    (point, *_) = grid([read_axis("model.head.lr=1,2"), read_axis("optim_wrapper.optimizer.lr=3")])
    assert point.name == "head.lr=1,optimizer.lr=3"
    assert is_axis("model.depth=18,50") and not is_axis("digits/mlp")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=7..0"], "a range goes up"),
        (["seed=0..99999999999"], "a range goes up"),
        (["lr="], "names no value"),
        (["lr=1,,2"], "names no value"),
        (["lr=1,1.5,1"], "is there twice"),
        (["lr=(1,2"], "do not match"),
        (["a=1", "a=2"], "the key 'a' is there twice"),
        (["a=0..999", "b=0..99"], "100,000 configs"),
        (["a=x/y,x_y"], "would share a folder"),
        ([], "at least one axis"),
    ],
)
def test_what_is_no_grid_is_refused(words, said):
    with pytest.raises(FkitError, match=said.replace("(", r"\(")):
        grid([read_axis(word) for word in words])


@pytest.mark.parametrize(
    ("word", "said"),
    [("lr=1", "may be 2 keys"), ("optimizer.rl=1", "Did you mean"), ("zzz=1", "the config has no key 'zzz'")],
)
def test_a_key_that_is_not_there_or_is_two_is_refused(word, said):
    with pytest.raises(FkitError, match=said):
        named_in(TREE, read_axis(word))

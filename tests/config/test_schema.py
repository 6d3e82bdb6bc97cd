"""Descriptions of tables: what fits, what an error says, what is filled in."""

import pytest

import fkit
from fkit.config.schema import (
    FLAG,
    NOTHING,
    PART,
    TEXT,
    Key,
    check,
    choice,
    either,
    filled,
    listed,
    mapped,
    number,
    placed,
    rows,
    shape_at,
    table,
    whole,
)  # fmt: skip
from fkit.tree.error import FkitTypeError, FkitValueError

FITS = [
    (whole(1), [1, 10**400], [0, True, 1.0, "1", None, []]),
    (number(0, below=1), [0, 0.5], [1, -0.1, float("nan"), float("inf"), True, "0", None, []]),
    (number(0, infinite=True), [0, float("inf")], [-1.0, float("nan"), "x"]),
    (number(), [-3, 2.5], [float("nan"), float("-inf")]),
    (FLAG, [True, False], [0, 1, "True", None]),
    (TEXT, ["a"], ["", 3, None, ["a"]]),
    (choice("a", "b"), ["a"], ["", "c", 3]),
    (PART, [{"type": "A"}, {}], ["A", 3, [], [{}]]),
    (listed(whole(), "whole numbers"), [[], (1, 2)], [3, "ab", [1, "a"], {}]),
    (listed(whole(), "whole numbers", filled=True), [[1]], [[]]),
    (placed("a pair", choice("a"), whole(1)), [("a", 1), ["a", 2]], [("a",), ("a", 0), ("b", 1), ("a", 1, 1), "a1", 3]),
    (mapped(either(PART, NOTHING), "hooks"), [{}, {"a": {"type": "A"}, "b": None}], [{"a": 3}, [], "a"]),
    (either(FLAG, TEXT), [True, "a"], ["", 3, None, []]),
    (table(Key("a", whole(1)), Key("b", FLAG, required=True)), [{"b": True, "a": None}], [{"a": 1}, {"b": 1}, {"c": 1, "b": True}]),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "good", "bad"), FITS, ids=[shape.words for shape, _, _ in FITS])
def test_what_fits(shape, good, bad):
    for value in good:
        check(value, shape, ("x",))
    for value in bad:
        with pytest.raises(fkit.FkitError, match=r"^\"?x"):
            check(value, shape, ("x",))


LOOP = Key("train_cfg", table(Key("max_epochs", whole(1)), Key("val_interval", whole(1), 1)))
HOOKS = Key("hooks", listed(PART, "a list of mappings"))


@pytest.mark.parametrize(
    ("tree", "kind", "text"),
    [
        ("train_cfg = dict(\n  max_epochs='5')", FkitTypeError,
         r":2: train_cfg.max_epochs = '5' is text, not a whole number of at least 1.\n  Write it without quotes"),
        ("train_cfg = dict(\n  max_epochs=0)", FkitValueError, ":2: train_cfg.max_epochs = 0 is not a whole number of at l"),
        ("train_cfg = dict(\n  max_epoch=0)", FkitTypeError,
         ":2: train_cfg.max_epoch is unknown.\n  Did you mean 'max_epochs'"),
        ("hooks = [\n  dict(type='A'), 'B']", FkitTypeError, r":1: hooks\[1\] = 'B' is not a mapping with 'type'"),
        ("train_cfg = 3", FkitTypeError, ":1: train_cfg = 3 is not a mapping"),
    ],
)  # fmt: skip
def test_an_error_names_place_value_and_shape(tree, kind, text, tmp_path):
    (tmp_path / "a.py").write_text(tree)
    cfg = fkit.load_config(tmp_path / "a.py")
    with pytest.raises(kind, match="a.py" + text):
        check(cfg, table(LOOP, HOOKS), (), cfg)


def test_defaults_are_filled_in_and_marks_are_kept(tmp_path):
    (tmp_path / "a.py").write_text("\ntrain_cfg = dict(max_epochs=3)")
    cfg = filled(fkit.load_config(tmp_path / "a.py"), (LOOP, Key("dtype", TEXT, "float32"), HOOKS))
    assert cfg == fkit.Config({"train_cfg": {"max_epochs": 3, "val_interval": 1}, "dtype": "float32"})
    assert cfg.origin("train_cfg.max_epochs").endswith("a.py:2") and cfg.origin("dtype") is None
    assert filled(cfg, (LOOP,)) is cfg


def test_paths_lead_to_shapes():
    keys = (LOOP, HOOKS)
    assert [path for path, _ in rows(keys)] == ["train_cfg", "train_cfg.max_epochs", "train_cfg.val_interval", "hooks"]
    assert shape_at(keys, ("train_cfg", "max_epochs")) == whole(1) and shape_at(keys, ("train_cfg", "a")) is None
    assert shape_at(keys, ("hooks", 0)) == PART and shape_at(keys, ("hooks", 0, "a", "b")) is None

"""Merging and composing: laws, and what the two of OpenMMLab's modes do."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkit.config.change.delta import Delta, compose, delete, inheritance, merge, overrides, replace
from fkit.config.config import Config
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError
from fkit.tree.tree import thaw

KEYS = st.sampled_from(["a", "b", "0", "1"])
LEAVES = st.none() | st.integers(0, 3) | st.text("xy", max_size=1)
TREES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3), max_leaves=10
)
TABLES = st.dictionaries(KEYS, TREES, max_size=3)
CHANGES = st.recursive(
    TREES | st.just(delete()) | TREES.map(replace),
    lambda below: st.dictionaries(st.sampled_from(["a", "b", "0", "1", "_delete_"]), below, max_size=3),
    max_leaves=8,
)
DELTAS = st.dictionaries(KEYS | st.sampled_from(["a.b", "b.0", "a.0.b"]), CHANGES, max_size=3)


def parsed(options: dict[str, Any], dotted: bool) -> Delta | None:
    try:
        return overrides(options) if dotted else inheritance(options)
    except FkitError:
        return None


@settings(max_examples=500)
@given(TABLES, DELTAS, DELTAS, st.booleans(), st.booleans())
def test_composing_is_merging_in_turn(table: Any, a: Any, b: Any, dotted_a: bool, dotted_b: bool) -> None:
    tree, first, second = Config(table), parsed(a, dotted_a), parsed(b, dotted_b)
    if first is None or second is None:
        return
    try:
        in_turn = merge(merge(tree, first), second)
    except FkitError:
        return
    assert merge(tree, compose(first, second)) == in_turn


@settings(max_examples=300)
@given(TABLES, DELTAS, DELTAS, DELTAS)
def test_composing_is_associative_where_it_applies(table: Any, a: Any, b: Any, c: Any) -> None:
    first, second, third = parsed(a, True), parsed(b, False), parsed(c, True)
    if first is None or second is None or third is None:
        return
    try:
        in_turn = merge(merge(merge(Config(table), first), second), third)
    except FkitError:
        return
    assert merge(Config(table), compose(compose(first, second), third)) == in_turn
    assert merge(Config(table), compose(first, compose(second, third))) == in_turn


@given(TABLES, DELTAS)
def test_merging_touches_neither_argument_and_is_the_same_each_time(table: Any, options: Any) -> None:
    cfg, before = Config(table), thaw(Config(table))
    kept = repr(options)
    outcomes: list[Any] = []
    for _ in range(2):
        try:
            outcomes.append(cfg.merge(options))
        except FkitError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert cfg == before and repr(options) == kept


@given(TABLES)
def test_an_empty_delta_changes_nothing(table: Any) -> None:
    cfg = Config(table)
    assert merge(cfg, Delta()) is cfg
    assert cfg.merge({}) == cfg


def test_naive_associativity_fails_and_compose_does_not() -> None:
    table, a, b = Config({"a": 0}), inheritance({"a": None}), inheritance({"a": {"x": 1, "_delete_": True}})
    assert merge(merge(table, a), b) == merge(table, compose(a, b)) == {"a": {"x": 1}}


def test_merging_one_leaf_copies_only_its_path() -> None:
    cfg = Config({"a": {"b": {"c": 1}, "d": {"e": 2}}, "f": {"g": [1, 2]}})
    new = cfg.merge({"a.b.c": 5})
    assert new.a.d is cfg.a.d and new.f is cfg.f
    assert new.a.b.c == 5 and cfg.a.b.c == 1


def test_explicit_edits() -> None:
    cfg = Config({"a": {"x": 1}, "b": 2})
    assert cfg.merge({"a": replace({"y": 1})}) == {"a": {"y": 1}, "b": 2}
    assert cfg.merge({"a.x": delete(), "c": delete()}) == {"a": {}, "b": 2}
    assert merge(cfg, inheritance({"a": {"x": delete(), "z": 3}})) == {"a": {"z": 3}, "b": 2}


def test_only_top_level_keys_are_split_at_dots() -> None:
    cfg = Config({"a": {"b": 1}})
    assert cfg.merge({"a": {"b.c": 2}}) == {"a": {"b": 1, "b.c": 2}}
    assert cfg.merge({"a['b.c']": 2}) == {"a": {"b": 1, "b.c": 2}}


def test_errors_name_the_path_and_the_repair() -> None:
    cfg = Config({"a": {"b": 5}, "l": [{"k": 1}]})
    with pytest.raises(FkitTypeError, match=r"a\.b is 5 \(int\), so a mapping with the keys 'c'.*\n  _delete_=True"):
        cfg.merge({"a.b.c": 1})
    with pytest.raises(FkitKeyError, match=r"l\.3: the list has 1 items"):
        cfg.merge({"l.3.k": 1})
    with pytest.raises(FkitTypeError, match=r"l\.0: an item of a list takes a mapping of changes, not 7"):
        cfg.merge({"l.0": 7})
    with pytest.raises(FkitTypeError, match="a is set to 1 and, in the same changes, a key below it"):
        cfg.merge({"a": 1, "a.b": 2})
    with pytest.raises(FkitTypeError, match="must be a string, got 5"):
        cfg.merge({5: 1})
    with pytest.raises(FkitTypeError, match="wants a mapping of changes or a Delta, got list"):
        cfg.merge([1])
    with pytest.raises(FkitTypeError, match="l is"):
        cfg.merge({"l.0.k": 2}, allow_list_keys=False)

"""Merging and composing: laws, and what the two of OpenMMLab's modes do."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fkit.config.change.delta import Delta, compose, delete, merge, replace
from fkit.config.change.option import inheritance, overrides
from fkit.config.change.override import apply_words
from fkit.config.config import Config, load_string
from fkit.config.show.explain import explain
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
DELTAS = st.dictionaries(KEYS | st.sampled_from(["a.b", "b.0", "a.0.b", "a[0]", "b[1].a"]), CHANGES, max_size=3)


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
    with pytest.raises(FkitKeyError, match=r"l\[3\]: the list has 1 items"):
        cfg.merge({"l.3.k": 1})
    with pytest.raises(FkitTypeError, match=r"l\[0\]: an item of a list takes a mapping of changes, not 7"):
        cfg.merge({"l.0": 7})
    with pytest.raises(
        FkitTypeError, match=r"n\[0\] is 1 \(int\), so .*\n  replace\(value\), of fkit\.config\.change\.delta,"
    ):
        Config({"n": [1]}).merge({"n.0.k": 1})
    with pytest.raises(FkitTypeError, match=r"t is \(1, 2\) \(tuple\), so .*\n  A tuple is set whole"):
        Config({"t": (1, 2)}).merge({"t.0": 3})
    with pytest.raises(FkitTypeError, match="a is set to 1 and, in the same changes, a key below it"):
        cfg.merge({"a": 1, "a.b": 2})
    with pytest.raises(FkitTypeError, match="must be a string, got 5"):
        cfg.merge({5: 1})
    with pytest.raises(FkitTypeError, match="wants a mapping of changes or a Delta, got list"):
        cfg.merge([1])
    with pytest.raises(FkitTypeError, match="l is"):
        cfg.merge({"l.0.k": 2}, allow_list_keys=False)


def test_edits_replace_items_of_lists_and_bring_their_own_place() -> None:
    cfg = Config({"l": [1, {"k": 2}]})
    assert cfg.merge({"l.0": replace({"a": 1}), "l[1].k": replace(5)}) == {"l": [{"a": 1}, {"k": 5}]}
    with pytest.raises(FkitTypeError, match=r"l\[0\]: an item of a list cannot be deleted"):
        cfg.merge({"l.0": delete()})
    with pytest.raises(FkitTypeError, match=r"l is set to \{'b': 1\} and, in the same changes"):
        cfg.merge({"l": replace({"b": 1}), "l.0.k": 1})


def test_a_delta_made_without_a_tree_gives_mappings_of_the_trees_class() -> None:
    merged = merge(Config({"a": {}}), overrides({"a.b": {"c": [{"d": 1}]}, "e": replace(({"f": 1},))}))
    assert type(merged.a.b) is type(merged.a.b.c[0]) is type(merged.e[0]) is Config
    merged = Config({}).merge({"new": {"x": replace({"y": [{"z": 1}]})}, "also.new": replace({"z": {}})})
    assert type(merged.new.x) is type(merged.new.x.y[0]) is type(merged.also.new) is type(merged.also.new.z) is Config
    merged = apply_words(Config({}), ["hooks.log:={'type': 'A', 'b': [{'c': 1}]}"])
    assert type(merged.hooks.log) is type(merged.hooks.log.b[0]) is Config


@pytest.mark.parametrize("wrong", [None, 3, "x", [1]])
def test_wrong_arguments_are_named(wrong: Any) -> None:
    calls = (
        lambda: merge(wrong, Delta()),
        lambda: merge(Config({}), wrong),
        lambda: inheritance(wrong),
        lambda: overrides(wrong),
        lambda: compose(wrong, Delta()),
        lambda: compose(Delta(), wrong),
        lambda: Config({}).merge(wrong),
    )
    for call in calls:
        with pytest.raises(FkitTypeError, match=type(wrong).__name__):
            call()


def test_origins_of_many_merges_are_right_small_and_can_be_pickled() -> None:
    cfg = load_string("a = dict(b=0)\nc = 1")
    for step in range(1, 501):
        cfg = cfg.merge({"a.b": step}, source=f"step {step}")
    again = pickle.loads(pickle.dumps(cfg))
    for one in (cfg, again):
        places = [setting.place for setting in one.origins("a.b")]
        assert places[:2] == ["step 500", "step 499"] and places[-1] == "<string>.py:1"
        assert [setting.value for setting in one.origins("a.b")][:2] == [500, 499]
        assert one.origin("a.b") == "step 500" and one.origin("c") == "<string>.py:2"
        assert len(places) < 100
        lines = explain(one, "a.b").splitlines()
        skipped = next(line for line in lines if "more" in line)
        assert len(lines) - 2 + int(skipped.split()[1]) == 501
    assert again == cfg and len(pickle.dumps(cfg)) < 20_000


def test_origins_of_whole_mappings_replaced_again_and_again() -> None:
    cfg = load_string("a = dict(b=0, c=[dict(d=1)])")
    for step in range(300):
        cfg = cfg.merge({"a": replace({"b": step}) if step % 2 else {"b": step}}, source=f"step {step}")
    cfg = pickle.loads(pickle.dumps(cfg))
    values = [setting.value for setting in cfg.origins("a.b")]
    assert values[:3] == [299, 298, 297] and values[-1] == 0


LEAF_PATHS = ("a.x", "a.y", "b.c.x", "l[0].k", "l.1.k", "top")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LEAF_PATHS), st.integers(0, 9), st.booleans()), max_size=90))
def test_origins_are_the_history_of_each_value(changes: list[tuple[str, int, bool]]) -> None:
    cfg = Config({"a": {"x": -1, "y": -1}, "b": {"c": {"x": -1}}, "l": [{"k": -1}, {"k": -1}], "top": -1})
    history: dict[str, list[tuple[str, int]]] = {path: [] for path in LEAF_PATHS}
    for step, (path, value, saved) in enumerate(changes):
        cfg = cfg.merge({path: value}, source=f"step {step}")
        if saved:
            cfg = pickle.loads(pickle.dumps(cfg))
        history[path].insert(0, (f"step {step}", value))
    for path, rows in history.items():
        assert cfg.origin(path) == (rows[0][0] if rows else None)
        chain = [(setting.place, setting.value) for setting in cfg.origins(path)]
        assert chain[:60] == rows[:60]


def test_keys_of_changes_become_what_a_config_holds() -> None:
    cfg = Config({"a": {1: 2}}).merge({"a": {np.int64(1): 5}, "b": {np.int64(3): 1}, "c": {np.str_("k"): replace(1)}})
    assert cfg == {"a": {1: 5}, "b": {3: 1}, "c": {"k": 1}}
    assert [type(key) for node in (cfg.a, cfg.b, cfg.c) for key in node] == [int, int, str]

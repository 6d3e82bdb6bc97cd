"""Pure functions over trees, and dotted paths."""

from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fkit.tree import path, tree
from fkit.tree.error import FkitAttributeError, FkitIndexError, FkitTypeError, FkitValueError
from fkit.tree.node import freeze

PARTS = st.text(max_size=5)
ODD = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)


@given(st.lists(PARTS | ODD | st.tuples(PARTS, ODD), max_size=5))
@example([("", float("inf")), (float("-inf"), (1, float("nan"))), float("-inf"), float("nan")])
def test_parse_undoes_show(keys: list[Any]) -> None:
    found = path.parse(path.show(tuple(keys)))
    assert [(type(key), repr(key)) for key in found] == [(type(key), repr(key)) for key in keys]


@given(st.data())
def test_the_path_that_is_shown_leads_to_the_same_value(data: Any) -> None:
    """What an error prints (`parts[1]`) is what a user may write, and `parts.1` is the same."""
    cfg = freeze({"a.b": {"parts": [{"1": 1}, [2, {"": 3}]], "t": (4, {"x": 5})}})
    keys, dotted, node = (), "", cfg
    while isinstance(node, (dict, list, tuple)):
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
        node, keys = node[key], (*keys, key)
        dotted += path.show((key,)) if isinstance(key, str) and key in ("a.b", "") else f".{key}"
    assert path.parse(path.show(keys)) == keys
    assert path.follow(cfg, path.show(keys)) == path.follow(cfg, dotted) == node
    assert path.exact(cfg, dotted) == keys
    assert tree.put(cfg, dotted, 9) == tree.put(cfg, path.show(keys), 9)


def test_errors_and_differences_spell_items_alike() -> None:
    cfg = freeze({"a": [{"b": 1}]})
    for text in ("a.0.c", "a[0].c"):
        with pytest.raises(FkitAttributeError, match=r"There is no key 'c' in a\[0\]") as caught:
            path.follow(cfg, text)
        assert caught.value.path == "a[0].c"
    with pytest.raises(FkitTypeError, match=r"a\[0\]\.b is 1"):
        tree.put(cfg, "a.0.b.c", 2)
    assert [path.show(change.path) for change in tree.diff(cfg, freeze({"a": [{"b": 2}, 3]}))] == ["a[0].b", "a[1]"]


@pytest.mark.parametrize("wrong", [None, 3, {}, ([],)])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    for call in (tree.get, tree.drop, path.follow, path.exact, lambda cfg, keys: tree.put(cfg, keys, 1)):
        with pytest.raises(FkitTypeError, match="A path is"):
            call(freeze({"a": 1}), wrong)
    with pytest.raises(FkitTypeError, match="A path is a string"):
        path.parse(wrong)


class Point(NamedTuple):
    x: int
    y: int


def test_a_named_tuple_keeps_its_fields() -> None:
    cfg = freeze({"p": Point(1, 2)})
    assert tree.put(cfg, "p[1]", 5).p == Point(1, 5) and type(tree.put(cfg, "p.1", 5).p) is Point
    with pytest.raises(FkitTypeError, match=r"p\[0\] is a field of a Point"):
        tree.drop(cfg, "p.0")


@pytest.mark.parametrize(
    "text", [".a", "a.", "a..b", "a[", "a[b]", "a]b", "a['b", "a[0]b", "a[{}]", f"a[{'9' * 5000}]"]
)
def test_a_broken_path_is_refused(text: str) -> None:
    with pytest.raises(FkitValueError, match="path"):
        path.parse(text)


def test_follow_says_what_is_missing() -> None:
    cfg = freeze({"model": {"backbone": {"depth": 50}, "l": [1, 2]}})
    assert path.follow(cfg, "model.backbone.depth") == 50
    assert path.follow(cfg, "model.l.1") == path.follow(cfg, "model.l[-1]") == 2
    with pytest.raises(FkitAttributeError, match=r"no key 'depht' in model\.backbone.*\n  Did you mean 'depth'"):
        path.follow(cfg, "model.backbone.depht")
    with pytest.raises(FkitIndexError, match=r"model\.l has 2 items, none at 5"):
        path.follow(cfg, "model.l.5")
    with pytest.raises(FkitAttributeError, match=r"no key 'x' in model\.backbone\.depth"):
        path.follow(cfg, "model.backbone.depth.x")


def test_put_copies_only_the_path() -> None:
    cfg = freeze({"a": {"b": [1, {"c": 2}]}, "d": {"e": 3}})
    new = tree.put(cfg, "a.b.1.c", 9)
    assert new.a.b[1].c == 9 and cfg.a.b[1].c == 2
    assert new.d is cfg.d
    assert tree.put(cfg, "x.y.z", {"w": 1}).x.y.z.w == 1
    assert tree.put(cfg, "a['b.c']", 1).a["b.c"] == 1
    assert tree.put(freeze({"t": (1, 2)}), "t.0", 5).t == (5, 2)


def test_put_refuses_what_leads_nowhere() -> None:
    cfg = freeze({"a": 1, "l": [1]})
    with pytest.raises(FkitTypeError, match="a is 1, so nothing can be set below it"):
        tree.put(cfg, "a.b", 2)
    with pytest.raises(FkitIndexError, match="l has 1 items"):
        tree.put(cfg, "l.1", 2)
    with pytest.raises(FkitTypeError, match="'x' is no index"):
        tree.put(cfg, "l.x", 2)


def test_drop() -> None:
    cfg = freeze({"a": {"b": 1, "c": [1, 2, 3]}, "d": 4})
    assert tree.drop(cfg, "a.b") == {"a": {"c": [1, 2, 3]}, "d": 4}
    assert tree.drop(cfg, "a.c.1") == {"a": {"b": 1, "c": [1, 3]}, "d": 4}
    assert tree.drop(cfg, "d") == {"a": {"b": 1, "c": [1, 2, 3]}}
    with pytest.raises(FkitAttributeError):
        tree.drop(cfg, "a.z")


def test_map_shares_what_does_not_change() -> None:
    cfg = freeze({"a": [1, (2, "x")], "b": {"c": "y"}})
    doubled = tree.map(lambda leaf: leaf * 2 if isinstance(leaf, int) else leaf, cfg)
    assert doubled == {"a": [2, (4, "x")], "b": {"c": "y"}}
    assert doubled.b is cfg.b
    assert tree.map(lambda leaf: leaf, cfg) is cfg


TREES = st.recursive(
    st.integers(0, 3) | st.text(max_size=2),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=2), below, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES, TREES)
def test_diff_is_empty_exactly_where_trees_are_equal(a: Any, b: Any) -> None:
    old, new = freeze({"k": a}), freeze({"k": b})
    changes = tree.diff(old, new)
    assert (not changes) == (old == new)
    for change in changes:
        if change.kind != "added":
            assert tree.same(tree.get(old, change.path), change.old)
        if change.kind != "removed":
            assert tree.same(tree.get(new, change.path), change.new)


def test_loosen_gives_fresh_lists() -> None:
    cfg = freeze({"l": [1, [2], ({"a": [3]}, [4])]})
    loose = tree.loosen(cfg.l)
    loose.append(5)
    loose[1].append(6)
    assert cfg.l == [1, [2], ({"a": [3]}, [4])]
    assert type(loose[2]) is tuple and type(loose[2][1]) is list
    assert loose[2][0] is cfg.l[2][0]

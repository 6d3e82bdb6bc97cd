"""Frozen nodes: what they read like, what they refuse, and when they are equal."""

import copy
import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.tree.canonical import canonical, fingerprint
from fkit.tree.error import FkitAttributeError, FkitTypeError, FkitValueError, FrozenError
from fkit.tree.node import Items, Node, freeze, same
from fkit.tree.tree import thaw

LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4)
KEYS = st.text(max_size=4) | st.integers(-2, 2)
TREES = st.recursive(
    LEAVES,
    lambda below: (
        st.lists(below, max_size=3)
        | st.lists(below, max_size=3).map(tuple)
        | st.dictionaries(KEYS, below, max_size=3)
        | st.frozensets(LEAVES, max_size=3)
    ),
    max_leaves=12,
)


@given(TREES)
def test_thaw_undoes_freeze(tree: Any) -> None:
    assert same(thaw(freeze(tree)), tree)
    assert canonical(freeze(tree)) == canonical(tree)


@given(TREES, TREES)
def test_equality_is_that_of_the_fingerprints(a: Any, b: Any) -> None:
    left, right = freeze({"a": a}), freeze({"a": b})
    assert (left == right) == (fingerprint(left) == fingerprint(right))
    assert left == freeze({"a": a})
    if left == right:
        assert hash(left) == hash(right)


@given(st.dictionaries(st.text(max_size=3), TREES, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_count(tree: dict[str, Any], random: Any) -> None:
    keys = list(tree)
    random.shuffle(keys)
    shuffled = {key: tree[key] for key in keys}
    assert freeze(tree) == freeze(shuffled)
    assert hash(freeze(tree)) == hash(freeze(shuffled))
    assert fingerprint(tree) == fingerprint(shuffled)


@given(TREES)
def test_nodes_survive_pickling_and_copying(tree: Any) -> None:
    node = freeze({"a": tree})
    assert pickle.loads(pickle.dumps(node)) == node
    assert copy.deepcopy(node) is node
    assert copy.copy(node) is node


@pytest.mark.parametrize(
    ("a", "b"), [(1, 1.0), (1, True), (0.0, -0.0), ([1], (1,)), (0, False), ("1", 1), (None, 0), ({1}, [1])]
)
def test_values_of_different_types_differ(a: Any, b: Any) -> None:
    assert freeze({"k": a}) != freeze({"k": b})
    assert freeze({"k": a}) != {"k": b}
    assert fingerprint({"k": a}) != fingerprint({"k": b})


def test_nan_equals_nan() -> None:
    assert freeze({"k": math.nan}) == freeze({"k": float("nan")})
    assert hash(freeze({"k": math.nan})) == hash(freeze({"k": float("nan")}))


def test_keys_of_different_types_differ() -> None:
    assert freeze({1: "a"}) != freeze({True: "a"})
    assert freeze({"a": {1: 2}}) == freeze({"a": {1: 2}})


def test_a_key_with_dots_is_compared_as_a_key() -> None:
    assert freeze({"a": {"b.c": 1}}) == freeze({"a": {"b.c": 1}})


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.update(a=2),
        lambda n: n.clear(),
        lambda n: n.setdefault("b", 1),
        lambda n: n.popitem(),
        lambda n: n.__setitem__("a", 2),
        lambda n: n.__delitem__("a"),
        lambda n: setattr(n, "a", 2),
        lambda n: delattr(n, "a"),
        lambda n: n.l.append(1),
        lambda n: n.l.extend([1]),
        lambda n: n.l.sort(),
        lambda n: n.l.__setitem__(0, 1),
        lambda n: n.l.__init__([7]),
        lambda n: n.l.pop(),
    ],
)
def test_a_change_is_an_error_that_shows_merge(change: Any) -> None:
    node = freeze({"a": 1, "l": [1, 2]})
    with pytest.raises(FrozenError, match=r"cfg\.merge"):
        change(node)
    assert node == {"a": 1, "l": [1, 2]}


def test_a_node_cannot_be_filled_again() -> None:
    node = Node({"a": 1})
    node.__init__({"b": 2})
    assert node == {"a": 1}


def test_operators_give_new_values() -> None:
    node = freeze({"a": 1, "l": [1]})
    assert (node | {"b": {"c": 2}}).b.c == 2
    assert ({"b": 2} | node) == {"b": 2, "a": 1, "l": [1]}
    grown = node.l + [2]  # noqa: RUF005
    grown.append(3)
    assert node.l == [1] and grown == [1, 2, 3]
    same_node = node
    same_node |= {"z": 1}
    assert "z" not in node and same_node.z == 1


def test_unpacking_and_hasattr() -> None:
    node = freeze({"a": 1, "b": {"c": 2}})
    assert dict(**node) == {"a": 1, "b": {"c": 2}}
    assert hasattr(node, "a") and not hasattr(node, "z")
    assert "a" in dir(node)


def test_a_missing_key_names_the_nearest() -> None:
    node = freeze({"backbone": 1, "neck": 2})
    with pytest.raises(FkitAttributeError, match="Did you mean 'backbone'"):
        node.backbon  # noqa: B018
    with pytest.raises(KeyError, match="Keys: backbone, neck"):
        node["heads"]


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(FkitTypeError, match=r"wants a mapping, not \[1\]"):
        Node([1])
    cyclic: dict[str, Any] = {}
    cyclic["a"] = cyclic
    with pytest.raises(FkitValueError, match="200 levels deep, or holds itself"):
        Node(cyclic)


def test_frozen_parts_are_shared() -> None:
    inner = freeze({"x": [1, 2]})
    outer = freeze({"a": inner})
    assert outer.a is inner
    assert isinstance(outer.a.x, Items)


def test_numbers_of_numpy_become_numbers() -> None:
    import numpy as np

    node = freeze({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)})
    assert node == {"a": 0.5, "b": 3, "c": True}
    assert type(node.b) is int

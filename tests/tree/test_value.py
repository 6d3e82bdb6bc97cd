"""Values that hold: equality, hash, fingerprint and canonical text agree over all that a config may hold; what can
change does not come in."""

import array
import collections
import datetime
import enum
import functools
import io
import json
import logging
import math
import pickle
import re
import types
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
from frozendict import frozendict
from hypothesis import example, given
from hypothesis import strategies as st

from fkit.config.change.delta import merge
from fkit.config.change.option import overrides
from fkit.config.config import Config
from fkit.config.language.imported import Imported
from fkit.tree.canonical import canonical, encode, fingerprint, reference
from fkit.tree.equal import token
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from fkit.tree.node import Items, Node, freeze, marks_of, meta_of, same
from fkit.tree.tree import diff, thaw


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"


class Word(enum.StrEnum):
    A = "a"


class Point(NamedTuple):
    x: Any
    y: Any


TAGS = ("__tuple__", "__set__", "__dict__", "__float__", "__bytes__", "__str__", "__ref__", "__lazy__")
TEXT = st.text(st.sampled_from("ab.1\u00e9\U0001f600\ud83d\ude00"), max_size=3) | st.sampled_from(TAGS)
NUMBERS = (
    st.sampled_from((-2, -1, 0, 1, 2, 2**61 - 1, 2**61, 10**30, -(2**64)))
    | st.sampled_from((0.0, -0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 2.0**61))
    | st.builds(lambda: float("nan"))
    | st.booleans()
)
NAMES = st.sampled_from(
    (int, dict, len, Colour, Colour.RED, Colour.BLUE, Word.A, Point, Imported("a.B"), Imported("a.C"))
)
LEAVES = st.none() | NUMBERS | TEXT | st.binary(max_size=2) | NAMES
HASHABLE = st.recursive(
    LEAVES, lambda below: st.tuples(below) | st.tuples(below, below) | st.frozensets(below, max_size=2), max_leaves=4
)
VALUES = st.recursive(
    LEAVES | HASHABLE,
    lambda below: (
        st.lists(below, max_size=2)
        | st.tuples(below)
        | st.builds(Point, below, below)
        | st.dictionaries(TEXT, below, max_size=2)
        | st.dictionaries(HASHABLE, below, max_size=2)
        | st.sets(HASHABLE, max_size=2)
    ),
    max_leaves=5,
)


def agree(a: Any, b: Any) -> None:
    left, right = freeze({"k": a}), freeze({"k": b})
    equal = left == right
    assert (right == left) == same(left.k, right.k) == equal
    assert (token(left) == token(right)) == equal
    assert (canonical(left, sort=True) == canonical(right, sort=True)) == equal
    assert (fingerprint(left) == fingerprint(right)) == equal
    assert (not diff(left, right)) == equal
    if equal:
        assert hash(left) == hash(right)
    json.loads(canonical(left)), canonical(left).encode()


@given(VALUES, VALUES)
@example({-1: 0}, {-2: 0})
@example({-1}, {-2})
@example({0: 1}, {2**61 - 1: 1})
@example({"__tuple__": [1, 2]}, (1, 2))
@example({"__dict__": [[1, 2]]}, {1: 2})
@example({"__ref__": "builtins.int"}, int)
@example({"__lazy__": "a.B"}, Imported("a.B"))
@example({"__bytes__": "61"}, b"a")
@example("\ud83d\ude00", "\U0001f600")
@example({"\ud83d\ude00": 1}, {"\U0001f600": 1})
@example({math.nan: 1, float("nan"): 2}, {math.nan: 2, float("nan"): 1})
@example({math.nan}, {math.nan, float("nan")})
@example({1: 0}, {True: 0})
@example({(1, 0.0): 0}, {(True, -0.0): 0})
@example(Word.A, "a")
@example({Word.A: 1}, {"a": 1})
@example(Point(1, 2), (1, 2))
@example(frozenset([frozenset([1])]), frozenset([frozenset([True])]))
def test_equality_hash_and_fingerprint_agree(a: Any, b: Any) -> None:
    agree(a, b)
    agree(a, a)


@given(VALUES)
def test_what_is_equal_was_made_apart(value: Any) -> None:
    """Equality is structural: a copy with no part in common is equal, in another order of keys too."""
    node = freeze({"k": value, "l": [1]})
    copied = freeze({"l": [1], "k": pickle.loads(pickle.dumps(value))})
    assert node == copied and hash(node) == hash(copied)
    assert fingerprint(node) == fingerprint(copied)
    assert pickle.loads(pickle.dumps(node)) == node


@given(VALUES)
def test_freezing_is_done_once_and_undone_by_thaw(value: Any) -> None:
    frozen = freeze(value)
    assert same(freeze(frozen), frozen)
    assert same(thaw(frozen), value) == same(frozen, value)
    assert canonical(frozen) == canonical(thaw(frozen))


@given(VALUES)
def test_a_frozendict_that_is_equal_has_the_same_hash(value: Any) -> None:
    held = freeze(value)
    other, node = frozendict({"k": held}), Config({"k": held})
    if node == other and not _has_nan(held):  # Python hashes nan by its place in memory
        assert hash(node) == hash(other)
    assert (other == node) or node != other


def _has_nan(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_nan, [*value, *value.values()]))
    if isinstance(value, (list, tuple, frozenset)):
        return any(map(_has_nan, value))
    return isinstance(value, float) and value != value


def test_plain_dicts_and_lists_are_equal_to_frozen_ones() -> None:
    assert freeze({"a": [1, {"b": 2}]}) == {"a": [1, {"b": 2}]} == freeze({"a": [1, {"b": 2}]})
    assert freeze([1, [2]]) == [1, [2]]
    assert freeze({"a": 1}) != [("a", 1)]


REFUSED = [
    (np.zeros(2), r"an array \(numpy\.ndarray\)", r"array\.tolist\(\)"),
    (bytearray(b"a"), r"a bytearray can change", "or bytes"),
    (collections.deque([1]), "a deque can change", "Write a list"),
    (collections.UserList([1]), "a UserList can change", "Write a list"),
    (array.array("i", [1]), "a array can change", "Write a list"),
    (functools.partial(int, base=2), r"a functools\.partial of <class 'int'>", r"Write dict\(type="),
    (re, "the module 're'", "Give a class or a function of it"),
    (lambda: 1, "a lambda, which has no name", "Define a function of a module"),
    (iter([1]), "used up when it is read", "Write list"),
    ((x for x in "a"), "used up when it is read", "Write list"),
    (io.StringIO("a"), "used up when it is read", "Write list"),
    (types.SimpleNamespace(a=1), "a SimpleNamespace can change", "Write a list"),
    (logging.getLogger("x"), "an object of the class Logger, which can change", r"dict\(type='Logger', \.\.\.\)"),
    (10**4300, "more than 4,300 digits", "No file could hold it"),
]


@pytest.mark.parametrize(("value", "text", "repair"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_can_change_is_refused_with_its_place(value: Any, text: str, repair: str) -> None:
    for tree, where in (
        ({"a": {"b.c": [0, value]}}, r"a\['b\.c'\]\[1\]"),
        ({"a": (value,)}, r"a\[0\]"),
        ({"a": Point(1, [value])}, r"a\[1\]\[0\]"),
        ({1: {"x": value}}, r"\[1\]\.x"),
    ):
        for make in (freeze, Node, Config):
            with pytest.raises((FkitTypeError, FkitValueError), match=f"^{where} cannot hold.*{text}") as caught:
                make(tree)
            assert re.search(repair, str(caught.value))
    with pytest.raises(FkitError, match=text):
        freeze(value)
    with pytest.raises(FkitError, match=text):
        Items([value])
    with pytest.raises(FkitError, match=text):
        Config({"a": 1}) | {"b": value}


def test_nothing_that_was_given_can_change_a_frozen_value() -> None:
    inner, items = {"x": [1]}, [{"y": 2}]
    frozen = Items([inner, items, {3}])
    node = Config({"l": frozen, "m": types.MappingProxyType(inner), "s": {1}, "p": Point(items, 1)})
    before = canonical(node)
    inner["x"].append(5), items.append(7), items[0].update(z=1)
    assert canonical(node) == before
    assert isinstance(frozen[0], Node) and isinstance(frozen[1], Items) and isinstance(frozen[2], frozenset)
    assert type(node.l[0]) is Config and type(node.l[1][0]) is Config, (
        "mappings in lists are what those around them are"
    )
    assert type(node.p) is Point and isinstance(node.p.x, Items)
    with pytest.raises(TypeError):
        vars(node)["l"] = 1


@pytest.mark.parametrize(
    "value",
    [
        int, len, np.add, np.float32, np.dtype("float32"), Colour.RED, Decimal("1"), Fraction(1, 2), PurePosixPath("a"),
        datetime.date(2020, 1, 1), re.compile("a"), range(3), 1j, ..., collections.OrderedDict.fromkeys, np.random.rand,
    ],
    ids=lambda value: getattr(value, "__qualname__", None) or repr(value),
)  # fmt: skip
def test_other_values_that_cannot_change_stay_as_they_are(value: Any) -> None:
    node = Config({"a": value, "b": [value]})
    assert node.a is value and node == Config({"a": value, "b": [value]})
    assert hash(node) == hash(Config({"a": value, "b": [value]}))


def test_numbers_and_strings_of_other_classes_are_plain_ones() -> None:
    class Name(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "another"

    node = Config({"a": Name("x"), Name("k"): np.float32(0.5), "n": np.int64(3), "t": (np.bool_(True), np.str_("s"))})
    assert node == {"a": "x", "k": 0.5, "n": 3, "t": (True, "s")}
    assert [type(v) for v in (node.a, *node, node.k, node.n, *node.t)] == [str, *[str] * 4, float, int, bool, str]


def test_a_reference_leads_back() -> None:
    assert reference(collections.OrderedDict.fromkeys) == "collections.OrderedDict.fromkeys"
    assert encode([Colour.RED, Word.A]) == [{"__ref__": f"{__name__}.Colour.RED"}, {"__ref__": f"{__name__}.Word.A"}]

    def local() -> None: ...

    for value in (local, "a".upper, list[int], lambda: 1, type("Made", (), {})):
        with pytest.raises(FkitTypeError, match="has no name in a module"):
            reference(value)
    for value in (1j, range(3), re.compile("a")):
        with pytest.raises(FkitTypeError, match=rf"^a\[1\]: A {type(value).__name__} has no text"):
            canonical(freeze({"a": [0, value]}))


def test_long_numbers_and_deep_trees_have_no_text_and_say_so() -> None:
    node = Node.of({"a": 10**5000})
    for call in (canonical, fingerprint):
        with pytest.raises(FkitValueError, match="more than 4,300 digits"):
            call(node)
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    for call in (canonical, fingerprint, freeze, Config):
        with pytest.raises(
            (FkitValueError, FkitTypeError), match=r"nested too deeply|nested more than|wants a mapping"
        ):
            call(deep)
    for wrap in (lambda v: {"a": v}, lambda v: [v], lambda v: (v,)):
        tree: Any = 1
        for _ in range(199):
            tree = wrap(tree)
        node = Config({"k": tree})
        assert pickle.loads(pickle.dumps(node)) == node and hash(node) == hash(Config({"k": thaw(node)["k"]}))
        assert canonical(node) == canonical(node.merge({"z": 1}).pop("z")[0])
        with pytest.raises(FkitValueError, match="nested more than 200 levels deep, or holds itself"):
            Config({"k": wrap(tree)})
    assert canonical(freeze(10**4299)) == "1" + "0" * 4299


def test_joining_keeps_where_values_came_from() -> None:
    left = Config.of({"a": 1, "b": 2}, {"a": "left", "b": "left"}, "meta")
    right = Config.of({"b": 3, "c": 4}, {"b": "right"}, "other")
    both = left | right
    assert both == {"a": 1, "b": 3, "c": 4}
    assert marks_of(both) == {"a": "left", "b": "right", "c": None} and meta_of(both) == "meta"
    assert marks_of({"z": 0} | left) == {"a": "left", "b": "left"} and meta_of({"z": 0} | left) == "meta"
    assert marks_of(left | {"b": 5}) == {"a": "left", "b": None}


def test_attributes_are_methods_first_and_items_then() -> None:
    node = Config({"keys": 1, "text": 2, "lr": 3, "__class__": 4, "_methods": 5, "a-b": 6, 7: 8})
    assert callable(node.keys) and callable(node.text) and node["keys"] == 1 and node["text"] == 2
    assert node.lr == 3 and node.__class__ is Config and node["__class__"] == 4 and isinstance(node._methods, frozenset)
    assert getattr(node, "a-b") == 6 and node[7] == 8 and not hasattr(node, "7")
    grown = node | {"more": 1, "items": 2}
    assert grown.more == 1 and callable(grown.items) and not hasattr(node, "more")
    assert {"lr", "keys", "merge"} <= set(dir(node)) and vars(node) == node


def test_a_named_tuple_stays_one_through_merging() -> None:
    point = Point({"a": [1]}, 2)
    for tree in (Config({"p": 1}), freeze({"p": 1})):
        new = tree | {"p": point}
        assert type(new.p) is Point and type(new.p.x) is type(tree)
        assert type(thaw(new)["p"]) is Point
    assert type(Config({"p": 1}).merge({"p": point}).p) is Point
    merged = merge(Config({"p": 1}), overrides({"p": point}))
    assert type(merged.p) is Point and type(merged.p.x) is Config

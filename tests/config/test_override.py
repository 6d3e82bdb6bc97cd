"""Command-line words: their grammar (the book has most of it), and what they may change."""

import argparse
import re
import shlex
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.config.change.action import DictAction
from fkit.config.change.literal import read_literal
from fkit.config.change.override import apply_words, typed_words
from fkit.config.change.word import read_value, read_word, read_words
from fkit.config.config import Config
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError


@given(
    st.recursive(
        st.integers() | st.booleans() | st.none() | st.sampled_from(["x", "a.b", "c-d"]),
        lambda b: st.lists(b, min_size=1, max_size=3),
        max_leaves=6,
    )
)
def test_a_value_written_as_words_want_it_reads_back(value: Any) -> None:
    def word(item: Any) -> str:
        return f"[{','.join(map(word, item))}]" if isinstance(item, list) else str(item)

    assert read_value(word(value)) == value


PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.binary(max_size=4)
)
PYTHON = st.recursive(
    PLAIN,
    lambda below: (
        st.lists(below, max_size=3)
        | st.lists(below, max_size=3).map(tuple)
        | st.dictionaries(PLAIN, below, max_size=3)
        | st.sets(PLAIN, max_size=3)
    ),
    max_leaves=8,
)


@given(PYTHON)
def test_what_python_prints_is_read_back(value: Any) -> None:
    again = read_literal(repr(value))
    assert again == value and type(again) is type(value)


@given(st.text("[](){},:='\"\\ab 1.", max_size=20))
def test_any_brackets_are_read_or_refused_clearly(text: str) -> None:
    for read in (read_value, read_literal, read_word):
        try:
            read(text)
        except FkitError:
            continue


@given(st.text(max_size=20))
def test_any_word_is_read_or_refused_clearly(text: str) -> None:
    for read in (read_value, read_literal, read_word):
        try:
            read(text)
        except FkitError:
            continue


@pytest.mark.parametrize(
    ("old", "word", "new"),
    [(0.1, "1", 1.0), (1, "0.5", 0.5), ([1], "(1,2)", (1, 2)), ((1,), "[3]", [3]), (None, "x", "x"), ("x", "None", None), (True, "False", False), ({"a": 1}, "None", None)],
)  # fmt: skip
def test_what_may_replace_what(old: Any, word: str, new: Any) -> None:
    made = apply_words(Config({"k": old}), [f"k={word}"])
    assert made == Config({"k": new}) and type(made["k"]) is type(Config({"k": new})["k"])


@pytest.mark.parametrize(
    ("old", "word"),
    [
        (1, "True"),
        (True, "1"),
        ("x", "1"),
        (1, "x"),
        ([1], "1"),
        (1, "[1]"),
        (1.5, "true"),
        ({"a": 1}, "5"),
        ({"a": 1}, "[1]"),
    ],
)
def test_another_change_of_type_is_an_error_that_declares_can_do(old: Any, word: str) -> None:
    with pytest.raises(
        FkitTypeError, match=rf"--cfg-options k={__import__('re').escape(word)}: k = .* replaces .*\n.*k:="
    ):
        apply_words(Config({"k": old}), [f"k={word}"])
    assert apply_words(Config({"k": old}), [f"k:={word}"]).k == read_value(word)


def test_paths_of_words() -> None:
    cfg = Config({"d": [{"type": "A", "k": 1}], "m": {"a.b": 1, "x": {"y": 1}}})
    assert apply_words(cfg, ["d.0.type=Foo"]).d[0] == {"type": "Foo", "k": 1}
    assert apply_words(cfg, ["m['a.b']=2"]).m["a.b"] == 2
    assert apply_words(cfg, ["m.x._delete_=True", "m.x.z=3"]).m.x == {"z": 3}
    with pytest.raises(FkitError, match=r"d\[4\]: the list has 1 items"):
        apply_words(cfg, ["d.4.type=Foo"])
    with pytest.raises(FkitValueError, match="'novalue' is no KEY=VALUE"):
        apply_words(cfg, ["novalue"])


def test_new_keys_are_told_to_the_plan() -> None:
    cfg = apply_words(Config({"m": {"depth": 1}}), ["m.depht=2", "m.depth=3", "x.y.z=1", "seed:=7"])
    assert set(typed_words(cfg)) == {
        ("x.y.z", "x.y.z=1", True),
        ("m.depht", "m.depht=2", True),
        ("m.depth", "m.depth=3", False),
    }


def test_words_add_up_and_the_last_holds() -> None:
    assert apply_words(Config({"a": 1, "b": 2}), ["a=3", "b=4", "a=5"]) == {"a": 5, "b": 4}


def test_blanks_inside_of_a_value_are_its_own() -> None:
    cfg = apply_words(Config({"path": "x", "names": []}), ["path=/data/my runs/a", "names=[dining table, tv ]"])
    assert cfg == {"path": "/data/my runs/a", "names": ["dining table", "tv"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'7'", "7"),
        ('"a, b"', "a, b"),
        ("{'a': 1, b: [x y, (1,)]}", {"a": 1, "b": ["x y", (1,)]}),
        ("{}", {}),
        ("set()", set()),
        ("{1, {2, 3}}", {1, frozenset({2, 3})}),
        ("{(1, {2}): nan}", None),
        (r"'C:\\data\\new'", r"C:\data\new"),
        ("b'\\x00'", b"\x00"),
        ("1,a", [1, "a"]),
        ("{u: http://x/y?a=1}", {"u": "http://x/y?a=1"}),
        ("f(x, y)", "f(x, y)"),
    ],
)
def test_what_stands_after_a_colon_and_equals_is_exact(text: str, value: Any) -> None:
    parsed = read_literal(text)
    if value is not None:
        assert parsed == value and type(parsed) is type(value)
    else:
        assert [key for key in parsed] == [(1, frozenset({2}))]


@pytest.mark.parametrize(
    "text", ["{'a': 1", "[1, 2", "'a'b", "{[1]: 2}", "{{'a': 1}}", "[1,,2]", "{1: 2, 3}", "[" * 3000, "9" * 5000]
)
def test_a_literal_that_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(FkitValueError, match=r"^--cfg-options k:="):
        read_word(f"k:={text}")


def repaired(cfg: Config, *words: str) -> Config:
    """The config after obeying what the error of the words offers first."""
    with pytest.raises(FkitTypeError) as caught:
        apply_words(cfg, words)
    assert "Sourced" not in str(caught.value) and "Edit" not in str(caught.value)
    repair = caught.value.repair.partition("It was set at ")[2].partition(". ")[2] or caught.value.repair
    offered, _, _ = re.split(r" (is text|replaces|changes)", repair, maxsplit=1)
    assert "\n" not in offered
    return apply_words(cfg, [*words[:-1], *shlex.split(offered)])  # as a shell reads what is pasted


def test_the_repair_that_an_error_offers_does_what_was_meant() -> None:
    assert repaired(Config({"id": "x"}), "id=7").id == "7"
    assert repaired(Config({"m": {"a": 1}}), "m={'b': 2}").m == {"b": 2}
    assert repaired(Config({"m": {"a": 5}}), "m.a.b=1").m == {"a": {"b": 1}}
    assert repaired(Config({"n": [1]}), "n=5").n == 5


def test_messages_name_values_and_not_the_classes_that_carry_them() -> None:
    with pytest.raises(FkitTypeError, match=r"a is set to 9 and, in the same changes, a key below it"):
        apply_words(Config({"a": {"b": 1}}), ["a:=9", "a.b=2"])
    with pytest.raises(
        FkitTypeError,
        match=r"t is \(1, 2\) \(tuple\), so nothing can be set below it.\n  A tuple is set whole: 't:=\(1, 2\)'",
    ):
        apply_words(Config({"t": (1, 2)}), ["t.0=5"])


def test_a_whole_number_may_be_written_with_an_exponent() -> None:
    cfg = apply_words(Config({"epochs": 12, "lr": 1, "big": 1}), ["epochs=2e1", "lr=0.5", "big=1e30"])
    assert (cfg.epochs, type(cfg.epochs), cfg.lr, type(cfg.big)) == (20, int, 0.5, float)


def test_items_of_lists_are_named_either_way() -> None:
    cfg = Config({"m": {"parts": [{"k": 1}, {"k": 2}], "scales": [1, 2]}})
    for key in ("m.parts.1.k", "m.parts[1].k", "m['parts'][1]['k']"):
        assert apply_words(cfg, [f"{key}=5"]).m.parts == [{"k": 1}, {"k": 5}]
    assert apply_words(cfg, ["m.scales[0]=7", "m.scales.1=8"]).m.scales == [7, 8]
    assert cfg.merge({"m.parts[0]": {"k": 9}, "m.parts.0": {"j": 1}}).m.parts[0] == {"k": 9, "j": 1}
    with pytest.raises(FkitError, match=r"m\.parts\[2\]: the list has 2 items"):
        apply_words(cfg, ["m.parts[2].k=1"])


def test_keys_may_hold_what_words_are_made_of() -> None:
    cfg = Config({"a": {"b=c": 1, "d.e": 2, "f:": 3}})
    assert apply_words(cfg, ["a['b=c']=5", "a['d.e']:='x'", "a['f:']=4"]) == {"a": {"b=c": 5, "d.e": "x", "f:": 4}}


def test_the_action_gives_a_dict_for_merge() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    options = parser.parse_args(["--cfg-options", "a.b=1", "c=[x,2]", "--cfg-options", "a.b=3", "d:='7'"]).cfg_options
    assert options == {"a.b": 3, "c": ["x", 2], "d": "7"}
    assert Config({"a": {"b": 0}}).merge(options) == {"a": {"b": 3}, "c": ["x", 2], "d": "7"}
    options = parser.parse_args(["--cfg-options", "a:={'c': 1}", "e:={'f': {}}"]).cfg_options
    assert Config({"a": {"b": 0}}).merge(options) == {"a": {"c": 1}, "e": {"f": {}}}
    with pytest.raises(ValueError, match="is no KEY=VALUE"):
        parser.parse_args(["--cfg-options", "novalue"])


@pytest.mark.parametrize("wrong", [None, 3, "x", [None], {"a"}, object()])
def test_wrong_arguments_are_named(wrong: Any) -> None:
    for call in (lambda: apply_words(wrong, []), lambda: apply_words(Config({}), wrong), lambda: read_words(wrong)):
        with pytest.raises(FkitError):
            call()
    for read in (read_value, read_literal, read_word):
        if not isinstance(wrong, str):
            with pytest.raises(FkitTypeError):
                read(wrong)
    with pytest.raises(FkitTypeError):
        typed_words(wrong)


def test_long_words_are_read_in_a_moment() -> None:
    start = time.process_time()
    for text in (
        "['a']" * 20_000,
        "['" * 50_000,
        "k=" + "(1,2)," * 20_000,
        "k:=" + "{a: [1, '" * 10_000,
        "k:=" + "'" * 99_999,
    ):
        try:
            read_word(text)
        except FkitError as error:
            assert len(str(error)) < 2000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("dict()", {}),
        ("dict(type='B', x=None)", {"type": "B", "x": None}),
        ("dict( type=B, b=[dict(µ=1,),] , c = (1,))", {"type": "B", "b": [{"µ": 1}], "c": (1,)}),
        ("'dict(a=1)'", "dict(a=1)"),
        ("dictionary(a)", "dictionary(a)"),
    ],
)
def test_mappings_are_read_as_configs_write_them(text: str, value: Any) -> None:
    assert read_literal(text) == value


@pytest.mark.parametrize("text", ["dict(1)", "dict(a=1", "dict(a)", "dict(a=)", "dict(a=" * 200])
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FkitValueError):
        read_literal(text)


def test_the_repair_for_a_mapping_does_what_it_says() -> None:
    cfg = Config({"d": {"type": "A", "k": 1}})
    with pytest.raises(FkitTypeError, match=r"\"d:=dict\(type='B'\)\" replaces the mapping"):
        apply_words(cfg, ["d=dict(type='B')"])
    assert apply_words(cfg, ["d:=dict(type='B')"]).d == {"type": "B"}

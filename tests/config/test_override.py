"""Command-line words: their grammar (the book has most of it), and what they may change."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.config.change.override import apply_words, read_value, undeclared
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


@given(st.text(max_size=20))
def test_any_word_is_read_or_refused_clearly(text: str) -> None:
    try:
        read_value(text)
    except FkitError:
        return


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
    with pytest.raises(FkitError, match=r"d\.4: the list has 1 items"):
        apply_words(cfg, ["d.4.type=Foo"])
    with pytest.raises(FkitValueError, match="'novalue' is no KEY=VALUE"):
        apply_words(cfg, ["novalue"])


def test_new_keys_are_told_to_the_plan() -> None:
    cfg = apply_words(Config({"m": {"depth": 1}}), ["m.depht=2", "m.depth=3", "x.y.z=1", "seed:=7"])
    assert set(undeclared(cfg)) == {("x.y.z", "x.y.z=1"), ("m.depht", "m.depht=2")}


def test_words_add_up_and_the_last_holds() -> None:
    assert apply_words(Config({"a": 1, "b": 2}), ["a=3", "b=4", "a=5"]) == {"a": 5, "b": 4}

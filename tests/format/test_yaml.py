"""The one reader and the one writer of YAML: laws, PyYAML as the peer, and texts that are refused."""

import datetime
import enum
import math
import time
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fkit.format.yaml import read_yaml, write_yaml
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ["1e-3", "1E5", ".5", "no", "~", "null", "1:30", "010", "0x1F", "2024-01-02", "<<", "=", "*a", "&a", "- b", "a: b"]
)
keys = texts | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False)
values = st.recursive(
    keys | st.binary(max_size=4) | st.sets(st.integers(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(values, st.sampled_from([True, False, None]))
def test_what_is_written_is_read_as_the_same_value(value: Any, flow: bool | None) -> None:
    text = write_yaml(value, default_flow_style=flow)
    assert repr(read_yaml(text)) == repr(value) or read_yaml(text) == value
    assert yaml.load(text, Loader=yaml.FullLoader) == value  # and by OpenMMLab


@given(values)
def test_ascii_and_narrow_text_is_the_same_value(value: Any) -> None:
    text = write_yaml(value, allow_unicode=False, width=20, indent=4)
    assert text.isascii()
    assert read_yaml(text) == value


WORDS = [
    *("1", "-1", "+7", "010", "0x1F", "0b11", "1_000", "1:30", "1:30:00", "-1:30", "1:30.5", "190:20:30.15"),
    *("1.5", "1.", ".5", "-1.5e+3", "1.5e-3", "1_0.5", ".inf", "-.INF", "+.inf", "~", "", "null", "Null", "NULL"),
    *("yes", "Yes", "YES", "no", "on", "Off", "true", "False", "y", "n", "nULL", "tRue", "09", "0o7", "0x", "1:60"),
    *("a", "1a", "1.2.3", "e5", "+", ".", "-.", "1e", "1e+", "0", "-0", "00", "0:30", "a:1"),
]


@pytest.mark.parametrize("word", WORDS)
def test_plain_words_are_what_pyyaml_says(word: str) -> None:
    text = f"k: {word}"
    assert repr(read_yaml(text)) == repr(yaml.load(text, Loader=yaml.FullLoader))


@given(st.text("0123456789_:.eE+-xbonyNaif", max_size=7))
def test_words_differ_from_pyyaml_in_floats_and_dates_alone(word: str) -> None:
    text = f"k: {word}"
    try:
        peer = yaml.load(text, Loader=yaml.FullLoader)
    except (yaml.YAMLError, ValueError):
        return
    found = read_yaml(text)
    if isinstance(peer, dict) and isinstance(peer.get("k"), (str, datetime.date)):
        assert found in (peer, {"k": word}) or isinstance(found["k"], float)
    else:
        assert repr(found) == repr(peer)


@pytest.mark.parametrize(
    ("word", "value"), [("1e-3", 1e-3), ("-.5", -0.5), ("1E5", 1e5), ("-2e+1", -20.0), ("1.5e3", 1500.0)]
)
def test_a_number_with_an_exponent_is_one(word: str, value: float) -> None:
    assert read_yaml(f"lr: {word}") == {"lr": value}
    assert read_yaml(f"lr: '{word}'") == {"lr": word}
    assert read_yaml(write_yaml(word)) == word


def test_dates_are_text() -> None:
    assert read_yaml("[2024-01-02, 2024-01-02 03:04:05, !!timestamp 2024-01-02]") == [
        "2024-01-02",
        "2024-01-02 03:04:05",
        "2024-01-02",
    ]
    assert write_yaml([datetime.date(2024, 1, 2), "2024-01-02"]) == "- 2024-01-02\n- '2024-01-02'\n"


def test_aliases_and_merges() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: [*a, *b], x: 0, w: *a}\nd: {<<: *b}\n"
    peer = yaml.safe_load(text)
    found = read_yaml(text)
    assert found == peer
    assert [list(part) for part in found.values()] == [list(part) for part in peer.values()]
    assert found["c"]["w"] is found["a"]
    lines: dict[str, Any] = {}

    def note(items: Any, at: Any) -> Any:
        lines.update(at)
        return tuple(items.items())

    assert read_yaml("p: &p\n  x: 1\nq:\n  <<: *p\n  y: 2\n", mapping=note) == (
        ("p", (("x", 1),)),
        ("q", (("x", 1), ("y", 2))),
    )
    assert lines == {"x": 2, "y": 5, "p": 1, "q": 3}


REFUSED = {
    "a: 1\nb: 2\na: 3": "x.yaml:3: The key 'a' stands twice in one mapping.",
    "{a: 1, 'a': 2}": "x.yaml:1: The key 'a' stands twice",
    "a: !!python/name:os.system": "x.yaml:1: The YAML tag !!python/name:os.system is not read.\n  Only plain data",
    "!!python/object/apply:os.system [ls]": "x.yaml:1: The YAML tag !!python/object/apply:os.system is not read.",
    "a:\n- !other {}": "x.yaml:2: The YAML tag !other is not read.",
    "!!python/tuple {a: 1}": "x.yaml:1: The YAML tag !!python/tuple wants a sequence.",
    "!!map [1]": "x.yaml:1: The YAML tag !!map wants a mapping.",
    "!!int cat": "x.yaml:1: 'cat' is no value of the YAML tag !!int.",
    "!!float '1:'": "x.yaml:1: '1:' is no value of the YAML tag !!float.",
    "!!binary ä": "x.yaml:1: 'ä' is no value of the YAML tag !!binary.",
    "&a [*a]": "x.yaml:1: The YAML holds itself by an alias.",
    "&a {<<: *a}": "x.yaml:1: The YAML holds itself by an alias.",
    "*a": "x.yaml:1: The YAML alias *a has no anchor before it.",
    "a: {<<: 3}": "x.yaml:1: The YAML's << wants a mapping",
    "? [1]\n: 2": "x.yaml:1: A key of the YAML is a list or a mapping.",
    "a: 1\n---\nb: 2": "x.yaml:2: This is more than one YAML document.",
    "a: [1": "x.yaml:1: This is no YAML: ",
    "a: 1\nb: \x00": "x.yaml:2: This is no YAML: control characters are not allowed.",
    "a: \ud800": "x.yaml: This is no YAML: half of a surrogate pair.",
    "- " * 5000 + "a": "x.yaml:1: The YAML is nested more than 400 levels deep.",
    "[" * 100_000: "x.yaml:1: The YAML is nested more than 400 levels deep.",
    "a: " + "1" * 5000: "x.yaml:1: The YAML has an integer of more than 4300 digits.",
    "a: 0x" + "f" * 5000: "x.yaml:1: The YAML has an integer of more than 4300 digits.",
    "a: 1" + ":1" * 100_000: "x.yaml:1: The YAML has an integer of more than 4300 digits.",
    "a: 1" + ":1" * 1000 + ".5": "x.yaml:1: The YAML number 1:1:1",
    "\n".join(
        ["a0: &a0 [x, x]", *(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]" for n in range(40))]
    ): "values, aliases written",
    "\n".join(f"{n * (2**61 - 1)}: 0" for n in range(2, 2000)): "The YAML has more than 1000 keys of 60 bits.",
}


@pytest.mark.parametrize("text", REFUSED, ids=[repr(text[:24]) for text in REFUSED])
def test_refused(text: str) -> None:
    started = time.process_time()
    with pytest.raises(FkitValueError) as caught:
        read_yaml(text, "x.yaml")
    assert REFUSED[text] in str(caught.value)
    assert time.process_time() - started < 2


@given(st.text("abc:&*<{}[]!?-|>'\"#\n 0.e~", max_size=30) | st.binary(max_size=12))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        value = read_yaml(text)
    except FkitError:
        return
    assert value == read_yaml(write_yaml(value)) or "nan" in repr(value)


def test_bytes_with_and_without_a_mark() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert read_yaml("ä: 1".encode(encoding)) == {"ä": 1}
    assert read_yaml("\ufeffa: 1") == {"a": 1}
    with pytest.raises(FkitValueError, match=r"^x\.yaml: this is no text in utf-8: invalid start byte at byte 0\.$"):
        read_yaml(b"\xff", "x.yaml")
    with pytest.raises(FkitTypeError, match="a text is a str or bytes, not a int"):
        read_yaml(3)  # type: ignore[arg-type]


def test_charge_is_told_of_all_values_and_may_refuse() -> None:
    told: list[int] = []
    assert read_yaml("a: &a [1, 2]\nb: *a", charge=told.append) == {"a": [1, 2], "b": [1, 2]}
    assert sum(told) == 3 + 3 + 3

    def refuse(count: int) -> None:
        raise FkitValueError("enough")

    with pytest.raises(FkitValueError, match="enough"):
        read_yaml("[1]", charge=refuse)


def test_plain_forms() -> None:
    class Colour(enum.Enum):
        RED = 1

    class Word(enum.StrEnum):
        A = "a"

    value = {"a": np.eye(2), "b": np.int64(3), "c": np.bool_(True), "d": range(2), "e": np.float32(0.5), "f": Word.A}
    assert read_yaml(write_yaml(value)) == {
        "a": [[1.0, 0.0], [0.0, 1.0]], "b": 3, "c": True, "d": [0, 1], "e": 0.5, "f": "a",
    }  # fmt: skip
    with pytest.raises(FkitTypeError, match=r"a value of the class .*Colour has no form in this format"):
        write_yaml([Colour.RED])
    assert math.isnan(read_yaml(write_yaml(math.nan)))


def test_values_that_cannot_be_written() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(FkitValueError, match="nested too deeply for YAML, or holds itself"):
        write_yaml(cycle)
    with pytest.raises(FkitValueError, match="half of a surrogate pair"):
        write_yaml("\ud800")
    with pytest.raises(FkitValueError, match="more than 4300 digits"):
        write_yaml(10**5000)
    for name in ("indent", "width"):
        with pytest.raises(FkitTypeError, match=f"`{name}` is a positive whole number"):
            write_yaml({}, **{name: "x"})

"""The one reader and the one writer of JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.format.json import finite, pretty_json, read_json, write_json
from fkit.tree.error import FkitTypeError, FkitValueError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_what_is_written_is_read_as_the_same_value(value: Any) -> None:
    assert read_json(write_json(value)) == value
    assert json.loads(pretty_json(value)) == value
    assert json.dumps(value) == write_json(value)


REFUSED = {
    '{"a": 1,\n "b": {"a": 2},\n "a": 3}': "x.json:3: The key 'a' stands twice in one object.",
    '[{"\\u0061": 1, "\\"}": 2,\n\n"a": 3}]': "x.json:3: The key 'a' stands twice in one object.",
    '[{"a:{": ":"}, {"b": {"c": 1,\n"c": [': "x.json:2: ",
    '{"a": ': "x.json:1: This is no JSON: Expecting value, at column 7.",
    "[1,\n2,]": "x.json:2: This is no JSON: ",
    "": "x.json:1: This is no JSON: it is empty.",
    "[" * 100_000: "x.json: The JSON is nested too deeply.",
    "1" * 5000: "x.json: The JSON has an integer of more than 4300 digits.",
}


@pytest.mark.parametrize("text", REFUSED, ids=[repr(text[:20]) for text in REFUSED])
def test_refused(text: str) -> None:
    for source in (text, text.encode()):
        with pytest.raises(FkitValueError) as caught:
            read_json(source, "x.json")
        assert str(caught.value).startswith(REFUSED[text])


def test_bytes_with_and_without_a_mark() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert read_json('{"ä": 1}'.encode(encoding)) == {"ä": 1}
    assert read_json("\ufeff[1]") == [1]
    with pytest.raises(FkitValueError, match=r"x\.json: this is no text in utf-8"):
        read_json(b'["\xff"]', "x.json")
    for bad in (None, 3, []):
        with pytest.raises(FkitTypeError, match="a text is a str or bytes, not a"):
            read_json(bad)  # type: ignore[arg-type]


def test_numbers_that_are_none() -> None:
    assert write_json([math.nan, math.inf]) == "[NaN, Infinity]"  # as OpenMMLab writes them
    assert str(read_json("[NaN, -Infinity]")) == "[nan, -inf]"
    assert write_json(finite({"a": [1.5, (math.nan,)]}), allow_nan=False) == '{"a": [1.5, [null]]}'
    with pytest.raises(FkitValueError, match="The value has no form in JSON: Out of range float"):
        write_json([math.nan], allow_nan=False)


def test_plain_forms() -> None:
    value = {"a": np.eye(2), "b": np.int64(3), "c": np.bool_(True), "d": range(2), "e": {1}, "f": (1, 2)}
    assert read_json(write_json(value)) == {
        "a": [[1.0, 0.0], [0.0, 1.0]], "b": 3, "c": True, "d": [0, 1], "e": [1], "f": [1, 2],
    }  # fmt: skip


def test_values_that_cannot_be_written() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value, error, words in (
        (object(), FkitTypeError, "a value of the class object has no form in this format"),
        ({(1, 2): 3}, FkitTypeError, "The value has no form in JSON: keys must be str"),
        (cycle, FkitValueError, "The value has no form in JSON: Circular reference"),
        (deep, FkitValueError, "The value is nested too deeply for JSON"),
        (10**5000, FkitValueError, "The value has no form in JSON: Exceeds the limit"),
    ):
        with pytest.raises(error, match=words):
            write_json(value)

"""A hook's exact memory comes back from a checkpoint as it was, types and all; what cannot is refused when it is saved."""

import json
from collections import Counter, deque, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fkit
from fkit.run.memory import read_memory, write_memory
from fkit.run.start import Saved, save
from fkit.run.state import Memory
from fkit.tree.error import FkitTypeError, FkitValueError
from tests.run.small import config, registry

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.builds(np.int32, st.integers(-9, 9)) | st.builds(np.float32, st.floats(width=32)) | st.builds(np.bool_, st.booleans())
    | st.builds(np.float64, st.floats()) | st.lists(st.integers(-99, 99)).map(lambda row: np.array(row, np.int16))
)  # fmt: skip
KEYS = (
    st.text(max_size=4)
    | st.integers()
    | st.sampled_from(["__list__", "__dict__", "__array__"])
    | st.tuples(st.integers())
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
)


def alike(a: Any, b: Any) -> bool:
    """Whether two values are the same to the bit, and of the same kinds; any mapping is of one kind."""
    if isinstance(a, dict):
        return hasattr(b, "items") and list(map(repr, a)) == list(map(repr, b)) and all(alike(a[k], b[k]) for k in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return repr(a) == repr(b)


@given(TREES)
def test_memory_comes_back_as_it_was(value):
    assert alike(value, read_memory(json.loads(json.dumps(write_memory(value, "memory")))))


@dataclass(frozen=True)
class Keeps(fkit.Hook):
    """Remembers what it is told to."""

    value: Any = ()

    def memory(self):
        return Memory(exact=self.value)


def plan_of(value):
    reg = registry().register("hooks", lambda: Keeps(value), name="Keeps")
    return fkit.plan(config(custom_hooks=[{"type": "Keeps"}]), reg)


@pytest.mark.parametrize("value", [{1: "a", (2, 3): [np.int64(4)]}, np.float32(0.1), ({"__list__": 1}, [(), []])])
def test_a_run_is_restored_with_the_memory_that_was_saved(value):
    plan = plan_of(value)
    saved = save(plan, fkit.begin(plan))
    run = fkit.restore(plan, Saved(saved.arrays, json.loads(json.dumps(saved.record))))
    assert alike(value, run.memory["custom_hooks.0"].exact)


Point = namedtuple("Point", "x")


@pytest.mark.parametrize("value", [{1, 2}, Point(1), deque([1]), np.array(["a"]), object(), 1j, (1, {"a": {2}})])
def test_memory_that_a_checkpoint_cannot_keep_is_refused_by_the_hooks_name(value):
    text = r"the exact memory of hook 'custom_hooks.0' holds .* cannot keep"
    with pytest.raises(FkitTypeError, match=rf"custom_hooks\[0\]: {text}"):
        plan_of(value)
    plan = plan_of(())
    run = fkit.begin(plan)
    with pytest.raises(FkitTypeError, match=text):
        save(plan, run._replace(memory={**run.memory, "custom_hooks.0": Memory(value)}))


def test_a_counter_is_a_mapping():
    assert read_memory(write_memory(Counter("aab"), "memory")) == {"a": 2, "b": 1}


def test_a_record_of_another_layout_is_a_clear_error():
    with pytest.raises(FkitValueError, match="of another layout"):
        read_memory({"__array__": ["float64", "many"]})

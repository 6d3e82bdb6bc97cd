"""What OpenMMLab's users know of small functions, one fact a test: those that no other file here shows."""

import warnings

import pytest

from fkit.compat.require import deprecated_function, has_method
from fkit.compat.sequence import is_list_of, is_seq_of, is_str, is_tuple_of, list_cast, to_2tuple, to_ntuple, tuple_cast


def test_what_is_iterable_is_no_pair_of_itself() -> None:
    assert to_2tuple(3) == (3, 3) and to_ntuple(3)(None) == (None, None, None)
    pair = [1, 2]
    assert to_2tuple(pair) is pair and to_ntuple(1)((1, 2, 3)) == (1, 2, 3)


def test_sequences_of_a_type() -> None:
    assert is_str("a") and not is_str(b"a")
    assert is_list_of([1, 2], int) and not is_list_of((1,), int) and is_tuple_of((1,), (int, str))
    assert is_seq_of((1, 2), int) and is_seq_of([1], int, seq_type=list) and not is_seq_of([1, "a"], int)
    assert list_cast(["1", "2"], int) == [1, 2] and tuple_cast([1], str) == ("1",)


def test_a_function_that_will_go_says_so() -> None:
    @deprecated_function("0.1", "0.2", "call `new`")
    def old() -> int:
        return 1

    with pytest.warns(DeprecationWarning, match=r"`old` is deprecated since 0\.1 and goes with 0\.2: call `new`\."):
        assert old() == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert has_method("a", "upper") and not has_method("a", "push")

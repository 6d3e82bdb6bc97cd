"""Small questions about sequences, and their pieces, under OpenMMLab's names."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from fkit.tree.check import expect, expect_call, expect_number
from fkit.tree.error import FkitValueError

__all__ = [
    "concat_list",
    "is_list_of",
    "is_seq_of",
    "is_str",
    "is_tuple_of",
    "iter_cast",
    "list_cast",
    "slice_list",
    "to_1tuple",
    "to_2tuple",
    "to_3tuple",
    "to_4tuple",
    "to_ntuple",
    "tuple_cast",
]

T = TypeVar("T")
Kinds: TypeAlias = type[Any] | tuple[type[Any], ...]


def is_str(x: Any) -> bool:
    """Whether a value is a str.

    Example:
        >>> is_str("a"), is_str(b"a")
        (True, False)
    """
    return isinstance(x, str)


def is_seq_of(seq: Any, expected_type: Kinds, seq_type: type[Any] | None = None) -> bool:
    """Whether a value is a sequence whose items are all of a type, or of one of several.

    Args:
        seq: the value.
        expected_type: the items' type, or several.
        seq_type: the sequence's; None takes any.

    Example:
        >>> is_seq_of([1, 2], int), is_seq_of((1, "a"), (int, str)), is_seq_of([1], int, tuple), is_seq_of(3, int)
        (True, True, False, False)
    """
    _check_kinds(expected_type, "expected_type")
    if seq_type is not None:
        _check_kinds(seq_type, "seq_type")
    if not isinstance(seq, Sequence if seq_type is None else seq_type):
        return False
    return all(isinstance(item, expected_type) for item in cast("Sequence[Any]", seq))


def _check_kinds(kinds: Any, word: str) -> None:
    for kind in cast("tuple[Any, ...]", kinds) if isinstance(kinds, tuple) else (kinds,):
        expect(kind, type, f"`{word}` is a type, or a tuple of types")


def is_list_of(seq: Any, expected_type: Kinds) -> bool:
    """`is_seq_of`, for lists.

    Example:
        >>> is_list_of([1], int), is_list_of((1,), int)
        (True, False)
    """
    return is_seq_of(seq, expected_type, list)


def is_tuple_of(seq: Any, expected_type: Kinds) -> bool:
    """`is_seq_of`, for tuples.

    Example:
        >>> is_tuple_of((1,), int)
        True
    """
    return is_seq_of(seq, expected_type, tuple)


def iter_cast(inputs: Iterable[Any], dst_type: Callable[[Any], T]) -> Iterator[T]:
    """The items, each made one of a type.

    Raises:
        FkitTypeError: ``inputs`` cannot be iterated over, or ``dst_type`` cannot be called.

    Example:
        >>> list(iter_cast(["1", "2"], int))
        [1, 2]
    """
    expect(inputs, Iterable, "`inputs` is iterable")
    expect_call(dst_type, "`dst_type` is a type")
    return map(dst_type, inputs)


def list_cast(inputs: Iterable[Any], dst_type: Callable[[Any], T]) -> list[T]:
    """`iter_cast` as a list.

    Example:
        >>> list_cast((1, 2), float)
        [1.0, 2.0]
    """
    return list(iter_cast(inputs, dst_type))


def tuple_cast(inputs: Iterable[Any], dst_type: Callable[[Any], T]) -> tuple[T, ...]:
    """`iter_cast` as a tuple.

    Example:
        >>> tuple_cast([1, 2], str)
        ('1', '2')
    """
    return tuple(iter_cast(inputs, dst_type))


def slice_list(in_list: Sequence[T], lens: int | Sequence[int]) -> list[list[T]]:
    """A list in pieces.

    Args:
        in_list: the list.
        lens: the length of each piece, or that of all.

    Raises:
        FkitValueError: the lengths do not add up to the list's.

    Example:
        >>> slice_list([1, 2, 3], [1, 2]), slice_list([1, 2, 3, 4], 2)
        ([[1], [2, 3]], [[1, 2], [3, 4]])
    """
    expect(in_list, Sequence, "`in_list` is a list")
    count = len(in_list)
    if not isinstance(lens, int):
        expect(lens, Sequence, "`lens` is a length, or a list of lengths")
        for length in lens:
            expect_number(length, "a length of `lens`", whole=True)
    if isinstance(lens, int):
        if lens < 1 or count % lens:
            raise FkitValueError(f"a list of {count} has no pieces of {lens} each.")
        lens = [lens] * (count // lens)
    if sum(lens) != count or any(length < 0 for length in lens):
        raise FkitValueError(f"the lengths {list(lens)} do not add up to the {count} items.")
    starts = itertools.accumulate(lens, initial=0)
    return [list(in_list[start : start + length]) for start, length in zip(starts, lens, strict=False)]


def concat_list(in_list: Iterable[Iterable[T]]) -> list[T]:
    """The items of lists, in one.

    Example:
        >>> concat_list([[1], [2, 3]])
        [1, 2, 3]
    """
    expect(in_list, Iterable, "`in_list` is a list of lists")
    lists = list(in_list)
    for part in lists:
        expect(part, Iterable, "each part of `in_list` is a list")
    return list(itertools.chain.from_iterable(lists))


def to_ntuple(n: int) -> Callable[[Any], Any]:
    """The function that repeats a value ``n`` times, and leaves what is iterable as it is.

    Example:
        >>> to_ntuple(3)(1), to_ntuple(3)([1, 2])
        ((1, 1, 1), [1, 2])
    """
    expect_number(n, "n", whole=True)

    def repeated(x: Any) -> Any:
        return cast(Any, x) if isinstance(x, Iterable) else (x,) * n

    return repeated


def to_1tuple(x: Any) -> Any:
    """A value once, as a tuple; what is iterable as it is.

    Example:
        >>> to_1tuple(5)
        (5,)
    """
    return to_ntuple(1)(x)


def to_2tuple(x: Any) -> Any:
    """A value twice; what is iterable as it is.

    Example:
        >>> to_2tuple(5), to_2tuple((3, 4))
        ((5, 5), (3, 4))
    """
    return to_ntuple(2)(x)


def to_3tuple(x: Any) -> Any:
    """A value three times; what is iterable as it is.

    Example:
        >>> to_3tuple(5)
        (5, 5, 5)
    """
    return to_ntuple(3)(x)


def to_4tuple(x: Any) -> Any:
    """A value four times; what is iterable as it is.

    Example:
        >>> to_4tuple(5)
        (5, 5, 5, 5)
    """
    return to_ntuple(4)(x)

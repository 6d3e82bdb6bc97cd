"""InstanceData: indexing is numpy's, cat and padding have inverses, lengths are equal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.structures import InstanceData, bucket
from fkit.tree.error import FkitIndexError, FkitTypeError, FkitValueError


class Boxes:
    """A user's own type: rows by slices, and ``cat``."""

    def __init__(self, rows):
        self.rows = list(rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return Boxes(self.rows[index])

    @staticmethod
    def cat(values):
        return Boxes([row for value in values for row in value.rows])

    def __content__(self):
        return tuple(self.rows)


def make(n: int) -> InstanceData:
    return InstanceData(
        metainfo={"img": "a.jpg"},
        boxes=np.arange(n * 4, dtype=np.float32).reshape(n, 4),
        labels=np.arange(n),
        names=[f"n{i}" for i in range(n)],
        text="abcdefghij"[:n],
        pairs=tuple((i, i) for i in range(n)),
        own=Boxes(range(n)),
        inner=InstanceData(ids=np.arange(n)),
    )


def check(part: InstanceData, rows: list[int]) -> None:
    """Each field holds the rows, in order."""
    assert part.labels.tolist() == rows
    assert np.array_equal(part.boxes, make(10).boxes[rows].reshape(-1, 4))
    assert part.names == [f"n{i}" for i in rows]
    assert part.text == "".join("abcdefghij"[i] for i in rows)
    assert part.pairs == tuple((i, i) for i in rows)
    assert part.own.rows == rows
    assert part.inner.ids.tolist() == rows
    assert part.metainfo == {"img": "a.jpg"} and len(part) == len(rows)


sizes = st.integers(0, 8)


class TestIndexing:
    @given(st.data(), sizes)
    def test_slices(self, data, n):
        index = data.draw(st.slices(n))
        check(make(n)[index], list(range(n))[index])

    @given(st.data(), st.integers(1, 8))
    def test_ints_keep_the_axis(self, data, n):
        index = data.draw(st.integers(-n, n - 1))
        check(make(n)[index], [index % n])
        check(make(n)[np.int32(index)], [index % n])
        check(make(n)[np.array(index)], [index % n])

    @given(st.data(), st.integers(1, 8))
    def test_lists_and_arrays_of_ints(self, data, n):
        index = data.draw(st.lists(st.integers(-n, n - 1), max_size=6))
        rows = [at % n for at in index]
        check(make(n)[index], rows)
        check(make(n)[np.array(index, np.int32)], rows)
        check(make(n)[np.array(index, np.int64)], rows)

    @given(st.data(), sizes)
    def test_masks(self, data, n):
        mask = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
        rows = [at for at, real in enumerate(mask) if real]
        check(make(n)[np.array(mask, bool)], rows)
        check(make(n)[mask], rows)

    @given(st.data(), st.integers(1, 8))
    def test_twice_is_once(self, data, n):
        first = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6))
        second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=6))
        assert make(n)[first][second] == make(n)[[first[at] for at in second]]

    @given(sizes)
    def test_rows_joined_are_the_whole(self, n):
        x = make(n)
        assert [row.labels.tolist() for row in x] == [[at] for at in range(n)]
        if n:
            assert InstanceData.cat(list(x)) == x

    def test_a_name_gives_the_field(self):
        assert make(2)["names"] == ["n0", "n1"]
        with pytest.raises(AttributeError, match="'nams' is no field"):
            make(2)["nams"]

    @pytest.mark.parametrize(
        ("index", "error", "told"),
        [
            (3, FkitIndexError, "index 3 is out of range: there are 3 rows"),
            (-4, FkitIndexError, "index -4 is out of range"),
            ([0, 5], FkitIndexError, "index 5 is out of range"),
            (np.array([-9]), FkitIndexError, "index -9 is out of range"),
            ([True, False], FkitValueError, "the mask has 2 entries, and there are 3 rows"),
            (np.array([0.5]), FkitTypeError, "picked by ints or bools, not float64"),
            (np.zeros((3, 1), int), FkitTypeError, r"not a ndarray of shape \(3, 1\)"),
            ([0.5], FkitTypeError, "a list that picks rows holds ints, or bools"),
            ([True, 0], FkitTypeError, "ints or bools, not both"),
            (True, FkitTypeError, "True picks no rows"),
            (None, FkitTypeError, "not a NoneType"),
            ((0, 1), FkitTypeError, "not a tuple"),
            (..., FkitTypeError, "not a ellipsis"),
        ],
    )
    def test_refused(self, index, error, told):
        with pytest.raises(error, match=told):
            make(3)[index]

    def test_out_of_range_is_an_index_error(self):
        with pytest.raises(IndexError):
            make(0)[0]


class TestLengths:
    def test_equal(self):
        with pytest.raises(FkitValueError, match="the fields of InstanceData differ in length: a 2, b 3"):
            InstanceData(a=[1, 2], b=np.zeros(3))
        with pytest.raises(FkitValueError, match="a 2, b 3"):
            InstanceData(a=[1, 2]).set(b="xyz")
        assert len(InstanceData(a=[1, 2]).drop("a").set(b="xyz")) == 3
        assert len(InstanceData()) == 0 and not InstanceData()

    @pytest.mark.parametrize("value", [3, None, np.array(3), {1, 2}, iter([1])])
    def test_without_a_length_or_rows(self, value):
        with pytest.raises(FkitTypeError, match="'a'"):
            InstanceData(a=value)

    def test_replaced_all_at_once(self):
        assert len(InstanceData(a=[1], b=[2]).set(a=[1, 2], b="xy")) == 2


class TestCat:
    @given(st.lists(sizes, min_size=1, max_size=4))
    def test_lengths_add(self, lengths):
        parts = [make(n) for n in lengths]
        whole = InstanceData.cat(parts)
        start = 0
        for part in parts:
            assert whole[start : start + len(part)] == part
            start += len(part)
        assert len(whole) == start

    @given(sizes, sizes, sizes)
    def test_associative(self, a, b, c):
        a, b, c = make(a), make(b), make(c)
        assert InstanceData.cat([InstanceData.cat([a, b]), c]) == InstanceData.cat([a, InstanceData.cat([b, c])])

    def test_one_is_itself(self):
        x = make(2)
        assert InstanceData.cat([x]) is x

    def test_class_and_meta_of_the_first(self):
        class Mine(InstanceData):
            pass

        both = InstanceData.cat([Mine(metainfo={"h": 1}, a=[1]), Mine(metainfo={"h": 2}, a=[2])])
        assert type(both) is Mine and both.h == 1

    def test_refused(self):
        with pytest.raises(FkitValueError, match="at least one"):
            InstanceData.cat([])
        with pytest.raises(FkitValueError, match=r"the same fields: \['a'\] and \['b'\] differ"):
            InstanceData.cat([InstanceData(a=[1]), InstanceData(b=[1])])
        with pytest.raises(FkitTypeError, match="joins InstanceData, not a list"):
            InstanceData.cat([InstanceData(a=[1]), [1]])
        with pytest.raises(FkitTypeError, match="a range cannot be joined: it has no `cat`"):
            InstanceData.cat([InstanceData(a=range(1)), InstanceData(a=range(2))])


class TestPadding:
    @given(sizes, st.integers(0, 4))
    def test_and_back(self, n, more):
        x = make(n).drop("own")
        padded = x.pad(n + more, fill={"labels": -1})
        assert len(padded) == n + more
        assert padded.valid.tolist() == [True] * n + [False] * more
        assert padded.labels[n:].tolist() == [-1] * more and not padded.boxes[n:].any()
        assert padded.boxes.dtype == np.float32 and padded.names[n:] == [None] * more
        assert padded.unpad() == x

    def test_to_the_least_bucket(self):
        assert len(make(3).drop("own").pad((8, 4, 16))) == 4
        assert [bucket(n, (4, 8)) for n in (0, 4, 5)] == [4, 4, 8]
        with pytest.raises(FkitValueError, match=r"9 rows fit into none of the sizes \[4, 8\]"):
            bucket(9, (8, 4))

    def test_refused(self):
        with pytest.raises(FkitValueError, match="3 rows do not fit into 2"):
            make(3).pad(2)
        with pytest.raises(FkitValueError, match="'valid' is there already"):
            InstanceData(a=[1]).pad(2).pad(3)
        with pytest.raises(FkitValueError, match="no field 'valid'"):
            make(3).unpad()
        with pytest.raises(FkitTypeError, match="rows of a Boxes cannot be padded"):
            make(3).pad(4)

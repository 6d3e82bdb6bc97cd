"""Versions, missing packages and renamed arguments."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.compat.package import is_installed
from fkit.compat.require import (
    deprecated_api_warning,
    digit_version,
    is_method_overridden,
    requires_executable,
    requires_package,
)
from fkit.compat.sequence import concat_list, iter_cast, slice_list
from fkit.tree.error import FkitImportError, FkitTypeError, FkitValueError

# in rising order, as PEP 440 sorts them
RISING = (
    "0.9",
    "1.0.dev1",
    "1.0a1",
    "1.0a2",
    "1.0b1",
    "1.0rc1",
    "1.0rc2",
    "1.0",
    "1.0.post1",
    "1.0.1",
    "1.10",
    "2.0.0rc4",
    "2",
)


def test_versions_compare():
    assert sorted(reversed(RISING), key=digit_version) == list(RISING)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.3.1", (1, 3, 1, 0, 0, 0)),
        ("1.3.1rc1", (1, 3, 1, 0, -1, 1)),
        ("1.3b2", (1, 3, 0, 0, -2, 2)),
        ("2.13.0+cpu", (2, 13, 0, 0, 0, 0)),
        ("0.10.2.dev20261026", (0, 10, 2, 0, -4, 0)),
        ("1.0-3", (1, 0, 0, 0, 1, 3)),
        ("1.2.3.4.5", (1, 2, 3, 4, 0, 0)),
    ],
)
def test_versions(text, digits):
    assert digit_version(text) == digits


@pytest.mark.parametrize("text", ["", "abc", "1..2", "1.0what"])
def test_no_versions(text):
    with pytest.raises(FkitValueError, match="is no version"):
        digit_version(text)


def test_requirements():
    @requires_package("json", "no_such_package", "os.no.such")
    def read():
        return 1

    with pytest.raises(FkitImportError, match=r"'read' needs what is not installed: no_such_package, os\.no\.such"):
        read()
    assert requires_package("json")(lambda: 3)() == 3 and not is_installed("os.no.such")
    with pytest.raises(ImportError, match="no-such-program"):
        requires_executable("no-such-program")(read)()


def test_renamed_arguments():
    @deprecated_api_warning({"size": "scale"}, cls_name="Resize")
    def call(scale):
        return scale

    with pytest.warns(DeprecationWarning, match=r"'size' of `Resize\.call` is now called 'scale'"):
        assert call(size=2) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call(scale=3) == 3 and call(4) == 4
    with pytest.raises(FkitTypeError, match="two names of one argument"):
        call(size=2, scale=3)


def test_overridden():
    class Net:
        def run(self):
            """Nothing."""

    class Mine(Net):
        def run(self):
            """Something."""

    assert is_method_overridden("run", Net, Mine) and is_method_overridden("run", Net, Mine())
    assert not is_method_overridden("run", Net, Net())
    with pytest.raises(FkitTypeError, match="`base_class` is a class"):
        is_method_overridden("run", Net(), Mine)


@given(st.lists(st.lists(st.integers(), max_size=4), max_size=4))
def test_pieces_and_back(pieces):
    assert slice_list(concat_list(pieces), [len(piece) for piece in pieces]) == pieces


def test_refused_pieces():
    for lens in ([1, 1], [4], [4, -1], 2, 0):
        with pytest.raises(FkitValueError, match=r"pieces of|do not add up"):
            slice_list([1, 2, 3], lens)
    with pytest.raises(FkitTypeError, match="`inputs` is iterable, not the int 3"):
        iter_cast(3, int)
    with pytest.raises(FkitTypeError, match="`dst_type` is a type, not 3"):
        iter_cast([1], 3)

"""What a part of one's own must offer, and what is said where it does not."""

from functools import partial

import pytest

from fkit.tree.contract import Contract, expect_contract, misfit, title
from fkit.tree.error import FkitTypeError

SUM = Contract("sum", (("empty", ""), ("merge", "a, b"), ("show", "a, wide=")), "\nFor example:\n    class Sum: ...")


class Whole:
    def empty(self): ...
    def merge(self, a, b, *more): ...
    def show(self, a, *, wide): ...


class Misspelt(Whole):
    merge = None
    merg = Whole.merge


class Narrow(Whole):
    def show(self, a): ...


def test_what_fits_passes():
    expect_contract(Whole(), SUM)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Whole, "Whole is a class, and a sum is a value: Whole(...) makes one."),
        (3, "3 is no sum: it has no empty()."),
        (Misspelt(), "Misspelt is no sum: it has no merge(a, b): is its 'merg' meant to be that."),
        (Narrow(), "Narrow is no sum: its show(a) cannot be called as show(a, wide=)."),
        (len, "len is no sum: it has no empty()."),
    ],
)
def test_what_does_not_is_said_with_the_contract(value, text):
    with pytest.raises(FkitTypeError) as caught:
        expect_contract(value, SUM)
    first, second, *example = str(caught.value).splitlines()
    assert first == text and second == "  A sum has empty(), merge(a, b), show(a, wide=)."
    assert [line.strip() for line in example] == ["For example:", "class Sum: ..."]


@pytest.mark.parametrize(
    "function", [lambda a, b: 0, lambda *a: 0, lambda a, b=1, *, c=2: 0, partial(max, 3), dict.get, print]
)
def test_what_takes_the_arguments_or_does_not_say_fits(function):
    assert misfit(function, ["a", "b"]) == ""


def test_annotations_are_no_part_of_what_is_shown():
    def merge(a: "int", b: "int" = 3, *, c: "str") -> None: ...

    assert misfit(merge, ["a"]) == "(a, b=3, *, c)"


def test_a_title_is_the_name_that_its_author_knows():
    assert (title(Whole()), title(Whole), title([1])) == ("Whole", "Whole", "[1]")

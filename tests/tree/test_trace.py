"""Whose line an error is of: the user's innermost one, whatever the kit and installed packages put around it."""

import json
import pickle
from functools import reduce

import pytest

from fkit.cli.main import message_of
from fkit.data.transform.compose import Compose
from fkit.data.transform.transform import Transform
from fkit.run.attempt import failure, located, raised, told
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError, RunError
from fkit.tree.trace import blamed, users_line, users_names

HERE = __file__.rpartition("/")[2]


class Broken(Transform):
    def apply(self, sample, params):
        return sample["nothing"]


def line_of(function):
    return function.__code__.co_firstlineno + 1


def caught(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def test_the_line_is_the_innermost_of_the_users_under_the_kit_and_the_library():
    error = caught(Compose([Broken()]), {"img": 1})
    assert isinstance(error, FkitKeyError)
    assert users_line(error).endswith(f"{HERE}:{line_of(Broken.apply)}, in Broken.apply")
    assert users_names(error)[:2] == ("apply", "Broken")
    assert str(error).count(HERE) == 1


def test_a_package_below_the_users_line_is_passed_over():
    error = caught(lambda: json.loads("{"))
    assert users_line(error).endswith("in <lambda>") and HERE in users_line(error)


def test_code_of_nobodys_has_no_line():
    assert users_line(caught(reduce, None, 3)) != ""  # called from here
    error = ValueError("no")
    assert users_line(error) == "" and blamed("wrong.", error) == "wrong."


def test_a_line_is_said_once_and_behind_the_first_line_of_a_text():
    error = caught(lambda: 1 / 0)
    text = blamed("wrong:\nin two lines.", error)
    first, second = text.splitlines()
    assert first.startswith("wrong: (") and first.endswith("in <lambda>)") and second == "  in two lines."
    assert blamed(text, error) == text


@pytest.mark.parametrize("kind", [KeyError, ValueError, OSError, ZeroDivisionError, AttributeError])
def test_what_a_run_raises_is_of_the_class_of_its_cause(kind):
    def breaks():
        raise kind("gone")

    error = failure("the model", "iteration", 3, caught(breaks))
    assert isinstance(error, RunError) and isinstance(error, kind) and error.exit_code == 1
    assert str(error).startswith(f"iteration 3: the model raised {kind.__name__}: ") and "in breaks; --debug" in str(
        error
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_end_of_an_iterator_of_the_users_does_not_end_the_run():
    error = raised("a hook raised StopIteration", caught(next, iter(())))
    assert type(error) is RunError


def test_an_error_of_the_kits_keeps_its_class_and_says_where():
    error = told(FkitValueError("label 9.", path="targets", repair="Look."), "iteration 3")
    assert type(error) is FkitValueError and str(error) == "iteration 3: label 9.\n  Look." and error.path == "targets"
    assert located(FkitError("no part."), None, "train").what == "no part."  # type: ignore[arg-type]


def test_the_door_says_whose_fault_it_is():
    assert message_of(ZeroDivisionError("no"))[0].endswith("This is a fault of fkit: --debug shows where.")
    text, code = message_of(caught(lambda: {}["a"]))
    assert code == 1 and text.startswith("KeyError: 'a'\n  It was raised at ") and HERE in text

"""Where a run calls what others wrote: what it raises becomes one error that says where."""

import traceback
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from frozendict import frozendict

from fkit.catalog.report import is_reported, of_class, placed, reported
from fkit.recipe.settings import Settings, line_of
from fkit.tree.error import FkitError, RunError
from fkit.tree.trace import blamed, users_line

__all__ = ["attempt", "failure", "following", "located", "raised", "told"]

_KEYS = frozendict({"the model": "model", "the metric": "evaluator", "the evaluator": "evaluator"})
_PATHS = frozendict(model="model", targets="{}_dataloader", evaluator="{}_evaluator")

_ALL = "; --debug shows all of it"

P = ParamSpec("P")
T = TypeVar("T")


def attempt(what: str, place: str, number: int, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """``function(*arguments, **options)``.

    Args:
        what: is called, in the user's words: "the model".
        place, number: where the run is: "iteration", 7.

    Raises:
        RunError: it raised; ``except`` clauses for the class of its error catch it too. One of the kit's own errors stays
            as it is, but for the place.

    Example:
        >>> attempt("the metric", "iteration", 7, divmod, 7, 2)
        (3, 1)
    """
    try:
        return function(*arguments, **options)
    except FkitError as error:
        raise told(error, f"{place} {number}", _KEYS.get(what, "")) from error.__cause__
    except Exception as cause:
        raise failure(what, place, number, cause) from cause


def failure(what: str, place: str, number: int, cause: Exception) -> FkitError:
    """The error of `attempt`, for a step that has no time to be called by another.

    Example:
        >>> print(failure("the model", "iteration", 7, KeyError("boxes")))
        iteration 7: the model raised KeyError: 'boxes'
    """
    return raised(f"{place} {number}: {what} raised {type(cause).__name__}: {cause}", cause, _KEYS.get(what, ""))


def raised(text: str, cause: Exception, path: str = "") -> FkitError:
    """A RunError of what code of others raised, which says where: the user's line, or the innermost one there is.

    Args:
        path: which part of a run it is of, as `located` knows it.
    """
    calls = traceback.extract_tb(cause.__traceback__)
    if calls and not users_line(cause):
        text += f" ({calls[-1].filename}:{calls[-1].lineno}{_ALL})"
    return of_class(RunError(blamed(text, cause, _ALL), path=path), cause)


def told(error: FkitError, where: str, path: str = "") -> FkitError:
    """One of the kit's own errors, with where the run was, and the line of the user's code that it passed through.

    Example:
        >>> print(told(FkitError("label 9 is none of 5 classes."), "iteration 3"))
        iteration 3: label 9 is none of 5 classes.
    """
    if isinstance(error, RunError):
        return error
    spoken = placed(error, f"{where}: ", error.path or path, error.origin)
    spoken.what = blamed(spoken.what, error)
    spoken.__traceback__ = error.__traceback__
    return reported(spoken) if is_reported(error) else spoken


def located(error: FkitError, settings: Settings, part: str) -> FkitError:
    """An error of a run with the place in the config of what it is of.

    Args:
        error: whose path is "targets" (of a batch), "model" or "evaluator".
        part: of the data, "train" or "val".
    """
    key, bracket, number = error.path.partition("[")
    if is_reported(error) or key not in _PATHS:
        return error
    at = _PATHS[key].format(part) + bracket + number
    spoken = placed(error, "" if key == "model" else f"{at}: ", at, line_of(settings.tree, at))
    spoken.__traceback__ = error.__traceback__
    return reported(spoken)


def following(items: Iterator[T]) -> T | None:
    """The next item; None where there is none.

    Example:
        >>> following(iter([1])), following(iter([]))
        (1, None)
    """
    return next(items, None)

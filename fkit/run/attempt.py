"""Where a run calls what others wrote: what it raises becomes one error that says where."""

import traceback
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from fkit.tree.error import FkitError, RunError

__all__ = ["attempt", "failure", "following"]

P = ParamSpec("P")
T = TypeVar("T")


def attempt(what: str, place: str, number: int, function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """``function(*arguments, **options)``.

    Args:
        what: is called, in the user's words: "the model".
        place, number: where the run is: "iteration", 7.

    Raises:
        RunError: it raised; one of the kit's own errors stays as it is.

    Example:
        >>> attempt("the metric", "iteration", 7, divmod, 7, 2)
        (3, 1)
    """
    try:
        return function(*arguments, **options)
    except FkitError:
        raise
    except Exception as cause:
        raise failure(what, place, number, cause) from cause


def failure(what: str, place: str, number: int, cause: Exception) -> RunError:
    """The error of `attempt`, for a step that has no time to be called by another.

    Example:
        >>> print(failure("the model", "iteration", 7, KeyError("boxes")))
        iteration 7: the model raised KeyError: 'boxes'
    """
    calls = traceback.extract_tb(cause.__traceback__)
    where = f" ({calls[-1].filename}:{calls[-1].lineno}; --debug shows all of it)" if calls else ""
    return RunError(f"{place} {number}: {what} raised {type(cause).__name__}: {cause}{where}")


def following(items: Iterator[T]) -> T | None:
    """The next item; None where there is none.

    Example:
        >>> following(iter([1])), following(iter([]))
        (1, None)
    """
    return next(items, None)

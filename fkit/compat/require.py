"""What code asks of its surroundings: versions, packages, programs, and the names that its arguments once had."""

import functools
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from fkit.compat.package import is_installed
from fkit.tree.check import expect, expect_call, expect_number
from fkit.tree.error import FkitError, FkitImportError, FkitRuntimeError, FkitTypeError, FkitValueError

__all__ = [
    "check_prerequisites",
    "deprecated_api_warning",
    "deprecated_function",
    "digit_version",
    "has_method",
    "is_method_overridden",
    "requires_executable",
    "requires_package",
]

P = ParamSpec("P")
R = TypeVar("R")

_VERSION = re.compile(
    r"v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>a|b|c|rc|alpha|beta|pre|preview)[-_.]?(?P<pre_n>\d*))?"
    r"(?P<post>-(?P<post_n1>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n2>\d*))?"
    r"(?P<dev>[-_.]?dev[-_.]?\d*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.IGNORECASE,
)


def digit_version(version_str: str, length: int = 4) -> tuple[int, ...]:
    """A version as ints that compare as versions do.

    Args:
        version_str: as PEP 440 writes it.
        length: how many parts of the release are kept, filled up with zeros.

    Returns:
        the release's parts and two more: (-4, 0) for a development version, (-3, n), (-2, n) and (-1, n) for alpha,
        beta and release candidate n, (0, 0) for a release and (1, n) for a post-release; mmcv's numbers.

    Raises:
        FkitValueError: it is no version.

    Example:
        >>> digit_version("2.0.0rc4"), digit_version("1.7.2+cu118"), digit_version("1.0.post2")
        ((2, 0, 0, 0, -1, 4), (1, 7, 2, 0, 0, 0), (1, 0, 0, 0, 1, 2))
    """
    expect(version_str, str, "`version_str` is a version such as '1.7.2'")
    expect_number(length, "length", whole=True)
    match = _VERSION.fullmatch(version_str.strip())
    if match is None:
        raise FkitValueError(f"{version_str!r} is no version.", repair="A version is written as in 1.7.2 or 2.0.0rc4.")
    release = [int(part) for part in match["release"].split(".")][:length]
    release += [0] * (length - len(release))
    if match["pre"]:
        letter = match["pre"].lower()
        rank = -3 if letter in ("a", "alpha") else -2 if letter in ("b", "beta") else -1
        return (*release, rank, int(match["pre_n"] or 0))
    if match["dev"]:
        return (*release, -4, 0)
    if match["post"]:
        return (*release, 1, int(match["post_n1"] or match["post_n2"] or 0))
    return (*release, 0, 0)


def check_prerequisites(
    prerequisites: str | Iterable[str],
    checker: Callable[[str], bool],
    msg_tmpl: str = "'{}' are needed by '{}', and are not there.",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that needs things: called without them, it says which are missing.

    Args:
        prerequisites: what it needs.
        checker: whether one of them is there; asked at each call.
        msg_tmpl: the message, a format of what is missing and of the function's name.

    Raises:
        FkitRuntimeError: at the call.

    Example:
        >>> @check_prerequisites(["a.txt", "b.txt"], lambda name: name == "a.txt")
        ... def read(): ...
        >>> read()
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitRuntimeError: 'b.txt' are needed by 'read', and are not there.
    """
    names = _names((prerequisites,) if isinstance(prerequisites, str) else prerequisites)
    expect_call(checker, "`checker` is a function of a name")
    expect(msg_tmpl, str, "`msg_tmpl` is a format")

    def refuse(missing: list[str], function: str) -> FkitError:
        return FkitRuntimeError(msg_tmpl.format(", ".join(missing), function))

    return _required(names, checker, refuse)


def requires_package(*packages: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that needs packages: called without them, it says which are missing.

    Raises:
        FkitImportError: at the call.

    Example:
        >>> @requires_package("no_such_package")
        ... def read(): ...
        >>> read()
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitImportError: 'read' needs what is not installed: no_such_package.
          pip install no_such_package
    """

    def refuse(missing: list[str], function: str) -> FkitError:
        return _lacking(missing, function, f"pip install {' '.join(missing)}")

    return _required(_names(packages), is_installed, refuse)


def requires_executable(*programs: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that needs programs on the path.

    Raises:
        FkitImportError: at the call.

    Example:
        >>> @requires_executable("no-such-program")
        ... def encode(): ...
        >>> encode()
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitImportError: 'encode' needs what is not installed: no-such-program.
          Install it, so that the shell finds it.
    """

    def refuse(missing: list[str], function: str) -> FkitError:
        return _lacking(missing, function, "Install it, so that the shell finds it.")

    return _required(_names(programs), lambda name: shutil.which(name) is not None, refuse)


def _lacking(missing: list[str], function: str, repair: str) -> FkitError:
    return FkitImportError(f"{function!r} needs what is not installed: {', '.join(missing)}.", repair=repair)


def _names(names: Any) -> tuple[str, ...]:
    expect(names, Iterable, "What is needed is named by strings")
    for name in names:
        expect(name, str, "What is needed is named by strings")
    return tuple(names)


def _required(
    names: tuple[str, ...], there: Callable[[str], bool], refuse: Callable[[list[str], str], FkitError]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    def mark(function: Callable[P, R]) -> Callable[P, R]:
        expect_call(function, "what is marked is a function")

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            missing = [name for name in names if not there(name)]
            if missing:
                raise refuse(missing, getattr(function, "__name__", repr(function)))
            return function(*args, **kwargs)

        return checked

    return mark


def deprecated_api_warning(
    name_dict: Mapping[str, str], cls_name: str | None = None
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Mark a function whose arguments had other names: the old ones still work, with a warning.

    Args:
        name_dict: {old name: new name}.
        cls_name: the function's class, for the warning.

    Raises:
        FkitTypeError: at a call with an argument under both names.

    Example:
        >>> @deprecated_api_warning({"size": "scale"})
        ... def resize(scale): return scale
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     resize(size=2), str(caught[0].message)
        (2, "'size' of `resize` is now called 'scale'.")
    """

    expect(name_dict, Mapping, "`name_dict` is a mapping of old names to new ones")

    def mark(function: Callable[..., R]) -> Callable[..., R]:
        expect_call(function, "what is marked is a function")
        name = f"{cls_name}.{function.__name__}" if cls_name else function.__name__

        @functools.wraps(function)
        def replaced(*args: Any, **kwargs: Any) -> R:
            for old, new in name_dict.items():
                if old not in kwargs:
                    continue
                if new in kwargs:
                    raise FkitTypeError(f"`{name}` was given {old!r} and {new!r}, which are two names of one argument.")
                warnings.warn(f"{old!r} of `{name}` is now called {new!r}.", DeprecationWarning, stacklevel=2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return replaced

    return mark


def deprecated_function(since: str, removed_in: str, instructions: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function that will go: calling it warns, and says what to call instead.

    Args:
        since: the version that deprecated it.
        removed_in: the version without it.
        instructions: what to do: "use `load` instead".

    Example:
        >>> @deprecated_function("0.1.0", "0.3.0", "use `load` instead")
        ... def read(): return 1
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     read(), str(caught[0].message)
        (1, '`read` is deprecated since 0.1.0 and goes with 0.3.0: use `load` instead.')
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def replaced(*args: P.args, **kwargs: P.kwargs) -> R:
            text = f"`{function.__name__}` is deprecated since {since} and goes with {removed_in}: {instructions}."
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return replaced

    return mark


def has_method(obj: object, method: str) -> bool:
    """Whether an object has a method of a name.

    Example:
        >>> has_method("a", "upper"), has_method("a", "push")
        (True, False)
    """
    expect(method, str, "`method` is the name of a method")
    return callable(getattr(obj, method, None))


def is_method_overridden(method: str, base_class: type[Any], derived_class: type[Any] | object) -> bool:
    """Whether a class, or an object's class, has its own version of a method of ``base_class``.

    Raises:
        FkitTypeError: ``base_class`` is no class.

    Example:
        >>> is_method_overridden("__repr__", object, int), is_method_overridden("__repr__", int, True)
        (True, True)
        >>> is_method_overridden("__add__", int, True)
        False
    """
    if not isinstance(base_class, type):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise FkitTypeError(f"`base_class` is a class, not {base_class!r}.")
    expect(method, str, "`method` is the name of a method")
    if not hasattr(base_class, method):
        raise FkitTypeError(f"{base_class.__name__} has no method {method!r}.")
    derived: Any = derived_class if isinstance(derived_class, type) else type(derived_class)
    return getattr(derived, method, None) is not getattr(base_class, method)

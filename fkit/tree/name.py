"""Opening what a name stands for: ``"module:attribute"``, or ``module.attribute``. The one place that imports by name."""

import importlib
import os
from types import ModuleType
from typing import Any

from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitAttributeError, FkitError, FkitImportError, FkitTypeError, FkitValueError, quoted

__all__ = ["open_module", "open_name"]


def open_module(name: str) -> ModuleType:
    """The module of a name, imported. This runs its code.

    Raises:
        FkitImportError: it is not there, or what it imports is not.
        FkitTypeError, FkitValueError: it is no name.

    Example:
        >>> open_module("math").__name__
        'math'
    """
    _check(name)
    return _opened(name, name)


def open_name(name: str) -> Any:
    """The object that ``"module:attribute"`` or ``"module.attribute"`` names. This imports the module, which runs its code.

    In the dotted form modules are opened one inside the other, up to the first name that is something else; a function
    goes before a module of the same name. A module alone is itself.

    Args:
        name: the name; attributes may have dots of their own.

    Raises:
        FkitImportError: there is no such module, or what it imports is missing.
        FkitAttributeError: the module has nothing of that name.
        FkitTypeError, FkitValueError: it is no name.

    Example:
        >>> open_name("math:pi") == open_name("math.pi"), open_name("collections.abc:Mapping.get").__name__
        (True, 'get')
    """
    _check(name)
    if ":" in name:
        head, _, tail = name.partition(":")
        return _attribute(_opened(head, name), head, tail)
    head, *parts = name.split(".")
    value: Any = _opened(head, name)
    while parts:
        inner = getattr(value, parts[0], ABSENT)
        if inner is ABSENT or isinstance(inner, ModuleType):
            inner = _below(f"{head}.{parts[0]}", name, inner)
        if not isinstance(inner, ModuleType):
            return _attribute(value, head, ".".join(parts))
        head, value = f"{head}.{parts.pop(0)}", inner
    return value


def _below(module: str, name: str, known: Any) -> Any:
    """A module inside of another; ``known``, an attribute of its name, where there is none."""
    try:
        return _run(module, name)
    except ModuleNotFoundError as cause:
        if cause.name is None or not f"{module}.".startswith(f"{cause.name}."):
            raise _missing(module, name, cause) from cause  # a package that lacks something it needs
        return known


def _opened(module: str, name: str) -> ModuleType:
    """The module, imported for the sake of a name."""
    try:
        return _run(module, name)
    except ModuleNotFoundError as cause:
        raise _missing(module, name, cause) from cause


def _run(module: str, name: str) -> ModuleType:
    """The module, imported; an error of its code, but for a module that is not there, says the line of it."""
    try:
        return importlib.import_module(module)
    except (ModuleNotFoundError, FkitError):
        raise
    except (Exception, SystemExit) as cause:
        if module.partition(".")[0] == "fkit" and not isinstance(cause, ImportError):
            raise  # a fault of the kit
        kind = "" if isinstance(cause, ImportError) else f"{type(cause).__name__}: "
        text = cause.msg if isinstance(cause, SyntaxError) else str(cause)
        raise FkitImportError(f"{name} cannot be imported: {kind}{text}{_line(module, cause)}") from cause


def _line(module: str, cause: BaseException) -> str:
    """`` (file:line)`` of the code of a module's package that raised; nothing where it was none of that."""
    line = (cause.filename, cause.lineno) if isinstance(cause, SyntaxError) else None
    trace = None if line else cause.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] == module.partition(".")[0]:
            line = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return f" ({str(line[0]).removeprefix(os.getcwd() + os.sep)}:{line[1]})" if line else ""


def _check(name: Any) -> None:
    if not isinstance(name, str):
        raise FkitTypeError(f"A name is a string such as 'package.module:Class', not {quoted(name)}.")
    head, colon, tail = name.partition(":")
    parts = [*head.split("."), *(tail.split(".") if colon else ())]
    if not all(part.isidentifier() for part in parts):
        raise FkitValueError(
            f"{quoted(name)} is no name.", repair="Write 'package.module:Class' or 'package.module.Class'."
        )


def _missing(module: str, name: str, cause: ModuleNotFoundError) -> FkitImportError:
    lacking = cause.name or str(cause)
    asked = lacking and f"{name.replace(':', '.')}.".startswith(f"{lacking}.")
    what = f"there is no module {lacking!r}" if asked else f"it needs the package {lacking!r}, which is not installed"
    return FkitImportError(f"{name} cannot be imported: {what}{_line(module, cause)}.")


def _attribute(module: ModuleType, head: str, tail: str) -> Any:
    value: Any = module
    above = head
    for part in tail.split(".") if tail else ():
        try:
            value = getattr(value, part)
        except AttributeError:
            names = [entry for entry in dir(value) if not entry.startswith("_")]
            raise FkitAttributeError(f"{above} has no {part!r}.", value=part, choices=names, label="It has") from None
        above = f"{above}.{part}"
    return value

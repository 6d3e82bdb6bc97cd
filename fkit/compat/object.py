"""Objects by name, and what is done to all parts of one: mmengine's small functions."""

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, cast

from fkit.tree.check import expect, expect_call
from fkit.tree.error import FkitAttributeError, FkitError, FkitImportError, FkitKeyError, FkitTypeError, quoted
from fkit.tree.name import open_module, open_name

__all__ = ["apply_to", "get_object_from_string", "import_modules_from_strings", "obj_from_dict"]


def apply_to(data: Any, expr: Callable[[Any], Any], apply_func: Callable[[Any], Any]) -> Any:
    """The same structure with ``apply_func`` of each part that ``expr`` says yes to.

    Args:
        data: mappings, lists, tuples and named tuples, in one another; anything else is a part.
        expr: whether a part is meant; it is asked of the containers too, from outside in.
        apply_func: what becomes of a part.

    Example:
        >>> apply_to({"a": [1, "x"], "b": (2,)}, lambda part: isinstance(part, int), lambda part: part + 1)
        {'a': [2, 'x'], 'b': (3,)}
    """
    expect_call(expr, "`expr` is a function of a part")
    expect_call(apply_func, "`apply_func` is a function of a part")
    if expr(data):
        return apply_func(data)
    if isinstance(data, Mapping):
        items = cast("Mapping[Any, Any]", data).items()
        return {key: apply_to(part, expr, apply_func) for key, part in items}
    if isinstance(data, (list, tuple)):
        parts = [apply_to(part, expr, apply_func) for part in cast("Iterable[Any]", data)]
        if isinstance(data, list):
            return parts
        make: Any = getattr(type(cast(Any, data)), "_make", None)
        return make(parts) if make is not None else tuple(parts)
    return data


def get_object_from_string(obj_name: str) -> Any:
    """What a dotted name stands for, its module imported; None where there is no such thing.

    Raises:
        FkitTypeError: it is no string.

    Example:
        >>> get_object_from_string("collections.OrderedDict").__name__, get_object_from_string("collections.Nothing")
        ('OrderedDict', None)
    """
    expect(obj_name, str, "`obj_name` is a dotted name")
    try:
        return open_name(obj_name)
    except FkitError:
        return None


def import_modules_from_strings(imports: Any, allow_failed_imports: bool = False) -> Any:
    """The modules of names, imported. This runs their code.

    Args:
        imports: a name, or several; None imports nothing.
        allow_failed_imports: warn of a module that cannot be imported, and give None in its place.

    Returns:
        the module of one name, a list of those of several, None for None.

    Raises:
        FkitImportError: a module cannot be imported.
        FkitTypeError: ``imports`` is neither.

    Example:
        >>> import_modules_from_strings("math").__name__, len(import_modules_from_strings(["math", "os.path"]))
        ('math', 2)
    """
    if imports is None or (isinstance(imports, (list, tuple)) and not imports):
        return None
    if isinstance(imports, str):
        return _imported(imports, allow_failed_imports)
    if not isinstance(imports, (list, tuple)) or not all(isinstance(name, str) for name in cast("list[Any]", imports)):
        raise FkitTypeError(f"`imports` is a module's name or a list of them, not {quoted(imports)}.")
    return [_imported(name, allow_failed_imports) for name in cast("list[str]", imports)]


def _imported(name: str, allow_failed: bool) -> ModuleType | None:
    try:
        return open_module(name)
    except FkitImportError as error:
        if not allow_failed:
            raise
        warnings.warn(error.what, UserWarning, stacklevel=3)
        return None


def obj_from_dict(info: Mapping[str, Any], parent: Any = None, default_args: Mapping[str, Any] | None = None) -> Any:
    """The object of ``info["type"]``, called with the other keys; mmcv 1.x's older form of building.

    Args:
        info: ``type`` is a class or a function, the name of one in ``parent``, or without a parent the dotted name of
            one whose module is imported already. Building from a registry is `fkit.build`.
        parent: the module that is asked.
        default_args: arguments for keys that ``info`` lacks.

    Raises:
        FkitTypeError: no mapping, a ``type`` of another kind, or arguments that it does not take.
        FkitKeyError: there is no ``type``.
        FkitAttributeError: the parent, or what is imported, has no such name.

    Example:
        >>> import datetime
        >>> obj_from_dict({"type": "timedelta", "hours": 2}, datetime, {"minutes": 30})
        datetime.timedelta(seconds=9000)
    """
    expect(info, Mapping, "`info` is a mapping with `type`")
    args = dict(info)
    if default_args is not None:
        expect(default_args, Mapping, "`default_args` is a mapping of arguments")
        args = {**default_args, **args}
    if "type" not in args:
        raise FkitKeyError("`info` has no `type`.", value="type", choices=map(str, args), label="Keys")
    kind = args.pop("type")
    maker = _found(kind, parent) if isinstance(kind, str) else kind
    if not callable(maker):
        raise FkitTypeError(f"`type` is a class or the name of one, not {quoted(kind)}.")
    try:
        return maker(**args)
    except TypeError as cause:
        raise FkitTypeError(f"{quoted(kind)} cannot be made of {quoted(args)}: {cause}.") from cause


def _found(name: str, parent: Any) -> Any:
    if parent is not None:
        if not hasattr(parent, name):
            names = [known for known in dir(parent) if not known.startswith("_")]
            raise FkitAttributeError(f"`parent` has no {name!r}.", value=name, choices=names, label="It has")
        return getattr(parent, name)
    module, _, last = name.rpartition(".")
    if not hasattr(sys.modules.get(module), last):
        raise FkitAttributeError(
            f"No module that is imported has {name!r}.", repair="Import its module, or pass it as `parent`."
        )
    return getattr(sys.modules[module], last)

"""What modules and installed packages offer a registry: marks, ``register(registry)``, entry points, custom imports."""

import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, NamedTuple, TypeVar, cast

from fkit.registry.entry import entry_of
from fkit.registry.registry import Registry
from fkit.tree.error import FkitImportError, FkitTypeError

__all__ = ["Mark", "component", "include", "include_custom", "installed"]

T = TypeVar("T")
_ATTRIBUTE = "__fkit_component__"


class Mark(NamedTuple):
    """What `component` writes on a maker."""

    kind: str
    name: str | tuple[str, ...] | None
    backend: str | None
    scope: str | None


def component(
    kind: str, name: str | Iterable[str] | None = None, backend: str | None = None, scope: str | None = None
) -> Callable[[T], T]:
    """Mark a class or function as a maker; nothing is registered until its module is included.

    Args:
        kind: "models", "hooks", ...
        name: one name or several; None takes its own.
        backend: the backend it is for; None is any.
        scope: the scope it belongs to; None is the root.

    Example:
        >>> @component("models", name="Mine")
        ... class Net: ...
        >>> ("models", "Mine") in Registry()
        False
    """
    mark = Mark(kind, name if name is None or isinstance(name, str) else tuple(name), backend, scope)

    def write(maker: T) -> T:
        setattr(maker, _ATTRIBUTE, (*vars(maker).get(_ATTRIBUTE, ()), mark))
        return maker

    return write


def include(reg: Registry, module: ModuleType | str) -> Registry:
    """A registry that also has what a module offers: the makers it marks, then what its ``register(reg)`` adds.

    Marks count on what the module defines, and on what it takes from modules inside it (a package that gathers its
    parts in ``__init__``). A module that is in already adds nothing.

    Args:
        reg: the registry to start from.
        module: a module, or the name of one to import.

    Raises:
        FkitImportError: the module cannot be imported.
        FkitTypeError: its ``register`` does not return a registry.
    """
    if isinstance(module, str):
        module = _import(module)
    if module.__name__ in reg.included:
        return reg
    for maker in _marked(module):
        for mark in cast("tuple[Mark, ...]", vars(maker)[_ATTRIBUTE]):
            scope = reg.scope if mark.scope is None else mark.scope
            reg = reg.add(entry_of(reg.kind(mark.kind), maker, mark.name, scope, mark.backend))
    register = vars(module).get("register")
    if callable(register):
        reg = _registered(register, reg, f"{module.__name__}.register")
    return _included(reg, module.__name__)


def installed(reg: Registry, group: str = "fkit.plugins") -> Registry:
    """A registry that also has what installed packages offer under the entry points of ``group``.

    An entry point names a module, included as by `include`, or a function ``register(registry) -> registry``.
    """
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.value in reg.included:
            continue
        try:
            offered = point.load()
        except Exception as error:
            raise FkitImportError(
                f"The plugin {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}.",
                repair="Repair or uninstall the package that offers it.",
            ) from error
        if isinstance(offered, ModuleType):
            reg = include(reg, offered)
        else:
            reg = _included(_registered(offered, reg, point.value), point.value)
    return reg


def include_custom(reg: Registry, custom_imports: Mapping[str, Any] | None) -> Registry:
    """A registry that also has the modules that a config's ``custom_imports`` names.

    Args:
        reg: the registry to start from.
        custom_imports: ``{"imports": name or names, "allow_failed_imports": bool}``, or None. With
            ``allow_failed_imports`` a module that cannot be imported is a warning.

    Raises:
        FkitImportError: a module cannot be imported.
        FkitTypeError: ``custom_imports`` has another form.

    Example:
        >>> include_custom(Registry(), {"imports": "json"}).included
        frozenset({'json'})
    """
    if custom_imports is None:
        return reg
    if not isinstance(cast(Any, custom_imports), Mapping):
        raise FkitTypeError(f"custom_imports = {custom_imports!r}: a mapping with 'imports' is needed.")
    for key in custom_imports:
        if key not in ("imports", "allow_failed_imports"):
            raise FkitTypeError(
                f"custom_imports takes no key {key!r}.", value=key, choices=("imports", "allow_failed_imports")
            )
    names: Any = custom_imports.get("imports") or ()
    for name in cast("Iterable[Any]", (names,) if isinstance(names, str) else names):
        if not isinstance(name, str):
            raise FkitTypeError(f"custom_imports.imports holds {name!r}: a module is named by a string.")
        try:
            reg = include(reg, name)
        except FkitImportError as error:
            if not custom_imports.get("allow_failed_imports", False):
                raise
            warnings.warn(f"custom_imports: {error.what}", UserWarning, stacklevel=2)
    return reg


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FkitImportError(
            f"The module {name!r} cannot be imported: {error}.",
            repair="Is its folder on PYTHONPATH, or its package installed?",
        ) from error


def _marked(module: ModuleType) -> Iterator[Any]:
    seen: tuple[int, ...] = ()
    for value in tuple(vars(module).values()):
        # vars, not getattr: a subclass does not inherit the mark of the class it is made from
        own = getattr(value, "__dict__", ())
        home = getattr(value, "__module__", None)
        inside = isinstance(home, str) and f"{home}.".startswith(f"{module.__name__}.")
        if _ATTRIBUTE in own and inside and id(value) not in seen:
            seen = (*seen, id(value))
            yield value


def _registered(register: Any, reg: Registry, label: str) -> Registry:
    found: Any = register(reg)
    if not isinstance(found, Registry):
        raise FkitTypeError(
            f"{label}(registry) returned {type(found).__name__}: it returns the registry with its makers.",
            repair="Registries are values: end it with `return registry.register(...)`.",
        )
    return found


def _included(reg: Registry, name: str) -> Registry:
    return replace(reg, included=reg.included | {name})

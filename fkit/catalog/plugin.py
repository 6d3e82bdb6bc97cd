"""What modules and installed packages offer a registry: marks, ``register(registry)``, entry points, custom imports."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, NamedTuple, TypeVar, cast

from fkit.catalog.allow import Allowed, allowance, closed, refusal
from fkit.catalog.entry import PART_KIND, entry_of
from fkit.catalog.report import origin_of
from fkit.catalog.table import Table
from fkit.tree.check import expect
from fkit.tree.error import FkitError, FkitImportError, FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.name import open_module
from fkit.tree.trace import blamed

__all__ = ["Component", "component", "include", "include_custom", "installed"]

T = TypeVar("T")
R = TypeVar("R", bound=Table)
_ATTRIBUTE = "__fkit_component__"
_KEYS = ("imports", "allow_failed_imports")


class Component(NamedTuple):
    """What `component` writes on a maker."""

    kind: str
    name: str | tuple[str, ...] | None
    backend: str | None
    scope: str | None


def component(
    kind: str, name: str | Iterable[str] | None = None, backend: str | None = None, scope: str | None = None
) -> Callable[[T], T]:
    """Mark a class or function as a maker; nothing is registered until its module is included.

    What is derived from fkit.Dataset, fkit.Transform, fkit.Metric or fkit.Hook needs it only for another name or scope:
    see `include`.

    Args:
        kind: "models", "hooks", ...
        name: one name or several; None takes its own.
        backend: the backend it is for; None is any.
        scope: the scope it belongs to; None is the root.

    Example:
        >>> from fkit.catalog.registry import Registry
        >>> @component("models", name="Mine")
        ... class Net: ...
        >>> ("models", "Mine") in Registry()
        False
    """
    entry_of(
        kind, component, name if name is not None else "its own", scope or "root", backend
    )  # refuses what is wrong
    mark = Component(kind, name if name is None or isinstance(name, str) else tuple(name), backend, scope)

    def write(maker: T) -> T:
        if not callable(maker) or not hasattr(maker, "__dict__"):
            raise FkitTypeError(f"A component is a class or a function, not {quoted(maker)}.")
        setattr(maker, _ATTRIBUTE, (*vars(maker).get(_ATTRIBUTE, ()), mark))
        return maker

    return write


def include(reg: R, module: ModuleType | str) -> R:
    """A registry that also has what a module offers: the makers it marks, then what its ``register(reg)`` adds.

    What it derives from fkit.Dataset, fkit.Transform, fkit.Metric or fkit.Hook needs no mark: each such class is offered
    under its own name, unless that begins with an underscore, or the class is registered already. What counts is what the
    module defines, and what it takes from modules inside it (a package that gathers its parts in ``__init__``). A module
    that is in already adds nothing. Including a module also allows configs to name what is inside it.

    Args:
        reg: the registry to start from.
        module: a module, or the name of one to import.

    Raises:
        FkitImportError: the module cannot be imported.
        FkitTypeError: its ``register`` does not return a registry.
    """
    expect(reg, Table, "`reg` is a registry (fkit.registry() is the built-in one)")
    if isinstance(module, str):
        module = _import(module)
    expect(module, ModuleType, "`module` is a module or the name of one")
    if module.__name__ in reg.included:
        return reg
    for maker in _marked(module):
        for mark in cast("tuple[Component, ...]", vars(maker)[_ATTRIBUTE]):
            scope = reg.scope if mark.scope is None else mark.scope
            reg = reg.add(entry_of(reg.kind(mark.kind), maker, mark.name, scope, mark.backend))
    register = vars(module).get("register")
    if callable(register):
        reg = _registered(register, reg, f"{module.__name__}.register")
    for maker in _derived(module):
        kind = reg.kind(getattr(maker, PART_KIND))
        if not any(entry.where == f"{maker.__module__}:{maker.__qualname__}" for entry in reg.entries(kind)):
            try:
                reg = reg.add(entry_of(kind, maker, None, reg.scope, None))
            except FkitKeyError as error:
                mark = f"@fkit.component({kind!r}, name='My{maker.__name__}')"
                raise FkitKeyError(error.what, repair=f"Rename the class, or mark it: {mark}.") from None
    return _included(reg, module.__name__)


def installed(reg: R, group: str = "fkit.plugins") -> R:
    """A registry that also has what installed packages offer under the entry points of ``group``.

    An entry point names a module, included as by `include`, or a function ``register(registry) -> registry``.

    Raises:
        FkitImportError: a plugin cannot be loaded.
    """
    expect(reg, Table, "`reg` is a registry (fkit.registry() is the built-in one)")
    expect(group, str, "`group` names entry points")
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.value in reg.included:
            continue
        try:
            offered = point.load()
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {str(error).removesuffix('.')}"
            raise FkitImportError(
                f"The plugin {point.name!r} ({point.value}) cannot be loaded: {said}.",
                repair="Repair or uninstall the package that offers it.",
            ) from error
        if isinstance(offered, ModuleType):
            reg = include(reg, offered)
        else:
            reg = _included(_registered(offered, reg, point.value), point.value)
    return reg


def include_custom(reg: R, custom_imports: Mapping[str, Any] | None, allow: str | Iterable[str] = ()) -> R:
    """A registry that also has the modules that a config's ``custom_imports`` names, if they are allowed.

    Importing a module runs it, so each needs a permission: see `fkit.catalog.allow`. OpenMMLab's own packages, which
    are scopes of the registry, need not be imported: its own parts answer to their names.

    Args:
        reg: the registry to start from.
        custom_imports: ``{"imports": name or names, "allow_failed_imports": bool}``, or None. With
            ``allow_failed_imports`` a module that cannot be imported is a warning.
        allow: modules that may be imported, beside those that the registry allows.

    Raises:
        FkitValueError: nothing allows a module; the message says the word to add.
        FkitImportError: a module cannot be imported.
        FkitTypeError: ``custom_imports`` has another form.

    Example:
        >>> from fkit.catalog.registry import Registry
        >>> include_custom(Registry(), {"imports": ["mypkg.nets"]})
        Traceback (most recent call last):
        fkit.tree.error.FkitValueError: custom_imports = 'mypkg.nets' is code of the package 'mypkg', which nothing allows.
          If you trust that package: --allow mypkg. In Python: registry.allow('mypkg').
    """
    expect(reg, Table, "`reg` is a registry (fkit.registry() is the built-in one)")
    reg = reg.having(allowed=reg.allowed | allowance(allow)) if allow else reg
    if custom_imports is None:
        return reg
    expect(custom_imports, Mapping, "custom_imports is a mapping with 'imports'")
    for key in custom_imports:
        if key not in _KEYS:
            raise FkitTypeError(f"custom_imports takes no key {key!r}.", value=str(key), choices=_KEYS, label="Keys")
    names: Any = custom_imports.get("imports") or ()
    if not isinstance(names, (str, list, tuple)):
        raise FkitTypeError(f"custom_imports.imports = {quoted(names)}: the name of a module is needed, or several.")
    for name in cast("Iterable[Any]", (names,) if isinstance(names, str) else names):
        if not isinstance(name, str):
            raise FkitTypeError(f"custom_imports.imports holds {quoted(name)}: a module is named by a string.")
        if name in reg.included or (_of_a_scope(reg, name) and not reg.allowed.covers(name)):
            continue
        try:
            reg = include(reg, _allowed(reg.allowed, name, custom_imports))
        except FkitImportError as error:
            if not custom_imports.get("allow_failed_imports", False):
                error.origin = origin_of(custom_imports, "imports")
                raise
            warnings.warn(f"custom_imports: {error.what}", UserWarning, stacklevel=2)
    return reg


def _of_a_scope(reg: Table, module: str) -> bool:
    branch = reg.scopes.get(module.partition(".")[0])
    return branch is not None and branch.open


def _allowed(allowed: Allowed, name: str, custom_imports: Mapping[str, Any]) -> str:
    """The name of a module of ``custom_imports``, if it may be imported."""
    if allowed.covers(name):
        return name
    error = refusal(name, name)
    raise FkitValueError(
        f"custom_imports = {error.what}", path="custom_imports", origin=origin_of(custom_imports, "imports"),
        repair="Take it out: a module named here registers parts." if closed(name) else error.repair,
    )  # fmt: skip


def _import(name: str) -> ModuleType:
    try:
        return open_module(name)
    except FkitImportError as error:
        here = isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == name.partition(".")[0]
        repair = "Is its folder on PYTHONPATH, or its package installed?" if here else ""
        raise FkitImportError(error.what, repair=repair) from error.__cause__


def _defined(module: ModuleType) -> Iterator[Any]:
    """What a module defines, or takes from modules inside it; each once."""
    seen: tuple[int, ...] = ()
    for value in tuple(vars(module).values()):
        home = getattr(value, "__module__", None)
        if isinstance(home, str) and f"{home}.".startswith(f"{module.__name__}.") and id(value) not in seen:
            seen = (*seen, id(value))
            yield value


def _marked(module: ModuleType) -> Iterator[Any]:
    # vars, not getattr: a subclass does not inherit the mark of the class it is made from
    return (value for value in _defined(module) if _ATTRIBUTE in getattr(value, "__dict__", ()))


def _derived(module: ModuleType) -> Iterator[type[Any]]:
    """Classes of a module that say by what they are derived from which parts they are, and bear no mark."""
    for value in _defined(module):
        of_parts = isinstance(value, type) and isinstance(getattr(value, PART_KIND, None), str)
        if of_parts and _ATTRIBUTE not in vars(value) and not value.__name__.startswith("_"):
            yield value


def _registered(register: Any, reg: R, label: str) -> R:
    try:
        grown: Any = register(reg)
    except FkitError:
        raise
    except (Exception, SystemExit) as error:
        what = f"{label}(registry) raised {type(error).__name__}: {str(error).removesuffix('.')}."
        raise FkitImportError(blamed(what, error)) from error
    if not isinstance(grown, type(reg)):
        raise FkitTypeError(
            f"{label}(registry) returned {type(grown).__name__}: it returns the registry with its makers.",
            repair="Registries are values: end it with `return registry.register(...)`.",
        )
    return grown


def _included(reg: R, name: str) -> R:
    """With the name noted, and the module that it names allowed."""
    module = name.partition(":")[0]
    return reg.having(included=reg.included | {name}, allowed=reg.allowed | Allowed(frozenset({module})))

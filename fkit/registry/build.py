"""A config node to an object: look the type up, call the maker, say what went wrong and where."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast

from fkit.config.config import Config
from fkit.registry.entry import Built, Entry, Lazy, Recipe, recipe_of
from fkit.registry.report import (
    bad_config,
    bad_type,
    failed,
    is_reported,
    locate,
    no_type,
    not_found,
    origin_of,
    place,
    reported,
)
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError
from fkit.tree.node import freeze

if TYPE_CHECKING:
    from fkit.registry.registry import Registry  # it calls this module

__all__ = ["Builder", "Built", "build", "build_part"]

_NESTED = (list, tuple, dict)
_LEAVES = frozenset((str, int, float, bool, type(None)))

# unlike the method of a frozen node, which answers itself
_copy: Callable[[Any], dict[str, Any]] = dict[str, Any].copy

# where a node stands: the path of the outermost config; or the trail of the config around it, that config, and the
# arguments made of it, among which the node is
Trail: TypeAlias = "str | tuple[Trail, Any, Any]"


class Builder(Protocol):
    """What a maker's keyword-only parameter ``build`` gets: the builder of its parts.

    It is bound to the registry, the backend, the scope and the config's path. Keywords are defaults: a key of the
    config goes before them.
    """

    def __call__(self, kind: str, cfg: Any, /, **defaults: Any) -> Any: ...


def build(
    cfg: Any,
    registry: Registry,
    kind: str,
    *,
    backend: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    scope: str | None = None,
    path: str = "",
) -> Any:
    """Build the object that a config node describes.

    The maker named by ``type`` is called with the other keys. Mappings reach it as they are, lists as fresh lists,
    tuples as tuples. A maker that builds parts names a keyword-only parameter ``build``; a parameter annotated
    ``Built[kind]`` is built before the call. Nothing else is built inside-out.

    Args:
        cfg: a mapping with ``type``: a name, ``scope.Name``, a class or function, or a dotted path to import. For
            "models" also a list of them, which becomes the registered ``Sequential``.
        registry: where names are looked up.
        kind: "models", "hooks", ...
        backend: the backend the object is for; None takes what is there for any.
        defaults: arguments for keys that ``cfg`` lacks, ``type`` among them.
        scope: where lookups begin (OpenMMLab's default scope); ``_scope_`` in the config goes before it, and parts
            inherit it.
        path: where ``cfg`` stands in the whole config, for messages.

    Raises:
        FkitKeyError: the type is missing or unknown.
        FkitTypeError: an argument is unknown or missing, or ``cfg`` is not a mapping.
        FkitError: the maker raised; of the class of its error, which is the cause.

    Example:
        >>> from fkit.registry.registry import Registry
        >>> def conv(width, bias=True): return ("conv", width, bias)
        >>> def net(stem, *, build): return [build("models", stem, width=64)]
        >>> reg = Registry().register("models", conv, name="Conv").register("models", net, name="Net")
        >>> build({"type": "Net", "stem": {"type": "Conv", "bias": False}}, reg, "models")
        [('conv', 64, False)]
        >>> build({"type": "Net", "stem": {"type": "Conv", "widht": 3}}, reg, "models", path="model")
        Traceback (most recent call last):
        fkit.tree.error.FkitTypeError: model.stem.widht = 3: 'Conv' takes no argument 'widht'.
          Did you mean 'width'? Arguments: width, bias
          Signature: Conv(width, bias=True)
    """
    return build_part(cfg, kind, defaults, registry, backend, scope, path)


class Site(NamedTuple):
    """One build: what is built and where; the paths that need more than the happy path take it whole."""

    cfg: Any
    kind: str
    registry: Registry
    backend: str | None
    scope: str | None
    trail: Trail

    @property
    def path(self) -> str:
        """Where the config stands in the whole one."""
        return path_of(self.trail, self.cfg)


def build_part(
    cfg: Any, kind: str, defaults: Any, registry: Registry, backend: str | None, scope: str | None, trail: Trail
) -> Any:
    whole: Any = cfg
    if registry.makers and registry.kind(kind) in registry.makers:
        return _own(Site(cfg, kind, registry, backend, scope, trail), defaults)
    if isinstance(cfg, dict):
        args = _copy(cfg)
    elif isinstance(cfg, Mapping):
        args = dict(cast("Mapping[str, Any]", cfg))
    else:
        return _sequence(Site(cfg, kind, registry, backend, scope, trail), defaults)
    for key, value in args.items():
        if isinstance(value, (list, tuple)) or type(value) is dict:
            args[key] = handed(value)
    if defaults is not None:
        _fill(args, defaults)
    if "type" not in args:
        raise reported(no_type(registry, kind, cast(Any, cfg), path_of(trail, cfg)))
    name = args.pop("type")
    if "_scope_" in args:
        wanted = args.pop("_scope_")
        scope = wanted if wanted in registry.scopes or wanted == registry.scope else scope

    entry = registry.look(kind, name, scope, backend) if isinstance(name, str) else None
    if entry is None:
        recipe = _unnamed(name, Site(cfg, kind, registry, backend, scope, trail))
    else:
        recipe = entry.known or _load(entry, cfg, trail)
        if entry.deprecated is not None:
            _warn(entry, name, cfg, trail)
    call, wants_build, built = recipe

    for key, part_kind in built:
        if key in args:
            args[key] = _parts(args[key], part_kind, registry, backend, scope, (trail, whole, args))
    try:
        if wants_build and "build" not in args:
            return call(**args, build=partial(_part, registry, backend, scope, (trail, cfg, args)))
        return call(**args)
    except Exception as error:
        if is_reported(error):
            raise
        raise reported(failed(error, call, name, args, cfg, path_of(trail, cfg))) from error


def _part(
    registry: Registry, backend: str | None, scope: str | None, trail: Trail, kind: str, cfg: Any, /, **defaults: Any
) -> Any:
    return build_part(cfg, kind, defaults, registry, backend, scope, trail)


def _parts(value: Any, kind: str, registry: Registry, backend: str | None, scope: str | None, trail: Trail) -> Any:
    """Build a parameter annotated `Built`: a mapping, or each mapping of a list; what is built already stays."""
    if isinstance(value, Mapping):
        return build_part(value, kind, None, registry, backend, scope, trail)
    if isinstance(value, (list, tuple)):
        return [_parts(item, kind, registry, backend, scope, trail) for item in cast("list[Any]", value)]
    return value


def _fill(args: dict[str, Any], defaults: Any) -> None:
    if not isinstance(defaults, Mapping):
        raise FkitTypeError(f"Defaults are a mapping, not {defaults!r}.")
    for key, value in cast("Mapping[str, Any]", defaults).items():
        args.setdefault(key, value)


def handed(value: Any) -> Any:
    """A config's value as a maker gets it: lists are new plain lists, inside tuples too, plain mappings Config nodes.

    Example:
        >>> handed(([1, {"a": 2}], 3))
        ([1, {'a': 2}], 3)
    """
    kind = cast(Any, type(value))
    if kind is dict:
        return _node(value)
    if isinstance(value, list):
        return [handed(item) if isinstance(item, _NESTED) else item for item in cast("list[Any]", value)]
    if kind is tuple and any(isinstance(item, _NESTED) for item in value):
        return tuple(handed(item) for item in value)
    return value


def _node(value: dict[Any, Any]) -> Config:
    """`freeze` of a plain dict; most values are leaves, and need no look at what else they could be."""
    return Config.of(
        {
            key: item
            if type(item) in _LEAVES
            else _node(cast(Any, item))
            if type(item) is dict
            else freeze(item, Config)
            for key, item in value.items()
        }
    )


def path_of(trail: Trail, cfg: Any) -> str:
    """The path of ``cfg`` in the whole config: worked out from the trail, only when there is something to report."""
    if isinstance(trail, str):
        return trail
    around, outer, args = trail
    return place(path_of(around, outer), locate(args, cfg))


def _own(site: Site, defaults: Any) -> Any:
    """A kind with its own build function."""
    kind = site.registry.kind(site.kind)
    own = site.registry.makers[kind]
    path = site.path
    try:
        return own(site.cfg, site.registry, kind, backend=site.backend, defaults=defaults, scope=site.scope, path=path)
    except Exception as error:
        if is_reported(error):
            raise
        given = {"cfg": site.cfg, "backend": site.backend, "defaults": defaults, "scope": site.scope}
        raise reported(failed(error, own, f"the build function of {kind!r}", given, site.cfg, path)) from error


def _sequence(site: Site, defaults: Any) -> Any:
    """A list of models is the registered ``Sequential`` of them; anything else is no config."""
    cfg, kind, registry, backend, scope, trail = site
    if registry.kind(kind) != "models" or not isinstance(cfg, (list, tuple)):
        raise reported(bad_config(kind, cfg, site.path))
    entry = registry.look("models", "Sequential", scope, backend)
    if entry is None:
        raise reported(not_found(registry, kind, "Sequential", scope, backend, path=site.path))
    items = cast("list[Any]", cfg)
    parts = [build_part(item, kind, defaults, registry, backend, scope, (trail, items, items)) for item in items]
    return _load(entry, cfg, trail).call(*parts)


def _load(entry: Entry, cfg: Any, trail: Trail) -> Recipe:
    """The recipe of an entry met for the first time; a lazy one is imported."""
    try:
        return entry.recipe
    except FkitError as error:
        path = path_of(trail, cfg)
        what = f"{place(path, 'type')} = {entry.name!r}: {error.what}"
        raise reported(
            type(error)(what, path=path, origin=origin_of(cfg, "type"), repair=error.repair)
        ) from error.__cause__


def _unnamed(name: Any, site: Site) -> Recipe:
    """``type`` is no registered name: a class, a function, a name that a config imported, a path to import."""
    if isinstance(name, str):
        return _dotted(name, site, known=name.count(".") > 1)
    lazy: Any = getattr(cast(Any, type(name)), "__lazy__", None)
    if lazy is not None:
        return _dotted(lazy(name), site, known=True)
    if isinstance(name, Lazy):
        return recipe_of(name.load())
    if callable(name):
        return recipe_of(name)
    raise reported(bad_type(site.kind, name, site.cfg, site.path))


def _dotted(name: str, site: Site, known: bool) -> Recipe:
    """``package.module.Name`` in place of a name: new-style configs import their parts, and are dumped with such paths.

    Where the package is a scope (``mmdet.models.ResNet``, ``torch.optim.SGD``) its last word is looked up there. Any
    other is imported, now; one that is not installed is looked up too, if it is ``known`` to be a path: of
    ``scope.Name`` the last word alone would hide a wrong scope.
    """
    registry = site.registry
    head, _, last = name.rpartition(".")
    first = head.partition(".")[0]
    scoped = first == registry.scope or first in registry.scopes
    entry = registry.look(site.kind, last, first if scoped else site.scope, site.backend) if known else None
    if entry is None or not scoped:
        found = imported_object(name) if head and not _reaches_out(first) else None
        if _reaches_out(first) or _reaches_out(str(getattr(found, "__module__", ""))):
            raise reported(_unbuilt(name, site))
        if callable(found):
            return recipe_of(found)
    if entry is not None:
        return entry.known or _load(entry, site.cfg, site.trail)
    origin = origin_of(site.cfg, "type")
    raise reported(not_found(registry, site.kind, name, site.scope, site.backend, site.path, origin, in_config=True))


_HARMLESS = frozenset({"collections", "datetime", "decimal", "fractions", "functools", "math"})


def _reaches_out(module: str) -> bool:
    """Whether a module is of Python's standard library, but for those that only hold values."""
    first = module.partition(".")[0]
    return first in sys.stdlib_module_names and first not in _HARMLESS


def _unbuilt(name: str, site: Site) -> FkitError:
    """A config from a stranger must not reach ``os.system`` by naming it as a part."""
    path = path_of(site.trail, site.cfg)
    return FkitValueError(
        f"{place(path, 'type')} = {name!r} is of Python's standard library, which no config builds.",
        path=path,
        origin=origin_of(site.cfg, "type"),
        repair=f"If you mean it, register it: registry.register({site.kind!r}, ...).",
    )


def imported_object(name: str) -> Any:
    """What a dotted path names, or None where there is no such module or attribute.

    Example:
        >>> imported_object("collections.OrderedDict").__name__, imported_object("collections.Nope")
        ('OrderedDict', None)
    """
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        try:
            known = importlib.util.find_spec(module) is not None
        except (ModuleNotFoundError, ValueError):  # a package on the way is not there, or is no package
            continue
        if known:
            found: Any = importlib.import_module(module)
            for part in parts[count:]:
                found = getattr(found, part, None)
            return found
    return None


def _warn(entry: Entry, name: str, cfg: Any, trail: Trail) -> None:
    at = place(path_of(trail, cfg), "type")
    origin = origin_of(cfg, "type")
    where = f"{origin}: {at}" if origin else at
    warnings.warn(f"{where} = {name!r} is deprecated: use {entry.deprecated}.", DeprecationWarning, stacklevel=4)

"""A config node to an object: look the type up, call the maker, say what went wrong and where."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, cast

from fkit.catalog.allow import allowance
from fkit.catalog.entry import Built, Maker
from fkit.catalog.report import (
    bad_config,
    failed,
    is_reported,
    locate,
    no_type,
    not_found,
    origin_of,
    reported,
    undone_delete,
)
from fkit.catalog.resolve import Part, Where, load, path_of, recipe_for, scope_of, warn_deprecated
from fkit.catalog.table import Table
from fkit.config.config import Config
from fkit.tree.check import expect
from fkit.tree.node import freeze

__all__ = ["Builder", "Built", "build", "build_part", "checked_build", "maker_of"]

_NESTED = (list, tuple, dict)
_LEAVES = frozenset((str, int, float, bool, type(None)))

# unlike the method of a frozen node, which answers itself
_copy: Callable[[Any], dict[str, Any]] = dict[str, Any].copy


class Builder(Protocol):
    """What a maker's keyword-only parameter ``build`` gets: the builder of its parts.

    It is bound to the registry, the backend, the scope and the config's path. Keywords are defaults: a key of the
    config goes before them.
    """

    def __call__(self, kind: str, cfg: Any, /, **defaults: Any) -> Any: ...


def build(
    cfg: Any,
    registry: Table,
    kind: str,
    *,
    backend: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    scope: str | None = None,
    path: str = "",
    allow: str | Iterable[str] = (),
) -> Any:
    """Build the object that a config node describes.

    The maker named by ``type`` is called with the other keys. Mappings reach it as they are, lists as fresh lists,
    tuples as tuples. A maker that builds parts names a keyword-only parameter ``build``; a parameter annotated
    ``Built[kind]`` is built before the call. Nothing else is built inside-out.

    Args:
        cfg: a mapping with ``type``: a name, ``scope.Name``, a class or function, or a dotted path to what may be
            reached by one: see `fkit.catalog.allow`. For "models" also a list of them, which becomes the registered
            ``Sequential``.
        registry: where names are looked up.
        kind: "models", "hooks", ...
        backend: the backend the object is for; None takes what is there for any.
        defaults: arguments for keys that ``cfg`` lacks, ``type`` among them; handed to the maker as those of ``cfg``.
        scope: where lookups begin (OpenMMLab's default scope); ``_scope_`` in the config goes before it, and parts
            inherit it.
        path: where ``cfg`` stands in the whole config, for messages.
        allow: modules into which dotted paths may lead too.

    Raises:
        FkitKeyError: the type is missing or unknown.
        FkitTypeError: an argument is unknown or missing, or ``cfg`` is not a mapping.
        FkitValueError: the type names what nothing allows.
        FkitError: the maker raised; ``except`` clauses for the class of its error, which is the cause, catch it too.

    Example:
        >>> from fkit.catalog.registry import Registry
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
    expect(registry, Table, "`registry` is a registry (fkit.registry() is the built-in one)")
    if allow:
        registry = registry.having(allowed=registry.allowed | allowance(allow))
    return checked_build(cfg, kind, defaults, registry, backend, scope, path)


def maker_of(
    cfg: Any, registry: Table, kind: str, *, backend: str | None = None, scope: str | None = None, path: str = ""
) -> Maker:
    """The class or function that `build` would call; a lazy one is imported.

    Raises:
        FkitError: as `build`, for what it makes of ``type``.

    Example:
        >>> from fkit.catalog.registry import Registry
        >>> maker_of({"type": "Net", "depth": 3}, Registry().register("models", dict, name="Net"), "models")
        <class 'dict'>
    """
    expect(registry, Table, "`registry` is a registry (fkit.registry() is the built-in one)")
    expect(cfg, Mapping, "`cfg` is a mapping with 'type'")
    part = Part(cfg, kind, registry, registry.start(scope), backend, path)
    if "type" not in cfg:
        raise reported(no_type(registry, kind, cfg, path))
    name = cfg["type"]
    entry = registry.look(kind, name, part.scope, backend) if isinstance(name, str) else None
    return (recipe_for(name, part) if entry is None else load(entry, part)).call


def checked_build(
    cfg: Any, kind: str, defaults: Any, registry: Table, backend: str | None, scope: str | None, path: str
) -> Any:
    """`build`, of the arguments as users give them."""
    if type(kind) is not str or type(path) is not str or defaults is not None or type(backend) not in (str, type(None)):
        expect(kind, str, "`kind` is a word such as 'models'")
        expect(path, str, "`path` is a string")
        expect(defaults, (Mapping, type(None)), "`defaults` is a mapping or None")
        expect(backend, (str, type(None)), "`backend` is a word or None")
    return build_part(cfg, kind, defaults, registry, registry.start(scope), backend, path)


def build_part(
    cfg: Any, kind: str, defaults: Any, registry: Table, scope: str, backend: str | None, where: Where
) -> Any:
    whole: Any = cfg
    if registry.makers and registry.kind(kind) in registry.makers:
        return _by_kind(Part(cfg, kind, registry, scope, backend, where), defaults)
    if isinstance(cfg, dict):
        args = _copy(cfg)
    elif isinstance(cfg, Mapping):
        args = dict(cast("Mapping[str, Any]", cfg))
    else:
        return _sequence(Part(cfg, kind, registry, scope, backend, where), defaults)
    if defaults:
        for key, value in defaults.items():
            args.setdefault(key, value)
    for key, value in args.items():
        if isinstance(value, (list, tuple)) or type(value) is dict:
            args[key] = handed(value)
    if "_scope_" in args:
        scope = scope_of(args.pop("_scope_"), Part(cfg, kind, registry, scope, backend, where))
    if "type" not in args:
        raise reported(no_type(registry, kind, cast(Any, cfg), path_of(where, cfg)))
    if "_delete_" in args:
        raise reported(undone_delete(cfg, path_of(where, cfg)))
    name = args.pop("type")

    entry = registry.look(kind, name, scope, backend) if isinstance(name, str) else None
    if entry is None:
        recipe = recipe_for(name, Part(cfg, kind, registry, scope, backend, where))
    else:
        recipe = entry.memo or load(entry, Part(cfg, kind, registry, scope, backend, where))
        if entry.deprecated is not None:
            warn_deprecated(entry, name, cfg, where)
    call, wants_build, built = recipe

    for key, part_kind in built:
        if key in args:
            args[key] = _parts(args[key], part_kind, registry, scope, backend, (where, whole, args))
    try:
        if wants_build and "build" not in args:
            return call(**args, build=_Bound(registry, scope, backend, (where, cfg, args)))
        return call(**args)
    except Exception as error:
        if is_reported(error):
            raise
        raise reported(failed(error, call, name, args, cfg, path_of(where, cfg))) from error


class _Bound(NamedTuple):
    """A `Builder`, and the scope in which it looks names up."""

    registry: Table
    scope: str
    backend: str | None
    where: Where

    @property
    def scoped(self) -> bool:
        """Whether names are looked up in a scope below the root first."""
        return self.scope != self.registry.scope

    def __call__(self, kind: str, cfg: Any, /, **defaults: Any) -> Any:
        return build_part(cfg, kind, defaults, self.registry, self.scope, self.backend, self.where)


def _parts(value: Any, kind: str, registry: Table, scope: str, backend: str | None, where: Where) -> Any:
    """Build a parameter annotated `Built`: a mapping, or each mapping of a list; what is built already stays."""
    if isinstance(value, Mapping):
        return build_part(value, kind, None, registry, scope, backend, where)
    if isinstance(value, (list, tuple)):
        return [_parts(item, kind, registry, scope, backend, where) for item in cast("list[Any]", value)]
    return value


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


def _by_kind(part: Part, defaults: Any) -> Any:
    """A kind with its own build function."""
    kind = part.registry.kind(part.kind)
    maker = part.registry.makers[kind]
    arguments = {"backend": part.backend, "defaults": defaults, "scope": part.scope, "path": part.path}
    try:
        return maker(part.cfg, part.registry, kind, **arguments)
    except Exception as error:
        if is_reported(error):
            raise
        shown = {"cfg": part.cfg, **arguments}
        raise reported(failed(error, maker, f"the build function of {kind!r}", shown, part.cfg, part.path)) from error


def _sequence(part: Part, defaults: Any) -> Any:
    """A list of models is the registered ``Sequential`` of them; anything else is no config."""
    cfg, kind, registry, scope, backend, where = part
    if registry.kind(kind) != "models" or not isinstance(cfg, (list, tuple)):
        outer: Any = None if isinstance(where, str) else where[1]
        key = locate(outer, cfg).partition("[")[0].partition(".")[0] if isinstance(outer, Mapping) else ""
        raise reported(bad_config(kind, cfg, part.path, origin_of(outer, key) if key else None))
    entry = registry.look("models", "Sequential", scope, backend)
    if entry is None:
        raise reported(not_found(registry, kind, "Sequential", scope, backend, path=part.path))
    items = cast("list[Any]", cfg)
    parts = [build_part(item, kind, defaults, registry, scope, backend, (where, items, items)) for item in items]
    return load(entry, part).call(*parts)

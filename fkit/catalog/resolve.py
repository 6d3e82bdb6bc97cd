"""What ``type`` means: a registered name, a class or function, a path to what may be reached; as a recipe to call it."""

import warnings
from typing import Any, NamedTuple, TypeAlias, cast

from fkit.catalog.allow import open_part, refusal_of_lent
from fkit.catalog.entry import Entry, Lazy, Recipe, recipe_of
from fkit.catalog.report import bad_type, locate, not_found, origin_of, place, placed, reported
from fkit.catalog.table import Table
from fkit.tree.absent import ABSENT
from fkit.tree.error import FkitAttributeError, FkitError, FkitImportError

__all__ = ["Part", "Where", "load", "path_of", "recipe_for", "scope_of", "warn_deprecated"]

# where a node stands: the path of the outermost config; or where the config around it stands, that config, and the
# arguments made of it, among which the node is
Where: TypeAlias = "str | tuple[Where, Any, Any]"


class Part(NamedTuple):
    """A part of a config that is being built; what needs more than the happy path takes it whole."""

    cfg: Any
    kind: str
    registry: Table
    scope: str
    backend: str | None
    where: Where

    @property
    def path(self) -> str:
        """Where it stands in the whole config."""
        return path_of(self.where, self.cfg)


def path_of(where: Where, cfg: Any) -> str:
    """The path of ``cfg`` in the whole config: worked out only when there is something to report."""
    if isinstance(where, str):
        return where
    around, outer, args = where
    return place(path_of(around, outer), locate(args, cfg))


def scope_of(scope: Any, part: Part) -> str:
    """The scope that ``_scope_`` names."""
    try:
        return part.registry.start(scope)
    except FkitError as error:
        raise _placed(error, "_scope_", f"{scope!r}: ", part) from None


def load(entry: Entry, part: Part) -> Recipe:
    """The recipe of an entry met for the first time; a lazy one is imported."""
    try:
        return entry.recipe
    except FkitError as error:
        raise _placed(error, "type", f"{entry.name!r}: ", part) from error.__cause__


def _placed(error: FkitError, key: str, value: str, part: Part) -> FkitError:
    """An error of a key's value, said of the place where that stands."""
    return reported(placed(error, f"{place(part.path, key)} = {value}", part.path, origin_of(part.cfg, key)))


def recipe_for(name: Any, part: Part) -> Recipe:
    """``type`` is no registered name: a class, a function, a name that a config imported, a dotted path."""
    if isinstance(name, str):
        return _by_path(name, part, known=name.count(".") > 1)
    imported: Any = getattr(cast(Any, type(name)), "__lazy__", None)
    if imported is not None:
        return _by_path(imported(name), part, known=True)
    if isinstance(name, Lazy):
        return recipe_of(name.load())
    if callable(name):
        line = (origin_of(part.cfg, "type") or "").rpartition(":")[2]
        if line.isdecimal() and (error := refusal_of_lent(name)):  # a line of a file wrote it, and no caller
            raise _placed(error, "type", "", part)
        return recipe_of(name)
    raise reported(bad_type(part.kind, name, part.cfg, part.path))


def _by_path(name: str, part: Part, known: bool) -> Recipe:
    """``package.module.Name`` in place of a name: new-style configs import their parts, and are dumped with such paths.

    Where the package is a scope (``mmdet.models.ResNet``) its last word is looked up there. Any other is opened, if it
    may be; one that is not there is looked up too, if it is ``known`` to be a path: of ``scope.Name`` the last word
    alone would hide a wrong scope.
    """
    registry, kind = part.registry, part.kind
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    scoped = first == registry.scope or first in registry.scopes
    entry = registry.look(kind, last, first if scoped else part.scope, part.backend) if known else None
    if entry is None or not scoped:
        try:
            maker = open_part(name, registry.allowed)
        except (FkitImportError, FkitAttributeError) as error:
            if entry is None:
                raise _placed(error, "type", f"{name!r}: ", part) from error.__cause__
            maker = ABSENT
        except FkitError as error:
            raise _placed(error, "type", "", part) from None
        if maker is not ABSENT:
            return recipe_of(maker)
    if entry is not None:
        return entry.memo or load(entry, part)
    origin = origin_of(part.cfg, "type")
    raise reported(not_found(registry, kind, name, part.scope, part.backend, part.path, origin, in_config=True))


def warn_deprecated(entry: Entry, name: str, cfg: Any, where: Where) -> None:
    at = place(path_of(where, cfg), "type")
    origin = origin_of(cfg, "type")
    lead = f"{origin}: {at}" if origin else at
    warnings.warn(f"{lead} = {name!r} is deprecated: use {entry.deprecated}.", DeprecationWarning, stacklevel=4)

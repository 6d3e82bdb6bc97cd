"""A registry is a value: kinds, scopes and backends of named makers; registering returns a new one.

What OpenMMLab keeps in globals is an argument or a field here:

====================================================  =================================================================
there (mmcv, mmengine)                                here
====================================================  =================================================================
``MODELS``, ``HOOKS``, ... filled at import           ``reg = fkit.registry()``: a value with all kinds
``@MODELS.register_module()`` at import               ``reg.register("models", Net)``, or ``@fkit.component("models")``
                                                      and ``reg.include(module)``
``MODELS.build(cfg)``                                 ``reg.build("models", cfg, backend="torch")``
``Registry("model", parent=MODELS, scope="my")``      ``reg.child("my", parent="mmdet")``
``locations=[...]``, ``register_all_modules()``       lazy entries ``"module:attribute"``, imported when built
``DefaultScope``, ``init_default_scope``              ``build(..., scope="mmdet")``; parts built inside inherit it
``switch_scope_and_registry(scope)``                  ``_scope_`` in the config, or the argument ``scope``
``infer_scope`` (the caller's frame)                  ``register(..., scope="my")``
``build_func=fn``                                     ``reg.declare("my_kind", build=fn)``
``import_modules_from_strings(**custom_imports)``     ``include_custom(reg, cfg.custom_imports)``
``ManagerMixin.get_instance(name)``                   a field of the plan or the run, passed where it is needed
``MessageHub.get_instance(name)``                     ``run.memory`` and the history, part of the run's state
``MMLogger.get_current_instance()``                   effects (``WriteText``), or a logger asked for by name
``Visualizer.get_current_instance()``                 ``plan.visualizer``
``FileClient``'s and the backends' shared instances   backends made where they are used; ``file_backends`` entries
====================================================  =================================================================
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeAlias, cast

from frozendict import frozendict

from fkit.registry.build import build_part
from fkit.registry.entry import Entry, Lazy, Maker, entry_of
from fkit.registry.report import not_found
from fkit.registry.scope import ALIASES, KINDS, Scope, chain, checked, places
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError

__all__ = ["Registry"]

Table: TypeAlias = frozendict[tuple[str, str], tuple[Entry, ...]]  # (scope, name) -> one entry a backend


@dataclass(frozen=True, slots=True)
class Registry:
    """Names to makers, by kind, scope and backend. Frozen: every method that adds returns a new registry.

    Args:
        scope: the name of the root scope; ``fkit.ResNet`` names the root's own ``ResNet``.

    Example:
        >>> reg = Registry()
        >>> more = reg.register("models", dict, name="Net")
        >>> more.build("models", {"type": "Net", "depth": 18})
        {'depth': 18}
        >>> ("models", "Net") in reg, ("models", "Net") in more
        (False, True)
    """

    scope: str = "fkit"
    tables: frozendict[str, Table] = field(default_factory=lambda: frozendict({kind: Table() for kind in KINDS}))
    scopes: frozendict[str, Scope] = field(default_factory=frozendict[str, Scope])
    makers: frozendict[str, Callable[..., Any]] = field(default_factory=frozendict[str, Callable[..., Any]])  # of kinds
    included: frozenset[str] = frozenset()  # names of the modules taken in

    # ------------------------------------------------------------------------------------------------ adding

    def register(
        self,
        kind: str,
        maker: Maker | str,
        name: str | Iterable[str] | None = None,
        scope: str | None = None,
        backend: str | None = None,
        replace: bool = False,
        deprecated: str | None = None,
    ) -> "Registry":
        """A registry that also has ``maker`` under ``name``.

        Args:
            kind: "models", "hooks", ..., or a kind of your own.
            maker: a class, a function, or ``"module:attribute"``, imported when it is first built.
            name: one name or several; None takes the maker's own name.
            scope: the scope it belongs to; None is the root.
            backend: the backend it is for; None is any.
            replace: take the place of an entry of the same name, scope and backend.
            deprecated: what to use instead; a build of this name then warns.

        Raises:
            FkitKeyError: the name is taken and ``replace`` is False.
            FkitTypeError: ``maker`` cannot be called, or a name is not a string.

        Example:
            >>> reg = Registry().register("models", "collections:OrderedDict", name=("Net", "OldNet"), scope="my")
            >>> reg.names("models")
            ('my.Net', 'my.OldNet')
        """
        if not isinstance(cast(Any, replace), bool):
            raise FkitTypeError(f"`replace` is a bool, not {replace!r}.")
        scope = self.scope if scope is None else checked(scope)
        entries = entry_of(self.kind(kind), maker, name, scope, backend, deprecated)
        return self.add(entries, replace=replace)

    def add(self, entries: Iterable[Entry], replace: bool = False) -> "Registry":
        """A registry that also has these entries: many at once cost one copy of each kind's table."""
        by_kind: dict[str, dict[tuple[str, str], tuple[Entry, ...]]] = {}
        scopes = self.scopes
        for entry in entries:
            table = by_kind.get(entry.kind)
            if table is None:
                table = by_kind.setdefault(entry.kind, dict(self.tables.get(entry.kind, Table())))
            key = (entry.scope, entry.name)
            old = table.get(key, ())
            same = next((e for e in old if e.backend == entry.backend), None)
            if same is not None and not replace:
                raise _taken(entry, same)
            table[key] = twins(*(e for e in old if e is not same), entry)
            if entry.scope != self.scope and entry.scope not in scopes:
                scopes = scopes.set(entry.scope, Scope(self.scope, declared=False))
        tables = frozendict[str, Table]({**self.tables, **{kind: Table(table) for kind, table in by_kind.items()}})
        return _with(self, tables=tables, scopes=scopes)

    def declare(self, kind: str, build: Callable[..., Any] | None = None) -> "Registry":
        """A registry that knows ``kind``, built by ``build`` where one is given.

        Args:
            kind: the kind's name.
            build: called in place of ``fkit.build``, with its arguments: ``build(cfg, registry, kind, *, backend,
                defaults, scope, path)``.

        Example:
            >>> reg = Registry().declare("pairs", build=lambda cfg, registry, kind, **_: (kind, dict(cfg)))
            >>> reg.build("pairs", {"a": 1})
            ('pairs', {'a': 1})
        """
        kind = self.kind(kind)
        tables = self.tables if kind in self.tables else self.tables.set(kind, Table())
        makers = self.makers if build is None else self.makers.set(kind, build)
        return _with(self, tables=tables, makers=makers)

    def child(self, scope: str, parent: str | None = None, *, open: bool = False) -> "Registry":
        """A registry in which ``scope`` is declared, under ``parent`` (None: the root).

        Args:
            scope: the new scope's name.
            parent: where its lookups go on when it lacks a name.
            open: ``scope.Name``, asked for from the scope itself, goes on to the parents too.

        Raises:
            FkitValueError: the scope is declared already, or the parent is not.

        Example:
            >>> reg = Registry().child("my").child("mine", parent="my")
            >>> dict(reg.children)
            {'my': 'fkit', 'mine': 'my'}
        """
        scope = checked(scope)
        parent = self.scope if parent is None else parent
        if scope == self.scope or (scope in self.scopes and self.scopes[scope].declared):
            raise FkitValueError(f"The scope {scope!r} is declared already.", choices=self.children, label="Scopes")
        if parent != self.scope and not (parent in self.scopes and self.scopes[parent].declared):
            raise FkitValueError(
                f"The parent {parent!r} of the scope {scope!r} is not declared.",
                value=parent,
                choices=(self.scope, *(s for s, at in self.scopes.items() if at.declared)),
                label="Scopes",
                repair=f"Declare it first: `reg.child({parent!r})`.",
            )
        return _with(self, scopes=self.scopes.set(scope, Scope(parent, True, open)))

    def include(self, module: ModuleType | str) -> "Registry":
        """A registry that also has what a module offers: see `fkit.registry.plugin.include`."""
        from fkit.registry.plugin import include  # plugin.py needs Registry: imported when called

        return include(self, module)

    def __or__(self, other: "Registry") -> "Registry":
        """What both hold; equal entries count once.

        Raises:
            FkitKeyError: both have one name with different makers.
            FkitValueError: both declare a scope, or build a kind, in different ways.
        """
        if not isinstance(cast(Any, other), Registry):
            return NotImplemented
        from fkit.registry.union import union

        return union(self, other)

    # ------------------------------------------------------------------------------------------------ asking

    def kind(self, kind: str) -> str:
        """The kind that a name stands for: OpenMMLab's older registries are aliases.

        Example:
            >>> Registry().kind("backbones")
            'models'
        """
        return ALIASES.get(kind, kind)

    def table(self, kind: str) -> Table:
        """The entries of a kind; raises FkitKeyError for a kind that is not there."""
        table = self.tables.get(kind)
        if table is None:
            table = self.tables.get(self.kind(kind))
        if table is None:
            raise FkitKeyError(
                f"There is no kind {kind!r} in this registry.",
                value=kind,
                choices=self.kinds,
                label="Kinds",
                more="fkit registry",
                repair=f"A kind of your own: `reg.declare({kind!r})`, or register something in it.",
            )
        return table

    def find(self, kind: str, name: str, scope: str | None = None, backend: str | None = None) -> Entry:
        """The entry that ``name`` means; imports nothing.

        Args:
            kind: the kind.
            name: ``Name`` or ``scope.Name``.
            scope: where the search begins; None is the root.
            backend: its own entry goes before one for any; None takes the one for any, else the only one.

        Raises:
            FkitKeyError: no such name, none for this backend, or several backends and none was said.
        """
        found = self.look(kind, name, scope, backend)
        if isinstance(found, Entry):
            return found
        raise not_found(self, kind, name, scope, backend)

    def look(self, kind: str, name: str, scope: str | None = None, backend: str | None = None) -> Entry | None:
        """What `find` gives, or None where it raises for a name."""
        table = self.tables.get(kind) or self.table(kind)
        if scope is None or scope not in self.scopes:  # a scope that nothing declared has no names: the root answers
            scope = self.scope
        entries = table.get((scope, name))
        if entries and len(entries) == 1 and "." not in name and backend in (None, entries[0].backend):
            return entries[0]  # nearly every lookup
        for place, short in places(self.scopes, self.scope, scope, name):
            entries = table.get((place, short))
            if entries:
                chosen = choose(entries, backend)
                if chosen is not None or backend is None:
                    return chosen
        return None

    def get(self, kind: str, name: str, scope: str | None = None, backend: str | None = None) -> Maker | Lazy:
        """The maker registered under ``name``; a lazy entry gives a `Lazy`, which imports when it is called.

        Example:
            >>> reg = Registry().register("models", dict, name="Net").register("models", "math:sqrt", name="Root")
            >>> reg.get("models", "Net") is dict, reg.get("models", "fkit.Root")
            (True, Lazy(target='math:sqrt'))
            >>> reg.get("models", "Nett")
            Traceback (most recent call last):
            fkit.tree.error.FkitKeyError: 'Nett' is not in the registry 'models'.
              Did you mean 'Net'? Registered: Net, Root
        """
        return self.find(kind, name, scope, backend).maker

    def build(
        self,
        kind: str,
        cfg: Any,
        *,
        backend: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        scope: str | None = None,
        path: str = "",
    ) -> Any:
        """`fkit.build` with this registry."""
        return build_part(cfg, kind, defaults, self, backend, scope, path)

    def entries(self, kind: str, scope: str | None = None, backend: str | None = None) -> tuple[Entry, ...]:
        """The entries of a kind, by scope and name; of one scope or backend where one is given."""
        return tuple(
            entry
            for (place, _), found in sorted(self.table(kind).items(), key=lambda item: item[0])
            if scope is None or place == scope
            for entry in found
            if backend is None or entry.backend in (None, backend)
        )

    def names(self, kind: str, scope: str | None = None, backend: str | None = None) -> tuple[str, ...]:
        """The names of a kind, sorted; with no ``scope``, as the root finds them: ``Name``, ``scope.Name``, ...

        Example:
            >>> Registry().register("hooks", dict, name="Mine").names("hooks")
            ('Mine',)
        """
        found = self.entries(kind, scope, backend)
        return tuple(sorted({e.name if scope is not None else self.full_name(e) for e in found}))

    def full_name(self, entry: Entry) -> str:
        """The name by which the root finds an entry: ``Name``, or the scopes down to it and its name.

        Example:
            >>> reg = Registry().child("det").child("my", parent="det").register("models", dict, name="Net", scope="my")
            >>> reg.full_name(reg.find("models", "Net", scope="my"))
            'det.my.Net'
        """
        return ".".join((*reversed(chain(self.scopes, entry.scope)[:-1]), entry.name))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, sorted."""
        return tuple(sorted(self.tables))

    @property
    def children(self) -> frozendict[str, str]:
        """The scopes below the root, each with its parent."""
        return frozendict({scope: place.parent for scope, place in self.scopes.items()})

    def __contains__(self, item: object) -> bool:
        """``(kind, name) in reg``, for any backend."""
        parts = cast("tuple[Any, ...]", item) if isinstance(item, tuple) else ()
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            return False
        kind, name = parts
        table = self.tables.get(self.kind(kind))
        return table is not None and any(place in table for place in places(self.scopes, self.scope, self.scope, name))

    def __len__(self) -> int:
        """How many names there are, over all kinds and scopes."""
        return sum(len(table) for table in self.tables.values())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind}: {len(table)}" for kind, table in sorted(self.tables.items()) if table)
        return f"Registry({self.scope}; {counts or 'empty'})"


def twins(*entries: Entry) -> tuple[Entry, ...]:
    """Entries of one name, one a backend, in an order that does not tell who came first."""
    return entries if len(entries) == 1 else tuple(sorted(entries, key=lambda entry: entry.backend or ""))


def choose(entries: tuple[Entry, ...], backend: str | None) -> Entry | None:
    """The entry for a backend: its own, else the one for any; with no backend the one for any, else the only one."""
    if len(entries) == 1:
        entry = entries[0]
        return entry if backend is None or entry.backend is None or entry.backend == backend else None
    wide = None
    for entry in entries:
        if entry.backend is None:
            wide = entry
        elif entry.backend == backend:
            return entry
    return wide


def _taken(entry: Entry, old: Entry) -> FkitKeyError:
    where = f" of the scope {entry.scope!r}" if entry.scope else ""
    which = f" for the backend {entry.backend!r}" if entry.backend else ""
    return FkitKeyError(
        f"{entry.name!r} is already registered in {entry.kind!r}{where}{which}: {old.where}.",
        repair="Take another name, or pass replace=True.",
    )


def _with(reg: Registry, **changes: Any) -> Registry:
    return replace(reg, **changes)

"""What a registry holds, as data: kinds, names, scopes and backends of makers; and how a name is looked up in it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any, Self, cast

from frozendict import frozendict

from fkit.catalog.allow import Allowed
from fkit.catalog.entry import Entry
from fkit.catalog.scope import ALIASES, KINDS, Branch, chain, places
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError

__all__ = ["Rows", "Table", "choose", "twins"]

Key = tuple[str, str]  # (scope, name)
Twins = tuple[Entry, ...]  # one entry a backend
_NONE: frozendict[Key, Twins] = frozendict()


@dataclass(frozen=True, slots=True, eq=False)
class Rows(Mapping[Key, Twins]):
    """(scope, name) -> its entries, one a backend: a persistent mapping.

    The latest additions stand apart, and only they are copied by the next; once they are more than the root of what is
    below, all become one. So n additions, one after another, copy n * sqrt(n) rows and not n * n.

    Example:
        >>> one = Rows().having({("fkit", "Net"): ()})
        >>> two = one.having({("fkit", "Other"): ()})
        >>> len(one), len(two), one == Rows().having({("fkit", "Net"): ()})
        (1, 2, True)
    """

    settled: frozendict[Key, Twins] = _NONE
    latest: frozendict[Key, Twins] = _NONE

    def having(self, changes: Mapping[Key, Twins]) -> "Rows":
        """These rows with others in place of, or beside them."""
        latest = {**self.latest, **changes}
        if len(latest) > 8 + isqrt(len(self.settled)):
            return Rows(frozendict({**self.settled, **latest}))
        return Rows(self.settled, frozendict(latest))

    def get(self, key: Any, default: Any = None) -> Any:
        entries = self.latest.get(key)
        return self.settled.get(key, default) if entries is None else entries

    def __getitem__(self, key: Key) -> Twins:
        entries = self.latest.get(key)
        return self.settled[key] if entries is None else entries

    def __contains__(self, key: object) -> bool:
        return key in self.latest or key in self.settled

    def __iter__(self) -> Iterator[Key]:
        yield from self.settled
        yield from (key for key in self.latest if key not in self.settled)

    def __len__(self) -> int:
        return len(self.settled) + sum(key not in self.settled for key in self.latest)

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))


def _kinds() -> frozendict[str, Rows]:
    return frozendict({kind: Rows() for kind in KINDS})


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """The data of a registry, and its answers. `fkit.Registry` is one that also registers and builds.

    Attributes:
        scope: the name of the root scope.
        tables: kind -> its rows.
        scopes: scope -> where it hangs.
        makers: kind -> its own build function, for those that have one.
        included: names of the modules taken in.
        allowed: whose code a config may name by a dotted path: see `fkit.catalog.allow`.
    """

    scope: str = "fkit"
    tables: frozendict[str, Rows] = field(default_factory=_kinds)
    scopes: frozendict[str, Branch] = field(default_factory=frozendict[str, Branch])
    makers: frozendict[str, Callable[..., Any]] = field(default_factory=frozendict[str, Callable[..., Any]])
    included: frozenset[str] = frozenset()
    allowed: Allowed = field(default_factory=Allowed)

    def add(self, entries: Iterable[Entry], replace: bool = False) -> Self:
        """One that also has these entries: many at once cost one copy of each kind's latest rows.

        Raises:
            FkitKeyError: a name is taken and ``replace`` is False.
        """
        expect(entries, Iterable, "`entries` are entries, as `entry_of` makes them")
        changes: dict[str, dict[Key, Twins]] = {}
        scopes = self.scopes
        for entry in entries:
            expect(entry, Entry, "an entry is what `entry_of` makes")
            rows, new = self.tables.get(entry.kind, _NONE), changes.setdefault(entry.kind, {})
            key = (entry.scope, entry.name)
            old: Twins = new.get(key) or rows.get(key, ())
            same = next((e for e in old if e.backend == entry.backend), None)
            if same is not None and not replace:
                raise _taken(entry, same)
            new[key] = twins(*(e for e in old if e is not same), entry)
            if entry.scope != self.scope and entry.scope not in scopes:
                scopes = scopes.set(entry.scope, Branch(self.scope, declared=False))
        tables = {**self.tables, **{kind: self.tables.get(kind, Rows()).having(new) for kind, new in changes.items()}}
        return self.having(tables=frozendict(tables), scopes=scopes)

    def having(self, **changes: Any) -> Self:
        """One with other fields."""
        return replace(self, **changes)

    # ------------------------------------------------------------------------------------------------ asking

    def kind(self, kind: str) -> str:
        """The kind that a name stands for: OpenMMLab's older registries are aliases.

        Example:
            >>> Table().kind("backbones")
            'models'
        """
        expect(kind, str, "`kind` is a word such as 'models'")
        return ALIASES.get(kind, kind)

    def table(self, kind: str) -> Rows:
        """The rows of a kind.

        Raises:
            FkitKeyError: there is no such kind.
        """
        rows = self.tables.get(self.kind(kind))
        if rows is None:
            raise FkitKeyError(
                f"There is no kind {kind!r} in this registry.",
                value=kind,
                choices=self.kinds,
                label="Kinds",
                more="fkit registry",
                repair=f"A kind of your own: `reg.declare({kind!r})`, or register something in it.",
            )
        return rows

    def start(self, scope: str | None) -> str:
        """The scope at which a search begins: the root for None.

        Raises:
            FkitKeyError: there is no such scope.
        """
        if scope is None or scope == self.scope:
            return self.scope
        expect(scope, str, "`scope` is a word or None")
        if scope not in self.scopes:
            raise FkitKeyError(
                f"There is no scope {scope!r} in this registry.",
                value=scope,
                choices=(self.scope, *sorted(self.scopes)),
                label="Scopes",
                repair=f"One of your own: `registry.child({scope!r})`, in the register(registry) of a module of yours, say.",
            )
        return scope

    def look(self, kind: str, name: str, scope: str | None = None, backend: str | None = None) -> Entry | None:
        """The entry that ``name`` means; None where there is none, or where there are several for a backend unsaid.

        Raises:
            FkitKeyError: there is no such kind or scope.
        """
        rows = self.tables.get(kind) if type(kind) is str else None
        if rows is None or type(name) is not str:
            rows = self.table(kind)
            expect(name, str, "`name` is a name or scope.Name")
        if scope is None or scope != self.scope:
            scope = self.start(scope)
        entries = rows.latest.get((scope, name)) or rows.settled.get((scope, name))
        if entries and len(entries) == 1 and "." not in name and backend in (None, entries[0].backend):
            return entries[0]  # nearly every lookup
        for place, short in places(self.scopes, self.scope, scope, name):
            entries = rows.get((place, short))
            if entries:
                chosen = choose(entries, backend)
                if chosen is not None or backend is None:
                    return chosen
        return None

    def entries(self, kind: str, scope: str | None = None, backend: str | None = None) -> tuple[Entry, ...]:
        """The entries of a kind, by scope and name; of one scope or backend where one is given."""
        only = None if scope is None else self.start(scope)
        return tuple(
            entry
            for (place, _), entries in sorted(self.table(kind).items(), key=lambda item: item[0])
            if only is None or place == only
            for entry in entries
            if backend is None or entry.backend in (None, backend)
        )

    def names(self, kind: str, scope: str | None = None, backend: str | None = None) -> tuple[str, ...]:
        """The names of a kind, sorted; with no ``scope``, as the root finds them: ``Name``, ``scope.Name``, ...

        Example:
            >>> from fkit.catalog.entry import entry_of
            >>> Table().add(entry_of("hooks", dict, "Mine", "fkit", None)).names("hooks")
            ('Mine',)
        """
        entries = self.entries(kind, scope, backend)
        return tuple(sorted({e.name if scope is not None else self.full_name(e) for e in entries}))

    def full_name(self, entry: Entry) -> str:
        """The name by which the root finds an entry: ``Name``, or the scopes down to it and its name.

        Example:
            >>> from fkit.catalog.entry import entry_of
            >>> entry, = entry_of("models", dict, "Net", "my", None)
            >>> Table().add([entry]).full_name(entry)
            'my.Net'
        """
        expect(entry, Entry, "`entry` is an entry, as `find` gives it")
        return ".".join((*reversed(chain(self.scopes, entry.scope)[:-1]), entry.name))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds, sorted."""
        return tuple(sorted(self.tables))

    @property
    def children(self) -> frozendict[str, str]:
        """The scopes below the root, each with its parent."""
        return frozendict({scope: branch.parent for scope, branch in self.scopes.items()})

    def __contains__(self, item: object) -> bool:
        """``(kind, name) in reg``, for any backend."""
        parts = cast("tuple[Any, ...]", item) if isinstance(item, tuple) else ()
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            return False
        kind, name = parts
        rows = self.tables.get(self.kind(kind))
        return rows is not None and any(place in rows for place in places(self.scopes, self.scope, self.scope, name))

    def __len__(self) -> int:
        """How many names there are, over all kinds and scopes."""
        return sum(len(rows) for rows in self.tables.values())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind}: {len(rows)}" for kind, rows in sorted(self.tables.items()) if rows)
        return f"Registry({self.scope}; {counts or 'empty'})"


def twins(*entries: Entry) -> Twins:
    """Entries of one name, one a backend, in an order that does not tell who came first."""
    return entries if len(entries) == 1 else tuple(sorted(entries, key=lambda entry: entry.backend or ""))


def choose(entries: Twins, backend: str | None) -> Entry | None:
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

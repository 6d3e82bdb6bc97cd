"""The union of two registries: associative, and an error where they disagree."""

from collections.abc import Mapping
from typing import TypeVar

from frozendict import frozendict

from fkit.catalog.scope import Branch
from fkit.catalog.table import Rows, Table, Twins, twins
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["union"]

T = TypeVar("T", bound=Table)


def union(a: T, b: Table) -> T:
    """What both hold; equal entries count once. See ``Registry.__or__``.

    Example:
        >>> from fkit.catalog.entry import entry_of
        >>> one, two = (Table().add(entry_of("hooks", maker, None, "fkit", None)) for maker in (dict, list))
        >>> union(one, two).names("hooks")
        ('dict', 'list')
    """
    if a.scope != b.scope:
        raise FkitValueError(f"Two registries with different roots have no union: {a.scope!r} and {b.scope!r}.")
    tables = {kind: _rows(a.tables.get(kind, Rows()), b.tables.get(kind, Rows())) for kind in {**a.tables, **b.tables}}
    makers = dict(a.makers)
    for kind, maker in b.makers.items():
        if makers.setdefault(kind, maker) is not maker:
            raise FkitValueError(f"Both registries have a build function of their own for {kind!r}.")
    return a.having(
        tables=frozendict(tables),
        makers=frozendict(makers),
        scopes=_scopes(a.scopes, b.scopes),
        included=a.included | b.included,
        allowed=a.allowed | b.allowed,
    )


def _rows(a: Rows, b: Rows) -> Rows:
    if a is b:
        return a
    changes: dict[tuple[str, str], Twins] = {}
    for key, entries in b.items():
        old: Twins = a.get(key, ())
        for entry in entries:
            same = next((e for e in old if e.backend == entry.backend), None)
            if same is None:
                old = (*old, entry)
            elif same != entry:
                scope, name = key
                raise FkitKeyError(
                    f"Both registries have {name!r} in {entry.kind!r} (scope {scope!r}"
                    f"{', backend ' + repr(entry.backend) if entry.backend else ''}): {same.where} and {entry.where}.",
                    repair="Register one of them under another name or scope, or with replace=True after the union.",
                )
        changes[key] = twins(*old)
    return a.having(changes)


def _scopes(a: Mapping[str, Branch], b: Mapping[str, Branch]) -> frozendict[str, Branch]:
    scopes = dict(a)
    for name, branch in b.items():
        old = scopes.get(name)
        if old is None or not old.declared:
            scopes[name] = branch
        elif branch.declared and branch != old:
            raise FkitValueError(
                f"Both registries declare the scope {name!r}: under {old.parent!r} and under {branch.parent!r}."
            )
    return frozendict(scopes)

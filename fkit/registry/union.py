"""The union of two registries: associative, and an error where they disagree."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from frozendict import frozendict

from fkit.registry.entry import Entry
from fkit.registry.registry import Registry, twins
from fkit.registry.scope import Scope
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["union"]

T = TypeVar("T")


def union(a: Registry, b: Registry) -> Registry:
    """What both hold; equal entries count once. See ``Registry.__or__``.

    Example:
        >>> one, two = Registry().register("hooks", dict), Registry().register("hooks", list)
        >>> (one | two).names("hooks")
        ('dict', 'list')
    """
    if a.scope != b.scope:
        raise FkitValueError(f"Two registries with different roots have no union: {a.scope!r} and {b.scope!r}.")
    tables = {
        kind: _table(a.tables.get(kind, frozendict()), b.tables.get(kind, frozendict()))
        for kind in {**a.tables, **b.tables}
    }
    makers = dict(a.makers)
    for kind, maker in b.makers.items():
        if makers.setdefault(kind, maker) is not maker:
            raise FkitValueError(f"Both registries have a build function of their own for {kind!r}.")
    return replace(
        a,
        tables=frozendict(tables),
        makers=frozendict(makers),
        scopes=_scopes(a.scopes, b.scopes),
        included=a.included | b.included,
    )


def _table(
    a: Mapping[tuple[str, str], tuple[Entry, ...]], b: Mapping[tuple[str, str], tuple[Entry, ...]]
) -> frozendict[tuple[str, str], tuple[Entry, ...]]:
    if a is b:
        return frozendict(a)
    found = dict(a)
    for key, entries in b.items():
        old = found.get(key, ())
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
        found[key] = twins(*old)
    return frozendict(found)


def _scopes(a: Mapping[str, Scope], b: Mapping[str, Scope]) -> frozendict[str, Scope]:
    found = dict(a)
    for name, scope in b.items():
        old = found.get(name)
        if old is None or not old.declared:
            found[name] = scope
        elif scope.declared and scope != old:
            raise FkitValueError(
                f"Both registries declare the scope {name!r}: under {old.parent!r} and under {scope.parent!r}."
            )
    return frozendict(found)

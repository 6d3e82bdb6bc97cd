"""``fkit registry``: the names of the registry, for which backends, where they are defined, their signatures."""

import argparse
import sys
from typing import Any

from fkit.catalog.builtin import registry
from fkit.catalog.describe import Described, describe
from fkit.catalog.plugin import include, installed
from fkit.catalog.registry import Registry
from fkit.cli.command import add_command

__all__ = ["add", "run"]

_EXAMPLES = (
    ("fkit registry", "the kinds, and how many names each has"),
    ("fkit registry models", "the models"),
    ("fkit registry models --search res", "those with 'res' in their name or module"),
    ("fkit registry --search adam", "in all kinds"),
)


def add(subparsers: Any) -> None:
    """Add the command to the parser of ``fkit``.

    Args:
        subparsers: what ``CommandParser.add_subparsers`` returned.
    """
    parser = add_command(
        subparsers,
        "registry",
        "List what configs can name: names, backends, where they are defined, signatures. Nothing is imported: "
        "signatures are read from the source.",
        _EXAMPLES,
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help="models, datasets, hooks, ...; without it, the kinds")
    parser.add_argument("--search", metavar="WORD", help="only names or modules that contain WORD (case aside)")
    parser.add_argument(
        "--include", metavar="MODULE", action="append", default=[], help="a module whose parts are listed too"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the listing; what a search does not find is no failure."""
    reg = installed(registry())
    for module in args.include:
        reg = include(reg, module)
    if args.kind is None and args.search is None:
        print(overview(reg))
        return 0
    kinds = reg.kinds if args.kind is None else (reg.kind(args.kind),)
    entries = tuple(row for kind in kinds for row in rows(reg, kind, args.search))
    if entries:
        print(listing(entries))
    else:
        about = f" with {args.search!r} in its name or module" if args.search else ""
        print(f"There is nothing in {args.kind or 'the registry'}{about}.", file=sys.stderr)
    return 0


def overview(reg: Registry) -> str:
    """The kinds with the number of their names."""
    width = max(len(kind) for kind in reg.kinds)
    lines = (f"{kind:<{width}}  {len(reg.names(kind))}" for kind in reg.kinds)
    return "\n".join((*lines, "", "`fkit registry KIND` lists a kind."))


def rows(reg: Registry, kind: str, search: str | None) -> tuple[Described, ...]:
    """The entries of a kind whose name or module contains ``search``, by name."""
    word = (search or "").lower()
    entries = [entry for entry in reg.entries(kind) if word in f"{entry.scope}.{entry.name} {entry.where}".lower()]
    return tuple(
        describe(entry, reg.full_name(entry))
        for entry in sorted(entries, key=lambda e: (e.name.lower(), e.backend or ""))
    )


def listing(entries: tuple[Described, ...]) -> str:
    """Two lines an entry: kind, name, backend and place; the call."""
    blocks = (
        f"{row.kind}  {row.name}  [{row.backend or 'any backend'}]  {row.where}\n    {row.name}{row.signature}"
        + (f"\n    {row.summary}" if row.summary else "")
        for row in entries
    )
    return "\n".join(blocks)

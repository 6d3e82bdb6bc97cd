"""``fkit registry``: the names of the registry, for which backends, where they are defined, their signatures."""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from fkit.catalog.builtin import registry
from fkit.catalog.describe import Described, describe
from fkit.catalog.offer import optax_optimizers, torch_optimizers
from fkit.catalog.plugin import include, installed
from fkit.catalog.registry import Registry
from fkit.cli.command import add_command
from fkit.cli.reach import look_here
from fkit.training.optimizer import TWINS, UNFIT
from fkit.tree.error import nearest

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
    look_here(*args.include)
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
        return 0
    about = f" with {args.search!r} in its name or module" if args.search else ""
    near = nearest(args.search or "", [row.name for kind in kinds for row in rows(reg, kind, None)])
    hint = f"\n  Did you mean {near!r}?" if near else ""
    print(f"There is nothing in {args.kind or 'the registry'}{about}.{hint}", file=sys.stderr)
    return 0


def overview(reg: Registry) -> str:
    """The kinds that hold something, with the number of their names."""
    counts = {kind: len({row.name for row in rows(reg, kind, None)}) for kind in reg.kinds}
    width = max(map(len, counts))
    lines = (f"{kind:<{width}}  {count}" for kind, count in counts.items() if count)
    empty = textwrap.fill(
        f"Nothing yet: {', '.join(kind for kind, count in counts.items() if not count)}.",
        shutil.get_terminal_size().columns,
    )
    return "\n".join((*lines, "", empty, "`fkit registry KIND` lists a kind."))


def rows(reg: Registry, kind: str, search: str | None) -> tuple[Described, ...]:
    """The entries of a kind whose name or module contains ``search``, by name; of optimizers, the frameworks' too."""
    word = (search or "").lower()
    entries = [entry for entry in reg.entries(kind) if word in f"{entry.scope}.{entry.name} {entry.where}".lower()]
    listed = [describe(entry, reg.full_name(entry)) for entry in entries]
    if kind == "optimizers":
        listed += [row for row in _optimizers() if word in f"{row.name} {row.where}".lower()]
    return tuple(sorted(listed, key=lambda row: (row.name.rpartition(".")[2].lower(), row.backend or "")))


def _optimizers() -> Iterator[Described]:
    """The optimizers that a config may name: the twins, and what torch and optax have beside them."""
    for name, options in TWINS.items():
        signature = ", ".join(f"{option}={value!r}" for option, value in options.items())
        yield Described(
            "optimizers",
            name,
            None,
            "fkit.training.optimizer:TWINS",
            f"({signature})",
            "Equal numbers on torch and on JAX.",
        )
    for row in (*torch_optimizers(), *optax_optimizers()):
        if row.name not in (*TWINS, *UNFIT):
            yield row


def listing(entries: tuple[Described, ...]) -> str:
    """Two lines an entry: kind, name, backend and place; the call."""
    blocks = (
        f"{row.kind}  {row.name}  [{row.backend or 'any backend'}]  {row.where}\n    {row.name}{row.signature}"
        + (f"\n    {row.summary}" if row.summary else "")
        for row in entries
    )
    return "\n".join(blocks)

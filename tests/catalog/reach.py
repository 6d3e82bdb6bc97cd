"""Build every name that text can reach, in a process that tells what it touches; run by test_reach.py.

Importing a maker may read its source: that is done before. Prints JSON: {"built": N, "tried": N, "touched": [[name, event], ...]}.
"""

import importlib
import inspect
import json
import sys
import warnings
from typing import Any

import torch

import fkit
from fkit.catalog.allow import PARTS, Allowed, open_part
from fkit.catalog.entry import recipe_of
from fkit.tree.error import FkitError

# what a build must not do, by the names of Python's audit events
TOUCHES = (
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "urllib.",
    "ftplib.",
    "glob.",
    "tempfile.",
    "pty.",
    "mmap.",
)
NAIVE = (1, "x", None, [1, 1], {"type": "ReLU"})
LAZY = {"data_root": "x", "ann_file": "y", "lazy_init": True}  # all that a dataset of files needs
CODE = (".py", ".pyc", ".so", ".pyi", ".pth")

armed: list[str] = []
touched: list[tuple[str, str]] = []


def hook(event: str, args: tuple[Any, ...]) -> None:
    if not armed or not event.startswith(TOUCHES):
        return
    if event == "open" and str(args[0]).endswith(CODE) and args[1] in ("r", "rb", None):
        return  # a module imported late
    if event in ("os.listdir", "os.scandir") and str(args[0]) in (*sys.path, *(p for p in sys.path_importer_cache)):
        return  # the import system, looking for one
    touched.append((armed[0], f"{event}{args!r}"[:200]))


def arguments(maker: Any) -> list[dict[str, Any]]:
    """No arguments; and for each naive value, the arguments that must be given."""
    try:
        needed = [
            p.name
            for p in inspect.signature(maker).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "build"
        ]
    except (TypeError, ValueError):
        needed = []
    return [{}, *({name: value for name in needed} for value in NAIVE if needed)]


def targets(reg: Any) -> list[tuple[str, str, str | None, Any]]:
    """(kind, name, backend, maker) of all that a config can name."""
    found = [
        (kind, reg.full_name(entry), entry.backend, entry.recipe.call)
        for kind in reg.kinds
        for entry in reg.entries(kind)
    ]
    for module, _ in PARTS:
        for name in dir(importlib.import_module(module)):
            try:
                maker = open_part(f"{module}.{name}", Allowed())
            except FkitError:
                continue
            found.append(("models", f"{module}.{name}", None, maker))
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    reg = fkit.registry()
    rows = targets(reg)
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)  # the first optimizer imports torch's compiler
    importlib.import_module("jax").devices()  # the first array of JAX's looks for devices, through all packages
    built = tried = 0
    sys.addaudithook(hook)
    for kind, name, backend, maker in rows:
        recipe_of(maker)
        lazily = [LAZY] if kind == "datasets" else []
        for given in (*arguments(maker), *lazily):
            tried += 1
            armed.append(name)
            try:
                reg.build(kind, {"type": name, **given}, backend=backend)
                built += 1
            except FkitError:
                pass
            finally:
                armed.clear()
    print(json.dumps({"names": len(rows), "built": built, "tried": tried, "touched": touched}))


if __name__ == "__main__":
    main()

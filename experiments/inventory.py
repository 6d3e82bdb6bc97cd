"""How many of OpenMMLab's released configs build here to the very parameters and buffers of the reference.

    python experiments/inventory.py FOLDER                  of the packages whose wheels are unpacked in FOLDER
    python experiments/inventory.py FOLDER --why            and what keeps the others from it, by how often it was said
    python experiments/inventory.py FOLDER --against DIR    and in what those differ that build: DIR/inventory.jsonl.gz has the names

Each config's model is built by the torch backend on the meta device (no memory, no weights). It counts where the names, shapes,
types and order of its state_dict, the frozen parameters and the tied names are those that the reference builds of the same file:
both are hashed alike, and the hashes of the reference are in inventory.txt beside this script. ``nox -s inventory`` downloads the
four wheels and counts; its table is in configs/README.md.
"""

import argparse
import gzip
import hashlib
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

import fkit

HASHES = Path(__file__).with_name("inventory.txt")
PACKAGES = ("mmdet", "mmseg", "mmpose", "mmpretrain")


class Released(NamedTuple):
    """A config of a package, and the hash of what the reference builds of it."""

    package: str
    config: str
    inventory: str


def released(path: Path = HASHES) -> Iterator[Released]:
    """The configs that the reference builds."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield Released(*line.split())


def inventory(module: torch.nn.Module) -> dict[str, Any]:
    """What a module holds: ``entries`` [name, shape, "p" or "b", type], ``frozen`` names, ``tied`` names and their first."""
    state = module.state_dict(keep_vars=True)
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    firsts: dict[int, str] = {}
    tied = {name: firsts[id(tensor)] for name, tensor in state.items() if firsts.setdefault(id(tensor), name) != name}
    entries = [
        [name, list(tensor.shape), "p" if name in parameters else "b", str(tensor.dtype).removeprefix("torch.")]
        for name, tensor in state.items()
    ]
    frozen = [name for name in state if name in parameters and not state[name].requires_grad]
    return {"entries": entries, "frozen": frozen, "tied": tied}


def digest(found: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the inventory's sha256."""
    return hashlib.sha256(json.dumps(found, separators=(",", ":")).encode()).hexdigest()[:16]


def built(model: Mapping[str, Any], registry: Any, scope: str) -> torch.nn.Module:
    """A config's model on the meta device; what stands before it (``data_preprocessor``) has no weights."""
    train = model.get("train_cfg")
    outside = (
        ("data_preprocessor", "train_cfg")
        if isinstance(train, Mapping) and "augments" in train
        else ("data_preprocessor",)
    )
    cfg = {key: value for key, value in model.items() if key not in outside}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fkit.build(cfg, registry, "models", backend="torch", scope=scope)


class Equal(NamedTuple):
    """A config that builds to the reference's inventory: what it was built of."""

    released: Released
    model: Any
    scope: str


class Counted(NamedTuple):
    """By package: configs of the reference, that build here, that are equal; what was said; which differ; which are equal."""

    whole: Counter[str]
    builds: Counter[str]
    equal: Counter[str]
    said: Counter[str]
    differing: list[tuple[Released, dict[str, Any]]]
    same: list[Equal]


def count(folder: Path, packages: tuple[str, ...] = PACKAGES, only: str = "") -> Counted:
    """Build every released config and compare."""
    counted = Counted(Counter(), Counter(), Counter(), Counter(), [], [])
    registry = fkit.registry()
    for one in released():
        if one.package not in packages or only not in one.config:
            continue
        counted.whole[one.package] += 1
        try:
            cfg = fkit.load_config(folder / one.package / ".mim" / "configs" / one.config)
            scope = str(cfg.get("default_scope") or one.package)
            module = built(cfg["model"], registry, scope)
            found = inventory(module)
        except fkit.FkitError as error:
            counted.said[(error.what or str(error)).splitlines()[0][:160]] += 1
            continue
        except Exception as error:
            counted.said[f"{type(error).__name__}: {error}"[:160]] += 1
            continue
        counted.builds[one.package] += 1
        if digest(found) == one.inventory:
            counted.equal[one.package] += 1
            counted.same.append(Equal(one, cfg["model"], scope))
        else:
            counted.differing.append((one, found))
    return counted


def table(counted: Counted) -> str:
    """The counts as a table."""
    rows = [
        (name, counted.whole[name], counted.builds[name], counted.equal[name])
        for name in PACKAGES
        if counted.whole[name]
    ]
    rows.append(("all", counted.whole.total(), counted.builds.total(), counted.equal.total()))
    head = "| package | configs | build | with equal names, shapes and frozen parameters |\n| --- | --- | --- | --- |\n"
    return head + "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def differences(counted: Counted, folder: Path) -> Iterator[str]:
    """A line for each config that builds to something else: its first different entry."""
    wanted = {one.inventory for one, _ in counted.differing}
    theirs: dict[str, Any] = {}
    with gzip.open(folder / "inventory.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["id"] in wanted:
                theirs[row["id"]] = row
    for one, found in counted.differing:
        want = theirs[one.inventory]
        yield f"{one.package}: {one.config}: {_first(found, want)}"


def _first(found: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    ours, names = found["entries"], want["entries"]
    for mine, yours in zip(ours, names, strict=False):
        if mine != yours:
            return f"{mine} in the place of {yours}"
    if len(ours) != len(names):
        return f"{len(ours)} entries in the place of {len(names)}: {(ours + names)[min(len(ours), len(names))]}"
    for key in ("frozen", "tied"):
        if found[key] != want[key]:
            return f"{key}: {len(found[key])} in the place of {len(want[key])}"
    return "nothing: the hash is of another inventory"


def sample(counted: Counted) -> list[dict[str, Any]]:
    """Few configs that name every component which the equal ones name: each adds some that none before it has."""
    seen: set[tuple[str, str]] = set()
    rows: list[dict[str, Any]] = []
    for one in sorted(counted.same, key=lambda one: -len(set(_types(one.model)))):
        names = {(one.scope, name) for name in _types(one.model)}
        if names <= seen:
            continue
        seen |= names
        model = json.loads(fkit.Config({"model": one.model}).text("canonical"))["model"]
        hashed = one.released.inventory
        rows.append(
            {
                "id": f"{one.released.package}/{one.released.config}",
                "scope": one.scope,
                "model": model,
                "inventory": hashed,
            }
        )
    return rows


def _types(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("type"), str):
            yield node["type"]
        for key, value in node.items():
            if key not in ("data_preprocessor", "init_cfg"):
                yield from _types(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _types(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="with the packages, as pip unpacks their wheels")
    parser.add_argument("--package", choices=PACKAGES, action="append", help="only this one; may be repeated")
    parser.add_argument("--only", default="", help="only configs whose path holds this")
    parser.add_argument("--why", action="store_true", help="say what keeps the others from it")
    parser.add_argument(
        "--against", type=Path, help="folder with the reference's inventory.jsonl.gz, to say what differs"
    )
    parser.add_argument("--sample", type=Path, help="write configs that together name every component to this file")
    parser.add_argument("--least", type=int, nargs=4, metavar=("DET", "SEG", "POSE", "PRE"), help="fail below")
    args = parser.parse_args()
    if not any((args.folder / package / ".mim" / "configs").is_dir() for package in PACKAGES):
        parser.error(f"{args.folder} holds none of {', '.join(PACKAGES)} with their configs.")
    counted = count(args.folder, tuple(args.package or PACKAGES), args.only)
    print(table(counted))
    if args.why:
        print("\n".join(f"{number:5}  {what}" for what, number in counted.said.most_common()))
    if args.against:
        print("\n".join(differences(counted, args.against)))
    if args.sample:
        args.sample.write_text(json.dumps({"cases": sample(counted)}, indent=0) + "\n", encoding="utf-8")
    short = [
        f"{package}: {counted.equal[package]} of at least {least}"
        for package, least in zip(PACKAGES, args.least or (), strict=False)
        if counted.equal[package] < least
    ]
    print("\n".join(short), file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())

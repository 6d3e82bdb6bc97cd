"""How many of OpenMMLab's released configs find all their transforms, all their datasets, and all their metrics, each built here
with the arguments that the config gives it (datasets without reading a file).

    python experiments/count_data.py FOLDER            of the packages whose wheels are unpacked in FOLDER
    python experiments/count_data.py FOLDER --why      and what the first failed build of each missing part said

``nox -s count -- data`` downloads the four wheels and counts.
"""

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fkit
from fkit.tree.tree import thaw

PACKAGES = {"mmdet": "mmdet", "mmseg": "mmseg", "mmpose": "mmpose", "mmpretrain": "mmpretrain"}
KINDS = ("transforms", "datasets", "metrics")
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
EVALUATORS = ("val_evaluator", "test_evaluator")
SWITCHES = ("switch_pipeline", "train_pipeline")


class Part(NamedTuple):
    """A part that a config names: its kind, and the config of it alone."""

    kind: str
    cfg: Mapping[str, Any]


def parts(cfg: Mapping[str, Any]) -> Iterator[Part]:
    """The transforms, datasets and metrics that a whole config names."""
    for key in LOADERS:
        for loader in _several(cfg.get(key)):
            for dataset in _several(loader.get("dataset")):
                yield from of_dataset(dataset)
    for key in EVALUATORS:
        for metric in _several(cfg.get(key)):
            for one in _several(metric.get("metrics")) if "metrics" in metric else (metric,):
                yield Part("metrics", one)
    for hook in _several(cfg.get("custom_hooks")):
        for key in SWITCHES:
            yield from (Part("transforms", step) for step in _several(hook.get(key)))


def of_dataset(cfg: Mapping[str, Any]) -> Iterator[Part]:
    """A dataset, those that it wraps, and the steps of their pipelines."""
    inner = [one for key in ("dataset", "datasets") for one in _several(cfg.get(key))]
    if "type" in cfg and not inner:
        yield Part("datasets", {**cfg, "pipeline": []} if "pipeline" in cfg else cfg)
    elif "type" in cfg:
        yield Part("datasets", {"type": cfg["type"]})
    for one in inner:
        yield from of_dataset(one)
    for step in _several(cfg.get("pipeline")):
        yield Part("transforms", step)


def _several(node: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        return (node,)
    return tuple(one for one in node if isinstance(one, Mapping)) if isinstance(node, (list, tuple)) else ()


class Builder:
    """Builds parts, each once; says why one cannot be built."""

    def __init__(self) -> None:
        self.registry = fkit.registry()
        self.said: dict[tuple[str, str, str], str] = {}

    def why(self, part: Part, scope: str) -> str:
        """ "" where it is built, else what was said."""
        name = str(part.cfg.get("type"))
        whole = (scope, part.kind, json.dumps(thaw(part.cfg), sort_keys=True, default=str))
        if whole not in self.said:
            self.said[whole] = _error(self._make(part, name, scope))
        return self.said[whole]

    def _make(self, part: Part, name: str, scope: str) -> Callable[[], Any]:
        if part.kind == "datasets":
            if set(part.cfg) == {"type"}:
                return lambda: self.registry.get("datasets", name, scope=scope)
            lazy = {key: value for key, value in part.cfg.items() if key != "lazy_init"}
            return lambda: self.registry.build("datasets", lazy, scope=scope, defaults={"lazy_init": True})
        return lambda: self.registry.build(part.kind, part.cfg, scope=scope)


def _error(make: Callable[[], Any]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "" if make() is not None else "there is none of that name"
    except fkit.FkitError as error:
        return error.what or "an error"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Counted(NamedTuple):
    """Of one kind: package -> configs that name any, and that find all; (name) -> configs that lack it, and that lack nothing
    else; name -> what was said first."""

    whole: Counter[str]
    found: Counter[str]
    missing: Counter[str]
    alone: Counter[str]
    why: dict[str, str]


def count(folder: Path) -> tuple[dict[str, Counted], Counter[str]]:
    """Count by kind; and how many configs of each package could not be read."""
    builder = Builder()
    counted = {kind: Counted(Counter(), Counter(), Counter(), Counter(), {}) for kind in KINDS}
    unread: Counter[str] = Counter()
    for package in PACKAGES:
        home = folder / package / ".mim" / "configs"
        for path in sorted(home.rglob("*.py")):
            if "_base_" in path.relative_to(home).parts:
                continue
            try:
                cfg = fkit.load_config(path)
            except fkit.FkitError:
                unread[package] += 1
                continue
            if "model" not in cfg:
                continue
            scope = str(cfg.get("default_scope") or package)
            _add(counted, package, tuple(parts(cfg)), builder, scope)
    return counted, unread


def _add(counted: dict[str, Counted], package: str, named: tuple[Part, ...], builder: Builder, scope: str) -> None:
    for kind, one in counted.items():
        mine = [part for part in named if part.kind == kind]
        if not mine:
            continue
        said = {str(part.cfg.get("type")): why for part in mine if (why := builder.why(part, scope))}
        one.whole[package] += 1
        one.found[package] += not said
        one.missing.update(said.keys())
        if len(said) == 1:
            one.alone.update(said.keys())
        for name, why in said.items():
            one.why.setdefault(name, why)


def table(counted: Mapping[str, Counted], unread: Counter[str]) -> str:
    """The counts by package, and what is missing by how many configs name it."""
    heads = [f"{kind}: find all, of those that name any" for kind in counted]
    lines = ["| package | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for package in PACKAGES:
        cells = [f"{one.found[package]} of {one.whole[package]}" for one in counted.values()]
        lines.append(f"| {package} | " + " | ".join(cells) + " |")
    cells = [f"{sum(one.found.values())} of {sum(one.whole.values())}" for one in counted.values()]
    lines.append("| all | " + " | ".join(cells) + " |")
    if unread:
        lines += ["", f"Not read: {', '.join(f'{number} of {package}' for package, number in unread.items())}."]
    if any(one.missing for one in counted.values()):
        lines += ["", "| missing | kind | configs | lack nothing else |", "| --- | --- | --- | --- |"]
    for kind, one in counted.items():
        for name, number in sorted(one.missing.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"| {name} | {kind} | {number} | {one.alone[name]} |")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Print the table; 1 where fewer than ``--least`` of a kind find all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the wheels are unpacked")
    parser.add_argument(
        "--least", type=int, nargs=3, default=(0, 0, 0), metavar="N", help="of transforms, datasets, metrics"
    )
    parser.add_argument("--why", action="store_true", help="say of each missing part what its build said")
    said = parser.parse_args(words)
    lacking = [package for package in PACKAGES if not (said.folder / package).is_dir()]
    if lacking:
        parser.error(
            f"{said.folder} holds no {' and no '.join(lacking)}: unpack the wheels there (nox -s count -- data does)"
        )
    counted, unread = count(said.folder)
    sys.stdout.write(table(counted, unread) + "\n")
    for kind, one in counted.items() if said.why else ():
        for name, text in one.why.items():
            sys.stdout.write(f"{kind} {name}: {text}\n")
    return int(any(sum(one.found.values()) < least for one, least in zip(counted.values(), said.least, strict=True)))


if __name__ == "__main__":
    sys.exit(main())

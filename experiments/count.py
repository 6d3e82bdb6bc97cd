"""How many of OpenMMLab's released configs find all that their runs are made of: hooks, loops, optimizers, wrappers,
constructors and schedulers, each built with its default arguments and those it cannot do without.

    python experiments/count.py                        the table, from the facts in tests/golden/data
    python experiments/count.py --inventory FILE       from an inventory of whole configs (configs.jsonl.gz), and
                               --facts FILE            where the facts that it holds go, for the next time

The facts are names alone: which parts a config's run names, and how many configs of a package name the same ones.
"""

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import fkit
from fkit.recipe.settings import read
from fkit.recipe.spec import optimizers_of

FACTS = Path(__file__).parents[1] / "tests" / "golden" / "data" / "openmmlab" / "run_parts.json"
PACKAGES = ("mmdet", "mmseg", "mmpose", "mmpretrain")


class Row(NamedTuple):
    """Configs of a package that name the same parts: how many there are, and {"hooks", "optim", "loops": names}."""

    package: str
    count: int
    parts: Mapping[str, tuple[str, ...]]


def facts(path: Path) -> tuple[Row, ...]:
    """The rows of a file of facts."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return tuple(
        Row(package, count, {kind: tuple(names) for kind, names in parts.items()}) for package, count, parts in rows
    )


def gathered(path: Path) -> tuple[Row, ...]:
    """The rows of an inventory: of each config that can be read and names a hook."""
    counts: Counter[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]] = Counter()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            config = json.loads(line)
            if config.get("hooks") and not str(config.get("error", "")).startswith("config"):
                kinds = tuple((kind, tuple(sorted(config.get(kind, ())))) for kind in ("hooks", "optim", "loops"))
                counts[config["package"], kinds] += 1
    return tuple(Row(package, count, dict(kinds)) for (package, kinds), count in sorted(counts.items()))


STEPS = [{"type": "PackInputs"}]
HOOKS: dict[str, dict[str, Any]] = {
    "PipelineSwitchHook": {"switch_epoch": 1, "switch_pipeline": STEPS},
    "RTMOModeSwitchHook": {"epoch_attributes": {280: {"proxy_target_cc": True}}},
    "SwitchRecipeHook": {"schedule": [{"action_epoch": 2, "train_pipeline": STEPS}]},
}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "CosineAnnealingLR": {"T_max": 9},
    "CosineAnnealingParamScheduler": {"T_max": 9, "param_name": "lr"},
    "CosineAnnealingWeightDecay": {"T_max": 9},
    "ExponentialLR": {"gamma": 0.9},
    "MultiStepLR": {"milestones": [3, 6]},
    "StepLR": {"step_size": 3},
}
LOOPS: dict[str, dict[str, Any]] = {
    "EpochBasedTrainLoop": {"max_epochs": 3},
    "IterBasedTrainLoop": {"max_iters": 3},
}
PARAMWISE = {"num_layers": 2, "layer_decay_rate": 0.9, "decay_rate": 0.9}
SGD = {"type": "SGD", "lr": 0.1}
MODEL = {
    "type": "ImageClassifier",
    "backbone": {"type": "ConvNet", "in_channels": 1, "channels": (2,)},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 2, "in_channels": 2},
}


def makers(kind: str, name: str) -> Iterable[Any]:
    """The ways in which a name of a config may be built here: functions that raise where there is no such part."""
    short, reg = name.rpartition(".")[2], fkit.registry()
    if kind == "hooks":
        yield partial(fkit.build, {"type": name, **HOOKS.get(short, {})}, reg, "hooks")
    elif kind == "loops":
        yield partial(fkit.build, {"type": name, **LOOPS.get(short, {})}, reg, "loops")
    elif short.endswith("Constructor"):
        yield partial(_constructor, name)
    elif short.endswith("OptimWrapper"):
        yield partial(_program, {"type": name, "optimizer": SGD})
    elif ("param_schedulers", short) in reg:
        yield partial(fkit.build, {"type": name, "end": 9, **SCHEDULERS.get(short, {})}, reg, "param_schedulers")
    else:
        yield partial(_program, {"optimizer": {"type": name, "lr": 0.1}})


def _program(wrapper: dict[str, Any]) -> Any:
    return fkit.program(fkit.Config({"model": MODEL, "optim_wrapper": wrapper, "device": "cpu"}))


def _constructor(name: str) -> Any:
    layered = PARAMWISE if "Decay" in name else {"norm_decay_mult": 0.0}
    wrapper = {"optimizer": SGD, "constructor": name, "paramwise_cfg": layered}
    return optimizers_of(read(fkit.Config({"optim_wrapper": wrapper})), fkit.registry())


def lacking(kind: str, name: str) -> str:
    """Why a part cannot be built; "" where it can."""
    for make in makers(kind, name):
        try:
            make()
        except fkit.FkitError as error:
            return error.what
    return ""


class Count(NamedTuple):
    """How many configs of each package there are, how many of them find all; and what the others lack.

    Attributes:
        whole: package -> configs.
        found: package -> configs that find all.
        missing: (kind, name) -> configs that name it.
        why: (kind, name) -> what is said of it.
        alone: (kind, name) -> configs that lack nothing else.
    """

    whole: Mapping[str, int]
    found: Mapping[str, int]
    missing: Mapping[tuple[str, str], int]
    why: Mapping[tuple[str, str], str]
    alone: Mapping[tuple[str, str], int]


def count(rows: Iterable[Row]) -> Count:
    """Count; each name is tried once."""
    why: dict[tuple[str, str], str] = {}
    whole, found, missing, alone = (Counter[Any]() for _ in range(4))
    for row in rows:
        names = [(kind, name) for kind, several in row.parts.items() for name in several]
        for one in names:
            if one not in why:
                why[one] = lacking(*one)
        lacks = [one for one in names if why[one]]
        whole[row.package] += row.count
        found[row.package] += 0 if lacks else row.count
        missing.update(dict.fromkeys(lacks, row.count))
        if len(lacks) == 1:
            alone[lacks[0]] += row.count
    return Count(whole, found, missing, {one: text for one, text in why.items() if text}, alone)


def table(counted: Count) -> str:
    """The table by package, and what is missing, by how many configs it would unlock."""
    lines = ["| package | configs | find all |", "| --- | --- | --- |"]
    for package in PACKAGES:
        lines.append(f"| {package} | {counted.whole[package]} | {counted.found[package]} |")
    lines.append(f"| all | {sum(counted.whole.values())} | {sum(counted.found.values())} |")
    if counted.missing:
        lines += ["", "| missing | kind | configs | lack nothing else |", "| --- | --- | --- | --- |"]
        for (kind, name), number in sorted(counted.missing.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"| {name} | {kind} | {number} | {counted.alone.get((kind, name), 0)} |")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """Print the table; 1 where fewer than ``--least`` configs find all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", type=Path, help="count from a configs.jsonl.gz")
    parser.add_argument("--facts", type=Path, help="write the facts of the inventory there")
    parser.add_argument("--least", type=int, default=0, help="fail where fewer find all")
    parser.add_argument("--why", action="store_true", help="say of each missing part what its build said")
    said = parser.parse_args(words)
    rows = facts(FACTS) if said.inventory is None else gathered(said.inventory)
    if said.facts is not None:
        lines = ",\n".join(json.dumps([row.package, row.count, row.parts]) for row in rows)
        said.facts.write_text(f'{{"what": "{WHAT}", "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    counted = count(rows)
    sys.stdout.write(table(counted) + "\n")
    for (kind, name), text in counted.why.items() if said.why else ():
        sys.stdout.write(f"{kind} {name}: {text}\n")
    return int(sum(counted.found.values()) < said.least)


WHAT = (
    "package, configs, and the names of the parts of their runs: released configs of mmdet 3.3.0, mmsegmentation 1.2.2, "
    "mmpose 1.3.2, mmpretrain 1.2.0"
)

if __name__ == "__main__":
    sys.exit(main())

"""The book ``optim``, its ``paramwise`` part: the settings of each parameter by mmengine's rules and by mmcv 1.x's.

Compared are the settings that a step reads. mmengine leaves ``lr_mult`` and ``decay_mult`` in its groups, which nothing reads, and
gives each parameter a group; here those with equal settings are one.
"""

from functools import partial
from typing import Any

import pytest

from fkit.training.inventory import Entry, Inventory
from fkit.training.optimizer import Optimizer
from fkit.training.paramwise import mmcv_default, mmengine_default
from fkit.tree.error import FkitError

BOOK = "optim"

_RULES = {"mmengine": mmengine_default, "mmcv1": mmcv_default}


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    """A case of each package, with its model."""
    return [
        {**case, "id": f"{package}.{case['id']}", "package": package, "entries": book["models"][case["model"]]}
        for case in book["paramwise"]
        for package in _RULES
    ]


def inventory_of(rows: list[dict[str, Any]]) -> Inventory:
    def entry(row: dict[str, Any]) -> Entry:
        kind = "norm" if row["norm"] else "dwconv" if row["dwconv"] else ""
        shape = tuple(row["shape"])
        return Entry(row["name"], shape, "float32", row["module"], False, row.get("requires_grad", True), kind)

    return Inventory(
        tuple(entry(row) for row in rows if "same_as" not in row),
        (),
        tuple((row["name"], row["same_as"]) for row in rows if "same_as" in row),
    )


def settings(case: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], int]:
    """{parameter: its settings}, of those that have a group; and how many settings there are."""
    inventory = inventory_of(case["entries"])
    options = {name: value for name, value in case["optimizer"].items() if name != "type"}
    make = partial(_RULES[case["package"]], options=options, paramwise_cfg=case["paramwise_cfg"] or {})
    kept = [row["params"] for row in make(inventory)] or [entry.name for entry in inventory.entries]
    optimizer = Optimizer.of(case["optimizer"]["type"], options, constructor=make).on(inventory, kept)
    groups = enumerate(optimizer.assign(kept))
    return {name: dict(optimizer.settings(index)) for index, names in groups for name in names}, optimizer.count


def test_case(case: dict[str, Any]) -> None:
    book = case[case["package"]]
    if "error" in book:
        with pytest.raises(FkitError):
            settings(case)
        return
    ours, count = settings(case)
    assert list(book["params"]) == sorted(ours, key=list(book["params"]).index)
    theirs = {
        name: {**{key: row[key] for key in ("lr", "weight_decay")}, "momentum": row.get("momentum", 0.9)}
        for name, row in book["params"].items()
    }
    if case["optimizer"]["type"] == "AdamW":
        theirs = {name: {key: row[key] for key in ("lr", "weight_decay")} for name, row in theirs.items()}
    for name, row in theirs.items():
        assert {key: ours[name][key] for key in row} == row, name
    unread = {"lr_mult", "decay_mult"}
    assert all(set(row.get("extra", ())) <= unread for row in book["params"].values())
    assert count == len({tuple(sorted(row.items())) for row in theirs.values()})

"""The book ``events``, its part ``hook_order``: which hooks a runner registers, and in which order they fire."""

from typing import Any

import pytest

import fkit
from fkit.config.dialect.hook import training_hooks
from fkit.recipe.settings import read
from fkit.run.hook.order import Placed, register

BOOK = "events"


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return book["hook_order"]


def rows_of(case: dict[str, Any]) -> tuple[Placed, ...]:
    """The hooks of a case of mmengine's, each built."""
    keys = {name: case[name] for name in ("default_hooks", "custom_hooks") if case[name] is not None}
    rows: tuple[Placed, ...] = ()
    for part in read(fkit.Config(keys)).hooks:
        node, said = part.node.pop("priority", None)
        rows = register(rows, part.name, fkit.build(node, fkit.registry(), "hooks"), said=said)
    return rows


def classes(rows: tuple[Placed, ...]) -> list[list[Any]]:
    return [[type(hook).__name__, number] for number, _, hook in rows]


def test_case(case: dict[str, Any]) -> None:
    if case["ref"] == "mmengine":
        if "error" in case:
            with pytest.raises(fkit.FkitError):
                rows_of(case)
        else:
            assert classes(rows_of(case)) == case["order"]
        return
    rows: tuple[Placed, ...] = ()
    counts: dict[str, bool] = {}
    if "register_training_hooks" in case:
        by_epoch = case["runner"]["type"] == "EpochBasedRunner"
        for row in training_hooks(case["register_training_hooks"], by_epoch):
            rows = register(rows, row.name, row, row.priority)
            counts |= {} if row.by_epoch is None else {row.name: row.by_epoch}
        assert counts == case["by_epoch"]
    for at, (name, priority) in enumerate(case.get("register", ())):
        if "error" in case and case["error"]["at"] == at:
            with pytest.raises(fkit.FkitError):
                register(rows, name, None, priority)
            break
        rows = register(rows, name, None, priority)
    assert [[row.name, row.priority] for row in rows] == case["order"]

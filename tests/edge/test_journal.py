"""metrics.jsonl is strict JSON whatever the numbers are."""

import json
import math
import time
from pathlib import Path

import pytest

from fkit.edge.files import Files
from fkit.edge.journal import Journal, read_rows
from fkit.run.effect import WriteScalars
from fkit.tree.error import FkitValueError


def refuse(word: str) -> None:
    raise AssertionError(f"{word} is no strict JSON")


def test_numbers_that_are_none_are_null(tmp_path: Path) -> None:
    journal, began = Journal(tmp_path, Files()), time.time() - 0.001
    journal.write(WriteScalars(1, 0, "train", {"loss": math.nan, "grad_norm": math.inf, "lr": 0.1}))
    journal.write(WriteScalars(2, 0, "train", {"loss": 0.5}))
    rows = [json.loads(line, parse_constant=refuse) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(began <= row.pop("wall_time") <= time.time() + 0.001 for row in rows)
    assert rows == [
        {"step": 1, "epoch": 0, "mode": "train", "loss": None, "grad_norm": None, "lr": 0.1},
        {"step": 2, "epoch": 0, "mode": "train", "loss": 0.5},
    ]
    first, second = read_rows(tmp_path / "metrics.jsonl")
    assert math.isnan(first["loss"]) and math.isnan(first["grad_norm"]) and first["lr"] == 0.1
    assert second["loss"] == 0.5


def test_a_line_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n[3]\n{"step": 2}\n{"st')
    with pytest.raises(FkitValueError, match=r"metrics\.jsonl:2: is no JSON line"):
        read_rows(path)
    path.write_text('{"step": 1}\n{"st')
    assert read_rows(path) == [{"step": 1}]

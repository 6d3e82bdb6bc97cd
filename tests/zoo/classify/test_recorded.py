"""Small networks against what the reference computes of them (`record.py`), and the twins against each other."""

import json
from pathlib import Path
from typing import Any

import pytest

import fkit
from tests.zoo.classify.small import found, images

HERE = Path(__file__).parent
CASES: dict[str, Any] = json.loads((HERE / "small.json").read_text())


def _cfg(case: Any) -> dict[str, Any]:
    return {**case["cfg"], "type": f"{case.get('scope', 'mmpretrain')}.{case['cfg']['type']}"}


@pytest.mark.parametrize("name", CASES)
def test_the_reference_s_numbers(name: str) -> None:
    case = CASES[name]
    want = json.loads((HERE / "recorded" / f"{name}.json").read_text())
    model = fkit.build(_cfg(case), fkit.registry(), "models", backend="torch")
    have = found(model, tuple(case["size"]), case.get("train", False))
    assert have["entries"] == want["entries"]
    assert [out["shape"] for out in have["outs"]] == [out["shape"] for out in want["outs"]]
    near = case.get("near", 1e-8)  # what the reference rounds to float32 on its way
    for one, other in zip(have["outs"], want["outs"], strict=True):
        assert one["values"] == pytest.approx(other["values"], rel=near, abs=near / 100)
    assert have["with_gradient"] == want["with_gradient"]
    assert have["total"] == pytest.approx(want["total"], rel=near)
    for key, norm in want["gradients"].items():
        assert have["gradients"][key] == pytest.approx(norm, rel=10 * near, abs=near / 100 * want["total"]), key


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.get("torch")])
def test_twins(name: str, built_twins: Any) -> None:
    case = CASES[name]
    cfg = {**_cfg(case), **case.get("twin", {})}  # of deep networks the first stages alone
    built_twins(cfg, images(tuple(case["size"])), case.get("train", False), 1e-8)

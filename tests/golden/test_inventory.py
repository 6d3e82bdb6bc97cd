"""Released configs of OpenMMLab build to the reference's names, shapes, types, order, frozen and tied parameters.

The book holds a few configs that together name every component for which some config is equal; ``nox -s inventory`` tries all.
"""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import fkit
from tests.golden.decoding import untagged

BOOK = "inventory"
SCRIPT = Path(__file__).parents[2] / "experiments" / "inventory.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("inventory", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_case(case: dict[str, Any], script: Any) -> None:
    found = script.inventory(script.built(untagged(case["model"]), fkit.registry(), case["scope"]))
    assert found["entries"]
    assert script.digest(found) == case["inventory"]

"""The registry the kit ships."""

import importlib.util
import time

import pytest

import fkit
from fkit.catalog.builtin import registry
from fkit.catalog.describe import source_of
from fkit.catalog.entry import Entry, Lazy
from fkit.catalog.scope import KINDS

ENTRIES = tuple(entry for kind in registry().kinds for entry in registry().entries(kind))


def label(entry: Entry) -> str:
    return f"{entry.kind}/{entry.name}/{entry.backend}"


def test_it_is_a_value() -> None:
    assert fkit.registry() == registry()
    assert set(KINDS) == set(registry().kinds)


def test_it_is_made_once_and_asked_for_at_no_cost() -> None:
    """It is frozen, so that one value serves all who ask; file functions ask at each call."""
    assert registry() is fkit.registry()
    spent = []
    for _ in range(20):
        start = time.perf_counter()
        registry()
        spent.append(time.perf_counter() - start)
    assert min(spent) < 1e-5


@pytest.mark.parametrize("entry", ENTRIES, ids=label)
def test_every_row_names_something_that_is_there(entry: Entry) -> None:
    """The module is found without importing it; one of the kit is read for the name."""
    assert isinstance(entry.maker, Lazy)
    module, _, attribute = entry.maker.target.partition(":")
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    if package == "fkit":
        file = source_of(module)
        assert file is not None, f"there is no module {module}"
        assert attribute.partition(".")[0] in file.read_text(encoding="utf-8")


def test_the_zoos_models_are_twins() -> None:
    reg = registry()
    rooms = {"torch": "fkit.zoo.torch.", "jax": "fkit.zoo.flax."}
    names = {
        backend: {reg.full_name(entry) for entry in reg.entries("models") if entry.where.startswith(room)}
        for backend, room in rooms.items()
    }
    assert names["torch"] == names["jax"] != set()


def test_openmmlabs_names_reach_the_rows_from_any_of_its_scopes() -> None:
    reg = registry()
    for scope in ("mmdet", "mmcv", "mmengine", "mmseg", "mmpose", "mmpretrain", "mmcls"):
        for name in ("CheckpointHook", "mmengine.CheckpointHook", f"{scope}.CheckpointHook"):
            assert reg.find("hooks", name, scope=scope).name == "CheckpointHook"

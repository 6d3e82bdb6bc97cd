"""Bases of installed packages: found by the package's index or below its folder of configs, without importing it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fkit
from fkit.tree.error import FkitError, FkitFileNotFoundError

Package = Callable[..., Path]


@pytest.fixture
def package(tmp_path: Path, request: pytest.FixtureRequest) -> Package:
    """Makes a package that cannot be imported, with these files below ``.mim``."""

    def make(name: str, files: dict[str, str]) -> Path:
        folder = tmp_path / "site" / name
        for path, text in {"__init__.py": "raise RuntimeError('it was imported')", **files}.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return folder

    sys.path.insert(0, str(tmp_path / "site"))
    request.addfinalizer(lambda: sys.path.remove(str(tmp_path / "site")))
    return make


def read(folder: Path, text: str) -> Any:
    file = folder / "child.py"
    file.write_text(text)
    return json.loads(fkit.load_config(file).text("canonical"))


MODEL = "model = dict(type='A', backbone=dict(type='B', depth=1))"


def test_the_index_says_where_a_config_is(package: Package, tmp_path: Path) -> None:
    package(
        "mmyolo",
        {
            ".mim/model-index.yml": "Import: [configs/other.yml, configs/a/metafile.yml]\n",
            ".mim/configs/other.yml": "Models: [{Name: a/m, Config: configs/none.py}]\n",
            ".mim/configs/a/metafile.yml": "Collections: []\nModels:\n- {Name: m}\n- {Name: m, Config: configs/a/m}\n",
            "configs/a/m": "",
            ".mim/configs/a/m.py": MODEL,
        },
    )
    with pytest.raises(FkitError, match="is not a config file"):  # as the index says, which is not what it should
        read(tmp_path, "_base_ = 'mmyolo::a/m.py'")
    meta = tmp_path / "site/mmyolo/.mim/configs/a/metafile.yml"
    meta.write_text("Models: [{Config: .mim/configs/a/x.py}]\n")
    assert read(tmp_path, "_base_ = 'mmyolo::a/m.py'")["model"]["_scope_"] == "mmyolo"


@pytest.mark.parametrize("index", [None, "", "[]", "3", "x: 1", "Import: []", "Import: [m.yml]"])
def test_an_index_that_does_not_name_it_leaves_the_folder(package: Package, tmp_path: Path, index: str | None) -> None:
    files = {".mim/configs/a/m.py": MODEL, ".mim/m.yml": "Models: [3, {Config: 4}, {Name: a/m}]"}
    package("mmyolo", files if index is None else {**files, ".mim/model-index.yml": index})
    assert read(tmp_path, "_base_ = 'mmyolo::a/m.py'")["model"]["type"] == "A"
    assert fkit.load_config("mmyolo::a/m.py").model.type == "A"
    with pytest.raises(FkitFileNotFoundError, match=r"no config file .*none\.py"):
        read(tmp_path, "_base_ = 'mmyolo::a/none.py'")


@pytest.mark.parametrize("index", ["Import: 3", "Import: [none.yml]", "Import: [m.yml]", "Import: ["])
def test_an_index_that_is_none_is_one_error(package: Package, tmp_path: Path, index: str) -> None:
    files = {".mim/configs/a/m.py": MODEL, ".mim/m.yml": "Models: 3 # a/m", ".mim/model-index.yml": index}
    package("mmyolo", files)
    with pytest.raises(FkitError, match=r"child\.py:1|\.yml"):
        read(tmp_path, "_base_ = 'mmyolo::a/m.py'")


def test_only_the_outermost_parts_are_told_their_package(package: Package, tmp_path: Path) -> None:
    package(
        "mmyolo", {".mim/configs/a/m.py": MODEL + "\nparts = [dict(type='C', x=dict(type='D')), (dict(type='E'),)]"}
    )
    cfg = read(tmp_path, "_base_ = 'mmyolo::a/m.py'\nalone = {{_base_.model.backbone}}\nother = _base_.model")
    assert cfg["model"] == {"type": "A", "backbone": {"type": "B", "depth": 1}, "_scope_": "mmyolo"} == cfg["other"]
    assert cfg["alone"] == {"type": "B", "depth": 1}
    assert cfg["parts"] == [
        {"type": "C", "x": {"type": "D"}, "_scope_": "mmyolo"},
        {"__tuple__": [{"type": "E", "_scope_": "mmyolo"}]},
    ]


def test_a_new_style_base_of_a_package(package: Package, tmp_path: Path) -> None:
    package(
        "mykit", {"configs/__init__.py": "", "configs/base.py": "from mykit.models import Net\nmodel = dict(type=Net)"}
    )
    text = "with read_base():\n    from mykit.configs.base import *\nmodel.update(depth=2)"
    assert read(tmp_path, text) == {"model": {"type": {"__lazy__": "mykit.models.Net"}, "depth": 2}}
    with pytest.raises(FkitError, match=r"child\.py:2: There is no base 'mykit\.configs\.none'"):
        read(tmp_path, "with read_base():\n    from mykit.configs.none import *")
    with pytest.raises(FkitError, match="wants the package nokit"):
        read(tmp_path, "with read_base():\n    from nokit.configs.base import *")

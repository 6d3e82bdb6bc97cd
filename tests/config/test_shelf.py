"""Configs that the kit ships are read by name from any folder; a file goes before them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fkit
from fkit.config.read.shelf import config_names
from fkit.tree.error import FkitFileNotFoundError, FkitOSError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is no clone."""
    return tmp_path


def show(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``fkit config show`` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "fkit", "config", "show", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_whole_config_of_the_repository_has_a_name() -> None:
    files = {
        str(file.relative_to(ROOT / "configs")).removesuffix(".py")
        for file in (ROOT / "configs").rglob("*.*")
        if file.is_file() and file.suffix != ".md" and not {"_base_", "__pycache__"} & {*file.parts}
    }
    assert set(config_names()) == files


@pytest.mark.parametrize(
    "name",
    [
        "digits/convnet",
        "digits/convnet.py",
        "configs/digits/convnet.py",
        "convnet",
        "convnet.py",
        "fkit::digits/convnet",
    ],
)
def test_a_name_reads_the_config_from_any_folder(folder: Path, name: str) -> None:
    done = show(folder, name, "--format", "canonical")
    assert done.returncode == 0, done.stderr
    assert done.stdout == fkit.load_config(ROOT / "configs/digits/convnet.py").text("canonical").rstrip("\n") + "\n"


def test_a_suffix_tells_formats_apart() -> None:
    plain, yaml = fkit.load_config("digits/mlp"), fkit.load_config("digits/mlp.yaml")
    assert (plain.filename or "").endswith("mlp.py") and (yaml.filename or "").endswith("mlp.yaml")


def test_a_file_goes_before_a_shipped_config(folder: Path) -> None:
    (folder / "digits").mkdir()
    (folder / "digits/convnet.py").write_text("mine = 1\n")
    assert show(folder, "digits/convnet.py").stdout == "mine = 1\n"
    (folder / "convnet").mkdir()  # a folder is no config
    assert "ConvNet" in show(folder, "convnet").stdout


def test_a_base_may_be_a_shipped_config(folder: Path) -> None:
    (folder / "mine.py").write_text("_base_ = 'fkit::digits/convnet.py'\nmodel = dict(head=dict(num_classes=7))\n")
    cfg = fkit.load_config(folder / "mine.py")
    assert cfg.model.head == {**fkit.load_config("digits/convnet").model.head, "num_classes": 7}
    (folder / "part.py").write_text("_base_ = ['fkit::_base_/models/mlp.py']\n")
    assert fkit.load_config(folder / "part.py").model.backbone.type == "MLP"
    (folder / "wrong.py").write_text("\n_base_ = 'fkit::digits/convent.py'\n")
    with pytest.raises(FkitFileNotFoundError, match=r"wrong\.py:2: .*'fkit::digits/convent\.py'.*\n.*'digits/convnet'"):
        fkit.load_config(folder / "wrong.py")


@pytest.mark.parametrize("name", ["digits/convent", "convnt", "digits/convnt.py", "configs/digits/convent.py"])
def test_a_name_that_is_near_is_told(folder: Path, name: str) -> None:
    done = show(folder, name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"There is no config file {name}" in done.stderr and "Did you mean 'digits/convnet'?" in done.stderr


@pytest.mark.parametrize("name", ["no such thing", "a/b/c", "", "..", "../digits/convnet/x", "digits/"])
def test_other_names_are_one_error(folder: Path, name: str) -> None:
    done = show(folder, name)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_a_path_that_is_not_there_is_a_missing_file(folder: Path) -> None:
    with pytest.raises(FkitFileNotFoundError, match=r"There is no config file .*none\.py\.$"):
        fkit.load_config(folder / "none.py")
    with pytest.raises(FkitOSError, match="is a folder"):
        fkit.load_config(folder)


def test_a_file_that_is_near_goes_before_a_config_that_is(folder: Path) -> None:
    (folder / "convnet.yaml").write_text("a: 1\n")
    assert "Did you mean 'convnet.yaml'?" in show(folder, "convnt.yaml").stderr
    assert "this is a URL" in show(folder, "https://a.b/convnet.py").stderr

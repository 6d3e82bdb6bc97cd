"""``fkit configs``: what the kit ships, a line each."""

from pathlib import Path

import pytest

from fkit.cli.configs import sheet
from fkit.cli.main import main
from fkit.config.read.shelf import config_names, file_of


def test_it_lists_every_config_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(config_names())
    assert all(len(line) < 170 for line in lines)
    convnet = next(line for line in lines if line.startswith("digits/convnet "))
    assert "about 5 s" in convnet and "accuracy/top1 0.992 to 1.000" in convnet and "ConvNet" in convnet


def test_every_python_config_says_its_time_and_score() -> None:
    for name in config_names():
        row = sheet(name, file_of(name))
        assert row.what and ((row.time and row.score) or file_of(name).suffix != ".py"), name


def test_a_search_looks_at_the_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs", "--search", "PERCEPTRON"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["digits/mlp"]
    assert main(["configs", "--search", "zebra"]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "'zebra'" in err


def test_a_config_without_a_docstring_has_a_row(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 1\n")
    assert sheet("a", tmp_path / "a.py") == ("a", "", "", "")

"""`fkit registry`."""

from collections.abc import Callable

import pytest

from fkit.cli import registry as command
from fkit.cli.command import CommandParser
from fkit.tree.error import FkitKeyError

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def act(*words: str) -> str:
        parser = CommandParser(prog="fkit")
        command.add(parser.add_subparsers())
        args = parser.parse_args(["registry", *words])
        assert args.run(args) == 0
        captured = capsys.readouterr()
        return captured.out or captured.err

    return act


def test_without_a_kind_it_counts_the_kinds(run: Run) -> None:
    lines = run().splitlines()
    assert any(line.split()[0] == "models" and int(line.split()[1]) > 0 for line in lines if line[:1].isalpha())


def test_a_kind_lists_names_backends_places_and_signatures(run: Run) -> None:
    text = run("models")
    assert "models  Sequential  [torch]  torch.nn:Sequential\n    Sequential(...)" in text


def test_search_takes_a_part_of_a_name_case_aside(run: Run) -> None:
    text = run("models", "--search", "SEQUENT")
    assert all("sequent" in line.lower() for line in text.splitlines() if not line.startswith("    "))
    assert "Sequential" in text
    assert run("models", "--search", "zzz") == "There is nothing in models with 'zzz' in its name or module.\n"
    assert "Sequential" in run("--search", "sequential")


def test_old_kinds_list_models(run: Run) -> None:
    assert run("backbones") == run("models")


def test_a_module_of_the_users_is_listed_when_asked(run: Run) -> None:
    assert "rgb" not in run("models", "--include", "colorsys")


def test_an_unknown_kind_names_the_nearest(run: Run) -> None:
    with pytest.raises(FkitKeyError, match=r"There is no kind 'modells' in this registry.\n  Did you mean 'models'"):
        run("modells")

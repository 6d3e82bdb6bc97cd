"""`fkit registry`."""

import contextlib
import subprocess
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path

import pytest

from fkit.catalog.offer import optax_optimizers, torch_optimizers
from fkit.cli import registry as command
from fkit.cli.command import CommandParser
from fkit.training.optimizer import UNFIT
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
    assert "rgb_to_hsv" not in run("models", "--include", "colorsys")


def test_an_unknown_kind_names_the_nearest(run: Run) -> None:
    with pytest.raises(FkitKeyError, match=r"There is no kind 'modells' in this registry.\n  Did you mean 'models'"):
        run("modells")


def test_optimizers_are_found_by_name(run: Run) -> None:
    text = run("--search", "adam")
    assert "optimizers  AdamW  [any backend]" in text and "Equal numbers on torch and on JAX." in text
    assert "optimizers  NAdam  [torch]" in text and "optimizers  adamaxw  [jax]" in text
    assert run("--search", "adamm").endswith("Did you mean 'Adam'?\n")


def test_what_is_listed_of_a_framework_is_there_and_fits() -> None:
    import optax
    import torch

    mine = [name for name, value in vars(torch.optim).items() if isinstance(value, type) and name not in UNFIT]
    names = {row.name for row in torch_optimizers()}
    assert names - set(UNFIT) == {
        name for name in mine if name != "Optimizer" and issubclass(getattr(torch.optim, name), torch.optim.Optimizer)
    }
    factories = [row.name for row in optax_optimizers()]
    assert len(factories) > 20 and all(
        "learning_rate" in signature(getattr(optax, name)).parameters for name in factories
    )


def test_kinds_that_hold_nothing_are_said_to(run: Run) -> None:
    lines = run().splitlines()
    assert not [line for line in lines if line.endswith(" 0")]
    assert "evaluators" in " ".join(lines).partition("Nothing yet: ")[2]


def test_a_listing_imports_no_framework() -> None:
    code = "import sys; from fkit.cli.main import main; main(['registry', '--search', 'adam']); main(['registry'])"
    check = "; sys.exit(bool({'torch', 'jax', 'optax', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, check=False)
    assert done.returncode == 0 and b"NAdam" in done.stdout, done.stderr


def test_a_module_of_the_working_folder_is_included(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mynets.py").write_text("import fkit\n@fkit.component('models')\nclass Minet:\n    'A net.'\n")
    with contextlib.chdir(tmp_path):
        assert "models  Minet  [any backend]" in run("models", "--include", "mynets")
    sys.path.remove(str(tmp_path))
    del sys.modules["mynets"]

"""The README is true: its snippets run, its commands exist, and CI runs its test command."""

import re
from pathlib import Path

from fkit.cli.main import parser

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in fences if name == language]


def test_every_snippet_runs_in_order(capsys):
    source = "\n".join(blocks("python"))
    absolute = source.replace('"configs/', f'"{ROOT}/configs/')
    exec(compile(absolute, "README.md", "exec"), {"__name__": "readme"})
    assert "loss" in capsys.readouterr().out


def test_the_first_two_commands_are_the_job_and_the_tests():
    assert blocks("sh")[0].strip() == "python -m pip install nox && nox -s train"
    assert blocks("sh")[1].strip() == "python -m pip install nox && nox -s tests"


def test_ci_runs_the_test_command_of_the_readme():
    assert blocks("sh")[1].strip() in (ROOT / ".ci/run").read_text()


def test_the_commands_it_names_exist():
    known = parser()._subparsers._group_actions[0].choices
    named = set(re.findall(r"fkit (\w+)", "".join(blocks("")))) - {"COMMAND"}
    assert named and named <= set(known)


def test_its_links_lead_to_files():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target

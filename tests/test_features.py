"""The table of features: each row names the tests that show it, or says why it is left out.

``features.toml`` has a table for each section of the list of what mmcv and mmengine do, and a key for each of its rows:
a list of tests (``folder/file.py::test``, ``folder/file.py::Class::test``, or a pattern of recorded cases,
``golden/test_image.py::test_case[imresize/*]``), or a text, the reason.
"""

import ast
import fnmatch
import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = tomllib.loads((HERE / "features.toml").read_text(encoding="utf-8"))
ROWS = [(f"{section}-{row}", value) for section, rows in TABLE.items() for row, value in rows.items() if row != "rows"]
SHOWN = [(row, test) for row, value in ROWS if isinstance(value, list) for test in value]


def names_of(file: Path) -> set[str]:
    """The tests that pytest collects from a file: functions, and methods of classes."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            methods = (item for item in node.body if isinstance(item, ast.FunctionDef))
            found |= {f"{node.name}::{method.name}" for method in methods if method.name.startswith("test_")}
    return found


def cases_of(file: Path) -> list[str]:
    """The ids of the recorded cases that a module of ``golden`` tries."""
    spec = importlib.util.spec_from_file_location(f"features_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    book = json.loads((HERE / "golden" / "books" / f"{module.BOOK}.json").read_text(encoding="utf-8"))
    cases = getattr(module, "cases", lambda book: book["cases"])
    return [case["id"] for case in cases(book)]


def trouble_with(section: str, rows: dict) -> str:
    """What is missing or too much in a section: its rows are numbered from 1 to their count."""
    numbers = {row for row in rows if row != "rows"}
    wanted = {str(number) for number in range(1, rows["rows"] + 1)}
    odd = [row for row, value in rows.items() if row != "rows" and not _is_entry(value)]
    return ", ".join(f"{section}-{row}" for row in sorted((numbers ^ wanted) | set(odd)))


def _is_entry(value: object) -> bool:
    """Tests or a reason: one of the two, and something of it."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(test, str) and "::" in test for test in value)
    return isinstance(value, str) and len(value.split()) >= 4


def trouble_of(test: str) -> str:
    """Why a test's name is none; empty where it is one."""
    file, _, name = test.partition("::")
    if not (HERE / file).is_file():
        return f"there is no file {file}"
    name, _, pattern = name.partition("[")
    if name not in names_of(HERE / file):
        return f"{file} has no test {name}"
    if pattern and not fnmatch.filter(cases_of(HERE / file), pattern.removesuffix("]")):
        return f"no recorded case of {file} is called {pattern.removesuffix(']')}"
    return ""


@pytest.mark.parametrize("section", TABLE)
def test_every_row_is_shown_or_left_out(section):
    assert trouble_with(section, TABLE[section]) == ""


@pytest.mark.parametrize(("row", "test"), SHOWN, ids=[f"{row}-{test}" for row, test in SHOWN])
def test_what_is_named_is_a_test(row, test):
    assert trouble_of(test) == ""


def test_the_check_finds_what_it_is_for():
    rows = {"rows": 4, "1": ["a.py::b"], "2": "too short", "3": [], "5": "A row that is of no list."}
    assert trouble_with("X", rows) == "X-2, X-3, X-4, X-5"
    here = Path(__file__).name
    assert trouble_of("nowhere.py::test_a") == "there is no file nowhere.py"
    assert trouble_of(f"{here}::test_nothing") == f"{here} has no test test_nothing"
    assert trouble_of(f"{here}::trouble_of") == f"{here} has no test trouble_of"
    assert trouble_of("golden/test_image.py::test_case[imread/*]") == ""
    assert "no recorded case" in trouble_of("golden/test_image.py::test_case[imraed/*]")

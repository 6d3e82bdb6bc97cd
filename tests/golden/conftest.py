"""Recorded books: where they lie, one pytest case for each of their cases, the listed differences.

A module ``test_<book>.py`` names its book in ``BOOK``; its ``test_case`` takes the fixture ``case``. It may define
``cases(book) -> list[dict]`` where its book keeps them elsewhere than under "cases". Each case needs an "id".
"""

import fnmatch
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("golden books")
    group.addoption("--books", default=None, help="folder of books to check in place of tests/golden/books")
    group.addoption("--data", default=None, help="folder that the books' $file paths are relative to")


def books_folder(config: pytest.Config) -> Path:
    return Path(config.getoption("--books", default=None) or HERE / "books")


def listed_reason(entries: list[dict[str, Any]], case: dict[str, Any]) -> str | None:
    """Why this case differs on purpose, or None. An entry matches by its id pattern, and by what else it names."""
    for entry in entries:
        if not fnmatch.fnmatchcase(case["id"], entry["id"]):
            continue
        if "out" in entry and ("out" not in case or (entry["out"] == "null" and case["out"] is not None)):
            continue
        if "raises" in entry and case.get("raises") != entry["raises"]:
            continue
        if any(case.get("args", {}).get(key) != value for key, value in entry.get("args", {}).items()):
            continue
        return str(entry["reason"])
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = getattr(metafunc.module, "BOOK", None)
    if name is None or metafunc.function.__name__ != "test_case":
        return
    path = books_folder(metafunc.config) / f"{name}.json"
    if not path.exists():
        metafunc.parametrize("case", [pytest.param({}, id="none", marks=pytest.mark.skip(reason=f"no book {path}"))])
        return
    book = json.loads(path.read_text(encoding="utf-8"))
    find = getattr(metafunc.module, "cases", lambda book: book["cases"])
    listed = tomllib.loads((HERE / "differences.toml").read_text(encoding="utf-8")).get("difference", [])
    entries = [entry for entry in listed if entry["book"] == name]
    parameters: list[Any] = []
    for case in find(book):
        reason = listed_reason(entries, case)
        marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
        parameters.append(pytest.param(case, id=case["id"], marks=marks))
    metafunc.parametrize("case", parameters)


@pytest.fixture(scope="module")
def book_arrays(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    """The arrays of the module's book by key; empty where the book has no npz."""
    path = books_folder(request.config) / f"{request.module.BOOK}.npz"
    if not path.exists():
        return {}
    with np.load(path) as stored:
        return {key: stored[key] for key in stored.files}


@pytest.fixture(scope="module")
def book(request: pytest.FixtureRequest) -> Any:
    """The module's book as it was read; a test that takes it is skipped where the book is absent."""
    path = books_folder(request.config) / f"{request.module.BOOK}.json"
    if not path.exists():
        pytest.skip(f"no book {path}")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def data_folders(request: pytest.FixtureRequest) -> tuple[Path, ...]:
    """Where ``$file`` paths are looked up, in order."""
    given = request.config.getoption("--data", default=None)
    return tuple(Path(folder) for folder in (given, HERE / "data") if folder)


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> Iterator[None]:
    """What JAX compiled for the networks of one module takes gigabytes: none of it is of use to the next."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()

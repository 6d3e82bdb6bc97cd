"""Wrong arguments to what the walk over facades does not reach: methods of storages, handlers, bodies of `with`."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from typing import Any

import pytest

from fkit import fileio
from fkit.fileio import LocalStorage, Storage, file_handlers
from fkit.fileio.backend import file_backends
from fkit.format.encoding import decode
from fkit.format.json import pretty_json, read_json, write_json
from fkit.format.value import plain
from fkit.format.yaml import read_yaml, write_yaml
from fkit.tree.error import FkitError

ODD = (None, 3, "x", [], b"y", {"a": 1}, "\0")


def calls(function: Callable[..., Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Each odd value for every argument that must be given, and for each other in turn."""
    places = list(inspect.signature(function).parameters.values())
    needed = [p for p in places if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for odd in itertools.product(ODD, repeat=min(len(needed), 2)):
        yield [*odd, *["x"] * (len(needed) - 2)], {}
    for place, odd in itertools.product(places, ODD):
        if place.default is not place.empty:
            yield ["x"] * len(needed), {place.name: odd}


def run(function: Callable[..., Any], args: list[Any], options: dict[str, Any]) -> None:
    try:
        answer = function(*args, **options)
        if inspect.isgenerator(answer):
            next(answer, None)
        elif isinstance(answer, AbstractContextManager) and not isinstance(answer, Storage):
            with answer:
                pass
    except FkitError:
        pass


def methods(part: Any) -> list[Callable[..., Any]]:
    return [getattr(part, name) for name in dir(part) if not name.startswith("_") and callable(getattr(part, name))]


FUNCTIONS = {
    **{f"local.{method.__name__}": method for method in methods(LocalStorage())},
    **{f"memory.{method.__name__}": method for method in methods(Storage("memory"))},
    **{f"backend.{name}": maker for name, maker in file_backends.items()},
    **{name: getattr(fileio, name) for name in ("progress", "open_storage", "get_local_path", "list_dir_or_file", "scandir")},
    **{function.__name__: function for function in (decode, plain, pretty_json, read_json, write_json, read_yaml, write_yaml)},
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_arguments_are_one_clear_error(name: str, tmp_path: Path) -> None:
    with chdir(tmp_path):
        for args, options in calls(FUNCTIONS[name]):
            run(FUNCTIONS[name], args, options)


@pytest.mark.parametrize("name", file_handlers)
def test_wrong_contents_and_options_are_one_clear_error(name: str) -> None:
    handler = file_handlers[name]
    for function, side in ((fileio.loads, handler.decode), (fileio.dumps, handler.encode)):
        options = [option for option in inspect.signature(side).parameters if option != "origin"][1:]
        for content in (*ODD, b"\x80\x04.", b"PK\x03\x04", "[1, 2]", float("nan")):
            run(function, [content, name], {})
            for option, odd in itertools.product(options, ODD):
                run(function, [content, name], {option: odd})

"""The book ``dictaction``: words after ``--cfg-options`` and their values."""

import argparse
import json
from typing import Any

import pytest

import fkit
from fkit.config.change.action import add_option
from fkit.config.change.word import read_words
from fkit.tree.canonical import encode

BOOK = "dictaction"


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    return [*book["words"], *book["argv"]]


def parse(argv: list[str]) -> dict[str, Any] | None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_option(parser)
    words = parser.parse_args(argv).cfg_options
    return None if words is None else read_words(words)


def test_case(case: dict[str, Any]) -> None:
    argv = case.get("argv")
    if "error" in case:
        # an argument that is unknown ends the process up to Python 3.12
        unknown = (SystemExit, argparse.ArgumentError)
        expected = unknown if case["error"]["type"] == "ArgumentError" else fkit.FkitError
        with pytest.raises(expected):
            read_words([case["word"]]) if argv is None else parse(argv)
        return
    result = read_words([case["word"]]) if argv is None else parse(argv)
    assert json.dumps(encode(result)) == json.dumps(case["result"])

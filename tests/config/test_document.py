"""YAML and JSON configs: what is read differently from PyYAML, and what is refused, with file and line."""

from pathlib import Path

import pytest

import fkit
from fkit.tree.error import FkitValueError


def load(folder: Path, name: str, content: str | bytes) -> fkit.Config:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return fkit.load_config(path)


def test_numbers_dates_and_marks_in_yaml(tmp_path: Path) -> None:
    cfg = load(tmp_path, "a.yaml", "\ufefflr: 1e-3\nday: 2024-01-02\nbase: &b {x: 1}\nmodel:\n  <<: *b\n  y: 2\n")
    assert cfg == {"lr": 1e-3, "day": "2024-01-02", "base": {"x": 1}, "model": {"x": 1, "y": 2}}
    origins = {path: (cfg.origin(path) or "").rpartition(":")[2] for path in ("lr", "model", "model.x", "model.y")}
    assert origins == {"lr": "1", "model": "4", "model.x": "3", "model.y": "6"}


def test_a_byte_order_mark_in_json(tmp_path: Path) -> None:
    assert load(tmp_path, "a.json", b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", "a: 1\nb: 2\na: 3", "a.yaml:3: The key 'a' stands twice in one mapping."),
        ("a.json", '{"a": 1,\n"a": 3}', "a.json:2: The key 'a' stands twice in one object."),
        ("a.yaml", "m:\n  x: !!python/name:os.system", "a.yaml:2: The YAML tag !!python/name:os.system is not read."),
        ("a.yaml", "a: " + "9" * 5000, "a.yaml:1: The YAML has an integer of more than 4300 digits."),
        ("a.json", '{"a": ' + "9" * 5000 + "}", "a.json: The JSON has an integer of more than 4300 digits."),
        ("a.yaml", "a: 1" + ":1" * 50_000, "a.yaml:1: The YAML has an integer of more than 4300 digits."),
        ("a.yaml", "a: &a [" + "x, " * 999 + "]\nb: [" + "*a, " * 300 + "]", "more than 200000 values, aliases"),
    ],
)
def test_refused(name: str, content: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(FkitValueError) as caught:
        load(tmp_path, name, content)
    assert words in str(caught.value)


def test_a_text_that_looks_like_a_number_keeps_its_kind() -> None:
    cfg = fkit.Config({"a": "1e-3", "b": 1e-3, "c": "2024-01-02", "1e3": "no"})
    assert fkit.Config.fromstring(cfg.text("yaml"), ".yaml") == cfg

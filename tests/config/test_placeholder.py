"""Placeholders in the text of a config are values: nothing that the environment holds becomes source."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.config.config import load_config, load_string
from fkit.config.read.placeholder import substitute, value_of
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError

READ = (
    "import sys, fkit\n"
    "try: print(fkit.load_config(sys.argv[1]).text('canonical'))\n"
    "except fkit.FkitError as error: print(error)"
)


def read_under(file: Path, **environment: str) -> Any:
    """The config that a process with these variables reads, or the text of its error."""
    command = [sys.executable, "-c", READ, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=True)
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


HOSTILE = "C:\\new\\table'\"\"\"'''\n{{fileBasename}} #"


def test_a_value_in_a_string_is_a_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        "a = '{{$V:x}}'\nb = \"<{{ $V : x }}>\"\nc = '''{{'$V:x'}}\n'''\nd = r'{{$V:x}}'\ne = dict(k=['{{$V:x}}'.upper()])\n"
        "f = '{{$V:x}}' '!'\nn = len(b'{{$V:x}}')\ng = f'{1 + 1}{{$V:x}}'"
    )
    assert read_under(file, V=HOSTILE) == {
        "a": HOSTILE,
        "b": f"<{HOSTILE}>",
        "c": f"{HOSTILE}\n",
        "d": HOSTILE,
        "e": {"k": [HOSTILE.upper()]},
        "f": f"{HOSTILE}!",
        "n": len(HOSTILE),
        "g": f"2{HOSTILE}",
    }
    file.write_text("a = f\"{'{{$V:x}}'}\"\nb = r'C:\\{{$V:x}}'\nc = 'C:\\\\{{$V:x}}'\nn = len(b'{{$V:x}}')")
    assert read_under(file, V="new") == {"a": "new", "b": "C:\\new", "c": "C:\\new", "n": 3}
    assert read_under(file, V="né")["n"] == 3
    for suffix, text in ((".yaml", "a: '{{$V:x}}'\nb: \"<{{$V:x}}>\"\nc: {{$V:x}}\n"), (".json", '{"a": "{{$V:x}}", "b": "<{{$V:x}}>", "c": {{$V:1}}}')):  # fmt: skip
        other = tmp_path / f"b{suffix}"
        other.write_text(text)
        assert read_under(other, V=HOSTILE) == {"a": HOSTILE, "b": f"<{HOSTILE}>", "c": HOSTILE}


def test_a_value_alone_is_what_it_reads_as(tmp_path: Path) -> None:
    python, yaml, other = tmp_path / "a.py", tmp_path / "b.yaml", tmp_path / "c.json"
    python.write_text("a = {{'$V:0'}}\nb = '{{$V:0}}'\nc = [{{'$V:0'}} * 2]")
    yaml.write_text("a: {{$V:0}}\nb: '{{$V:0}}'\nc: [{{$V:0}}]\n{{$V:0}}k: 1\n")
    other.write_text('{"a": {{$V:0}}, "b": "{{$V:0}}", "c": [{{$V:0}}]}')
    assert read_under(python, V="80") == {"a": 80, "b": "80", "c": [160]}
    assert read_under(python, V="train") == {"a": "train", "b": "train", "c": ["traintrain"]}
    assert read_under(python, V="-1") == {"a": -1, "b": "-1", "c": [-2]}
    assert read_under(yaml, V="80") == {"a": 80, "b": "80", "c": [80], "80k": 1}
    assert read_under(yaml, V="x: [") == {"a": "x: [", "b": "x: [", "c": ["x: ["], "x: [k": 1}
    assert read_under(other, V="1e-3") == {"a": 0.001, "b": "1e-3", "c": [0.001]}
    assert read_under(other, V='", "z": 1, "b": "') == {"a": '", "z": 1, "b": "', "b": '", "z": 1, "b": "', "c": ['", "z": 1, "b": "']}  # fmt: skip


def test_a_variable_that_is_set_and_empty_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("a = '{{$V:80}}'\nb = {{'$V:80'}}\nc = '{{$V:}}'")
    assert read_under(file, V="") == {"a": "", "b": "", "c": ""}


def test_a_base_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("x: 1\n")
    for name, text in (("a.py", "_base_ = '{{$W:none}}/b.yaml'"), ("c.yaml", "_base_: '{{$W:none}}/b.yaml'\n"), ("d.yaml", "_base_: {{fileDirname}}/b.yaml\n")):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert read_under(tmp_path / name, W=str(tmp_path)) == {"x": 1}


def test_a_folder_with_quotes_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s "here"'
    folder.mkdir()
    for name, text in (("a.py", "a = '{{fileDirname}}'\nb = \"{{fileDirname}}\""), ("a.yaml", "a: '{{fileDirname}}'\nb: {{fileDirname}}\n")):  # fmt: skip
        (folder / name).write_text(text)
        cfg = load_config(folder / name)
        assert cfg.a == cfg.b == str(folder)


def test_a_default_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = '{{$FKIT_NOWHERE:{{fileDirname}}/x}}'\nb = '{{$FKIT_NOWHERE:a{b}c}}'")
    cfg = load_config(tmp_path / "a.py")
    assert (cfg.a, cfg.b) == (f"{tmp_path}/x", "a{b}c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = '{{$NAME}}'", r":2: The placeholder \{\{\$NAME\}\}.*\n.*\{\{\$NAME:default\}\}"),
        ("y = '{{$NAME:a b}}'", "no blanks in the default"),
        ("y = '{{fileBasname}}'", "Did you mean 'fileBasename'"),
        ("_base_ = []\ny = {{_base_.a[0]}}", "names, with dots between"),
        ("y = 'C:\\{{fileBasename}}'", "A backslash stands right before"),
        ("y = b'C:\\\\\\{{fileBasename}}'", "A backslash stands right before"),
        ("y = {{'$FKIT_NOWHERE:'}}", "is not set, and has no default"),
        ("from torch import nn\ny = '{{fileBasename}}'", "only the old style replaces"),
    ],
)
def test_what_would_be_left_in_place_is_an_error(text: str, message: str) -> None:
    with pytest.raises(FkitError, match=message):
        load_string(text)


def test_a_variable_of_a_base_in_a_key_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a = 'k'")
    (tmp_path / "b.py").write_text("_base_ = 'a.py'\nx = { {{_base_.a}}: 1}")
    with pytest.raises(FkitValueError, match="A key has a variable of a base in it"):
        load_config(tmp_path / "b.py")


@pytest.mark.parametrize("trust", [False, True])
def test_a_new_style_base_has_none(tmp_path: Path, trust: bool) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = '{{fileBasename}}'")
    (tmp_path / "b.py").write_text("with read_base():\n    from .a import *")
    with pytest.raises(FkitValueError, match=r"a\.py:2: .*only the old style replaces"):
        load_config(tmp_path / "b.py", trust=trust)
    cfg = load_config(tmp_path / "b.py", trust=trust, use_predefined_variables=False)
    assert cfg.y == "{{fileBasename}}"


def test_braces_that_are_no_placeholder_stay() -> None:
    text = "a = '{{}}'.format(1)\nb = f'{{{1}}}'\nc = '{{ question }}'\n# {{$NO}} {{fileBasname}}\nd = {'x': {'y': {}}}"
    assert dict(load_string(text)) == {"a": "{}", "b": "{1}", "c": "{{ question }}", "d": {"x": {"y": {}}}}


def test_without_the_passes_the_text_stays() -> None:
    text = "a = '{{$NAME}} {{fileBasname}} {{fileBasename}}'"
    cfg = load_string(text, use_predefined_variables=False, use_environment_variables=False)
    assert cfg.a == "{{$NAME}} {{fileBasname}} {{fileBasename}}"


@pytest.mark.parametrize(
    "text",
    [
        "# {{$A:" + " " * 60_000,
        "x = '{{$A:" + " " * 60_000 + "'",
        "#" + "{{$A:" * 30_000,
        "x = '" + "{{$A:" * 30_000 + "'",
        "x = '''" + "{{$A:\n" * 30_000 + "}}'''",
        "x = '" + "{{file" * 30_000 + "}}'",
        "x = '" + "{{" * 60_000 + "}}" * 60_000 + "'",
        "x = '" + "{{{" * 40_000 + "'",
        "{{" + "'" * 100_000,
        "x = '" + "\\{{" * 50_000 + "'",
        "{{ _base_." + "a." * 60_000 + " " * 20_000,
        "x = '{{$A:" + "{{file }}" * 20_000 + "'",
    ],
)
@pytest.mark.parametrize("suffix", [".py", ".yaml", ".json"])
def test_the_walk_is_linear(text: str, suffix: str) -> None:
    start = time.process_time()
    with contextlib.suppress(FkitError):
        substitute(text, f"a{suffix}", "a", True, True)
    assert time.process_time() - start < 1


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("{}$_base_.fileBasename:'\"\\# \nx=rf[]"), max_size=40))
def test_any_text_is_walked(text: str) -> None:
    for suffix in (".py", ".yaml", ".json"):
        with contextlib.suppress(FkitError):
            load_string(text, suffix)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(), st.lists(st.integers())))
def test_a_value_reads_as_itself(value: Any) -> None:
    read = value_of(repr(value))
    assert (
        fkit.Config({"x": read}) == fkit.Config({"x": value})
        or value in (float("inf"), -float("inf"))
        or value != value
    )
    assert isinstance(value_of(str(value)), (int, float, bool, type(None), str, list, tuple, dict, set, bytes, complex))


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=12),
    st.sampled_from(["", "r", "R", "b", "rb", "u", "f"]),
    st.sampled_from(["'", '"', "'''", '"""']),
)
def test_any_name_of_a_file_is_the_name(name: str, prefix: str, quote: str) -> None:
    text = f"{prefix}{quote}<{{{{fileBasename}}}}>{quote}"
    source = substitute(text, f"/x/{name}.py", "a", True, True)
    value = eval(source.text)  # Python's own reading of the string
    assert value == (f"<{name}.py>".replace("\\", "/").encode() if "b" in prefix else f"<{name}.py>".replace("\\", "/"))


def test_missing_without_default_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(FkitKeyError, match=r":3: The environment variable FKIT_NOWHERE"):
        load_string("a = 1\n\nb = '{{ $FKIT_NOWHERE: }}'")

"""Wrong input, row by row: each file of ``trials/`` is a table, and every row is one message, an exit code and no trace.

A row of ``tests/cli/trials/*.toml``::

    [[trial]]
    words = "train a.py --seed x"            # what stands after `fkit`, split as a shell splits it
    says = ["--seed", "whole number"]        # texts that the message must hold
    code = 2                                 # the exit code; 2 where a row does not say it
    files = {"a.py" = "_base_ = '$CONVNET'"} # laid in the row's own folder, the working folder of the command
    folders = ["work"]                       # likewise
    unsaid = ["Did you mean"]                # texts that the message must not hold
    leaves = ["work"]                        # what the command may write there, with what is below it; else nothing
    logged = true                            # a run had begun: its log may stand before the message
    child = true                             # in a process of its own, not in the test's

In words and files, $CONVNET is ``configs/digits/convnet.py``, $TRAINED the work folder of a short run of it, $HERE the
row's folder.
"""

import contextlib
import io
import os
import shlex
import string
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fkit.cli.main import main

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
KEYS = {"words", "says", "code", "files", "folders", "unsaid", "leaves", "logged", "child"}


def rows():
    tables = sorted(Path(__file__).with_name("trials").glob("*.toml"))
    return [
        pytest.param(row, id=f"{table.stem}: {row['words']}")
        for table in tables
        for row in tomllib.loads(table.read_text())["trial"]
    ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "work"
    short = ["train_cfg.max_epochs=1", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]
    assert main(["train", CONVNET, "--work-dir", str(folder), "--cfg-options", *short]) == 0
    return folder


def here(words):
    """(exit code, standard output, standard error) of a command in this process; what it imported here goes again."""
    modules, places = set(sys.modules), list(sys.path)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return main(words), out.getvalue(), err.getvalue()
    finally:
        sys.path[:] = places
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(os.getcwd()):
                del sys.modules[name]


def child(words):
    """The same of a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "fkit", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("row", rows())
def test_a_wrong_word_is_one_message(row, tmp_path, request):
    assert set(row) <= KEYS and row["says"], row
    texts = [row["words"], *row.get("files", {}).values()]
    trained = request.getfixturevalue("trained") if any("$TRAINED" in text for text in texts) else ""
    folder = tmp_path / "here"

    def filled(text):
        return string.Template(text).safe_substitute(CONVNET=CONVNET, TRAINED=trained, HERE=folder)

    for place in (".", *row.get("folders", ())):
        (folder / place).mkdir()
    for place, text in row.get("files", {}).items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(filled(text), encoding="utf-8")
    before = contents(folder)
    with contextlib.chdir(folder):
        code, out, err = (child if row.get("child") else here)(shlex.split(filled(row["words"])))
    assert "Traceback" not in err, err
    assert (code, out) == (row.get("code", 2), ""), err
    lines = err.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("fkit: ")), None)
    assert first is not None and err.count("fkit: ") == 1, err
    assert first == 0 or row.get("logged"), err
    assert all(line.startswith("  ") for line in lines[first + 1 :]), err
    message = "\n".join(lines[first:])
    for text in row["says"]:
        assert filled(text) in message, message
    for text in row.get("unsaid", ()):
        assert filled(text) not in message, message
    after = {path: data for path, data in contents(folder).items() if "__pycache__" not in path.parts}
    strange = {path for path in after if path not in before and path.parts[0] not in row.get("leaves", ())}
    assert not strange and before.items() <= after.items(), strange

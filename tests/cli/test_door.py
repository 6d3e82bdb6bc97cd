"""The one door of the command line: every error one message, every command `--debug`, output that fails."""

import argparse
import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fkit.cli.command import COMMANDS as LISTED
from fkit.cli.main import main, message_of, parser
from fkit.edge.output import Output, Screened
from fkit.tree.error import FkitError

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
SHORT = ["--cfg-options", "train_cfg.max_epochs=1", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]


def leaves(command, name="fkit"):
    """(name, parser) of every command that does something."""
    below = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, command
    for action in below:
        for word, child in action.choices.items():
            yield from leaves(child, f"{name} {word}")


COMMANDS = dict(leaves(parser()))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_debug_and_an_example(name):
    assert "--debug" in COMMANDS[name].format_help()
    assert "example" in COMMANDS[name].format_help()


def examples(text):
    """The commands below "examples:", as a shell takes them: a backslash goes on in the next line."""
    below = text.partition("\nexample")[2].partition("\n")[2].replace("\\\n", "")
    return [words for words in (shlex.split(line, comments=True) for line in below.splitlines()) if words]


@pytest.mark.parametrize("columns", ["60", "80", "120"])
@pytest.mark.parametrize("name", ["fkit", "fkit config", *COMMANDS])
def test_help_breaks_inside_no_word_and_its_examples_are_commands(name, columns, capsys):
    with contextlib.ExitStack() as stack:
        stack.callback(os.environ.__setitem__, "COLUMNS", os.environ["COLUMNS"]) if "COLUMNS" in os.environ else (
            stack.callback(os.environ.pop, "COLUMNS")
        )
        os.environ["COLUMNS"] = columns
        assert main([*name.split()[1:], "--help"]) == 0
    out = capsys.readouterr().out
    usage, _, below = out.partition("\n\n")  # argparse keeps an option and its value in one line
    assert not [line for line in out.splitlines() if line.endswith("-")] and "usage: " in usage
    assert not [line for line in below.splitlines() if len(line) > int(columns) and not line.lstrip().startswith("--")]
    assert examples(out)
    for words in examples(out):
        assert words[0] == "fkit"
        words = words[: words.index(">")] if ">" in words else words
        arguments, strange = parser(words[1]).parse_known_args(words[1:])
        assert not strange and arguments.run


def test_the_list_of_commands_is_that_of_the_commands():
    assert parser().format_help() == parser("").format_help()
    short = "\n".join(line.strip() for line in parser("").format_help().splitlines())
    for name in LISTED:
        assert re.search(rf"^{name} +{re.escape(LISTED[name])}$", short, re.MULTILINE)


def fkit(*words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-m", "fkit", *map(os.fsdecode, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        stdout=stdout,
        stderr=stderr,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["registry", "nokind"], "no kind 'nokind'"),
        (["config", "show", "."], "."),
        (["config", "explain", CONVNET, "model.nothing"], "nothing"),
        (["fingerprint", "nowhere"], "nowhere"),
        (["registry", "--include", "no_such_module"], "no_such_module"),
    ],
)
def test_a_wrong_word_is_one_message(words, want, capsys):
    code = main(words)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and want in err and err.startswith("fkit: ") and "Traceback" not in err
    assert main([*words, "--debug"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and f"\nfkit: {err.partition('fkit: ')[2]}" in err


def test_what_is_no_error_of_the_kit_is_said_as_one():
    assert message_of(ZeroDivisionError("division by zero")) == (
        "ZeroDivisionError: division by zero\n  This is a fault of fkit: --debug shows where.",
        1,
    )


def test_an_error_of_code_of_the_users_names_its_line(tmp_path):
    (tmp_path / "mine.py").write_text("def f():\n    raise ValueError('a\\nb')\n")
    names = {}
    exec(compile((tmp_path / "mine.py").read_text(), str(tmp_path / "mine.py"), "exec"), names)
    with pytest.raises(ValueError, match="a") as caught:
        names["f"]()
    text, code = message_of(caught.value)
    assert code == 1 and text.startswith("ValueError: a\n  b\n  It was raised at ") and "mine.py:2, in f: " in text


def test_every_line_of_a_message_below_its_first_is_set_in():
    assert message_of(FkitError("a\nb\n  c", repair="d")) == ("a\n  b\n  c\n  d", 2)


@pytest.mark.parametrize("words", [["config", "show", CONVNET], ["--help"], ["train", "--help"], ["env", "--json"]])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_results_onto_a_full_disk_are_one_message(words):
    with open("/dev/full", "wb") as full:
        done = fkit(*words, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"fkit: standard output cannot be written: No space left on device.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_run_goes_on_when_nothing_can_be_shown(tmp_path):
    with open("/dev/full", "wb") as full:
        done = fkit("train", CONVNET, "--work-dir", str(tmp_path / "work"), *SHORT, stderr=full)
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "work/run.json").read_text())["status"] == "finished"
    log = (tmp_path / "work/log.txt").read_text()
    assert log.count("nothing more is shown (No space left on device): the run goes on without it") == 1


def test_streams_that_are_closed():
    for words in (["config", "show", CONVNET], ["--help"], ["registry", "--help"]):
        done = subprocess.run(  # `fkit ... >&-`
            ["sh", "-c", '"$0" -m fkit "$@" >&-', sys.executable, *words], cwd=ROOT, stderr=subprocess.PIPE, check=False
        )
        assert (done.returncode, done.stderr.count(b"cannot be written")) == (1, 1), done.stderr
    done = subprocess.run(["sh", "-c", '"$0" -m fkit registry nokind 2>&-', sys.executable], cwd=ROOT, check=False)
    assert done.returncode == 2


def test_the_locale_c_lacks_letters(tmp_path):
    (tmp_path / "a.py").write_text("name = 'é→😀'")
    done = fkit("config", "show", tmp_path / "a.py", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stdout) == (0, b"name = '\\xe9\\u2192\\U0001f600'\n"), done.stderr


def test_a_file_where_a_folder_is_wanted(tmp_path, capsys):
    (tmp_path / "file").touch()
    for folder in (str(tmp_path / "file"), os.devnull):
        assert main(["train", CONVNET, "--work-dir", folder]) == 2
        assert f"{folder}: is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["FILE/below", "/proc/x", "/dev/null/x"])
@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="this system has no /proc")
def test_a_place_where_no_folder_can_be_made(place, tmp_path, capsys):
    (tmp_path / "file").touch()
    folder = place.replace("FILE", str(tmp_path / "file"))
    assert main(["train", CONVNET, "--work-dir", folder, *SHORT]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"fkit: {folder}: no folder can be made there: ") and err.count("\n") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_paths_below_the_home_folder(tmp_path):
    home = {"HOME": str(tmp_path)}
    done = fkit("train", CONVNET, *SHORT, "work_dir=~/runs/a", cwd=ROOT, **home)
    assert (done.returncode, (tmp_path / "runs/a/run.json").is_file()) == (0, True), done.stderr
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "a.png")
    done = fkit("infer", CONVNET, "~/runs/a", "~/a.png", "--out", "~/vis", **home)
    assert (done.returncode, (tmp_path / "vis/a.png").is_file()) == (0, True), done.stderr
    done = fkit("test", CONVNET, "~/runs/a", "--out", "~/scores.json", **home)
    assert (done.returncode, (tmp_path / "scores.json").is_file()) == (0, True), done.stderr
    done = fkit("infer", CONVNET, "~/runs/a", "~/a.png", "--out", "~/a.png", **home)
    assert done.returncode == 2 and b"is no folder" in done.stderr


def test_the_reader_of_what_is_shown_may_go(tmp_path):
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as gone:
        done = fkit("train", CONVNET, "--work-dir", str(tmp_path / "work"), *SHORT, stdout=gone, stderr=gone)
    assert done.returncode == 0
    assert json.loads((tmp_path / "work/run.json").read_text())["status"] == "finished"


def test_a_folder_whose_name_is_no_utf8_and_a_console_that_lacks_letters(tmp_path):
    folder = os.fsencode(tmp_path) + b"/m\xfcller $x"
    os.mkdir(folder)
    done = fkit("train", CONVNET, "--work-dir", folder + b"/w\xe4", *SHORT, cwd=folder, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0), done.stderr
    assert b"m\\udcfcller" in done.stdout
    assert json.loads(Path(os.fsdecode(folder + b"/w\xe4/run.json")).read_text())["status"] == "finished"
    assert os.path.getsize(folder + b"/w\xe4/curves.png") > 10_000
    again = fkit("train", CONVNET, "--work-dir", folder + b"/w\xe4", "--resume", *SHORT, cwd=folder)
    assert (again.returncode, again.stderr.count(b"finished already")) == (0, 1), again.stderr


def test_a_lost_screen_stays_silent(tmp_path):
    with open(tmp_path / "a.txt", "w") as file:
        screen = Screened(file)
        screen.write("seen")
    screen.write("not seen")
    assert "closed file" in screen.lost and (tmp_path / "a.txt").read_text() == "seen"


def test_a_closed_stream_is_no_terminal():
    """Python 3.14's argparse asks, and expects an answer or an OSError."""
    closed = Output(None)
    assert closed.isatty() is False
    with pytest.raises(OSError):
        closed.fileno()

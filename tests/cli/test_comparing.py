"""fkit runs, diff, replay and bisect as a user meets them: what they print, and how they end."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fkit.cli.main import main
from fkit.edge.past import bests, entries
from tests.run import fault

ROOT = Path(__file__).parents[2]
MODULE = '''
"""A hook of a user's own, whose weight decays by a rule of another library."""
from dataclasses import dataclass
import fkit

FROM = 0  # the step from which it computes otherwise; 0: never

@dataclass(frozen=True)
class Rule(fkit.Hook):
    at: int = 0

    def wrap(self, program):
        first = self.at or FROM

        def train_step(state, batch, hyperparams):
            state, logs = program.train_step(state, batch, hyperparams)
            if first and int(state.iteration) >= first:
                params = {name: value * (1 - 1e-4) for name, value in state.params.items()}
                state = state.replace(params=params)
            return state, logs

        return program._replace(train_step=train_step)
'''
WORDS = ["--allow", "rules", "--cfg-options", "train_cfg.max_epochs=3", "param_scheduler:=None", "seed=0"]
RULE = "custom_hooks:=[{'type': 'rules.Rule', 'at': 0}]"


def run(capsys, *words):
    """(exit code, standard output, standard error)."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


CHILD = """
import contextlib, io, json, sys
from fkit.cli.main import main
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def apart(folder, *commands):
    """Commands in a process of their own, which imports the module as it is by then: (exit code, output, errors) each."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", CHILD, json.dumps([[*map(str, words)] for words in commands])]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """A folder with a module of a user's own, and two runs of 69 steps, of which the second takes its rule at step 37; and
    what a search and a replay said."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "rules.py").write_text(MODULE)
    first, second = (
        ["train", "digits/mlp", "--work-dir", f"work_dirs/{name}", *WORDS, RULE.replace("0", at)]
        for name, at in (("a", "0"), ("b", "37"))
    )
    search = ["bisect", "work_dirs/a", "work_dirs/b", "--allow", "rules"]
    trained = apart(folder, first, second)
    before = fault.files(folder / "work_dirs")
    *others, found, again = apart(folder, search, ["replay", "work_dirs/a", "--allow", "rules"])
    assert [code for code, _, _ in trained] == [0, 0], trained
    assert others == [] and fault.files(folder / "work_dirs") == before  # nothing is written there
    return folder, found, again


@pytest.fixture
def there(said):
    with contextlib.chdir(said[0]):
        yield said[0]


def test_bisect_names_the_step_and_what_is_equal_there(said):
    code, out, err = said[1]
    lines = out.splitlines()
    assert code == 1 and lines[0] == "work_dirs/a and work_dirs/b: part at step 37; equal after step 36, to the bit"
    assert lines[1] == "  the batches of step 37 are equal" and "6 parts of the state differ after it:" in lines[2]
    assert lines[3].split()[0].startswith("params/") and "so it is what follows the losses" in out
    assert "searched from step 23 to step 46 by 14 replays" in out
    assert "the configs differ: fkit diff work_dirs/a work_dirs/b" in out
    assert "replay 1: work_dirs/a, steps 24 to 46" in err and "Traceback" not in err


def test_replay_finds_that_a_library_changed(said):
    folder, _, again = said
    assert again[:2] == [
        0,
        "work_dirs/a: equal from step 0 to step 69, to the bit: 9 lines of metrics.jsonl and 3 checkpoints are equal\n",
    ]
    (folder / "rules.py").write_text(MODULE.replace("FROM = 0", "FROM = 40"))
    words = ["replay", "work_dirs/a", "--allow", "rules"]
    (code, out, _), later = apart(folder, words, [*words, "--from", "23", "--to", "33"])
    lines = out.splitlines()
    assert code == 1 and lines[0] == "work_dirs/a: differs at step 43 (all on record up to step 33 is equal)"
    assert lines[1] == "  metrics.jsonl, step 43 (train):" and lines[2].startswith("    loss: ")
    assert "  checkpoint of step 46:" in lines and "    params/backbone.fc1.weight" in out
    assert later[0] == 0 and "from step 23 to step 33" in later[1]


def test_a_module_that_is_not_allowed_is_wrong_input(there, capsys):
    code, out, err = run(capsys, "replay", "work_dirs/a")
    assert (code, out) == (2, "") and "--allow rules" in err


def test_diff_says_what_is_not_shared_and_draws_it(there, capsys):
    code, out, _ = run(capsys, "diff", "work_dirs/a", "work_dirs/b", "--out", "apart.png")
    lines = out.splitlines()
    assert code == 0 and lines[:2] == ["A: work_dirs/a  (to step 69)", "B: work_dirs/b  (to step 69)"]
    assert lines[2] == "config:" and lines[3].startswith("  - custom_hooks[0].at = 0  [work_dirs/a/config.py:")
    assert lines[4].startswith("  + custom_hooks[0].at = 37  [work_dirs/b/config.py:")
    assert lines[5:9] == ["run: no difference", "versions: no difference", "data: no difference", "metrics:"]
    assert lines[9].split()[:2] == ["metric", "steps"] and lines[10].split()[:4] == ["loss", "6", "step", "43"]
    assert lines[-1] == "picture: apart.png"
    with Image.open("apart.png") as image:
        assert image.size[0] > 800
    code, out, _ = run(capsys, "diff", "work_dirs/a", "work_dirs/a")
    assert code == 0 and out.count("no difference") == 5


def test_runs_are_listed_the_newest_first(there, capsys):
    code, out, _ = run(capsys, "runs")
    head, first, second = (line.split() for line in out.splitlines())
    assert code == 0 and head == ["run", "fingerprint", "seed", "backend", "status", "step", "best", "changed"]
    assert (first[0], second[0]) == ("b", "a") and first[2:7] == ["0", "torch", "finished", "69", "accuracy/top1"]
    record = json.loads((there / "work_dirs/a/run.json").read_text())
    assert second[1] == record["fingerprint"][:12]
    code, out, _ = run(capsys, "runs", "work_dirs", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [Path(row["folder"]).name for row in rows] == ["b", "a"] and rows[0]["best"]["accuracy/top1"]["step"] in (
        23,
        46,
        69,
    )


def written(folder, age, rows=(), **record):
    """A run of which the record and the metrics alone are there."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"seed": 1, "backend": "jax", "status": "finished", **record}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(folder / "run.json", (age, age))


def test_a_list_of_nested_broken_and_killed_runs(tmp_path, capsys):
    scores = [{"step": 5, "mode": "val", "mAP": 0.25, "loss": 3.0}, {"step": 9, "mode": "val", "mAP": 0.5, "loss": 4.0}]
    written(tmp_path / "one", 100, scores)
    written(tmp_path / "deep/er/two", 300, [{"step": 7, "mode": "train", "loss": 0.75}], status="running")
    written(tmp_path / "three", 200, [{"step": 5, "mode": "val", "mAP": 0.75}], fingerprint="a" * 64)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/run.json").write_text("{")
    os.utime(tmp_path / "broken/run.json", (50, 50))
    code, out, _ = run(capsys, "runs", tmp_path)
    lines = out.splitlines()
    assert code == 0 and [line.split()[0] for line in lines[1:]] == ["deep/er/two", "three", "one", "broken"]
    assert "killed" in lines[1] and "loss 0.7500 at 7" in lines[1]
    assert "mAP 0.5000 at 9, loss 3.0000 at 5" in lines[3]
    assert lines[4].split(maxsplit=1)[1] == "broken: run.json: is no JSON: it is truncated or was changed."
    code, out, _ = run(capsys, "runs", tmp_path, "--sort", "mAP")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["three", "one", "deep/er/two", "broken"]
    code, _, err = run(capsys, "runs", tmp_path, "--sort", "mAPP")
    assert code == 2 and "Did you mean 'mAP'?" in err
    (tmp_path / "deep/er/two/.lock").write_text(json.dumps({"pid": os.getpid(), "host": os.uname().nodename}))
    assert {entry.status for entry in entries(tmp_path)} == {"running", "finished", ""}


def test_the_best_of_each_score_is_told():
    rows = ({"step": 1, "mode": "val", "acc": float("nan"), "size": 3}, {"step": 2, "mode": "val", "acc": 0.5})
    assert [tuple(best) for best in bests(rows)] == [("acc", 0.5, 2)]
    assert bests(({"step": 4, "mode": "train", "loss": 2.0},)) == (("loss", 2.0, 4),) and bests(()) == ()


def test_an_empty_folder_holds_no_run(tmp_path, capsys):
    assert run(capsys, "runs", tmp_path) == (0, "", f"{tmp_path}: holds no run.\n")


@pytest.mark.parametrize(
    ("words", "want"),
    [
        (["runs", "nothing/there"], "is not there"),
        (["replay", "."], "there is no run.json"),
        (["replay", "work_dirs/a", "--from", "24"], "has no checkpoint of step 24"),
        (["replay", "work_dirs/a", "--to", "no"], "is no whole number"),
        (["bisect", "work_dirs/a"], "RUN_B"),
        (["diff", "work_dirs/a", "nothing"], "nothing: is not there"),
        (["diff", "work_dirs/a", "work_dirs/b", "--out", "no/such.png"], "the folder no is not there"),
    ],
)
def test_wrong_input_is_one_message(there, capsys, words, want):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "") and want in err and err.startswith("fkit: ") and "Traceback" not in err

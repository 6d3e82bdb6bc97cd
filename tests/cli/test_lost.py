"""Nothing lost: output that nobody takes, two runs in one folder, runs that failed, each as the command meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fkit.cli.main import main
from fkit.edge.checkpoint import steps
from fkit.edge.lock import hold

ROOT = Path(__file__).parents[2]
MLP = str(ROOT / "configs/digits/mlp.py")
LENGTH = ["train_cfg.max_epochs=1", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]
SHORT = ["--cfg-options", *LENGTH]

# a model and a dataset that print, as a user's do; and a library in C that does
MINE = """
import os, sys
from dataclasses import dataclass
from fkit.zoo.torch.classifier import LinearClsHead
from fkit.data.dataset import Digits
from fkit.run.hook.hook import Hook

class Loud(Digits):
    def __getitem__(self, index):
        print("a sample", "." * 200, flush=True)
        return super().__getitem__(index)

@dataclass(frozen=True)
class Printing(Hook):
    def after_train_iter(self, memory, run, event):
        print("a step", flush=True)
        os.write(1, b"JUNK")
        os.write(2, b"JUNK")
        return memory, ()

@dataclass(frozen=True)
class Raising(Hook):
    kind: str = ""
    def before_run(self, memory, run, event):
        raise {"runtime": RuntimeError, "memory": MemoryError, "interrupt": KeyboardInterrupt, "pipe": BrokenPipeError,
               "text": Textless}[self.kind]("my words")

class Textless(Exception):
    def __str__(self):
        raise ValueError("no text")

BROKEN = os.path.join(os.path.dirname(__file__), "broken")

class Leaving(LinearClsHead):
    def __init__(self, *, build, **words):
        if os.path.exists(BROKEN):
            sys.exit(0)
        super().__init__(build=build, **words)

def register(registry):
    registry = registry.register("models", Leaving, backend="torch")
    for part in (Printing, Raising):
        registry = registry.register("hooks", part)
    return registry.register("datasets", Loud)
"""


def place(folder, text, name="mine"):
    (folder / f"{name}.py").write_text(MINE)
    (folder / "cfg.py").write_text(f"_base_ = {MLP!r}\ncustom_imports = dict(imports=[{name!r}])\n{text}\n")
    return ["train", str(folder / "cfg.py"), "--work-dir", str(folder / "work"), "--allow", name, *SHORT]


@pytest.fixture
def importable(tmp_path):
    sys.path.insert(0, str(tmp_path))
    yield
    sys.path.remove(str(tmp_path))


def environment(folder):
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def record(folder):
    """(status, log.txt)."""
    return json.loads((folder / "run.json").read_text())["status"], (folder / "log.txt").read_text()


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_what_a_run_and_its_workers_print_to_a_reader_that_has_gone_never_ends_it(tmp_path):
    words = place(tmp_path, "custom_hooks = [dict(type='Printing')]\n"
                  "train_dataloader = dict(num_workers=1, dataset=dict(type='Loud'))")  # fmt: skip
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "fkit", *words]
    with open(write, "wb") as gone, open(tmp_path / "err", "wb") as err:
        done = subprocess.run(line, stdout=gone, stderr=err, cwd=tmp_path, env=environment(tmp_path), check=False)
    assert done.returncode == 0, (tmp_path / "err").read_text()
    status, log = record(tmp_path / "work")
    assert status == "finished" and steps(tmp_path / "work/checkpoints")
    assert log.count("standard output takes no more (Broken pipe): the run goes on without it") == 1


def test_no_file_of_a_run_takes_the_place_of_a_stream_that_was_closed(tmp_path):
    words = place(tmp_path, "custom_hooks = [dict(type='Printing')]")
    shell = ["sh", "-c", 'exec "$0" -m fkit "$@" >&- 2>&- <&-', sys.executable, *words]
    assert subprocess.run(shell, cwd=tmp_path, env=environment(tmp_path), check=False).returncode == 0
    assert record(tmp_path / "work")[0] == "finished"
    for path in (tmp_path / "work").rglob("*"):
        assert path.is_dir() or b"JUNK" not in path.read_bytes(), path
    assert len(rows(tmp_path / "work")) >= 3


def test_a_second_run_in_a_folder_is_refused_and_what_only_reads_is_not(tmp_path, capsys):
    work = tmp_path / "work"
    assert main(["train", MLP, "--work-dir", str(work), *SHORT]) == 0
    before = {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}
    capsys.readouterr()
    with hold(work):
        for more in ([], ["--resume"]):
            assert main(["train", MLP, "--work-dir", str(work), *more, *SHORT]) == 2
            out, err = capsys.readouterr()
            assert out == "" and f"{work}: another run is going on there (process {os.getpid()} on " in err
            assert err.count("\n") == 2 and "Traceback" not in err
        assert main(["test", MLP, str(work)]) == 0
        assert main(["fingerprint", str(work)]) == 0
    assert before == {path: path.read_bytes() for path in work.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("runtime", 1, "RuntimeError: my words"),
        ("memory", 1, "MemoryError: my words"),
        ("pipe", 1, "BrokenPipeError: my words"),
        ("interrupt", 130, "KeyboardInterrupt: my words"),
        ("text", 1, "Textless"),
    ],
)
def test_whatever_a_run_raises_before_its_first_step_is_on_record_and_blocks_nothing(
    kind, code, words, tmp_path, capsys, importable
):
    name = f"mine_{kind}"
    assert main(place(tmp_path, f"custom_hooks = [dict(type='Raising', kind={kind!r})]", name)) == code
    status, log = record(tmp_path / "work")
    assert status == "failed" and words in log and "in before_run" in log
    capsys.readouterr()
    assert main(place(tmp_path, "", name)) == 0
    status, log = record(tmp_path / "work")
    said = "the run before failed, and no checkpoint was written yet: the run starts over"
    assert status == "finished" and said in log and said in capsys.readouterr().err


def test_what_is_no_wrong_input_and_comes_before_the_run_is_on_record(tmp_path, capsys, importable):
    line = place(tmp_path, "model = dict(head=dict(type='Leaving'))", "mine_leaving")
    words = "a part of the run called sys.exit(0)"
    (tmp_path / "broken").touch()
    assert main(line) == 1
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err
    status, log = record(tmp_path / "work")
    assert status == "failed" and words in log and "in __init__" in log
    (tmp_path / "broken").unlink()
    assert main(line) == 0
    (tmp_path / "broken").touch()
    assert main([*line, "resume:=True"]) == 1
    assert record(tmp_path / "work")[0] == "finished", "a run that is finished stays so"


@pytest.mark.parametrize("status", ["failed", "running", "interrupted"])
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_run_without_a_checkpoint_does_not_block_its_folder(status, resume, tmp_path, capsys):
    work = tmp_path / "work"
    bad = ["optim_wrapper.optimizer.lr=1e30", "optim_wrapper.optimizer.weight_decay=1e30"]
    assert main(["train", MLP, "--work-dir", str(work), *SHORT, *bad]) == 1
    of_before = json.loads((work / "run.json").read_text())
    (work / "run.json").write_text(json.dumps({**of_before, "status": status}))  # as a kill -9 leaves it, too
    (work / ".lock").write_text("{}")
    capsys.readouterr()
    assert main(["train", MLP, "--work-dir", str(work), *resume, *SHORT]) == 0
    how = {"failed": "failed", "running": "was killed", "interrupted": "was interrupted"}[status]
    assert f"the run before {how}, and no checkpoint was written yet: the run starts over" in capsys.readouterr().err
    assert record(work)[0] == "finished" and not (work / ".lock").exists()
    steps_of_rows = [row["step"] for row in rows(work)]
    assert steps_of_rows == sorted(steps_of_rows) and steps_of_rows[-1] == 23, "no row of the run before"


def test_a_finished_run_without_a_checkpoint_is_kept(tmp_path, capsys):
    work = tmp_path / "work"
    none = ["default_hooks.checkpoint.interval=0", "default_hooks.checkpoint.save_last:=False"]
    assert main(["train", MLP, "--work-dir", str(work), *SHORT, *none]) == 0
    before = (work / "metrics.jsonl").read_bytes()
    for more, words in (([], "holds a run already (finished)"), (["--resume"], "saved no checkpoint to go on from")):
        assert main(["train", MLP, "--work-dir", str(work), *more, *SHORT, *none]) == 2
        assert words in capsys.readouterr().err
    assert (work / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("name", ["config.py", "metrics.jsonl", "checkpoints/step_1", "run.json"])
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_folder_of_somebody_elses_files_is_never_touched(name, resume, tmp_path, capsys):
    work = tmp_path / "work"
    (work / name).parent.mkdir(parents=True)
    (work / name).write_text('["theirs"]')
    assert main(["train", MLP, "--work-dir", str(work), *resume, *SHORT]) == 2
    err = capsys.readouterr().err
    assert "holds no run" in err or "is not one that fkit wrote" in err
    assert [path.relative_to(work) for path in work.rglob("*") if path.is_file()] == [Path(name)]
    assert (work / name).read_text() == '["theirs"]'


def test_wrong_input_leaves_no_folder(tmp_path):
    assert main(["train", MLP, "--work-dir", str(tmp_path / "a/b"), "--cfg-options", "model.type=Nothing"]) == 2
    assert not list(tmp_path.iterdir())

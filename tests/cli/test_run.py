"""The commands as a user meets them: what they print, what they leave, how they fail, how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import fkit
from fkit.cli.main import main
from tests.run.small import measured

ROOT = Path(__file__).parents[2]
CONVNET = str(ROOT / "configs/digits/convnet.py")
SHORT = ["train_cfg.max_epochs=2", "param_scheduler.1.end=2", "param_scheduler.1.T_max=1"]


def run(capsys, *words):
    """(exit code, standard output, standard error)."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def width_of(path):
    with Image.open(path) as image:
        return image.size[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "digits"
    assert main(["train", CONVNET, "--work-dir", str(folder), "--cfg-options", *SHORT]) == 0
    return folder


def test_training_leaves_the_work_folder_of_the_design(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {"config.py", "run.json", "metrics.jsonl", "log.txt", "curves.png", "checkpoints"}
    record = json.loads((trained / "run.json").read_text())
    assert (record["status"], record["seed"], record["backend"]) == ("finished", 0, "torch")
    cfg = fkit.load_config(CONVNET, *SHORT).merge({"work_dir": str(trained)})
    assert fkit.load_config(str(trained / "config.py")) == cfg
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["mode"] == "val" and rows[-1]["step"] == 46 and 0.5 < rows[-1]["accuracy/top1"] <= 1
    assert width_of(trained / "curves.png") > 800


def test_the_log_begins_with_the_environment_the_config_and_the_hooks(trained):
    text = (trained / "log.txt").read_text()
    words = ("environment:\n  command: ", "config:\nmodel = dict(", "hooks, in the order")
    heads = [text.index(word) for word in words]
    assert heads == sorted(heads) and heads[-1] < text.index("Epoch(train) [1][10/23]")
    assert "(VERY_LOW) CheckpointHook  checkpoint" in text


def test_test_scores_what_training_scored(trained, capsys, tmp_path):
    code, out, _ = run(capsys, "test", CONVNET, trained, "--out", tmp_path / "scores.json")
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    want = rows[-1]["accuracy/top1"]
    assert (code, out) == (0, f"accuracy/top1 {want:.4f}\n")
    assert json.loads((tmp_path / "scores.json").read_text()) == {"accuracy/top1": want}


def test_a_checkpoint_of_torch_is_tested_on_jax(trained, capsys):
    code, out, _ = run(capsys, "test", CONVNET, trained, "--backend", "jax")
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert code == 0 and abs(float(out.split()[1]) - rows[-1]["accuracy/top1"]) < 0.01


def test_fingerprint_is_alone_on_standard_output(trained, capsys):
    code, out, err = run(capsys, "fingerprint", trained)
    assert code == 0 and len(out) == 65 and err == "" and int(out, 16) > 0
    assert run(capsys, "fingerprint", trained / "checkpoints" / "latest")[1] == out


def test_resuming_a_finished_run_says_so(trained, capsys):
    code, _, err = run(capsys, "train", CONVNET, "--work-dir", trained, "--resume", "--cfg-options", *SHORT)
    assert code == 0 and "is finished already (46 iterations)" in err


def harm(name):
    return {
        "missing file": (["train", "nothing.py"], "nothing.py"),
        "unknown type": (
            ["train", CONVNET, "--cfg-options", "model.backbone.type=ConvNett"],
            "Did you mean 'ConvNet'?",
        ),
        "unknown argument": (["train", CONVNET, "--cfg-options", "model.backbone.depht:=3"], "depht"),
        "unknown key": (["train", CONVNET, "--cfg-options", "train_cfg.max_epoch:=3"], "Did you mean 'max_epochs'?"),
        "nearly a key": (["train", CONVNET, "--cfg-options", "sede:=3"], "Did you mean 'seed'?"),
        "unknown backend": (["train", CONVNET, "--backend", "tensorflow"], "Backends: torch, jax"),
        "unknown optimizer": (["train", CONVNET, "--cfg-options", "optim_wrapper.optimizer.type=SDG"], "SDG"),
        "optimizer argument": (["train", CONVNET, "--cfg-options", "optim_wrapper.optimizer.momentun:=1"], "momentun"),
        "no cuda": (["train", CONVNET, "--device", "cuda:7"], "cuda"),
        "missing checkpoint": (["test", CONVNET, "nowhere"], "nowhere"),
        "missing image": (["infer", CONVNET, "TRAINED", "nowhere.png"], "nowhere.png"),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "missing file", "unknown type", "unknown argument", "unknown key", "nearly a key", "unknown backend",
        "unknown optimizer", "optimizer argument", "no cuda", "missing checkpoint", "missing image",
    ],
)  # fmt: skip
def test_wrong_input_is_one_clear_message_and_exit_code_2(name, capsys, tmp_path, trained):
    words, want = harm(name)
    words = [str(trained) if word == "TRAINED" else word for word in words]
    folder = tmp_path / "work"
    code, out, err = run(capsys, *words, *(["--work-dir", folder] if words[0] == "train" else []))
    assert (code, out) == (2, "")
    assert want in err and err.startswith("fkit: ") and "Traceback" not in err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("model = dict(", "cfg.py"),
        (f"_base_ = {CONVNET!r}\nmodel = dict(head=dict(num_classes=None))", "num_classes"),
        (f"_base_ = {CONVNET!r}\nmodel = dict(backbone=dict(_delete_=True, type='MLP'))", "in_channels"),
        (f"_base_ = {CONVNET!r}\ntrain_dataloader = dict(dataset=dict(split='valid'))", "valid"),
        (f"_base_ = {CONVNET!r}\ntrain_dataloader = dict(batch_size=5000, drop_last=True)", "no full batch"),
        (f"_base_ = {CONVNET!r}\ntrain_dataloader = dict(batch_size=0)", "batch_size = 0"),
        (f"_base_ = {CONVNET!r}\ntrain_cfg = dict(max_epochs=0)", "max_epochs = 0"),
        (f"_base_ = {CONVNET!r}\nworkflow = [('val', 1)]", "never trains"),
        (f"_base_ = {CONVNET!r}\ndefault_hooks = dict(checkpoint=dict(intervall=3))", "intervall"),
    ],
)
def test_a_wrong_config_is_one_clear_message(text, want, capsys, tmp_path):
    (tmp_path / "cfg.py").write_text(text)
    code, _, err = run(capsys, "train", tmp_path / "cfg.py", "--work-dir", tmp_path / "work")
    assert code == 2 and want in err and "Traceback" not in err


def test_a_loss_that_is_not_finite_fails_the_run_and_keeps_what_was_saved(capsys, tmp_path):
    folder = tmp_path / "work"
    words = ["optim_wrapper.optimizer.lr=1e30", "optim_wrapper.optimizer.weight_decay=1e30", *SHORT]
    code, _, err = run(capsys, "train", CONVNET, "--work-dir", folder, "--cfg-options", *words)
    assert code == 1 and "is not finite" in err
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    assert not list(folder.glob("checkpoints/step_*"))


FULL = """
import resource, signal, sys
from fkit.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_disk_that_takes_no_more_is_one_clear_error(tmp_path):
    folder = tmp_path / "work"
    words = ["train", CONVNET, "--work-dir", folder, "--cfg-options", *SHORT]
    done = subprocess.run([sys.executable, "-c", FULL, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1 and "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr and "--resume" in done.stderr
    assert not list(folder.glob("checkpoints/step_*"))
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"


def test_a_model_that_raises_is_named_with_its_line(capsys, tmp_path):
    (tmp_path / "cfg.py").write_text(f"_base_ = {CONVNET!r}\nmodel = dict(backbone=dict(in_channels=3))")
    code, _, err = run(capsys, "train", tmp_path / "cfg.py", "--work-dir", tmp_path / "work")
    assert code == 1 and "iteration 1: the model raised" in err and "Traceback" not in err


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_label_outside_the_classes_is_one_sentence_on_both_backends(capsys, tmp_path, backend):
    words = ["--work-dir", tmp_path / "work", "--backend", backend, "--cfg-options", "model.head.num_classes=3"]
    code, _, err = run(capsys, "train", CONVNET, *words)
    assert code == 2 and "is none of 3 classes (0 to 2)" in err and "num_classes" in err and "Traceback" not in err


def test_a_folder_of_another_run_is_refused_with_the_difference(trained, capsys):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    code, _, err = run(capsys, "train", CONVNET, "--work-dir", trained, "--cfg-options", *SHORT)
    assert code == 2 and "holds a run already" in err
    words = [*SHORT, "optim_wrapper.optimizer.lr=0.5"]
    code, _, err = run(capsys, "train", CONVNET, "--work-dir", trained, "--resume", "--cfg-options", *words)
    assert code == 2 and "optim_wrapper.optimizer.lr: 0.01 -> 0.5" in err
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_a_folder_of_something_else_is_refused(capsys, tmp_path):
    (tmp_path / "thesis.txt").write_text("dear")
    code, _, err = run(capsys, "train", CONVNET, "--work-dir", tmp_path)
    assert code == 2 and "is not empty and holds no run" in err


def command(folder, *words):
    line = [sys.executable, "-m", "fkit", "train", CONVNET, "--work-dir", str(folder), *words]
    return subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(folder, rows):
    """Until the run has written so many lines of metrics."""
    path, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while time.monotonic() < deadline:
        if path.exists() and len(path.read_bytes().splitlines()) >= rows:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {rows} rows within two minutes")


LENGTH = [
    "--cfg-options",
    "train_cfg.max_epochs=4",
    "param_scheduler.1.end=4",
    "param_scheduler.1.T_max=3",
    "train_dataloader.batch_size=24",
]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = command(folder, *LENGTH)
    done.communicate()
    assert done.returncode == 0
    return folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_real_signal_ends_the_command_and_a_resume_ends_in_the_same_bits(
    number, code, uninterrupted, tmp_path, capsys
):
    folder = tmp_path / "run"
    child = command(folder, *LENGTH)
    wait_for(folder, 9)
    child.send_signal(number)
    _, err = child.communicate(timeout=120)
    assert child.returncode == code, err
    if number != signal.SIGKILL:
        assert "--resume" in err and (folder / "curves.png").exists()
        assert f"curves in {folder / 'curves.png'}\n" in err
        assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
        assert "Traceback" not in err
    again = command(folder, "--resume", *LENGTH)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert run(capsys, "fingerprint", folder)[1] == run(capsys, "fingerprint", uninterrupted)[1]
    assert measured(folder) == measured(uninterrupted)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["test", "--help"],
        ["infer", "--help"],
        ["config", "--help"],
        ["registry", "--help"],
        ["env", "--help"],
        ["fingerprint", "--help"],
    ],
)
def test_help_shows_an_example(words, capsys):
    assert main(words) == 0
    assert "example" in capsys.readouterr().out

"""Writers of services with their real packages, offline: what each keeps of a run on the digits, read back from its files.

`nox -s writers` installs them; where one is absent its test is skipped.
"""

import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fkit

DIGITS = Path(__file__).parents[2] / "configs/digits/convnet.py"


def train(folder, *writers):
    """A run of two epochs with these writers, in a process of its own, at home in ``folder``; its metrics.jsonl."""
    (folder / "c.py").write_text(
        f"_base_ = {str(DIGITS)!r}\n"
        "train_cfg = dict(max_epochs=2)\n"
        "experiment_name = 'mine'\n"
        f"visualizer = dict(type='Visualizer', vis_backends={[*writers]!r})\n"
        "custom_hooks = [dict(type='VisualizationHook', enable=True, interval=200)]\n"
    )
    words = [sys.executable, "-m", "fkit.cli.main", "train", "c.py", "--work-dir", "a", "--seed", "0"]
    env = {
        **os.environ,
        "HOME": str(folder),
        "CLEARML_OFFLINE_MODE": "1",
        "PYTHONPATH": str(Path(fkit.__file__).parents[1]),
    }
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "failed" not in (log := (folder / "a/log.txt").read_text()), log
    rows = [json.loads(line) for line in (folder / "a/metrics.jsonl").read_text().splitlines()]
    assert {row["mode"] for row in rows} == {"train", "val"} and rows[0]["loss"] > rows[-2]["loss"]
    return rows


def score_of(rows):
    """The last score, as every writer is to have it."""
    return next(row["accuracy/top1"] for row in reversed(rows) if "accuracy/top1" in row)


def test_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    writer = {"type": "MLflowVisBackend", "exp_name": "digits", "tags": {"a": "b"}, "params": {"note": "x"}}
    rows = train(tmp_path, writer)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'a/vis_data/mlflow.db'}")
    [run] = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "mine"
    assert run.data.tags["a"] == "b" and run.data.params["note"] == "x" and "AdamW" in run.data.params["optim_wrapper"]
    assert run.data.metrics["accuracy/top1"] == pytest.approx(score_of(rows))
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [10, 20, 33, 43]
    kept = {path.name for path in (tmp_path / "a/vis_data/mlartifacts").rglob("*") if path.is_file()}
    assert {"0_1.png", "0_2.png", "config.py", "run.json"} <= kept
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["a", "c.py"]


def records(path):
    """The records of a .wandb file: blocks of 32 KiB, each record a checksum, a length, a kind (whole, or which part), bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (room := 32768 - at % 32768) < 7:
            at += room
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


def test_wandb(tmp_path):
    pytest.importorskip("wandb")
    options = {"mode": "offline", "project": "p"}
    rows = train(
        tmp_path, {"type": "WandbVisBackend", "init_kwargs": options, "define_metric_cfg": {"accuracy/top1": "max"}}
    )
    [file] = (tmp_path / "a/vis_data").rglob("run-*.wandb")
    kinds = {}
    for record in records(file):
        kinds.setdefault(record.WhichOneof("record_type"), []).append(record)
    [run] = kinds["run"]
    assert run.run.project == "p" and run.run.display_name == "mine"
    assert {"optim_wrapper", "train_cfg"} <= {one.key for record in kinds["config"] for one in record.config.update}
    assert [record.metric.name for record in kinds["metric"] if record.metric.summary.max] == ["accuracy/top1"]
    lines = [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in kinds["history"]
    ]
    assert [line["step"] for line in lines if "loss" in line] == [10, 20, 33, 43]
    assert [line["accuracy/top1"] for line in lines if "accuracy/top1" in line][-1] == pytest.approx(score_of(rows))
    [first, *_] = [line for line in lines if line.get("0._type") == "image-file"]
    assert list((tmp_path / "a/vis_data").rglob(Path(first["0.path"]).name))


def test_dvclive(tmp_path):
    pytest.importorskip("dvclive")
    rows = train(tmp_path, {"type": "DVCLiveVisBackend"})
    data = tmp_path / "a/vis_data"
    assert json.loads((data / "metrics.json").read_text())["accuracy"]["top1"] == pytest.approx(score_of(rows))
    table = (data / "plots/metrics/loss.tsv").read_text().splitlines()
    assert table[0] == "step\tloss" and [line.split("\t")[0] for line in table[1:]] == ["10", "20", "33", "43"]
    assert "AdamW" in (data / "params.yaml").read_text()
    assert {path.name for path in (data / "plots/images").iterdir()} == {"0_1.png", "0_2.png", "200_1.png", "200_2.png"}
    assert (data / "dvc.yaml").exists() and not (tmp_path / "dvc.yaml").exists()


def test_clearml(tmp_path):
    pytest.importorskip("clearml")
    rows = train(tmp_path, {"type": "ClearMLVisBackend", "init_kwargs": {"project_name": "p"}})
    [file] = (tmp_path / ".clearml").rglob("*.zip")
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        task = json.loads(archive.read("task.json"))
        lines = [json.loads(line) for line in archive.read("metrics.jsonl").decode().splitlines()]
    assert task["name"] == "mine" and task["project_name"] == "p"
    assert "AdamW" in json.dumps(task["configuration"])
    events = [event for line in lines for event in (line if isinstance(line, list) else [line])]
    losses = [event for event in events if event.get("metric") == "loss"]
    assert [event["iter"] for event in losses] == [10, 20, 33, 43]
    scores = [event["value"] for event in events if event.get("metric") == "accuracy/top1"]
    assert scores[-1] == pytest.approx(score_of(rows))
    assert any(re.search(r"\.(png|jpe?g)$", name) for name in names), names


def test_neptune(tmp_path):
    pytest.importorskip("neptune")
    rows = train(tmp_path, {"type": "NeptuneVisBackend"})
    [file] = (tmp_path / ".neptune").rglob("data-*.log")
    acts = [json.loads(line)["obj"] for line in file.read_text().splitlines()]
    by = {}
    for act in acts:
        by.setdefault("/".join(act["path"]), []).append(act)
    losses = [value for act in by["loss"] if act["type"] == "LogFloats" for value in act["values"]]
    assert [value["step"] for value in losses] == [10, 20, 33, 43]
    scores = [v["value"] for act in by["accuracy/top1"] if act["type"] == "LogFloats" for v in act["values"]]
    assert scores[-1] == pytest.approx(score_of(rows))
    [config] = by["config"]
    assert "AdamW" in config["value"] and by["sys/name"][0]["value"] == "mine"
    assert any(act["type"] == "LogImages" for act in by["0"])


def test_aim(tmp_path):
    aim = pytest.importorskip("aim")
    rows = train(tmp_path, {"type": "AimVisBackend"})
    [chunk] = (tmp_path / "a/vis_data/.aim/meta/chunks").iterdir()
    run = aim.Run(chunk.name, repo=str(tmp_path / "a/vis_data"), system_tracking_interval=None)
    assert run.experiment == "mine" and run["hparams"]["optim_wrapper"]["optimizer"]["type"] == "AdamW"
    values = {metric.name: metric.values.sparse_list()[1] for metric in run.metrics()}
    assert len(values["loss"]) == 4 and score_of(rows) in [pytest.approx(value) for value in values["accuracy/top1"]]
    assert {row["name"] for row in run.collect_sequence_info(("images",))["images"]} == {"0", "200"}
    run.close()


def test_all_in_one_run(tmp_path):
    """Several of them take the terminal's streams for themselves: each gives them back."""
    kinds = ("wandb", "mlflow", "dvclive", "clearml", "neptune", "aim", "tensorboard")
    for package in kinds:
        pytest.importorskip(package)
    writers = [
        {"type": f"{name}VisBackend"} for name in ("MLflow", "DVCLive", "ClearML", "Neptune", "Aim", "Tensorboard")
    ]
    train(tmp_path, {"type": "WandbVisBackend", "init_kwargs": {"mode": "offline"}}, *writers)

"""A run with every hook and transform that remembers something: stopped at any iteration, or killed, it ends the same."""

import json
import multiprocessing
import signal

import pytest

import fkit
from fkit.edge.checkpoint import newest
from tests.run.small import DyingFiles, config, fingerprint, go, registry


def whole(workers=0, **changes):
    """EMA, early stopping, best checkpoints by two metrics, a plateau schedule, accumulation and clipping."""
    cfg = config("epoch", "AdamW", workers=workers)
    return cfg.merge(
        {
            "train_cfg.max_epochs": 4,
            "optim_wrapper.accumulative_counts": 3,
            "optim_wrapper.clip_grad": dict(max_norm=1.0),
            "param_scheduler": [
                dict(type="ReduceOnPlateauLR", monitor="accuracy/top1", rule="greater", patience=0, factor=0.5,
                     threshold=0.5),
            ],
            "custom_hooks": [
                dict(type="EMAHook", ema_type="MomentumAnnealingEMA", momentum=0.05, gamma=4, update_buffers=True,
                     begin_epoch=2, evaluate_on_origin=True),
                dict(type="EarlyStoppingHook", monitor="accuracy/top1", min_delta=0.5, patience=9),
            ],
            "default_hooks.checkpoint": dict(
                interval=1, max_keep_ckpts=1, save_best=["accuracy/top1", "accuracy/top1_origin"]
            ),
            **changes,
        }
    )  # fmt: skip


def ends(folder):
    """What a run ends with: the fingerprint, what its hooks remember, its scores, and the checkpoints that it kept."""
    found = newest(folder / "checkpoints")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    names = sorted(file.name for file in (folder / "checkpoints").iterdir() if file.name[0] != ".")
    scores = [[row["step"], row["accuracy/top1"]] for row in rows if row["mode"] == "val"]
    return fingerprint(folder), found.saved.record["exact"], found.saved.record["hyperparams"], scores, names


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_it_ends_the_same_wherever_it_stopped(backend, tmp_path):
    plan = fkit.plan(whole(), registry(), backend=backend)
    go(plan, tmp_path / "whole")
    want = ends(tmp_path / "whole")
    assert want[2]["lr"][0] < 0.01 and len(want[1]["checkpoint"]) == 2  # the plateau was seen, and both have a best
    assert want[1]["custom_hooks.1"][0] > 0  # some validations brought nothing
    for stop in (1, 3, 4, 6, 9, 12, 14, 15) if backend == "torch" else (3, 9, 14):
        go(plan, tmp_path / f"a{stop}", stop_after=stop)
        go(plan, tmp_path / f"a{stop}", resume=True)
        assert ends(tmp_path / f"a{stop}") == want, stop


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_workers_change_nothing_of_it(backend, tmp_path):
    for workers in (0, 2):
        plan = fkit.plan(whole(workers), registry(), backend=backend)
        go(plan, tmp_path / f"w{workers}", stop_after=7 if workers else None)
        if workers:
            go(plan, tmp_path / f"w{workers}", resume=True)
    assert ends(tmp_path / "w2") == ends(tmp_path / "w0")


def start(folder, deadly):
    """In a process of its own: a run that is killed at its n-th disk operation."""
    go(fkit.plan(whole(), registry()), folder, DyingFiles(deadly))


def test_it_ends_the_same_where_its_process_was_killed(tmp_path):
    plan = fkit.plan(whole(), registry())
    operations = go(plan, tmp_path / "whole")
    want = ends(tmp_path / "whole")
    processes = multiprocessing.get_context("spawn")
    for n in (operations // 2, operations * 3 // 4):
        folder = tmp_path / f"killed_at_{n}"
        child = processes.Process(target=start, args=(folder, n))
        child.start()
        child.join(120)
        assert child.exitcode == -signal.SIGKILL
        go(plan, folder, resume=True)
        assert ends(folder) == want, n


def test_the_scale_of_half_precision_goes_on_too(tmp_path):
    half = {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.loss_scale": "dynamic"}
    plan = fkit.plan(whole(**half, **{"optim_wrapper.dtype": "float16"}), registry())
    go(plan, tmp_path / "whole")
    want = ends(tmp_path / "whole")
    slots = {path.split("/")[1] for path in newest(tmp_path / "whole/checkpoints").saved.arrays if path[:6] == "slots/"}
    assert slots == {"accumulate", "ema", "loss_scale"}
    for stop in (3, 8, 13):
        go(plan, tmp_path / f"a{stop}", stop_after=stop)
        go(plan, tmp_path / f"a{stop}", resume=True)
        assert ends(tmp_path / f"a{stop}") == want, stop

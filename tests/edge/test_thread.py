"""How many threads a run computes on: a rule of sizes, what a user says before it, and what a run that goes on keeps."""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.data.dataset import Digits
from fkit.edge.thread import Threads, chosen, threads
from fkit.recipe.settings import read

ROOT = Path(__file__).parents[2]
NOBODY = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
CONVNET = fkit.load_config(str(ROOT / "configs/digits/convnet.py"), "seed=1")


def command(folder, *words, **variables):
    words = ("train", str(ROOT / "configs/digits/mlp.py"), "--work-dir", str(folder), *words)
    done = subprocess.run(
        [sys.executable, "-m", "fkit", *words], env={**NOBODY, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return json.loads((folder / "run.json").read_text()), (folder / "log.txt").read_text(), done.stderr


def test_a_run_of_small_steps_is_on_one_thread_and_keeps_those_that_it_began_with(tmp_path):
    short = ("--cfg-options", "train_cfg.max_epochs=1")
    record, log, err = command(tmp_path / "a", *short)
    assert record["threads"]["count"] == 1 and record["versions"]["PyTorch threads"] == "1"
    for text in (log, err):
        assert "threads: 1 (for a small step, of 5e+06 multiply-adds" in text and "OMP_NUM_THREADS=N" in text

    record, log, _ = command(tmp_path / "b", *short, "threads=3")
    assert record["threads"] == {"count": 3, "why": "as the key `threads` says"}
    assert record["versions"]["PyTorch threads"] == "3" and "threads: 3 (as the key `threads` says)" in log
    record, log, _ = command(tmp_path / "b", "--resume", "--cfg-options", "train_cfg.max_epochs=2")
    assert record["threads"]["count"] == 3 and "threads: 3 (as the run began with)" in log and "WARNING" not in log
    record, log, err = command(
        tmp_path / "b", "--resume", "--cfg-options", "train_cfg.max_epochs=3", OMP_NUM_THREADS="2"
    )
    assert record["threads"] == {"count": 2, "why": "as OMP_NUM_THREADS says"}
    for text in (log, err):
        assert "this run began on 3 threads and goes on on 2: its bits may differ" in text and "threads=3 keeps" in text


def test_the_arithmetic_of_a_prediction_is_counted():
    plan = fkit.plan(CONVNET)
    train, source = fkit.begin(plan).train, fkit.open_data(plan)["train"]
    batch = source.batch(0, 0)
    first, second, linear = 32 * 9 * 64, 64 * 32 * 9 * 16, 64 * 10  # two convolutions at 8 x 8 and 4 x 4, and the head
    assert plan.room.work(plan.program, train, batch) == 64 * (first + second + linear)


def test_weights_of_no_known_layer_count_at_each_pixel():
    import torch
    from torch import nn

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(64, 10))

        def forward(self, inputs, samples=None, mode="tensor"):
            logits = inputs.flatten(1) @ self.table
            return {"pred_score": logits} if mode == "predict" else {"loss": logits.sum()}

    reg = fkit.registry().register("models", Own, backend="torch")
    plan = fkit.plan(CONVNET.merge({"model": {"_delete_": True, "type": "Own"}}), reg)
    batch = fkit.open_data(plan)["train"].batch(0, 0)
    assert plan.room.work(plan.program, fkit.begin(plan).train, batch) == 64 * 10 * 64 * 64


@pytest.mark.parametrize(("size", "why"), [(64, "for a small step"), (8192, "what the machine has")])
def test_the_rule_is_of_sizes(size, why):
    plan = fkit.plan(CONVNET.merge({"train_dataloader": {"batch_size": size, "drop_last": False}}))
    now = Threads(plan.room.threads(None), "")
    train, source = fkit.begin(plan).train, fkit.open_data(plan)["train"]
    found = chosen(now, plan.program, train, source, passes=3)
    assert found.number == 1 and why in found.why  # the suite has one thread
    assert chosen(now, plan.program, train, source, passes=3) == found


class Opening(Digits):
    """A dataset that goes to no other process once it is read, as those that open a file of LMDB or HDF5 then."""

    def __getitem__(self, index):
        object.__setattr__(self, "file", threading.Lock())
        return super().__getitem__(index)


def test_data_that_workers_will_read_are_not_read_here():
    plan = fkit.plan(CONVNET)
    source = fkit.open_data(plan)["train"]
    source = dataclasses.replace(
        source, dataset=Opening("train", pipeline=source.dataset.pipeline), workers=1, spread=open_room("torch").workers
    )
    found = chosen(Threads(1, ""), plan.program, fkit.begin(plan).train, source)
    assert "for a small step" in found.why and not hasattr(source.dataset, "file")
    assert pickle.dumps(source.make)


def test_a_program_changes_no_threads():
    before = open_room("torch").threads(None)
    fkit.plan(CONVNET.merge({"threads": 5}))
    assert open_room("torch").threads(None) == before


def test_what_the_environment_says_comes_before_the_rule():
    assert threads(read(CONVNET), {"OMP_NUM_THREADS": "1"}).why == "as OMP_NUM_THREADS says"
    assert threads(read(CONVNET), {"OMP_NUM_THREADS": ""}).why == ""


XLA = """
import os
from fkit.array.room import open
room = open("jax")
print(room.threads(None), room.threads(2), os.environ["NPROC"])
import jax.numpy
jax.numpy.zeros(1)
print(room.threads(3), os.environ["NPROC"])
"""


def test_xla_is_told_before_it_begins_or_not_at_all():
    done = subprocess.run(
        [sys.executable, "-c", XLA], env={**NOBODY, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "None 2 2\nNone 2\n"


SEEN = """
import cv2, json, resource, sys
import fkit
from fkit.edge.limit import open_files
from fkit.edge.thread import threads
from fkit.recipe.settings import read
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
settings = read(fkit.Config({"env_cfg": json.loads(sys.argv[1])}))
threads(settings)
said = open_files(settings)
print(json.dumps([cv2.getNumThreads(), resource.getrlimit(resource.RLIMIT_NOFILE)[0], said]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
def test_opencvs_threads_and_the_files_that_may_be_open_are_as_the_environment_says():
    def seen(table):
        done = subprocess.run(
            [sys.executable, "-c", SEEN, json.dumps(table)], env={**NOBODY, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        return json.loads(done.stdout)

    before = seen({})
    assert before[1:] == [100, ""]
    assert seen({"mp_cfg": {"opencv_num_threads": 2}, "resource_limit": 200}) == [2, 200, ""]
    assert seen({"resource_limit": 50}) == [before[0], 100, ""]  # more are allowed already
    _, allowed, said = seen({"resource_limit": 10**12})
    assert f"the system allows {allowed} open files" in said or allowed == 10**12

"""A run on CUDA repeats to the bit, through kill and resume too, unless it is told not to."""

import json
import signal
import time

import pytest

from tests.cuda.digits import SHORT, command, each_backend, fingerprint, on_torch, train
from tests.run.small import measured


@each_backend
def test_two_runs_of_one_seed_are_equal_to_the_bit(backend, tmp_path, capsys):
    for name in ("one", "two"):
        train(tmp_path / name, backend)
    assert fingerprint(tmp_path / "one", capsys) == fingerprint(tmp_path / "two", capsys)
    assert measured(tmp_path / "one") == measured(tmp_path / "two")


@each_backend
def test_a_run_that_is_killed_goes_on_to_the_same_bits(backend, tmp_path, capsys):
    train(tmp_path / "whole", backend)
    folder = tmp_path / "killed"
    child = command(folder, backend)
    deadline = time.monotonic() + 300
    while not (folder / "checkpoints").is_dir() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    train(folder, backend, "--resume")
    assert fingerprint(folder, capsys) == fingerprint(tmp_path / "whole", capsys)


@on_torch
@pytest.mark.parametrize(("words", "want"), [((), True), (("randomness.deterministic=False",), False)])
def test_the_record_says_whether_it_repeats(words, want, tmp_path):
    train(tmp_path / "run", "torch", options=(*SHORT, *words))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["deterministic"] is want

"""Exact resume: a run that is killed anywhere goes on to the same final bits."""

import multiprocessing
import signal

import pytest

import fkit
from fkit.edge.checkpoint import newest, steps
from tests.run.small import DyingFiles, config, fingerprint, go, measured, registry, start

KILLS = 22
COMBINATIONS = [
    ("torch", "epoch", "SGD"),
    ("torch", "iter", "Adam"),
    ("jax", "epoch", "Adam"),
    ("jax", "iter", "SGD"),
]


@pytest.fixture(scope="module")
def processes():
    """Processes that start fast: what they need is imported once, in a server that they are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "jax", "flax.linen", "optax", "fkit.run.loop", "fkit.edge.perform"])
    return context


@pytest.mark.parametrize(("backend", "loop", "optimizer"), COMBINATIONS)
def test_a_run_killed_at_any_disk_operation_ends_with_the_same_bits(backend, loop, optimizer, processes, tmp_path):
    plan = fkit.plan(config(loop, optimizer), registry(), backend=backend)
    whole = tmp_path / "whole"
    operations = go(plan, whole, DyingFiles(0))
    want, rows = fingerprint(whole), measured(whole)
    # the first operations of a run (nothing saved yet), one whole checkpoint write step by step, then evenly
    middle = operations // 2
    deadly = sorted({2, 5, *range(middle, middle + 14), *range(middle + 14, operations, (operations - middle) // 8)})
    assert len(deadly) >= KILLS
    for number, n in enumerate(deadly):
        folder = tmp_path / f"killed_at_{n}"
        workers = (0, 0, 0, 2, 0, 0, 4, 0)[number % 8]
        child = processes.Process(target=start, args=(backend, loop, optimizer, workers, folder, n, tmp_path / "cache"))
        child.start()
        child.join(120)
        assert child.exitcode == -signal.SIGKILL, f"operation {n} of {operations}"
        go(plan, folder, resume=True)
        assert fingerprint(folder) == want, f"killed at operation {n}"
        assert measured(folder) == rows, f"killed at operation {n}"


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("workers", [0, 2, 4])
def test_workers_change_no_bit(backend, workers, tmp_path):
    plan = fkit.plan(config(workers=workers), registry(), backend=backend)
    go(plan, tmp_path / "run")
    base = fkit.plan(config(), registry(), backend=backend)
    go(base, tmp_path / "base")
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "base")


def test_a_run_goes_on_from_any_step_and_from_a_folder_that_was_moved(tmp_path):
    plan = fkit.plan(config("iter", "AdamW"), registry())
    go(plan, tmp_path / "whole")
    for stop in range(1, 12):
        folder, moved = tmp_path / f"a{stop}", tmp_path / f"b{stop}"
        go(plan, folder, stop_after=stop)
        folder.rename(moved)
        go(plan, moved, resume=True)
        assert fingerprint(moved) == fingerprint(tmp_path / "whole"), stop


@pytest.mark.parametrize("harm", ["truncate state", "flip a bit of state", "flip a bit of meta", "remove state"])
def test_a_harmed_checkpoint_is_named_and_passed_over(harm, tmp_path):
    plan = fkit.plan(config("iter"), registry())
    go(plan, tmp_path / "whole")
    folder = tmp_path / "run"
    go(plan, folder, stop_after=10)
    newest_step, before = steps(folder / "checkpoints")[:2]
    place = folder / "checkpoints" / f"step_{newest_step:08d}"
    target = place / ("meta.json" if "meta" in harm else "state.safetensors")
    data = bytearray(target.read_bytes())
    if harm.startswith("remove"):
        target.unlink()
    elif harm.startswith("truncate"):
        target.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 4
        target.write_bytes(data)
    found = newest(folder / "checkpoints")
    assert found.meta["step"] == before
    [(name, why)] = found.passed
    assert name == place.name and target.name in why
    go(plan, folder, resume=True)
    assert fingerprint(folder) == fingerprint(tmp_path / "whole")

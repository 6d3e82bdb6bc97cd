"""Checkpoints written beside the run: the same files, whatever ends it; nothing is lost, and what fails is told."""

import threading

import pytest

import fkit
from fkit.edge.background import Background
from fkit.edge.checkpoint import read_checkpoint, steps
from fkit.edge.files import Files
from fkit.edge.perform import Edge
from fkit.run.effect import DeleteCheckpoint, NameCheckpoint, SaveCheckpoint, WriteConfig, WriteStatus
from fkit.tree.error import RunError
from tests.run.small import config, fingerprint, go, registry


def saving(**changes):
    hooks = dict(checkpoint=dict(by_epoch=False, interval=3, max_keep_ckpts=2, background=True, **changes))
    return config(default_hooks=hooks)


class SlowFiles(Files):
    """Disk operations that wait to be let on."""

    def __init__(self):
        super().__init__()
        self.open = threading.Event()

    def write(self, path, data):
        assert self.open.wait(60)
        super().write(path, data)


class FullFiles(Files):
    """A disk that takes no state."""

    def write(self, path, data):
        if path.name == "state.safetensors":
            raise RunError("the disk is full.")
        super().write(path, data)


def test_a_run_that_saves_in_the_background_leaves_what_any_run_leaves(tmp_path):
    plan = fkit.plan(saving(), registry())
    go(plan, tmp_path / "a")
    other = fkit.plan(saving().merge({"default_hooks.checkpoint.background": False}), registry())
    go(other, tmp_path / "b")
    assert steps(tmp_path / "a/checkpoints") == steps(tmp_path / "b/checkpoints")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    go(plan, tmp_path / "c", stop_after=7)
    go(plan, tmp_path / "c", resume=True)
    assert fingerprint(tmp_path / "c") == fingerprint(tmp_path / "a")


def test_the_run_waits_for_the_copy_and_not_for_the_disk(tmp_path):
    plan, files = fkit.plan(config(), registry()), SlowFiles()
    edge, run = Edge(tmp_path, plan, files=files), fkit.begin(plan)
    edge.perform(WriteConfig(), run)
    edge.perform(SaveCheckpoint(1, background=True), run)
    state, _ = plan.program.train_step(run.train, next(fkit.open_data(plan)["train"].batches(0)), run.hyperparams)
    edge.perform(NameCheckpoint("mine", 1), run)
    edge.perform(DeleteCheckpoint(0), run)
    assert steps(tmp_path / "checkpoints") == () and int(state.iteration) == 1
    files.open.set()
    edge.perform(WriteStatus("finished"), run)
    assert steps(tmp_path / "checkpoints") == (1,) and (tmp_path / "checkpoints/mine").read_text() == "step_00000001"
    begun = plan.program.collect(fkit.begin(plan).train)
    kept = read_checkpoint(tmp_path / "checkpoints/step_00000001").saved.arrays
    assert all((kept[name] == array).all() for name, array in begun.items())  # as it was, not as the step left it
    edge.close()


def test_what_cannot_be_written_ends_the_run(tmp_path):
    plan = fkit.plan(config(), registry())
    edge, run = Edge(tmp_path, plan, files=FullFiles()), fkit.begin(plan)
    edge.perform(WriteConfig(), run)
    edge.perform(SaveCheckpoint(1, background=True), run)
    with pytest.raises(RunError, match="the disk is full"):
        edge.perform(WriteStatus("finished"), run)
    assert steps(tmp_path / "checkpoints") == ()
    edge.close()


def test_pieces_are_done_in_order_and_none_after_one_that_raised():
    done, work = [], Background()
    for number in range(50):
        work.give(lambda number=number: done.append(number))
    work.finish()
    assert done == list(range(50)) and not work.busy
    held = threading.Event()
    work.give(held.wait)
    work.give(lambda: 1 / 0)
    work.give(lambda: done.append("after"))
    held.set()
    with pytest.raises(ZeroDivisionError):
        work.finish()
    assert done[-1] == 49
    work.finish()  # told once
    work.give(lambda: done.append("again"))
    work.finish()
    assert done[-1] == "again"

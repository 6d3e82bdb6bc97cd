"""Batches that processes make beside several runs: the same as those made here, and the same errors."""

import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from fkit import FkitError, Source
from fkit.data.dataset import Digits
from fkit.data.loader import Loader
from fkit.data.transform.flip import RandomFlip
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.photometry import ToUnit
from fkit.data.transform.turn import ShiftScaleRotate
from fkit.edge.beside import Beside
from fkit.structures.batch import Batch
from fkit.tree.error import RunError

PIPELINE = (ToUnit(), RandomFlip(prob=0.5), ShiftScaleRotate(shift_limit=0.1), PackInputs())


class Noisy:
    """A dataset of somebody's, which draws from numpy's global generator."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return {"inputs": np.float64([index, np.random.rand()])}


class Broken(Noisy):
    def __getitem__(self, index):
        if index == 17:
            raise ValueError("no such page")
        return super().__getitem__(index)


class Deadly(Noisy):
    """Ends any process but the one that made it."""

    def __init__(self):
        self.home = os.getpid()

    def __getitem__(self, index):
        if os.getpid() != self.home:
            os._exit(3)
        return super().__getitem__(index)


@pytest.fixture(scope="module")
def beside():
    with Beside(2) as processes:
        yield processes


def loader(dataset=None, seed=0, **options):
    return Loader(Digits("test", pipeline=PIPELINE) if dataset is None else dataset, 32, seed=seed, **options)


def same(one, other):
    return np.array_equal(one.inputs, other.inputs) and one.meta == other.meta


def test_batches_of_several_sources_are_those_made_here(beside):
    here = [loader(seed=1), loader(seed=2), loader(Noisy(), seed=3)]
    there = [beside.source(source) for source in here]
    assert [source.workers for source in there] == [1, 1, 1]
    pairs = list(zip(*(source.batches(1) for source in here), strict=False))
    made = list(zip(*(source.batches(1) for source in there), strict=False))
    assert len(made) == len(pairs) == 2
    for row, others in zip(made, pairs, strict=True):
        assert all(map(same, row, others))
    assert len(list(there[0].batches(1))) == here[0].length
    stream = there[0].stream(0, 10)
    late = [next(stream) for _ in range(3)]
    assert all(map(same, late, [here[0].batch(0, 10), here[0].batch(0, 11), here[0].batch(1, 0)]))
    stream.close()


def test_what_cannot_be_sent_stays(beside):
    listed, joined = Source.of([Batch(np.zeros((1, 2)))]), loader(collate=lambda samples: Batch(np.zeros((1, 1))))
    for source in (listed, joined):
        assert beside.source(source) is source


def test_what_the_processes_cannot_read_stays(beside):
    """A class of a module that this process alone knows: it is sent by its name."""
    module = types.ModuleType("known_here_alone")
    module.Noisy = type("Noisy", (Noisy,), {"__module__": module.__name__})
    sys.modules[module.__name__] = module
    try:
        source = loader(module.Noisy())
        assert beside.source(source) is source
    finally:
        del sys.modules[module.__name__]


def test_an_error_is_the_one_of_here(beside):
    source = loader(Broken())
    with pytest.raises(FkitError) as here:
        list(source.batches(0))
    with pytest.raises(FkitError) as there:
        list(beside.source(source).batches(0))
    assert str(there.value) == str(here.value) and "no such page" in str(here.value)
    assert type(there.value) is type(here.value)


def test_a_process_that_dies_is_told():
    with Beside(1) as processes, pytest.raises(RunError, match="a process that makes batches died"):
        list(processes.source(loader(Deadly())).batches(0))
    with pytest.raises(FkitError, match="at least one process"):
        Beside(0)


KILLED = """
import sys, time
from fkit.edge.beside import Beside
if __name__ == "__main__":
    processes = Beside(1)
    print(*processes._pool._processes, processes._folder.name, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_the_processes_end_with_the_one_that_began_them(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, "-P", str(tmp_path / "killed.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        child, folder = parent.stdout.readline().split()
        time.sleep(3)  # until it listens
        assert os.path.isdir(folder)
        parent.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until and alive(child):
        time.sleep(0.1)
    assert not alive(child)
    assert not os.path.exists(folder)


def alive(number):
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

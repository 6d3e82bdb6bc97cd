"""Records are shared by worker processes: a worker's own memory does not grow with the number of records."""

import gc
import multiprocessing
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from fkit.array.room import open as open_room
from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.store import Store
from fkit.data.loader import Loader
from fkit.data.sampler import DefaultSampler

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def anonymous():
    """Bytes of this process that are of no file: what it has for itself."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) * 1024


class Records(BaseDataset):
    """As many records of 20 kB as ``count`` says; a sample says how much memory the process that made it has."""

    def __init__(self, count, **more):
        self.count = count
        super().__init__(**more)

    def load_data_list(self):
        return [
            {"number": number, "noise": np.random.default_rng(number).bytes(20_000)} for number in range(self.count)
        ]

    def __getitem__(self, index):
        record = self.get_data_info(index)
        assert record["noise"] == np.random.default_rng(record["number"]).bytes(20_000)
        memory = anonymous() if record["number"] % 50 == 0 else 0
        return {"inputs": np.float64([record["number"], os.getpid(), memory])}


def report(dataset, pipe):
    before = anonymous()
    for place in range(len(dataset)):
        assert dataset.get_data_info(place)["number"] == place
    pipe.send((before, anonymous()))


def sent(context, dataset):
    """What `report` tells of a dataset in a process of its own."""
    here, there = context.Pipe()
    process = context.Process(target=report, args=(dataset, there))
    process.start()
    try:
        return here.recv()
    finally:
        process.join()


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_has_no_copy_of_the_records(method):
    context = multiprocessing.get_context(method)
    small, large = (sent(context, Records(count)) for count in (10, 2000))
    assert abs(large[0] - small[0]) < 4 << 20, (small, large)  # of 40 MB that are shared
    assert abs(large[1] - small[1]) < 4 << 20, (small, large)  # after all of them were read


def test_the_loaders_workers_share_them():
    most = {}
    for count in (16, 2000):
        loader = Loader(
            Records(count),
            batch_size=count // 4,
            sampler=DefaultSampler(shuffle=True),
            workers=1,
            spread=open_room("torch").workers,
        )
        rows = np.concatenate([np.asarray(batch.inputs) for batch in loader.batches(0)])
        assert sorted(rows[:, 0].tolist()) == list(range(count)) and os.getpid() not in rows[:, 1]
        most[count] = rows[:, 2].max()
    assert most[2000] - most[16] < 8 << 20, most  # of 40 MB


def test_the_file_is_written_once_has_no_name_and_goes_with_the_store():
    context = multiprocessing.get_context("spawn")
    before, dataset = nameless(), Records(50)
    for _ in range(2):
        assert dataset.get_data_info(3)["number"] == 3  # at first of memory, then of the file
        sent(context, dataset)
        assert len(nameless() - before) == 1
    assert dataset.get_data_info(3)["number"] == 3
    del dataset
    gc.collect()
    assert nameless() == before


def nameless():
    """Open files that have no name."""
    folder = "/proc/self/fd"
    links = (os.readlink(f"{folder}/{name}") for name in os.listdir(folder) if os.path.lexists(f"{folder}/{name}"))
    return {link for link in links if link.endswith("(deleted)")}


def test_pickled_for_anything_else_it_holds_its_records():
    store = Store.of([{"n": 1}, {"n": 2}])
    assert list(pickle.loads(pickle.dumps(store))) == [{"n": 1}, {"n": 2}]

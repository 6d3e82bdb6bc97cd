"""Code of others draws from the global generators: the same for any number of workers and after any resume."""

import random
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from fkit.array.room import open as open_room
from fkit.data.collate import collate
from fkit.data.dataset import Digits
from fkit.data.loader import Loader
from fkit.data.sampler import DefaultSampler, InfiniteSampler
from fkit.data.source import Source
from fkit.data.transform.formatting import PackInputs
from fkit.data.transform.transform import Transform, replaced
from fkit.structures.batch import Batch

SPREAD = open_room("torch").workers


def drawn() -> Any:
    """A number of each global generator."""
    return np.float32([np.random.rand(), random.random(), torch.rand(()).item(), torch.randn(()).item()])


class Own:
    """A dataset as others write them: augments in ``__getitem__``."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        return drawn(), index


@dataclass(frozen=True)
class Shaky(Transform):
    """A transform that draws where it should use what it was given."""

    def apply(self, sample: Any, params: Any) -> Any:
        return replaced(sample, img=sample["img"] + drawn()[:, None, None].mean())


def shaky(results: dict[str, Any]) -> dict[str, Any]:
    """A transform as OpenMMLab writes them."""
    return {**results, "img": results["img"] * drawn().mean()}


def mixed(samples: list[Any]) -> Batch:
    """A collate function that draws, as torchvision's CutMix is used."""
    batch = collate(samples)
    return Batch(batch.inputs * drawn().mean(), batch.targets)


def sources() -> dict[str, Loader]:
    with pytest.warns(UserWarning, match="torch's"):
        foreign = Digits("test", [shaky, PackInputs()])
    return {
        "dataset": Loader(Own(), 3, seed=2),
        "endless": Loader(Own(), 3, InfiniteSampler(), seed=2, limit=5),
        "transform": Loader(Digits("test", [Shaky(), PackInputs()]), 90, seed=2),
        "foreign": Loader(foreign, 90, seed=2),
        "collate": Loader(Digits("test", [PackInputs()]), 90, seed=2, collate=mixed),
    }


def arrays(batches: Any) -> list[Any]:
    return [batch.inputs for batch in batches]


def states() -> tuple[Any, ...]:
    return np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state().tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["dataset", "endless", "transform", "foreign", "collate"])
def test_batches_hang_on_no_workers_and_no_start(name: str):
    source = sources()[name]
    before = states()
    whole = arrays(source.batches(1))
    assert states() == before, "the process's own generators go on as they were"
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    for start, workers in ((0, 1), (1, 2), (2, 0)):
        spread = replace(source, workers=workers, spread=SPREAD)
        again = arrays(spread.batches(1, start))
        assert all(np.array_equal(a, b) for a, b in zip(whole[start:], again, strict=True)), (start, workers)
    assert not np.array_equal(whole[0], next(iter(source.batches(2))).inputs)


class Sums(Own):
    """A dataset that computes with torch, whose sums depend on the number of threads."""

    def __getitem__(self, index: int) -> Any:
        return np.float32([torch.rand(3, 500, 500).mean()]), index


def test_sums_of_torch_hang_on_no_number_of_threads():
    """A worker has one thread, the main process many."""
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(np.concatenate(arrays(Loader(Sums(), 5).batches(0))).tolist())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_a_source_says_that_it_draws_from_what_the_process_shares():
    for name, source in sources().items():
        assert source.ambient, name
        assert not replace(source, workers=2, spread=SPREAD).ambient
    assert not Loader(Digits("test", [PackInputs()])).ambient and not Source.of([Batch(np.zeros((1, 1)))]).ambient


def test_samples_draw_apart():
    rows = np.concatenate(arrays(Loader(Own(), 3, DefaultSampler(shuffle=False)).batches(0)))
    assert all(len(set(column.tolist())) == 10 for column in rows.T)


LATE = """
import sys
import numpy as np
from fkit.data.loader import Loader
from fkit.data.source import Source

class Late:
    def __len__(self):
        return 2
    def __getitem__(self, index):
        import torch
        return np.float32([torch.rand(()).item()]), index

assert "torch" not in sys.modules
first = next(Loader(Late(), 2).batches(0)).inputs
assert "torch" in sys.modules
assert (first == next(Loader(Late(), 2).batches(0)).inputs).all() and first[0] != first[1], first
"""


def test_a_dataset_that_imports_torch_late_is_seeded_too():
    """Its first batch was drawn before torch's generator could be seeded."""
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Memory that is freed is kept by a worker, and by who predicts on the CPU, so that the next picture costs no fresh pages."""

import subprocess
import sys

import pytest

CHILD = """
import resource, sys
import numpy as np
from fkit.data.memory import keep_memory

if sys.argv[1] == "keep":
    assert keep_memory()
rows = [np.ones(3_000_000, np.uint8) for _ in range(3)]
del rows
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(3_000_000, np.uint8)
    rows = [np.ones(3_000_000, np.uint8) for _ in range(3)]
    del rows
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_memory_that_is_kept_is_not_asked_for_anew():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", CHILD, word], capture_output=True, text=True, check=True).stdout)
        for word in ("keep", "default")
    )
    assert kept < 500 < given_back  # pages of 4 KB; an array has 733


GAPS = """
import numpy as np
from fkit.data.memory import give_back

def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

rows = [np.ones(100_000, np.uint8) for _ in range(2000)]
del rows[:-1]  # 200 MB of gaps below one that lives on
before = held()
assert give_back()
print(before - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_gaps_between_arrays_are_given_back():
    done = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000  # KB


PREDICTS = """
import resource
import numpy as np
import torch
import fkit
from fkit.array.room import open as open_room
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec

class Maps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs, samples=None, mode="tensor"):
        maps = [inputs * self.scale for _ in range(5)]
        return sum(map(torch.Tensor.mean, maps))

program = open_room("torch").program(Spec(lambda _: Maps(), {"main": Optimizer.of("SGD", {"lr": 0.1})}, device="cpu"))
state, batch = program.init(0), fkit.Batch(np.ones((1, 3, 1024, 1024), np.float32))
for at in range(6):
    if at == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    program.predict(state, batch)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_maps_of_a_prediction_are_not_asked_for_anew():
    words = [sys.executable, "-P", "-c", PREDICTS]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5000  # pages of 4 KB; three calls have maps of 46,080, a third of them new without it

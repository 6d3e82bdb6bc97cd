"""The bases of EMAHead where several processes train, and arguments that are refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import fkit
from fkit.tree.error import FkitError

HEAD = {
    "type": "EMAHead", "in_channels": 4, "in_index": 0, "channels": 4, "num_classes": 2, "ema_channels": 4, "num_bases": 3,
    "num_stages": 2, "momentum": 0.5, "dropout_ratio": 0.0,
}  # fmt: skip
PROCESS = """
import sys
import numpy as np
import torch
import torch.distributed as dist
import fkit

rank, store, config = int(sys.argv[1]), sys.argv[2], eval(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{store}/store", world_size=2, rank=rank)
torch.manual_seed(0)
head = fkit.build(config, fkit.registry(), "models", backend="torch").double()
head([torch.from_numpy(np.load(f"{store}/x.npy"))[rank::2]])
np.save(f"{store}/{rank}.npy", head.ema_module.bases.numpy())
dist.destroy_process_group()
"""


def test_processes_move_their_bases_together(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((4, 4, 3, 5))
    np.save(tmp_path / "x.npy", x)
    both = [
        subprocess.Popen([sys.executable, "-P", "-c", PROCESS, str(rank), str(tmp_path), repr(HEAD)])
        for rank in range(2)
    ]
    assert [one.wait(300) for one in both] == [0, 0]
    torch.manual_seed(0)
    head = fkit.build(HEAD, fkit.registry(), "models", backend="torch").double()
    before = head.ema_module.bases.clone()
    head([torch.from_numpy(x)])
    moved = [np.load(tmp_path / f"{rank}.npy") for rank in range(2)]
    assert moved[0] == pytest.approx(head.ema_module.bases.numpy(), abs=1e-12)
    assert moved[0].tolist() == moved[1].tolist()
    assert not torch.allclose(before, head.ema_module.bases)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_no_steps_are_refused(backend: str) -> None:
    with pytest.raises(FkitError, match="num_stages=0"):
        fkit.build({**HEAD, "num_stages": 0}, fkit.registry(), "models", backend=backend)

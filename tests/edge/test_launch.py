"""A process's place, from what torchrun, Slurm and MPIs leave in the environment."""

import pytest

from fkit.edge.launch import STARTED, Place, infer_launcher, place_of
from fkit.tree.error import FkitValueError

SLURM = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "4"}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("launcher", "table", "place"),
    [
        ("none", {}, Place()),
        ("none", {"RANK": "1", "WORLD_SIZE": "2"}, Place()),  # left by something else
        ("none", {STARTED: "2", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"},
         Place("pytorch", 1, 2, 1, 2)),
        ("pytorch", {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a"},
         Place("pytorch", 3, 4, 1, 2)),
        ("slurm", {**SLURM, "SLURM_NODELIST": "gpu[07-08,11],cpu1"}, Place("slurm", 5, 8, 1, 4, "gpu07")),
        ("slurm", {**SLURM, "SLURM_NODELIST": "alone"}, Place("slurm", 5, 8, 1, 4, "alone")),
        ("slurm", {**SLURM, "SLURM_NODELIST": "a,b", "MASTER_ADDR": "b", "MASTER_PORT": "7"}, Place("slurm", 5, 8, 1, 4, "b", 7)),
        ("mpi", OPEN_MPI, Place("mpi", 1, 2, 1, 2, "127.0.0.1")),
        ("mpi", {"PMI_RANK": "0", "PMI_SIZE": "2", "MPI_LOCALRANKID": "0", "MASTER_ADDR": "h"}, Place("mpi", 0, 2, 0, 1, "h")),
    ],
)  # fmt: skip
def test_places(launcher, table, place):
    assert place_of(launcher, table) == place


@pytest.mark.parametrize(
    ("launcher", "table", "words"),
    [
        (
            "pytorch",
            {},
            r"launcher = 'pytorch', and RANK is not set: this process was not started by it.\n  torchrun --nproc",
        ),
        ("pytorch", {"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x'"),
        ("slurm", {"SLURM_PROCID": "0"}, r"SLURM_NTASKS is not set.*\n  srun"),
        ("mpi", {**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "4"}, r"nobody says where the processes meet.\n  Set MASTER_ADDR"),
        (
            "none",
            {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2"},
            r"torchrun has started 2 processes.*\n  Add --launcher",
        ),
        ("torchrun", {}, "launcher = 'torchrun' is unknown"),
    ],
)
def test_what_no_launcher_has_started(launcher, table, words):
    with pytest.raises(FkitValueError, match=words):
        place_of(launcher, table)


def test_a_config_that_a_run_has_kept_is_of_one_process():
    assert place_of("pytorch", {}, sure=False) == Place()


@pytest.mark.parametrize(
    ("table", "launcher"),
    [({"WORLD_SIZE": "1"}, "pytorch"), (SLURM, "slurm"), (OPEN_MPI, "mpi"), ({}, "none")],
)
def test_inferring(table, launcher):
    assert infer_launcher(table) == launcher

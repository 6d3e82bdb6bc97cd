"""What starts the processes of a run, and what it leaves in the environment: torchrun, Slurm, or an MPI."""

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from fkit.tree.check import expect
from fkit.tree.error import FkitValueError

__all__ = ["LAUNCHERS", "STARTED", "Place", "infer_launcher", "place_of", "rank_of"]

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
STARTED = "FKIT_PROCESSES"
"""What is in the environment of processes that the kit itself has started, as torchrun starts its own."""

_PORT = 29500
# where each launcher leaves rank, world, local rank and processes of this machine: torchrun; Slurm; Open MPI, MPICH
_PYTORCH = (("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),)
_SLURM = (("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),)
_MPI = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)
_STARTS = """torchrun --nproc-per-node 2 -m fkit train CONFIG --launcher pytorch
srun --ntasks 2 fkit train CONFIG --launcher slurm
mpirun -np 2 fkit train CONFIG --launcher mpi"""


class Place(NamedTuple):
    """A process's place among those of its run, and where they meet.

    Attributes:
        launcher: what started it.
        rank, world: its number, of how many.
        local_rank, local_world: those of its machine.
        address, port: where rank 0 listens; "" where the launcher has seen to it (torchrun's own store).
    """

    launcher: str = "none"
    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    address: str = ""
    port: int = _PORT


def place_of(launcher: str, environment: Mapping[str, str] | None = None, sure: bool = True) -> Place:
    """This process's place, from what its launcher left in the environment.

    Args:
        launcher: "none", "pytorch", "slurm" or "mpi".
        environment: by default the process's.
        sure: whether it is an error that the launcher did not start this process; else that one is alone. A config that a run has
            kept says what started that run.

    Raises:
        FkitValueError: there is no such launcher, or it did not start this process; or torchrun did, and ``launcher`` is
            "none": each process would train for itself.

    Example:
        >>> place_of("pytorch", {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"})[:5]
        ('pytorch', 1, 2, 1, 1)
        >>> place_of("slurm", {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1",
        ...                    "SLURM_NODELIST": "gpu[07-08]"})[-2:]
        ('gpu07', 29500)
    """
    expect(launcher, str, "`launcher` is the name of one")
    if environment is not None:
        expect(environment, Mapping, "`environment` is a mapping such as os.environ")
    table = os.environ if environment is None else environment
    if launcher not in LAUNCHERS:
        raise FkitValueError(f"launcher = {launcher!r} is unknown.", value=launcher, choices=LAUNCHERS, path="launcher")
    if launcher == "none" and STARTED in table:
        launcher = "pytorch"
    if launcher == "none":
        if "TORCHELASTIC_RUN_ID" in table and table.get("WORLD_SIZE", "1") != "1":
            raise FkitValueError(
                f"torchrun has started {table['WORLD_SIZE']} processes, and launcher = 'none': each would train for itself.",
                path="launcher",
                repair="Add --launcher pytorch.",
            )
        return Place()
    families = {"pytorch": _PYTORCH, "slurm": _SLURM, "mpi": _MPI}[launcher]
    names = next((row for row in families if row[0] in table), families[0])
    if not sure and names[0] not in table:
        return Place()
    rank, world, local_rank = (_number(table, name, launcher) for name in names[:3])
    counted = table.get(names[3], "")
    local_world = int(counted) if counted.isdigit() else 1
    address, port = table.get("MASTER_ADDR", ""), int(table.get("MASTER_PORT", _PORT))
    if launcher == "pytorch":
        return Place(launcher, rank, world, local_rank, local_world, "", port)
    if not address and launcher == "slurm":
        address = _first_host(table.get("SLURM_NODELIST", "") or table.get("SLURM_JOB_NODELIST", ""))
    if not address and launcher == "mpi" and (world == local_world or world == 1):
        address = "127.0.0.1"
    if not address:
        raise FkitValueError(
            f"launcher = {launcher!r}: nobody says where the processes meet.",
            path="launcher",
            repair="Set MASTER_ADDR to the machine of rank 0 (and MASTER_PORT, 29500 by default).",
        )
    return Place(launcher, rank, world, local_rank, local_world, address, port)


def infer_launcher(environment: Mapping[str, str] | None = None) -> str:
    """Which launcher started this process, by what it left in the environment: mmengine's ``infer_launcher``.

    Example:
        >>> infer_launcher({"RANK": "0", "WORLD_SIZE": "2"}), infer_launcher({})
        ('pytorch', 'none')
    """
    if environment is not None:
        expect(environment, Mapping, "`environment` is a mapping such as os.environ")
    table = os.environ if environment is None else environment
    rows = (("WORLD_SIZE", "pytorch"), ("SLURM_NTASKS", "slurm"), ("OMPI_COMM_WORLD_LOCAL_RANK", "mpi"))
    return next((launcher for name, launcher in rows if name in table), "none")


def rank_of(environment: Mapping[str, str]) -> int:
    """This process's number among those of a run, from what the launcher left in the environment; 0 without one.

    Example:
        >>> rank_of({"RANK": "3"}), rank_of({})
        (3, 0)
    """
    expect(environment, Mapping, "`environment` is a mapping such as os.environ")
    for name in (row[0] for row in (*_PYTORCH, *_SLURM, *_MPI)):
        word = environment.get(name, "")
        if word.isdigit():
            return int(word)
    return 0


def _number(table: Mapping[str, str], name: str, launcher: str) -> int:
    word = table.get(name, "")
    if not word.isdigit():
        found = f"is {word!r}" if word else "is not set"
        raise FkitValueError(
            f"launcher = {launcher!r}, and {name} {found}: this process was not started by it.",
            path="launcher",
            repair=next(line for line in _STARTS.splitlines() if launcher in line),
        )
    return int(word)


def _first_host(nodes: str) -> str:
    """The first name of Slurm's list of nodes: of "gpu[07-08,11],cpu1" gpu07."""
    match = re.match(r"([^,\[]+)(?:\[(\w+))?", nodes)
    return "" if match is None else match[1] + (match[2] or "")

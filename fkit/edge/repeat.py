"""Runs that repeat to the bit on CUDA too: flags of the process, and errors of what cannot repeat."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fkit.array.room import open as open_room
from fkit.recipe.settings import Settings
from fkit.training.backend import Backend
from fkit.tree.check import expect
from fkit.tree.error import FkitError, RunError

__all__ = ["Repeat", "repeat", "telling"]


class Repeat(NamedTuple):
    """Whether a run repeats to the bit.

    Attributes:
        deterministic: whether it was asked to.
        flags: what was set for it in this process; nothing on the CPU, where all repeats by itself.
        note: what a person should be told, or "".
    """

    deterministic: bool
    flags: dict[str, str]
    note: str = ""

    def record(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {"deterministic": self.deterministic, **({"deterministic_flags": self.flags} if self.flags else {})}


def repeat(settings: Settings, backend: str | None = None) -> Repeat:
    """Have this process repeat to the bit, as ``randomness.deterministic`` says: before anything is on the device.

    Args:
        settings: of the run (`fkit.recipe.settings.read`).
        backend: "torch" or "jax"; by default the settings'. One that is not there is for the plan to name.
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    deterministic, benchmark = settings.randomness.deterministic, settings.environment.benchmark
    try:
        room = open_room(backend or settings.backend)
    except FkitError:
        return Repeat(deterministic, {})
    flags, note = room.repeat(settings.device, deterministic, benchmark)
    if benchmark and deterministic and flags:
        said = (
            "env_cfg.cudnn_benchmark gives way to randomness.deterministic, which is True: a benchmark repeats nothing."
        )
        note = f"{note} {said}".strip()
    return Repeat(deterministic, flags, note)


@contextmanager
def telling(room: Backend) -> Generator[None]:
    """Errors of operations that have no deterministic form, told as one with the way out.

    Raises:
        RunError: for such an error; any other stays what it is.
    """
    try:
        yield
    except Exception as error:
        what = _operation(room, error)
        if not what:
            raise
        where = f"{error.what.partition(':')[0]}: " if isinstance(error, FkitError) and ":" in error.what else ""
        raise RunError(
            f"{where}the operation {what} has no deterministic form on this device, so the run would not repeat.",
            repair="Take another layer or loss for it; or set randomness.deterministic=False, which is faster, and repeats "
            "no longer to the bit.",
        ) from error


def _operation(room: Backend, error: BaseException | None) -> str:
    """The operation that ``error``, or what caused it, is about."""
    while error is not None:
        what = room.undetermined(error)
        if what:
            return what
        error = error.__cause__
    return ""

"""The processes of a run at the edge: joined at the start and left at the end; those beside the first one write nothing."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fkit.array.room import open as open_room
from fkit.config.config import Config
from fkit.data.source import Source
from fkit.edge.launch import Place, place_of
from fkit.edge.perform import Edge
from fkit.recipe.settings import Settings
from fkit.run.effect import EmptyCache, SaveCheckpoint
from fkit.run.plan import Plan
from fkit.run.state import RunState
from fkit.training.backend import Backend
from fkit.training.fleet import ALONE, Fleet, Told
from fkit.tree.check import expect
from fkit.tree.error import RunError

__all__ = ["Bystander", "joined", "noticing", "place_in"]


def place_in(cfg: Config) -> Place:
    """This process's place, as a config's ``launcher`` and the environment say."""
    expect(cfg, Config, "`cfg` is a Config")
    return place_of(cfg.get("launcher") or "none", sure=cfg.origin("launcher") == "the command line")


@contextmanager
def joined(settings: Settings) -> Generator[tuple[Fleet, str]]:
    """The processes of a run, while it lasts; a run of one process where the config's ``launcher`` is "none".

    Args:
        settings: of the run (`fkit.recipe.settings.read`).

    Yields:
        (the fleet, what a person should be told, or "").

    Raises:
        FkitError: the launcher did not start this process, or the processes do not meet.
        RunError: another process ended; says which, and what it said.
    """
    expect(settings, Settings, "`settings` are a run's (fkit.recipe.settings.read(cfg) gives them)")
    place = place_in(settings.tree)
    if place.world == 1:
        yield ALONE, ""
        return
    room: Backend = open_room(settings.backend)
    environment = settings.environment
    fleet, note = room.join(place, settings.device, environment.dist_backend, environment.dist_timeout)
    try:
        with noticing(room, fleet):
            yield fleet, note
    except BaseException as error:
        # what rank 0 has said to all, or what came of another's end, is no failure of this one
        silent = isinstance(error, (Told, Severed))
        room.leave("" if silent else f"{error}".partition("\n")[0] or type(error).__name__)
        raise
    room.leave()


class Severed(RunError):
    """Another process of the run has ended, and this one with it."""


@contextmanager
def noticing(room: Backend, fleet: Fleet) -> Generator[None]:
    """Errors that tell of the end of another process, told as one that says which it was, and what it said.

    Raises:
        Severed: for such an error; any other stays what it is.
    """
    try:
        yield
    except Exception as error:
        if not fleet.several or isinstance(error, (Told, Severed)):
            raise
        words = room.severed(error)
        if not words:
            raise
        raise Severed(f"{words}; the others end with it.") from error


class Bystander(Edge):
    """The edge of a process beside the first one: it takes part in what all have to do together, and writes nothing.

    Args: as of `Edge`.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        super().__init__(folder, plan, {})

    def perform(self, effect: Any, run: RunState) -> None:
        """Take part in what all processes have to do together."""
        if isinstance(effect, SaveCheckpoint):
            self.plan.program.gather(run.train)
        elif isinstance(effect, EmptyCache):
            self.plan.room.empty_cache()

    def watched(self, data: Mapping[str, Source], step: int = 0) -> dict[str, Source]:
        return dict(data)

    def say(self, text: str, level: str = "INFO") -> None:
        """Nothing: the first process says it."""

    def note(self, text: str, level: str = "INFO", shown: bool = True) -> None:
        """Nothing: the first process says it."""

    def status(self, status: str) -> None:
        """Nothing: the first process records it."""

    def fail(self, error: BaseException) -> None:
        """Nothing: the first process learns of it by the others' end."""

    def close(self) -> None:
        """Nothing was opened."""

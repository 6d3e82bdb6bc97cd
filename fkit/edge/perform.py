"""Effects to actions, one function an effect: the only place where a run touches the world."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fkit.edge.checkpoint import delete_checkpoint, write_checkpoint
from fkit.edge.files import Files
from fkit.edge.folder import versions
from fkit.edge.journal import Journal, read_rows
from fkit.edge.output import printable
from fkit.edge.progress import Screen
from fkit.run.effect import (
    DeleteCheckpoint,
    DrawCurves,
    Effect,
    Fail,
    SaveCheckpoint,
    ShowProgress,
    WriteConfig,
    WriteScalars,
    WriteStatus,
    WriteText,
)
from fkit.run.plan import Plan
from fkit.run.start import save
from fkit.run.state import RunState
from fkit.tree.error import FkitTypeError
from fkit.tree.name import open_name

__all__ = ["Edge"]


class Edge:
    """Performs a run's effects in its work folder.

    Args:
        folder: the work folder, made when the first effect needs it.
        plan: of the run.
        record: what run.json says beside the status (versions, command, ...).
        files: the operations on the disk; a test passes some that die.
        screen: what a person watches; None shows nothing.
        rows: lines of metrics.jsonl that count, from the checkpoint that the run goes on from.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        record: Mapping[str, Any] | None = None,
        files: Files | None = None,
        screen: Screen | None = None,
        rows: int = 0,
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.files = files or Files()
        self.screen = screen
        self.journal = Journal(folder, self.files)
        self._record = dict(record or {})
        self._rows = rows
        self._told = False

    def perform(self, effect: Effect, run: RunState) -> None:
        """Do what an effect asks.

        Raises:
            RunError: the disk is full, or a weight is not finite.
            FkitTypeError: nothing performs this effect.
        """
        if isinstance(effect, ShowProgress):
            if self.screen is not None:
                self.screen.show(effect)
                self._watch(self.screen)
        elif isinstance(effect, WriteScalars):
            self.journal.write(effect)
        elif isinstance(effect, WriteText):
            self.say(effect.text, effect.level)
        elif isinstance(effect, SaveCheckpoint):
            self._save(effect, run)
        elif isinstance(effect, DeleteCheckpoint):
            delete_checkpoint(self.folder / "checkpoints", effect.step, self.files)
        elif isinstance(effect, DrawCurves):
            self._draw()
        elif isinstance(effect, WriteConfig):
            self._begin()
        elif isinstance(effect, WriteStatus):
            self.status(effect.status)
        elif isinstance(effect, Fail):  # pyright: ignore[reportUnnecessaryIsInstance]
            self._draw()
            self.status("failed")
        else:
            raise FkitTypeError(f"no function performs the effect {type(effect).__name__}.")

    def say(self, text: str, level: str = "INFO") -> None:
        """A line to the log and to the screen."""
        self.journal.say(text, level)
        if self.screen is not None:
            self.screen.say(text, level)
            self._watch(self.screen)

    def _watch(self, screen: Screen) -> None:
        """Say once, where it can still be said, that the screen is gone."""
        if screen.lost is not None and not self._told:
            self._told = True
            self.journal.say(f"nothing more is shown ({screen.lost}): the run goes on without it", "WARNING")

    def status(self, status: str) -> None:
        """Record how the run stands."""
        self._record["status"] = status
        self.files.replace(self.folder / "run.json", (json.dumps(self._record, indent=1) + "\n").encode())

    def close(self) -> None:
        """Leave the screen as it was."""
        if self.screen is not None:
            self.screen.close()

    def _begin(self) -> None:
        self.files.make_folder(self.folder)
        self.journal.keep(self._rows)
        self.files.replace(self.folder / "config.py", self.plan.config.text("python").encode())

    def _save(self, effect: SaveCheckpoint, run: RunState) -> None:
        meta = {
            "seed": self.plan.seed,
            "backend": self.plan.backend,
            "config": self.plan.config.fingerprint,
            "reason": effect.reason,
            "rows": self.journal.rows,
            "versions": versions(self.plan.room.environment()),
        }
        write_checkpoint(self.folder / "checkpoints", effect.step, save(self.plan, run), meta, self.files)

    def _draw(self) -> None:
        rows = read_rows(self.folder / "metrics.jsonl")
        if rows:
            from PIL import Image

            curves = open_name("fkit.visualize.curves:curves")  # matplotlib takes half a second: at the end only
            title = f"{printable(self.folder.name)} · {self.plan.backend} · seed {self.plan.seed}"
            buffer = io.BytesIO()
            Image.fromarray(curves(rows, title)).save(buffer, "PNG")
            self.files.replace(self.folder / "curves.png", buffer.getvalue())

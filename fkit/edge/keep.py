"""What a run keeps of itself: checkpoints, the names of some, and weights by themselves."""

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as save_tensors

from fkit.data.loader import Loader
from fkit.data.order import Orders
from fkit.data.source import Source
from fkit.edge.background import Background
from fkit.edge.checkpoint import (
    delete_checkpoint,
    folder_name,
    name_checkpoint,
    read_checkpoint,
    successor,
    write_checkpoint,
)
from fkit.edge.files import Files
from fkit.edge.folder import versions
from fkit.format.json import write_json
from fkit.run.effect import DeleteCheckpoint, ExportWeights, NameCheckpoint, SaveCheckpoint
from fkit.run.plan import Plan
from fkit.run.start import Saved, save
from fkit.run.state import RunState
from fkit.training.ema import NAME, averages
from fkit.tree.error import FkitError, FkitFileNotFoundError, RunError

__all__ = ["Keeper"]


class Keeper:
    """The checkpoints of a run.

    Args:
        folder: the work folder.
        plan: of the run.
        record: what is known of it beside the plan: ``data``, ``threads`` and ``devices``.
        files: the operations on the disk.
        say: takes a line of the log, and its level.
    """

    def __init__(
        self, folder: Path, plan: Plan, record: Mapping[str, Any], files: Files, say: Callable[[str, str], None]
    ) -> None:
        self._folder = folder
        self._checkpoints = folder / "checkpoints"
        self._plan = plan
        self._record = record
        self._files = files
        self._say = say
        self._sound = -1
        self._same: dict[str, Any] = {}
        self._behind = Background()
        self._orders: Orders | None = None

    def begin(self, data: Mapping[str, Source], step: int) -> None:
        """Have every checkpoint say which samples the run took, where that is told by its steps alone.

        Args:
            data: the run's sources.
            step: at which it begins here.
        """
        source = data.get("train")
        switches = any(name.startswith("train:") for name in data) or self._plan.runner is not None
        self._orders = None if switches or not isinstance(source, Loader) else Orders(source, step)

    def save(self, effect: SaveCheckpoint, run: RunState, rows: int) -> float:
        """Write a checkpoint.

        Args:
            rows: lines of metrics.jsonl that count.

        Returns:
            the seconds for which the run waited.

        Raises:
            FkitError: what kept this one, or one in the background before it, from being written.
        """
        began = time.monotonic()
        if not self._same:  # what stays the same is made once: the text of a large config takes longer than the rest
            plan = self._plan
            self._same = {
                "seed": plan.seed,
                "backend": plan.backend,
                "config": plan.config.fingerprint,
                "cfg": plan.config.text("python"),
                "versions": versions(plan.room.environment()),
                "data": self._record.get("data"),
                "threads": self._record.get("threads"),
                "devices": self._record.get("devices"),
                **({"processes": plan.fleet.world} if plan.fleet.several else {}),
            }
        meta = {
            **self._same,
            "reason": effect.reason,
            "rows": rows,
            "time": datetime.now(UTC).isoformat("T", "seconds"),
        }
        if effect.meta:
            meta["meta"] = dict(effect.meta)
        if self._orders is not None:
            meta["order"] = self._orders.upto(run.iteration)
        saved = save(self._plan, run)
        if effect.weights_only:
            saved, meta["weights_only"] = _weights(saved), True
        if effect.out_dir:
            self._link(Path(effect.out_dir))

        def write() -> None:
            self._sound = -1
            write_checkpoint(self._checkpoints, effect.step, saved, meta, self._files)

        self.finish()  # two are never held at once
        if effect.background:
            self._behind.give(write)
        else:
            write()
        return time.monotonic() - began

    def finish(self) -> None:
        """Wait for what is written in the background.

        Raises:
            FkitError: what kept it from being written.
        """
        self._behind.finish()

    def after(self, action: Callable[[], None]) -> None:
        """Do something to checkpoints, after those that are being written."""
        if self._behind.busy:
            self._behind.give(action)
        else:
            action()

    def name(self, effect: NameCheckpoint) -> None:
        """Write the text file that names a checkpoint."""
        if (self._checkpoints / folder_name(effect.step)).is_dir():
            name_checkpoint(self._checkpoints, effect.name, effect.step, self._files)
        else:
            self._say(f"{effect.name}: the checkpoint of step {effect.step} is gone", "WARNING")

    def delete(self, effect: DeleteCheckpoint) -> None:
        """Never before its successor verifies, which is looked at once."""
        try:
            if self._sound <= effect.step:
                self._sound = successor(self._checkpoints, effect.step)
        except FkitError as error:
            self._say(f"the checkpoint of step {effect.step} stays, though it is old: {error}", "WARNING")
        else:
            delete_checkpoint(self._checkpoints, effect.step, self._files)

    def export(self, effect: ExportWeights) -> None:
        """Write weights by themselves, named for their checkpoint and their bytes."""
        try:
            found = read_checkpoint(self._checkpoints / folder_name(effect.step))
        except FkitFileNotFoundError:
            self._say(f"the weights of step {effect.step} are not published: its checkpoint is gone", "WARNING")
            return
        arrays = found.saved.arrays
        held = {path.partition("/")[2]: a for path, a in arrays.items() if path.startswith(("params/", "buffers/"))}
        held |= averages(arrays, self._plan.program.weights)
        known = ("step", "seed", "backend", "cfg", "versions", "data", "time", "meta")
        meta = {key: found.meta[key] for key in known if key in found.meta} if effect.meta else {}
        notes = {"format": "fkit", **({"meta": write_json(meta)} if meta else {})}
        data = save_tensors({name: np.asarray(array, order="C") for name, array in held.items()}, notes)
        name = f"{folder_name(effect.step)}-{hashlib.sha256(data).hexdigest()[:8]}.safetensors"
        self._files.replace(self._checkpoints / name, data)
        self._say(f"the weights of step {effect.step} are published: {self._checkpoints / name}", "INFO")

    def _link(self, out_dir: Path) -> None:
        """Let the work folder's checkpoints lie in another folder, where they are not there already.

        Raises:
            RunError: another run's lie there.
        """
        place = self._checkpoints
        if place.is_symlink() or place.exists():
            return
        there = (out_dir.expanduser() / self._folder.resolve().name / "checkpoints").absolute()
        if there.is_dir() and any(there.iterdir()):
            raise RunError(
                f"{there}: holds checkpoints already, and {place} is to be a link to it.",
                repair="Name another default_hooks.checkpoint.out_dir, or --work-dir.",
            )
        self._files.make_folder(there)
        self._files.link(there, place)


def _weights(saved: Saved) -> Saved:
    """What predicts, and how far it was trained."""
    keep = ("params/", "buffers/", f"slots/{NAME}/", "iteration", "updates", "key")
    return saved._replace(arrays={path: array for path, array in saved.arrays.items() if path.startswith(keep)})

"""A run of a work folder, made ready to be executed again: nothing is written there."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fkit.array.room import open as open_room
from fkit.catalog.registry import Registry
from fkit.data.source import Source
from fkit.edge.checkpoint import locate, read_checkpoint
from fkit.edge.contrast import changed_rows
from fkit.edge.data import data_record, differences
from fkit.edge.environment import get_git_hash
from fkit.edge.folder import is_file, versions
from fkit.edge.outset import outset
from fkit.edge.past import Past
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat
from fkit.edge.thread import chosen, threads
from fkit.fileio.weights import read_content
from fkit.recipe.settings import read
from fkit.run.course import reopened
from fkit.run.held import length_of
from fkit.run.plan import Plan, open_data, plan
from fkit.run.resume import resumed
from fkit.run.start import Saved, begin, restore
from fkit.run.state import RunState
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Rerun", "open_rerun"]


class Rerun(NamedTuple):
    """A run that can be executed again.

    Attributes:
        past: what it left.
        plan: what it does.
        data: its sources.
        thread_count: threads that it computes on; None where the backend does not say.
        notes: what differs between the machine of then and this one, and what a person should know of it beside.
        screen: what a person watches.
    """

    past: Past
    plan: Plan
    data: Mapping[str, Source]
    thread_count: int | None
    notes: tuple[str, ...]
    screen: Screen

    def begin(self) -> RunState:
        """The run before its first event, as ``fkit train`` began it."""
        return _begun(self.plan, self.past, self.data, self.screen)

    def at(self, step: int) -> RunState:
        """The run as its checkpoint of a step holds it; of step 0, before its first event.

        Raises:
            FkitFileNotFoundError: it has no such checkpoint.
            FkitValueError: that one does not verify, or holds weights alone.
        """
        expect_number(step, "step", whole=True)
        if step == 0:
            return self.begin()
        found = self.past.found(step)
        if found.meta.get("weights_only"):
            raise FkitValueError(f"{found.folder}: holds weights alone: no run goes on from it.")
        return self.of(found.saved)

    def of(self, saved: Saved) -> RunState:
        """The run that was saved so."""
        run = restore(self.plan, saved)
        return run._replace(position=reopened(self.plan.course, run.position))

    def ready(self) -> None:
        """Compute on as many threads as the run did."""
        if self.thread_count is not None:
            open_room(self.plan.backend).threads(self.thread_count)


def open_rerun(past: Past, registry: Registry | None, screen: Screen, allow: str | Iterable[str] = ()) -> Rerun:
    """Make a run ready to be executed again, on as many threads as it had, as ``--resume`` takes them.

    Args:
        past: what it left (`fkit.edge.past.read_past`).
        registry: where its parts come from; by default the built-in one.
        screen: what a person watches.
        allow: modules that its config may import and name: see `fkit.catalog.allow`.

    Raises:
        FkitError: its config describes no run here, or several processes trained it.
    """
    expect(past, Past, "`past` is what a run left (fkit.edge.past.read_past(folder))")
    expect(screen, Screen, "`screen` is what a person watches")
    processes = past.record.get("processes", 1)
    if processes != 1:
        raise FkitValueError(
            f"{past.folder}: was trained by {processes} processes, and is executed again by one: its numbers would be others.",
            repair="`fkit diff` compares it with another run.",
        )
    cfg, settings = past.cfg, read(past.cfg)
    if settings.seed is None:
        cfg = cfg.merge({"seed": past.record.get("seed")})
    repeats, number = repeat(settings), threads(settings)
    made = plan(cfg, registry, allow=allow)
    data = open_data(made)
    run = _begun(made, past, data, screen)
    number = chosen(number, made.program, run.train, data["train"], passes=3, before=past.record.get("threads"))
    notes = (*_notes(past, made, data), *(text for text in (repeats.note, number.note) if text))
    return Rerun(past, made, data, number.number, notes, screen)


def _begun(made: Plan, past: Past, data: Mapping[str, Source], screen: Screen) -> RunState:
    """Where a run began: anew, or at the checkpoint elsewhere that it was told to go on from."""
    resume = made.settings.resume
    if not isinstance(resume, str) or _own(resume, past):
        return outset(made, begin(made), screen)
    if is_file(resume):
        return resumed(made, read_content(resume, made.registry), length_of(data["train"], "train") or 0).run
    run = restore(made, read_checkpoint(locate(resume)).saved)
    return run._replace(position=reopened(made.course, run.position))


def _own(resume: str, past: Past) -> bool:
    """Whether what a run went on from lies in its own folder."""
    folder = os.path.realpath(past.folder)
    return os.path.commonpath([folder, os.path.realpath(os.path.expanduser(resume))]) == folder


def _notes(past: Past, made: Plan, data: Mapping[str, Source]) -> tuple[str, ...]:
    """What differs between then and now of what the bits depend on."""
    then: Any = past.record.get("versions")
    now = versions(made.room.environment())
    lines = [f"environment: {line}" for line in changed_rows(then if isinstance(then, Mapping) else {}, now)]
    git, here = past.record.get("git"), get_git_hash(fallback="")
    if git and here and git != here:
        lines.append(f"environment: git: {git[:10]} then, {here[:10]} now")
    lines += [f"data: {line}" for line in differences(past.record.get("data"), data_record(data), allowed=True)]
    if made.settings.resume is True and made.settings.load_from is not None:
        lines.append("the config says resume and load_from: it is begun with those weights; --from STEP begins later")
    return tuple(lines)

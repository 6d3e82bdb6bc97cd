"""A run of a work folder, made ready to be executed again: nothing is written there."""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from fkit.array.room import open as open_room
from fkit.catalog.registry import Registry
from fkit.data.source import Source
from fkit.edge.checkpoint import locate, read_checkpoint
from fkit.edge.contrast import changed_rows
from fkit.edge.data import data_record, differences
from fkit.edge.environment import get_git_hash
from fkit.edge.fleet import joined, place_in
from fkit.edge.folder import is_file, versions
from fkit.edge.outset import outset
from fkit.edge.past import Past
from fkit.edge.progress import Screen
from fkit.edge.repeat import repeat
from fkit.edge.thread import chosen, threads
from fkit.fileio.weights import read_content
from fkit.recipe.settings import Settings, read
from fkit.run.course import reopened
from fkit.run.held import length_of
from fkit.run.plan import Plan, open_data, plan
from fkit.run.resume import resumed
from fkit.run.start import Saved, begin, restore
from fkit.run.state import RunState
from fkit.training.fleet import ALONE, Fleet
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Rerun", "crew", "open_rerun", "processes_of"]

_PLAYED = "XLA_FLAGS=--xla_force_host_platform_device_count"


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


def processes_of(past: Past) -> int:
    """By how many processes a run was trained."""
    expect(past, Past, "`past` is what a run left (fkit.edge.past.read_past(folder))")
    count = past.record.get("processes", 1)
    return count if isinstance(count, int) else 1


@contextmanager
def crew(pasts: Sequence[Past], screen: Screen) -> Generator[Fleet]:
    """The processes that execute runs again, while they do: as many as trained each of them.

    Args:
        pasts: what the runs left.
        screen: what a person watches; that of the first process alone speaks.

    Raises:
        FkitValueError: this is not one of so many; or the runs had other numbers of them, or several on two backends.
    """
    expect(pasts, (list, tuple), "`pasts` are what runs left, one or more")
    expect(screen, Screen, "`screen` is what a person watches")
    first, count = pasts[0], processes_of(pasts[0])
    settings = read(first.cfg)
    for past in pasts[1:]:
        others = processes_of(past)
        if (others, read(past.cfg).backend) != (count, settings.backend) and max(count, others) > 1:
            raise FkitValueError(
                f"{first.folder} was trained by {_counted(count)} of {settings.backend}, and {past.folder} by {_counted(others)} "
                f"of {read(past.cfg).backend}: no processes execute both again.",
                repair="`fkit diff` compares them.",
            )
    here = place_in(first.cfg).world
    if here != count:
        started = f"torchrun --nproc-per-node {count} -m fkit replay {first.folder} --launcher pytorch"
        raise FkitValueError(
            f"{first.folder}: was trained by {_counted(count)}, and is executed again by {_counted(here)}: its numbers would be "
            "others.",
            repair=f"`fkit replay` starts as many on one machine; or: {started}"
            if count > 1
            else "Leave out --launcher.",
        )
    with joined(settings) as (fleet, said):
        if not fleet.leads:
            screen.mute()
        elif said:
            screen.say(said, "WARNING")
        yield fleet


def _counted(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def open_rerun(
    past: Past, registry: Registry | None, screen: Screen, allow: str | Iterable[str] = (), fleet: Fleet = ALONE
) -> Rerun:
    """Make a run ready to be executed again, on as many threads and devices as it had, as ``--resume`` takes them.

    Args:
        past: what it left (`fkit.edge.past.read_past`).
        registry: where its parts come from; by default the built-in one.
        screen: what a person watches.
        allow: modules that its config may import and name: see `fkit.catalog.allow`.
        fleet: the processes that execute it together (`crew`).

    Raises:
        FkitError: its config describes no run here, or the devices that it had are not there.
    """
    expect(past, Past, "`past` is what a run left (fkit.edge.past.read_past(folder))")
    expect(screen, Screen, "`screen` is what a person watches")
    expect(fleet, Fleet, "`fleet` are the processes of a run")
    cfg = past.cfg.merge(_as_it_was(past, read(past.cfg), fleet))
    settings = read(cfg)
    repeats, number = repeat(settings), threads(settings)
    made = plan(cfg, registry, allow=allow, fleet=fleet)
    data = open_data(made)
    run = _begun(made, past, data, screen)
    number = chosen(number, made.program, run.train, data["train"], passes=3, before=past.record.get("threads"))
    notes = (*_notes(past, made, data), *(text for text in (repeats.note, number.note) if text))
    return Rerun(past, made, data, number.number, notes, screen)


def _as_it_was(past: Past, settings: Settings, fleet: Fleet) -> dict[str, Any]:
    """What of a run its record says, and not its config: the seed that was drawn, the devices that were there, and the threads
    of each of several processes, whose number whoever starts them sets otherwise.

    Raises:
        FkitValueError: there are fewer devices.
    """
    changes: dict[str, Any] = {} if settings.seed is not None else {"seed": past.record.get("seed")}
    count: Any = past.record.get("devices", 1)
    if settings.parallel == "pmap" and settings.devices is None:
        changes["devices"] = count
    if isinstance(count, int) and count > 1:
        try:
            open_room(settings.backend).devices(count, settings.device, settings.parallel)
        except FkitValueError as cause:
            raise FkitValueError(
                f"{past.folder}: was trained on {count} devices, and is executed again on as many: {cause.what}",
                repair=f"Replay it where they are; the CPU plays as many with {_PLAYED}={count} in the environment.",
            ) from cause
    said: Any = past.record.get("threads")
    if fleet.several and settings.threads is None and isinstance(said, Mapping):
        changes["threads"] = said.get("count")
    return changes


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

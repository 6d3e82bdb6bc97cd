"""A run of a work folder executed again, and held against what it left: what ``fkit replay`` does."""

import os
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fkit.catalog.registry import Registry
from fkit.data.loader import Loader
from fkit.data.order import strayed
from fkit.edge.past import Past, read_past
from fkit.edge.progress import Screen
from fkit.edge.repeat import telling
from fkit.edge.rerun import Rerun, crew, open_rerun
from fkit.edge.watch import Watch
from fkit.edge.work import screened
from fkit.run.replay import Kept, Recorded, Verdict, replayed
from fkit.run.state import RunState
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Replay", "replay", "replay_on", "watched"]


class Replay(NamedTuple):
    """What came of executing a run again.

    Attributes:
        folder: its work folder.
        verdict: whether it came out as it did, and where it first did not: see `fkit.run.replay.Verdict`.
        notes: what differs between the machine of then and this one, the data, and what was passed over.
        strayed: the first and the last of the first steps that take other samples than they took, where it differs by then;
            (0, 0) where all up to the difference take the same; None where nothing differs, or that is not on record.
        leads: whether this is the process that speaks, of several.
    """

    folder: Path
    verdict: Verdict
    notes: tuple[str, ...] = ()
    strayed: tuple[int, int] | None = None
    leads: bool = True

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.verdict.equal


def replay(
    folder: str | os.PathLike[str],
    registry: Registry | None = None,
    *,
    start: int = 0,
    to: int | None = None,
    allow: str | Iterable[str] = (),
) -> Replay:
    """Execute a run again, and compare each line of its metrics.jsonl, and each checkpoint, with what comes out now.

    Nothing is written. It ends at the first difference: where that is a line of metrics, at the checkpoint after it, which
    says which parameters differ. A run of several processes is executed again by as many, each of which calls this;
    ``fkit replay`` starts them.

    Args:
        folder: the work folder.
        registry: where the run's parts come from; by default the built-in one.
        start: the step of the checkpoint to begin from; 0 is the beginning.
        to: the last step that is compared; by default the last on record.
        allow: modules that its config may import and name: see `fkit.catalog.allow`.

    Raises:
        FkitError: there is no such run, or its config describes none here.

    Example::

        done = fkit.replay("work_dirs/convnet")
        done.equal, done.verdict.first, [row.name for row in done.verdict.differences]
    """
    with screened() as screen:
        return replay_on(screen, read_past(folder), registry, start=start, to=to, allow=allow)


def replay_on(
    screen: Screen,
    past: Past,
    registry: Registry | None = None,
    *,
    start: int = 0,
    to: int | None = None,
    allow: str | Iterable[str] = (),
) -> Replay:
    """`replay`, with its screen."""
    expect(screen, Screen, "`screen` is what a person watches")
    expect(past, Past, "`past` is what a run left (fkit.edge.past.read_past(folder))")
    expect_number(start, "start", whole=True)
    if to is not None:
        expect_number(to, "to", whole=True)
    last = past.end if to is None else min(to, past.end)
    if not 0 <= start < last:
        what = f"there is nothing to compare from step {start} to step {last}"
        raise FkitValueError(f"{past.folder}: {what}: the last on record is step {past.end}.")
    if start:
        past.found(start)  # before anything is built
    with crew((past,), screen) as fleet:
        rerun = open_rerun(past, registry, screen, allow, fleet)
        passed: list[str] = []
        verdict = _end(watched(rerun, start, last, passed))
        strays = _strayed(rerun, verdict) if fleet.leads else None
    notes = (*rerun.notes, *passed)
    if to is not None and to > past.end:
        notes = (*notes, f"the record ends at step {past.end}")
    return Replay(past.folder, verdict, notes, strays, fleet.leads)


def watched(rerun: Rerun, start: int, to: int, passed: list[str]) -> Generator[RunState, None, Verdict]:
    """The fold of `fkit.run.replay.replayed` from a checkpoint on, shown on the screen while it goes on; where the run had
    ended and gone on longer, from that checkpoint again.

    Args:
        rerun: the run.
        start: the step of the checkpoint; 0 is the beginning.
        to: the last step that is compared.
        passed: gets what is passed over.
    """
    watch = Watch(rerun.screen, to)
    data = {
        name: source if name.partition(":")[0] == "train" else watch.over(source, name)
        for name, source in rerun.data.items()
    }
    rerun.ready()
    whole: Verdict | None = None
    while True:
        fold = replayed(rerun.plan, rerun.at(start), data, _recorded(rerun, start, passed), to)
        with telling(rerun.plan.room):
            verdict = yield from _shown(fold, watch)
        whole = verdict if whole is None else whole.joined(verdict)
        if whole.grown is None or not whole.equal:
            return whole
        start = whole.grown


def _strayed(rerun: Rerun, verdict: Verdict) -> tuple[int, int] | None:
    """The first steps up to a difference that take other samples than they took, as the checkpoints up to it say."""
    source, to, least = rerun.data["train"], verdict.first, 0
    if to is None or not isinstance(source, Loader):
        return None
    for step in rerun.past.steps:
        kept = rerun.past.kept(step) if least < to else None
        order: Any = None if kept is None else kept.meta.get("order")
        found = strayed(order, step, source)
        if found is None:
            continue
        if found != (0, 0):
            return found if found[0] <= to else (0, 0)
        least = step if order["from"] <= least else least
    return (0, 0) if least >= to else None


def _shown(fold: Generator[RunState, None, Verdict], watch: Watch) -> Generator[RunState, None, Verdict]:
    while True:
        try:
            run = next(fold)
        except StopIteration as end:
            return end.value
        watch.look(run.iteration)
        yield run


def _recorded(rerun: Rerun, start: int, passed: list[str]) -> Recorded:
    """What a run left from a step on; what does not verify of it is passed over, and noted, and so is one that was written
    in other circumstances."""
    past = rerun.past

    def read(step: int) -> Kept | None:
        kept = past.kept(step)
        if kept is None:
            passed.append(f"passed over the checkpoint of step {step}: it does not verify")
            return None
        other = _circumstances(rerun, kept.meta)
        if other:
            passed.append(f"the checkpoint of step {step} was written {other}")
        return kept

    rows = past.rows if start == 0 else past.rows[int(past.found(start).meta.get("rows", 0)) :]
    return Recorded(rows, past.steps, read, past.record.get("status") == "failed")


def _circumstances(rerun: Rerun, meta: Mapping[str, Any]) -> str:
    """What differs between a checkpoint's backend, devices and threads and those of now."""
    threads: Any = meta.get("threads")
    count = threads.get("count") if isinstance(threads, Mapping) else None
    backend = meta.get("backend")
    if backend not in (None, rerun.plan.backend):
        return f"on {backend}"
    each, made = meta.get("devices"), rerun.plan
    was, now = (each or 1) * meta.get("processes", 1), made.program.spec.devices * made.fleet.world
    if each is not None and was != now:
        return f"on {was} devices or processes, and this replay has {now}: they are the same but for rounding"
    if isinstance(count, int) and rerun.thread_count not in (None, count):
        return f"on {count} threads, and this replay computes on {rerun.thread_count}"
    return ""


def _end(fold: Generator[RunState, None, Verdict]) -> Verdict:
    """What a generator comes to."""
    while True:
        try:
            next(fold)
        except StopIteration as end:
            return end.value

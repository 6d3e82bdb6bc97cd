"""The step at which two runs part: what ``fkit bisect`` does."""

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fkit.catalog.registry import Registry
from fkit.edge.contrast import config_changes, version_changes
from fkit.edge.past import Past, read_past
from fkit.edge.progress import Screen
from fkit.edge.repeat import telling
from fkit.edge.replay import watched
from fkit.edge.rerun import Rerun, crew, open_rerun
from fkit.edge.work import screened
from fkit.run.bisection import bisection
from fkit.run.compare import Change, Difference, differing, parted, row_changes
from fkit.run.probe import Taken, taken, together
from fkit.run.replay import Verdict, advance
from fkit.run.start import Saved, save
from fkit.run.state import RunState
from fkit.training.fleet import Fleet
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError
from fkit.tree.frozen import EMPTY

__all__ = ["Astray", "Parting", "bisect", "bisect_on"]


class Astray(NamedTuple):
    """A run that does not reproduce what it left."""

    folder: Path
    verdict: Verdict


class Parting(NamedTuple):
    """Where two runs part.

    Attributes:
        folders: of the two.
        step: the first step after which their states differ; 0: they begin apart; None: they do not part, or one of them does
            not reproduce itself.
        known: the last step after which they are equal.
        end: the last step that was compared.
        differences: of the states after that step: see `fkit.run.compare.parted`.
        after: whether only what follows that step differs (validation, the end of an epoch), and not the step itself.
        batch: what of the batches differs that the step took; its names begin with ``batch/``.
        samples: which samples these hold, of each run, where the data say it.
        logs: what the step logged, where it differs.
        replays: how often a run was executed again, for some steps or for one.
        between: the checkpoints between which it was searched; 0 is the beginning.
        astray: runs that do not reproduce what they left.
        tolerance: up to which numbers counted as equal; 0: to the bit.
        notes: what differs beside: the configs, versions, data; and what was passed over.
        leads: whether this is the process that speaks, of several.
    """

    folders: tuple[Path, Path]
    step: int | None = None
    known: int = 0
    end: int = 0
    differences: tuple[Difference, ...] = ()
    after: bool = False
    batch: tuple[Difference, ...] = ()
    samples: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    logs: tuple[Change, ...] = ()
    replays: int = 0
    between: tuple[int, int] = (0, 0)
    astray: tuple[Astray, ...] = ()
    tolerance: float = 0.0
    notes: tuple[str, ...] = ()
    leads: bool = True

    @property
    def equal(self) -> bool:
        """Whether they do not part."""
        return self.step is None and not self.astray


def bisect(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    registry: Registry | None = None,
    *,
    tolerance: float = 0.0,
    allow: str | Iterable[str] = (),
) -> Parting:
    """The first step at which two runs part, and what differs there. Nothing is written.

    The checkpoints that both have are compared by halves, for the last step at which they are equal. From there both runs are
    executed again, which also shows whether each reproduces itself, and the first step after which their states differ is
    searched by halves: every part of that begins from the last equal state. Runs of several processes are executed again by as
    many, each of which calls this; ``fkit bisect`` starts them.

    Args:
        first, second: work folders.
        registry: where the runs' parts come from; by default the built-in one.
        tolerance: numbers that differ by so much at most count as equal, between runs on two backends say; 0: to the bit.
        allow: modules that their configs may import and name: see `fkit.catalog.allow`.

    Raises:
        FkitError: there is no such run, or its config describes none here.

    Example::

        where = fkit.bisect("work_dirs/a", "work_dirs/b")
        where.step, [row.name for row in where.differences], where.batch
    """
    with screened() as screen:
        pasts = read_past(first), read_past(second)
        return bisect_on(screen, *pasts, registry, tolerance=tolerance, allow=allow)


def bisect_on(
    screen: Screen,
    first: Past,
    second: Past,
    registry: Registry | None = None,
    *,
    tolerance: float = 0.0,
    allow: str | Iterable[str] = (),
) -> Parting:
    """`bisect`, with its screen."""
    expect_number(tolerance, "tolerance")
    if not tolerance >= 0:
        raise FkitValueError(f"tolerance = {tolerance}: at least 0.")
    with crew((first, second), screen) as fleet:
        pair = tuple(open_rerun(past, registry, screen, allow, fleet) for past in (first, second))
        search = _Search(pair[0], pair[1], screen, float(tolerance), fleet)
        found = search.found()
    notes = (*_notes(first, second), *(f"{one.past.folder}: {note}" for one in pair for note in one.notes))
    return found._replace(replays=search.replays, notes=(*notes, *search.said), leads=fleet.leads)


class _Missing(Exception):
    def __init__(self, step: int) -> None:
        self.step = step


class _Search:
    """The search, and how often a run was executed again for it. Of several processes the first compares, for all."""

    def __init__(self, first: Rerun, second: Rerun, screen: Screen, tolerance: float, fleet: Fleet) -> None:
        self.pair = (first, second)
        self.screen = screen
        self.replays = 0
        self.said: list[str] = []
        self.tolerance = tolerance
        self.fleet = fleet
        self.blank = Parting((first.past.folder, second.past.folder), tolerance=tolerance)

    def found(self) -> Parting:
        """Where the two part."""
        first, second = self.pair
        low, high = self._checkpoints()
        limit = min(first.past.end, second.past.end)
        if low == 0:
            apart = self._parted(*(save(one.plan, one.begin()) for one in self.pair))
            apart = tuple(
                row for row in apart if not row.name.startswith("hyperparams/")
            )  # those of the first step count
            if apart:
                return self.blank._replace(step=0, differences=apart)
        end = limit if high is None else high
        if end <= low:
            return self.blank._replace(known=low, end=low)
        self.screen.say(f"equal at step {low}" + (f", and not at step {high}" if high is not None else ""))
        blank = self.blank._replace(known=low, end=end, between=(low, end))
        legs = [self._leg(one, low, end) for one in self.pair]
        astray = tuple(Astray(one.past.folder, leg[0]) for one, leg in zip(self.pair, legs, strict=True) if _lost(leg))
        if astray:
            return blank._replace(astray=astray)
        states = [leg[1] for leg in legs if leg[1] is not None]
        if self._parted(*states):
            return self._halves(low, end, blank)
        if high is None:
            return blank._replace(known=end)
        return blank._replace(step=high, known=high, differences=self._apart(high) or (), after=True)

    def _checkpoints(self) -> tuple[int, int | None]:
        """The last step at which checkpoints of both are equal, 0 where none are; and the next that differ."""
        steps = sorted({*self.pair[0].past.steps} & {*self.pair[1].past.steps})
        known: dict[int, bool] = {}

        def equal(step: int) -> bool:
            if step not in known:
                apart = self._apart(step)
                if apart is None:
                    raise _Missing(step)
                known[step] = not apart
            return known[step]

        while steps:
            try:
                if equal(steps[-1]):
                    return steps[-1], None
                place = _sent(bisection(-1, len(steps) - 1), lambda place: equal(steps[place]))
                return (steps[place - 1] if place else 0), steps[place]
            except _Missing as missing:
                steps.remove(missing.step)
        return 0, None

    def _apart(self, step: int) -> tuple[Difference, ...] | None:
        """What differs between the checkpoints of a step; None where one of them does not verify, or holds weights alone."""
        return self.fleet.first(lambda: self._apart_here(step))

    def _apart_here(self, step: int) -> tuple[Difference, ...] | None:
        saved: list[Saved] = []
        for one in self.pair:
            kept = one.past.kept(step)
            if kept is None or kept.weights_only:
                why = "does not verify" if kept is None else "holds weights alone"
                self.said.append(f"{one.past.folder}: passed over the checkpoint of step {step}, which {why}")
                return None
            saved.append(kept.saved)
        return _distant(saved[0], saved[1], self.tolerance)

    def _leg(self, one: Rerun, low: int, high: int) -> tuple[Verdict, Saved | None]:
        """A run executed again between two checkpoints: whether it reproduces itself, and its state after the last step."""
        self._tell(one, low, high)
        state: Saved | None = None
        fold = watched(one, low, high, self.said)
        while True:
            try:
                run = next(fold)
            except StopIteration as end:
                return end.value, state
            if run.iteration == high and state is None:
                state = save(one.plan, run)

    def _halves(self, low: int, high: int, blank: Parting) -> Parting:
        kept: list[Saved | None] = [None, None]

        def run_of(one: Rerun, saved: Saved | None) -> RunState:
            return one.at(low) if saved is None else one.of(saved)

        def equal(step: int) -> bool:
            states: list[Saved] = []
            for one, saved in zip(self.pair, kept, strict=True):
                run = run_of(one, saved)
                self._tell(one, run.iteration, step)
                states.append(self._went(one, advance(one.plan, run, one.data, step)))
            if self._parted(*states):
                return False
            kept[:] = states
            return True

        step = _sent(bisection(low, high), equal)
        first, second = (
            together(self._step(one, run_of(one, saved)), self.fleet)
            for one, saved in zip(self.pair, kept, strict=True)
        )
        batch = differing(Saved(first.batch, EMPTY), Saved(second.batch, EMPTY))
        return blank._replace(
            step=step,
            known=step - 1,
            differences=self._parted(first.saved, second.saved),
            batch=batch,
            samples=(first.samples, second.samples),
            logs=row_changes(first.logs, second.logs),
        )

    def _parted(self, first: Saved, second: Saved) -> tuple[Difference, ...]:
        """What differs between two states by more than is tolerated."""
        return self.fleet.first(lambda: _distant(first, second, self.tolerance))

    def _step(self, one: Rerun, run: RunState) -> Taken:
        self._tell(one, run.iteration, run.iteration + 1)
        return self._went(one, taken(one.plan, run, one.data))

    def _went(self, one: Rerun, fold: Generator[RunState, None, Any]) -> Any:
        one.ready()
        with telling(one.plan.room):
            while True:
                try:
                    next(fold)
                except StopIteration as end:
                    return end.value

    def _tell(self, one: Rerun, low: int, high: int) -> None:
        self.replays += 1
        self.screen.say(f"replay {self.replays}: {one.past.folder}, steps {low + 1} to {high}")


def _distant(first: Saved, second: Saved, tolerance: float) -> tuple[Difference, ...]:
    rows = parted(first, second)
    return tuple(row for row in rows if row.largest > tolerance) if tolerance else rows


def _lost(leg: tuple[Verdict, Saved | None]) -> bool:
    """Whether a run did not come out as it did."""
    return not leg[0].equal or leg[1] is None


def _sent(search: Generator[int, bool, int], equal: Callable[[int], bool]) -> int:
    """What a search comes to."""
    try:
        place = next(search)
        while True:
            place = search.send(equal(place))
    except StopIteration as end:
        return end.value


def _notes(first: Past, second: Past) -> tuple[str, ...]:
    """What differs between the records of two runs."""
    apart = config_changes(first, second)
    lines = [f"the configs differ: fkit diff {first.folder} {second.folder}"] if apart else []
    return (*lines, *(f"environment: {line}" for line in version_changes(first, second)))

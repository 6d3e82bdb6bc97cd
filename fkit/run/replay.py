"""A run executed again, without writing anything, and held against its record as far as that goes."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fkit.data.source import Source
from fkit.run.compare import Change, Difference, differing, parted, row_changes
from fkit.run.course import reopened
from fkit.run.effect import SaveCheckpoint, WriteScalars
from fkit.run.event import Observed
from fkit.run.loop import train
from fkit.run.plan import Plan
from fkit.run.start import Saved, save
from fkit.run.state import Position, RunState
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError, RunError
from fkit.tree.frozen import EMPTY

__all__ = ["Kept", "Recorded", "RowChange", "Verdict", "advance", "replayed"]

Row = Mapping[str, Any]


class Kept(NamedTuple):
    """A checkpoint of the record.

    Attributes:
        saved: what it holds.
        weights_only: whether it holds weights alone, which then are what is compared.
        meta: what else is on record of it.
    """

    saved: Saved
    weights_only: bool = False
    meta: Mapping[str, Any] = EMPTY


class Recorded(NamedTuple):
    """What a run left: the lines of metrics.jsonl, and the steps of its checkpoints.

    Attributes:
        rows: from the step on at which it is executed again.
        steps: of checkpoints.
        read: gives one; None where it does not verify, and is passed over.
        failed: whether the run failed in the end.
    """

    rows: Sequence[Row] = ()
    steps: Sequence[int] = ()
    read: Callable[[int], Kept | None] = lambda step: None
    failed: bool = False


class RowChange(NamedTuple):
    """A line of metrics.jsonl that came out otherwise."""

    step: int
    mode: str
    changes: tuple[Change, ...]


class Verdict(NamedTuple):
    """What came of executing a run again.

    Attributes:
        start, end: training iterations done when it began, and when it ended.
        lines: of metrics.jsonl that were compared and are equal.
        checkpoints: steps of those that are equal to the bit.
        row: the first line that differs.
        step: of the first checkpoint that differs.
        differences: what of that checkpoint differs: see `fkit.run.compare.differing`.
        known: the last step before the first difference of which anything is on record, and equal.
        failure: what ended it, where the run had not failed.
        grown: the step at which it stopped because the run had ended there, and went on later, its length having grown: the
            rest begins at that checkpoint, which holds what only the end of a run does (a last validation, say).
    """

    start: int
    end: int
    lines: int = 0
    checkpoints: tuple[int, ...] = ()
    row: RowChange | None = None
    step: int | None = None
    differences: tuple[Difference, ...] = ()
    known: int = 0
    failure: str = ""
    grown: int | None = None

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return self.first is None

    @property
    def first(self) -> int | None:
        """The step by which it differs; None where it does not."""
        steps = [step for step in (self.row.step if self.row is not None else None, self.step) if step is not None]
        return min(steps, default=self.end + 1 if self.failure else None)

    def joined(self, later: "Verdict") -> "Verdict":
        """This verdict, and one that begins where it ends."""
        return later._replace(
            start=self.start,
            lines=self.lines + later.lines,
            checkpoints=(*self.checkpoints, *later.checkpoints),
        )


def replayed(
    plan: Plan,
    run: RunState,
    data: Mapping[str, Source],
    recorded: Recorded,
    to: int,
    inbox: Iterable[tuple[Observed, ...]] = (),
) -> Generator[RunState, None, Verdict]:
    """Fold the plan's events over a run, and compare what it would have written with what it wrote: each line of metrics, and
    each checkpoint. After the first line that differs it goes on to the next checkpoint, which says what of the state does.
    Of several processes (``plan.fleet``) the first compares, and all have its verdict.

    Args:
        plan, data, inbox: as of `fkit.train`.
        run: where to start (`fkit.begin` or `fkit.restore`).
        recorded: what the run left.
        to: the last step that is compared.

    Yields:
        the run at each item of the fold; nothing is performed of what it asks for.

    Returns:
        the verdict.

    Raises:
        FkitError: the data are wrong.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    expect(recorded, Recorded, "`recorded` is what a run left (fkit.run.replay.Recorded)")
    expect_number(to, "to", whole=True)
    return _replayed(plan, run, data, recorded, to, inbox)


def _replayed(
    plan: Plan, run: RunState, data: Mapping[str, Source], recorded: Recorded, to: int, inbox: Any
) -> Generator[RunState, None, Verdict]:
    check, fleet = _Check(plan, recorded, run.iteration, to), plan.fleet
    try:
        for run, effects in train(plan, run, data, inbox):
            more = check.takes(run, effects) if fleet.leads else _taking_part(plan, run)
            if fleet.several and fleet.leads:
                fleet.share(_ON if more else _END)
            if run.iteration <= to:
                yield run
            if not more:
                break
    except RunError as error:
        if fleet.several and (not fleet.leads or plan.room.severed(error)):
            raise
        return check.verdict()._replace(failure="" if recorded.failed else str(error))
    return fleet.share(check.verdict())


_SAVE, _ON, _END = (
    "save",
    "on",
    "end",
)  # what the first of several processes says to the others at each item of the fold


def _taking_part(plan: Plan, run: RunState) -> bool:
    """Do what the first process asks for while it compares an item; whether more are to come."""
    while True:
        word = plan.fleet.share(None)
        if word != _SAVE:
            return word == _ON
        save(plan, run)


class _Check:
    """What is compared so far."""

    def __init__(self, plan: Plan, recorded: Recorded, start: int, to: int) -> None:
        self._plan = plan
        self._read = recorded.read
        self._to = to
        self._waiting = deque(sorted(step for step in recorded.steps if start < step <= to))
        rows = [row for row in recorded.rows if isinstance(row.get("step"), int) and row["step"] <= to]
        self._rows: dict[tuple[Any, int], deque[Row]] = {}
        for row in rows:
            self._rows.setdefault((row.get("mode"), row["step"]), deque()).append(row)
        self._left = len(rows)
        self._kept: Kept | None = None
        self._grown = False
        self._best: tuple[Difference, ...] | None = None
        self._verdict = Verdict(start, start, known=start)

    def takes(self, run: RunState, effects: tuple[Any, ...]) -> bool:
        """Compare what an item of the fold shows; False where nothing more is to come."""
        at = run.iteration
        if at > self._verdict.end:
            self._settle(at)
            if self._verdict.step is not None or at > self._to:
                return False
            self._verdict = self._verdict._replace(end=at)
        for effect in effects:
            if isinstance(effect, WriteScalars):
                self._line(effect)
        if self._waiting and at == self._waiting[0]:
            self._state(run, any(isinstance(effect, SaveCheckpoint) for effect in effects))
        if self._verdict.grown is not None:
            return False
        if self._verdict.row is not None:
            return bool(self._waiting)
        return at < self._to or bool(self._waiting) or self._left > 0

    def verdict(self) -> Verdict:
        """What came of it, the fold having ended."""
        self._settle(self._verdict.end + 1)
        return self._verdict

    def _line(self, effect: WriteScalars) -> None:
        rows, verdict = self._rows.get((effect.mode, effect.step)), self._verdict
        if not rows or verdict.row is not None:
            return
        self._left -= 1
        changes = row_changes(rows.popleft(), effect.scalars)
        if changes:
            self._verdict = verdict._replace(row=RowChange(effect.step, effect.mode, changes))
        else:
            self._verdict = verdict._replace(lines=verdict.lines + 1, known=max(verdict.known, effect.step))

    def _state(self, run: RunState, saves: bool) -> None:
        """Compare the run as it stands with the checkpoint of its step, which was written at one of the moments there."""
        step = self._waiting[0]
        if self._kept is None:
            self._kept = self._read(step)
            if self._kept is None:
                self._waiting.popleft()
                return
            before = self._kept.saved
            self._kept = self._kept._replace(saved=_reopened(self._plan, before))
            self._grown = dict(self._kept.saved.record["position"]) != dict(before.record["position"])
        kept = self._kept
        there = run.position._asdict() == dict(kept.saved.record["position"])
        if not (there or saves or self._best is None):
            return
        if self._plan.fleet.several:
            self._plan.fleet.share(_SAVE)
        now = _reopened(self._plan, save(self._plan, run))
        if kept.weights_only:
            now = now._replace(arrays={name: array for name, array in now.arrays.items() if name in kept.saved.arrays})
        found = (parted if self._grown else differing)(kept.saved, now)
        if found:
            self._best = found if self._best is None or len(found) <= len(self._best) else self._best
            return
        self._waiting.popleft()
        self._kept = self._best = None
        verdict = self._verdict._replace(checkpoints=(*self._verdict.checkpoints, step))
        if verdict.row is not None:  # the one that was waited for
            self._waiting.clear()
            self._verdict = verdict
        else:
            self._verdict = verdict._replace(known=step, grown=step if self._grown and step < self._to else None)

    def _settle(self, at: int) -> None:
        """A checkpoint that was equal at no moment of its step differs, the run having gone past it."""
        if self._waiting and self._waiting[0] < at and self._best is not None:
            self._verdict = self._verdict._replace(step=self._waiting[0], differences=self._best)
            self._waiting.clear()


def _reopened(plan: Plan, saved: Saved) -> Saved:
    """What a run was saved as, its position as the run knows it whose length may have grown since."""
    position = reopened(plan.course, Position(**saved.record["position"]))
    return saved._replace(record={**saved.record, "position": position._asdict()})


def advance(
    plan: Plan, run: RunState, data: Mapping[str, Source], to: int, inbox: Iterable[tuple[Observed, ...]] = ()
) -> Generator[RunState, None, Saved]:
    """Fold the plan's events over a run until step ``to`` is done, and before anything that follows it.

    Yields:
        the run at each item of the fold.

    Returns:
        what the run is saved as there: it goes on from that by `fkit.restore`.

    Raises:
        FkitValueError: the run ends before.
        RunError: as `fkit.train`.
    """
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    expect(run, RunState, "`run` is a run's state (fkit.begin or fkit.restore gives one)")
    expect_number(to, "to", whole=True)
    return _advance(plan, run, data, to, inbox)


def _advance(
    plan: Plan, run: RunState, data: Mapping[str, Source], to: int, inbox: Any
) -> Generator[RunState, None, Saved]:
    if run.iteration >= to:
        return save(plan, run)
    for run, _ in train(plan, run, data, inbox):
        if run.iteration >= to:
            return save(plan, run)
        yield run
    raise FkitValueError(f"the run ends after {run.iteration} iterations, before step {to}.")

"""The course of a run: given a loop and a position, what comes next is a value."""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fkit.run.state import Position
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["WORDS", "Course", "Validation", "by_epochs", "by_iterations", "reopened"]

WORDS = (
    "before_train_epoch", "iterate", "after_train_epoch", "validate", "val_losses", "after_train", "after_run", "done",
)  # fmt: skip
"""What a course may say comes next: to tell hooks of an event, ``iterate`` (a training step), ``validate`` (predict and
score all of the validation data), ``val_losses`` (mmcv's "val" phase), or nothing more."""

_PLAIN = (("train", 1),)


class Validation(NamedTuple):
    """When a run validates, in epochs or iterations as the run counts.

    Attributes:
        begin: not before so many are done.
        intervals: (milestone, interval) each, milestones rising from 0; one holds from ``milestone - 1`` done on, as in
            mmengine.
    """

    begin: int = 1
    intervals: tuple[tuple[int, int], ...] = ((0, 1),)

    def interval(self, done: int) -> int:
        """The interval in force when ``done`` are done.

        Example:
            >>> [Validation(1, ((0, 1), (4, 2))).interval(done) for done in range(5)]
            [1, 1, 1, 2, 2]
        """
        if len(self.intervals) == 1:
            return self.intervals[0][1]
        return self.intervals[bisect([milestone for milestone, _ in self.intervals], done + 1) - 1][1]

    def due(self, done: int, limit: int) -> bool:
        """Whether a run of ``limit`` validates when ``done`` are done: at each multiple of the interval, and at the last.

        Example:
            >>> [done for done in range(1, 8) if Validation(2, ((0, 2),)).due(done, limit=7)]
            [2, 4, 6, 7]
        """
        return done >= self.begin and (done % self.interval(done) == 0 or done == limit)


@dataclass(frozen=True)
class Course:
    """How a run goes through its data: the value of a loop.

    A loop of one's own is one registration, of a function (or class) that makes such a value of what stands in
    ``train_cfg`` beside ``type``. It decides what comes next by `next`::

        @dataclass(frozen=True)
        class Doubling(Course):
            def next(self, at, length):
                word, after = super().next(at, length)
                if word == "after_train_epoch":  # validate after epochs 1, 2, 4, 8, ... alone
                    after = after._replace(validate=after.epoch & (after.epoch - 1) == 0)
                return word, after

        registry = fkit.registry().register("loops", lambda max_epochs: Doubling(True, max_epochs), name="DoublingLoop")
        plan = fkit.plan(cfg.merge({"train_cfg": dict(type="DoublingLoop", max_epochs=9, _delete_=True)}), registry)

    Attributes:
        by_epoch: whole epochs, or iterations over data that begins again as often as needed.
        limit: epochs or iterations of training.
        workflow: ((mode, count), ...): train epochs (or iterations) alternating with "val" ones, which compute losses
            without updates; mmcv's sense.
        validation: when validation data are predicted and scored; None leaves that to hooks.

    Raises:
        FkitError: a limit below 0, or a workflow that never trains.
    """

    by_epoch: bool
    limit: int
    workflow: tuple[tuple[str, int], ...] = _PLAIN
    validation: Validation | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.limit < 0:
            raise FkitValueError(f"a course of {self.limit} epochs or iterations: at least 0.")
        if not any(mode == "train" for mode, _ in self.workflow):
            raise FkitValueError(
                f"workflow = {quoted(self.workflow)} never trains.", repair="Let one of its items be ('train', 1), say."
            )

    def total(self, length: int) -> int:
        """Training iterations of the whole run; ``length`` is an epoch's."""
        return self.limit * length if self.by_epoch else self.limit

    def next(self, at: Position, length: int) -> tuple[str, Position]:
        """What comes next, and the position after it.

        Args:
            at: where the run is.
            length: iterations of an epoch (0: endless, for iteration-based runs only).

        Returns:
            (one of `WORDS`, position).

        Example:
            >>> course, at, words = Course(True, 1, validation=Validation()), Position(), []
            >>> while not words or words[-1] != "done":
            ...     word, at = course.next(at, 2)
            ...     words.append(word)
            >>> words  # doctest: +NORMALIZE_WHITESPACE
            ['before_train_epoch', 'iterate', 'iterate', 'after_train_epoch', 'validate', 'after_train', 'after_run',
             'done']
        """
        if at.stage == "iterate" and not at.validate:
            _, iteration, epoch, inner, flow, flow_done, val_done, _, stop = at
            if self.by_epoch and inner < length:  # most of all words
                return "iterate", Position(
                    "iterate", iteration + 1, epoch, inner + 1, flow, flow_done, val_done, False, stop
                )
            if not self.by_epoch and iteration < self.limit and not stop and self.workflow == _PLAIN:
                due = self.validation is not None and self.validation.due(iteration + 1, self.limit)
                inner = 0 if inner + 1 == length else inner + 1
                return "iterate", Position("iterate", iteration + 1, epoch, inner, flow, flow_done, val_done, due, stop)
            return _iterate(self, at, length)
        if at.validate:
            return "validate", at._replace(validate=False)
        if at.stage == "begin":
            return _begin(self, at)
        if at.stage == "after_train":
            return "after_train", at._replace(stage="after_run")
        if at.stage == "after_run":
            return "after_run", at._replace(stage="done")
        return "done", at


Intervals = Sequence[tuple[int, int]]


def by_epochs(
    max_epochs: float, val_begin: int = 1, val_interval: float = 1, dynamic_intervals: Intervals | None = None
) -> Course:
    """mmengine's EpochBasedTrainLoop: whole epochs, validated after every ``val_interval`` of them and after the last.

    Args:
        max_epochs: how many; a whole number.
        val_begin: the first epoch to validate after.
        val_interval: epochs from validation to validation.
        dynamic_intervals: (milestone, interval) each: other intervals from the epoch before a milestone on.

    Example:
        >>> by_epochs(3, val_interval=2, dynamic_intervals=[(5, 1)]).validation
        Validation(begin=1, intervals=((0, 2), (5, 1)))
    """
    return Course(
        True, _limit("max_epochs", max_epochs), _PLAIN, _validation(val_begin, val_interval, dynamic_intervals)
    )


def by_iterations(
    max_iters: float, val_begin: int = 1, val_interval: float = 1000, dynamic_intervals: Intervals | None = None
) -> Course:
    """mmengine's IterBasedTrainLoop: iterations over data that begins again as often as needed.

    Args:
        max_iters: how many; a whole number.
        val_begin, val_interval, dynamic_intervals: as those of `by_epochs`, in iterations.

    Example:
        >>> course = by_iterations(5, val_interval=2)
        >>> [done for done in range(6) if course.validation.due(done, course.limit)]
        [2, 4, 5]
    """
    return Course(
        False, _limit("max_iters", max_iters), _PLAIN, _validation(val_begin, val_interval, dynamic_intervals)
    )


def reopened(course: Course, at: Position) -> Position:
    """Where a run that had ended goes on, its length having grown; any other position as it is.

    Example:
        >>> reopened(Course(True, 3), Position("after_run", iteration=4, epoch=2)).stage
        'begin'
    """
    expect(course, Course, "`course` is a Course (plan.course)")
    expect(at, Position, "`at` is a Position (run.position)")
    done = at.epoch if course.by_epoch else at.iteration
    if at.stage not in ("after_train", "after_run", "done") or at.stop or done >= course.limit:
        return at
    return at._replace(stage="begin" if course.by_epoch else "iterate")


def _limit(name: str, count: float) -> int:
    """A number of epochs or iterations; 12.0 is 12, as in mmengine."""
    expect_number(count, name)
    if count != int(count) or count < 1:
        raise FkitValueError(f"{name} = {count}: a whole number of at least 1.")
    return int(count)


def _validation(begin: int, interval: float, dynamic: Any) -> Validation:
    expect_number(begin, "val_begin", whole=True)
    if begin < 0:
        raise FkitValueError(f"val_begin = {begin}: at least 0.")
    rows = [(0, _limit("val_interval", interval))]
    for row in dynamic or ():
        if not isinstance(row, (list, tuple)) or len(row) != 2 or not all(type(number) is int for number in row):
            raise FkitTypeError(
                f"dynamic_intervals holds {quoted(row)}: a pair of whole numbers, (milestone, interval), each."
            )
        milestone, every = row
        if milestone <= rows[-1][0] or every < 1:
            raise FkitValueError(
                f"dynamic_intervals = {quoted(dynamic)}: milestones rise from 1 on, and intervals are at least 1."
            )
        rows.append((milestone, every))
    return Validation(begin, tuple(rows))


def _begin(course: Course, at: Position) -> tuple[str, Position]:
    """Between epochs; an iteration-based run passes here once."""
    if not course.by_epoch:
        return "before_train_epoch", at._replace(stage="iterate")
    due = _due(course, at, at.epoch >= course.limit or at.stop)
    if due is None:
        return "after_train", at._replace(stage="after_run")
    at = due
    if course.workflow[at.flow][0] == "val":
        return "val_losses", _count(course, at)
    return "before_train_epoch", at._replace(stage="iterate", inner=0)


def _iterate(course: Course, at: Position, length: int) -> tuple[str, Position]:
    if course.by_epoch:
        after = at._replace(stage="begin", epoch=at.epoch + 1)
        return "after_train_epoch", _count(course, _validated(course, after, after.epoch))
    due = None if at.stop else _due(course, at, at.iteration >= course.limit)
    if due is None:
        return "after_train_epoch", at._replace(stage="after_train")
    at = due
    if course.workflow[at.flow][0] == "val":
        return "val_losses", _count(course, at._replace(val_done=at.val_done + 1))
    after = at._replace(iteration=at.iteration + 1, inner=at.inner + 1)
    if length and after.inner >= length:
        after = after._replace(inner=0)
    return "iterate", _count(course, _validated(course, after, after.iteration))


def _validated(course: Course, at: Position, done: int) -> Position:
    """The position with the validation that is due there."""
    due = course.validation is not None and course.validation.due(done, course.limit)
    return at._replace(validate=True) if due else at


def _due(course: Course, at: Position, full: bool) -> Position | None:
    """The position at the workflow's next item that has work: a run that is ``full`` skips training, and ends (None) when
    the workflow would begin again."""
    while full:
        if at.flow == 0 and at.flow_done == 0:
            return None
        if course.workflow[at.flow][0] == "val":
            break
        at = _next_item(course, at)
    return at


def _count(course: Course, at: Position) -> Position:
    """One more epoch (or iteration) of the workflow's item."""
    done = at.flow_done + 1
    return at._replace(flow_done=done) if done < course.workflow[at.flow][1] else _next_item(course, at)


def _next_item(course: Course, at: Position) -> Position:
    return at._replace(flow=(at.flow + 1) % len(course.workflow), flow_done=0)

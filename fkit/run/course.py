"""The course of a run: given a loop and a position, what comes next is a value."""

from typing import NamedTuple

from fkit.run.state import Position

__all__ = ["Course", "reopened", "upcoming"]


class Course(NamedTuple):
    """How a run goes through its data.

    Attributes:
        by_epoch: whole epochs, or iterations over data that begins again as often as needed.
        limit: epochs or iterations of training.
        workflow: ((mode, count), ...): train epochs (or iterations) alternating with "val" ones, which compute losses
            without updates; mmcv's sense.
    """

    by_epoch: bool
    limit: int
    workflow: tuple[tuple[str, int], ...] = (("train", 1),)

    def total(self, length: int) -> int:
        """Training iterations of the whole run; ``length`` is an epoch's."""
        return self.limit * length if self.by_epoch else self.limit


def upcoming(course: Course, at: Position, length: int) -> tuple[str, Position]:
    """What comes next, and the position after it.

    Args:
        length: iterations of an epoch (0: endless, for iteration-based runs only).

    Returns:
        ("before_train_epoch" | "iterate" | "after_train_epoch" | "val_losses" | "validate" | "after_train" | "after_run"
        | "done", position).

    Example:
        >>> course, at, words = Course(True, 1), Position(), []
        >>> while not words or words[-1] != "done":
        ...     word, at = upcoming(course, at, 2)
        ...     words.append(word)
        >>> words
        ['before_train_epoch', 'iterate', 'iterate', 'after_train_epoch', 'after_train', 'after_run', 'done']
    """
    if at.stage == "iterate" and not at.validate:
        if course.by_epoch and at.inner < length:  # most of all words
            _, iteration, epoch, inner, flow, flow_done, val_done, _, stop = at
            return "iterate", Position(
                "iterate", iteration + 1, epoch, inner + 1, flow, flow_done, val_done, False, stop
            )
        return _iterate(course, at, length)
    if at.validate:
        return "validate", at._replace(validate=False)
    if at.stage == "begin":
        return _begin(course, at)
    if at.stage == "after_train":
        return "after_train", at._replace(stage="after_run")
    if at.stage == "after_run":
        return "after_run", at._replace(stage="done")
    return "done", at


def reopened(course: Course, at: Position) -> Position:
    """Where a run that had ended goes on, its length having grown; any other position as it is.

    Example:
        >>> reopened(Course(True, 3), Position("after_run", iteration=4, epoch=2)).stage
        'begin'
    """
    done = at.epoch if course.by_epoch else at.iteration
    if at.stage not in ("after_train", "after_run", "done") or at.stop or done >= course.limit:
        return at
    return at._replace(stage="begin" if course.by_epoch else "iterate")


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
        return "after_train_epoch", _count(course, at._replace(stage="begin", epoch=at.epoch + 1))
    due = None if at.stop else _due(course, at, at.iteration >= course.limit)
    if due is None:
        return "after_train_epoch", at._replace(stage="after_train")
    at = due
    if course.workflow[at.flow][0] == "val":
        return "val_losses", _count(course, at._replace(val_done=at.val_done + 1))
    after = at._replace(iteration=at.iteration + 1, inner=at.inner + 1)
    if length and after.inner >= length:
        after = after._replace(inner=0)
    return "iterate", _count(course, after)


def _due(course: Course, at: Position, full: bool) -> Position | None:
    """The position at the workflow's next item that has work: a run that is ``full`` skips training, and ends (None) when
    the workflow would begin again."""
    while full and course.workflow[at.flow][0] == "train":
        if at.flow == 0 and at.flow_done == 0:
            return None
        at = _next_item(course, at)
    return at


def _count(course: Course, at: Position) -> Position:
    """One more epoch (or iteration) of the workflow's item."""
    done = at.flow_done + 1
    return at._replace(flow_done=done) if done < course.workflow[at.flow][1] else _next_item(course, at)


def _next_item(course: Course, at: Position) -> Position:
    return at._replace(flow=(at.flow + 1) % len(course.workflow), flow_done=0)

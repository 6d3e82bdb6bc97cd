"""What every logger of a run has: when its lines come, who reads them, and where the logs go when the run ends."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fkit.run.effect import CopyLogs, Fail
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook, Offer
from fkit.run.hook.measure import read_steps
from fkit.run.hook.processor import Style
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["Lines", "due_line"]


@dataclass(frozen=True)
class Lines(Hook):
    """A logger, with OpenMMLab's arguments; which lines it writes its kinds say.

    Args:
        interval: iterations from line to line, counted within the epoch; of an iteration-based run from its beginning.
        ignore_last: leave out a line at the end of the epoch; mmengine's logger writes it where the epoch is no longer than
            the interval.
        interval_exp_name: iterations from line to line of the ``experiment_name``, where the config gives one.
        out_dir: where the work folder's logs are copied when the run ends: a folder, or an address that `fkit.fileio` knows.
        out_suffix: how their names end.
        keep_local: whether they stay in the work folder too.
        file_client_args: of the storage of ``out_dir``.

    Its memory's second part are the names of values that were said not to be finite.

    Raises:
        FkitError: an interval below 1; logs that would stay nowhere; two descriptions of one storage.
    """

    reads: ClassVar[bool] = True
    interval: int = 10
    ignore_last: bool = True
    interval_exp_name: int = 1000
    out_dir: str | None = None
    out_suffix: tuple[str, ...] = (".jsonl", ".json", ".txt", ".log", ".py")
    keep_local: bool = True
    file_client_args: Mapping[str, Any] | None = None
    style: Style = field(init=False, default=Style())

    def __post_init__(self) -> None:
        check_fields(self)
        kind = type(self).__name__
        for name in ("interval", "interval_exp_name"):
            if getattr(self, name) < 1:
                raise FkitValueError(f"{kind}: {name}={getattr(self, name)}: at least 1.", path=name)
        if self.out_dir is None and not self.keep_local:
            what = f"{kind}: keep_local=False, and no out_dir: the logs would be nowhere."
            raise FkitValueError(what, path="keep_local")
        if self.file_client_args is not None and getattr(self, "backend_args", None) is not None:
            what = f"{kind}: file_client_args and backend_args are one thing."
            raise FkitValueError(what, repair="Give backend_args.")

    def bind(self, offer: Offer) -> Hook:
        """With how the run's lines are worded, and who else reads them."""
        hook = copy.copy(self)
        object.__setattr__(hook, "style", offer.style)
        return hook

    def answers(self, event: str) -> bool:
        return super().answers(event) and (event != "after_run" or self.out_dir is not None)

    def after_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The steps since the last line are checked."""
        return (memory, read_steps(event, run, memory.observed[1]).effects) if event.window else (memory, ())

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The steps since the last line are checked, so that what is saved is sound."""
        effects = read_steps(event, run).effects if event.window else ()
        return memory, tuple(effect for effect in effects if isinstance(effect, Fail))

    def after_run(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The logs go where they are to lie."""
        if self.out_dir is None:
            return memory, ()
        storage: Any = getattr(self, "backend_args", None) if self.file_client_args is None else self.file_client_args
        return memory, (CopyLogs(self.out_dir, tuple(self.out_suffix), self.keep_local, storage),)


def due_line(position: Position, length: int, total: int, interval: int, last: bool, by_epoch: bool) -> int:
    """The iteration of the next line: a multiple of the interval, or with ``last`` the end of the epoch.

    Args:
        position, length, total: as `Hook.due` has them.
        interval: iterations from line to line, counted within the epoch, or ``by_epoch=False`` from the run's beginning.

    Example:
        >>> at = Position("iterate", 20, 1, 8)  # 8 of 12 iterations of the second epoch are done
        >>> due_line(at, 12, 36, 5, False, True), due_line(at, 12, 36, 5, True, True), due_line(at, 12, 36, 5, True, False)
        (22, 22, 25)
    """
    done = position.iteration
    inner, end = (position.inner % length if length else position.inner, length) if by_epoch else (done, total)
    steps = interval - inner % interval
    left = end - inner if end else steps
    if steps <= left:
        return done + steps
    if last:
        return done + max(left, 1)
    return done + left + interval if by_epoch and interval <= length else NEVER

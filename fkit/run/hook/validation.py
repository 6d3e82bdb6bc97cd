"""When to validate: mmengine's ``val_interval`` and ``val_begin``, as a hook."""

from dataclasses import dataclass
from typing import ClassVar

from fkit.run.effect import Validate
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["ValidationHook"]


@dataclass(frozen=True)
class ValidationHook(Hook):
    """Validate every ``interval`` epochs (or iterations) from ``begin`` on, and after the last one.

    Example:
        >>> from fkit.run.event import Event
        >>> hook = ValidationHook(interval=2)
        >>> hook.after_train_epoch(Memory(), None, Event("after_train_epoch", epoch=2, total=9))[1]
        (Validate(),)
    """

    priority: ClassVar[str | int] = "LOW"
    interval: int = 1
    begin: int = 1
    by_epoch: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1 or self.begin < 0:
            raise FkitValueError(f"ValidationHook: interval={self.interval}, begin={self.begin}: at least 1 and 0.")

    def answers(self, event: str) -> bool:
        return super().answers(event) and not (event == "after_train_iter" and self.by_epoch)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next multiple of the interval from ``begin`` on, or the last iteration."""
        first = max(position.iteration + 1, self.begin)
        return min(-(-first // self.interval) * self.interval, max(first, total))

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Validate(),) if self.by_epoch and self._now(event.epoch, event) else ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Validate(),) if not self.by_epoch and self._now(event.iteration, event) else ()

    def _now(self, done: int, event: Event) -> bool:
        if done < self.begin:
            return False
        return done % self.interval == 0 or event.iteration >= event.total

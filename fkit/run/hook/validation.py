"""When to validate: mmengine's ``val_interval`` and ``val_begin``, as a hook."""

from dataclasses import dataclass
from typing import ClassVar

from fkit.run.effect import Validate
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState
from fkit.tree.check import check_fields

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
    __post_init__ = check_fields

    def answers(self, event: str) -> bool:
        return super().answers(event) and not (event == "after_train_iter" and self.by_epoch)

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Validate(),) if self.by_epoch and self._due(event.epoch, event) else ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Validate(),) if not self.by_epoch and self._due(event.iteration, event) else ()

    def _due(self, done: int, event: Event) -> bool:
        if done < self.begin:
            return False
        return done % self.interval == 0 or event.iteration >= event.total

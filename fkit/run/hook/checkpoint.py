"""When to save, and what to keep: CheckpointHook."""

from dataclasses import dataclass
from typing import ClassVar

from fkit.run.effect import DeleteCheckpoint, Effect, SaveCheckpoint
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["CheckpointHook"]


@dataclass(frozen=True)
class CheckpointHook(Hook):
    """Save every ``interval`` epochs or iterations, at the end, and when the run is interrupted.

    Args:
        interval: epochs, or iterations with ``by_epoch=False``; 0 saves at the end only.
        by_epoch: what the interval counts.
        max_keep_ckpts: how many to keep, the newest; -1 keeps all. The one before is never deleted before the new one is
            written, so a crash while saving loses nothing.
        save_last: save after the last iteration, whatever the interval.

    Memory (observed): the steps saved and kept, oldest first.
    """

    priority: ClassVar[str | int] = "VERY_LOW"
    interval: int = 1
    by_epoch: bool = True
    max_keep_ckpts: int = -1
    save_last: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_keep_ckpts == 0 or self.interval < 0:
            raise FkitValueError(
                f"CheckpointHook: interval={self.interval}, max_keep_ckpts={self.max_keep_ckpts}: interval is 0 or more, "
                "max_keep_ckpts 1 or more, or -1 for all."
            )

    def answers(self, event: str) -> bool:
        return super().answers(event) and not (event == "after_train_iter" and self.by_epoch)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next multiple of the interval."""
        return (position.iteration // self.interval + 1) * self.interval if self.interval > 0 else NEVER

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event) if self.by_epoch and self._now(event.epoch) else (memory, ())

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event) if not self.by_epoch and self._now(event.iteration) else (memory, ())

    def after_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The last state is saved; again, where validation came after the last save."""
        return self._save(memory, event) if self.save_last else (memory, ())

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event, event.reason)

    def _now(self, done: int) -> bool:
        return self.interval > 0 and done % self.interval == 0

    def _save(self, memory: Memory, event: Event, reason: str = "") -> Answer:
        """Save first; then delete what is too old."""
        step = event.iteration
        steps = (*(s for s in memory.observed if s != step), step)
        drop = steps[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else ()
        effects: tuple[Effect, ...] = (SaveCheckpoint(step, reason), *(DeleteCheckpoint(old) for old in drop))
        return Memory((), steps[len(drop) :]), effects

"""When to save, and what to keep: CheckpointHook."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fkit.run.effect import DeleteCheckpoint, Effect, SaveCheckpoint, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import NEVER, Answer, Hook
from fkit.run.state import Memory, Position, RunState
from fkit.training.best import rule_of
from fkit.tree.check import check_fields
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["CheckpointHook"]


@dataclass(frozen=True)
class CheckpointHook(Hook):
    """Save every ``interval`` epochs or iterations, at the end, when the run is interrupted, and where it validates best.

    What is no longer kept is deleted after its successor is written, so a crash while saving loses nothing.

    Args:
        interval: epochs, or iterations with ``by_epoch=False``; 0 saves at the end only.
        by_epoch: what the interval counts.
        max_keep_ckpts: how many to keep, the newest, beside the best one; -1 keeps all.
        save_last: save after the last iteration, whatever the interval.
        save_best: the metric by which the best one is kept, and saved if its step is not; "auto" is the first metric of
            validation, if its rule is known; None keeps no best one. With ``interval=0`` there is none.
        rule: "greater" or "less": what is better; by default what the metric's name says (`rule_of`).

    Memory: exact, (metric, value, step) of the best one, value and step None where its rule is unknown, which is said
    once; observed, the steps saved and kept, oldest first.
    """

    priority: ClassVar[str | int] = "VERY_LOW"
    interval: int = 1
    by_epoch: bool = True
    max_keep_ckpts: int = 3
    save_last: bool = True
    save_best: str | None = "auto"
    rule: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_keep_ckpts == 0 or self.interval < 0:
            raise FkitValueError(
                f"CheckpointHook: interval={self.interval}, max_keep_ckpts={self.max_keep_ckpts}: interval is 0 or more, "
                "max_keep_ckpts 1 or more, or -1 for all."
            )
        if self.rule not in (None, "greater", "less"):
            raise FkitValueError(f"CheckpointHook: rule={self.rule!r}.", value=self.rule, choices=("greater", "less"))
        if self.save_best not in (None, "auto") and self.rule is None and rule_of(self.save_best) is None:
            what = f"CheckpointHook: save_best={self.save_best!r}: its name does not say whether more of it is better."
            raise FkitValueError(what, repair="Say rule='greater' or rule='less'.")

    def answers(self, event: str) -> bool:
        if event == "after_val_epoch":
            return self.save_best is not None and self.interval > 0
        return super().answers(event) and not (event == "after_train_iter" and self.by_epoch)

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        """The next multiple of the interval."""
        return (position.iteration // self.interval + 1) * self.interval if self.interval > 0 else NEVER

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event) if self.by_epoch and self._now(event.epoch) else (memory, ())

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event) if not self.by_epoch and self._now(event.iteration) else (memory, ())

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The best one yet is kept, and the one that was the best before goes, unless it is among the newest."""
        if not event.metrics:  # mmcv's "val" phase has losses alone
            return memory, ()
        name = self._metric(event.metrics)
        rule, value = self.rule or rule_of(name), event.metrics[name]
        if rule is None:
            if memory.exact:
                return memory, ()
            text = (
                f"{name}: its name does not say whether more of it is better: no best checkpoint is kept. "
                "default_hooks.checkpoint.rule='greater' (or 'less') says it; save_best=None is for none."
            )
            return Memory((name, None, None), memory.observed), (WriteText(text, "WARNING"),)
        best = memory.exact[1] if memory.exact and memory.exact[0] == name else None
        if not math.isfinite(value) or (best is not None and (value <= best if rule == "greater" else value >= best)):
            return memory, ()
        memory = Memory((name, float(value), event.iteration), memory.observed)
        if event.iteration not in memory.observed:
            return self._save(memory, event)
        return self._pruned(memory)

    def after_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """The last state is saved; again, where validation came after the last save."""
        return self._save(memory, event) if self.save_last else (memory, ())

    def on_interrupt(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return self._save(memory, event, event.reason)

    def _now(self, done: int) -> bool:
        return self.interval > 0 and done % self.interval == 0

    def _metric(self, metrics: Mapping[str, float]) -> str:
        if self.save_best is None or self.save_best == "auto":
            return next(iter(metrics))
        if self.save_best not in metrics:
            raise FkitKeyError(
                f"CheckpointHook: save_best={self.save_best!r} is no metric of validation.", value=self.save_best,
                choices=tuple(metrics), label="Metrics", path="default_hooks.checkpoint.save_best",
            )  # fmt: skip
        return self.save_best

    def _save(self, memory: Memory, event: Event, reason: str = "") -> Answer:
        """Save first; then delete what is too old."""
        step = event.iteration
        steps = (*(s for s in memory.observed if s != step), step)
        after, effects = self._pruned(memory._replace(observed=steps))
        return after, (SaveCheckpoint(step, reason), *effects)

    def _pruned(self, memory: Memory) -> Answer:
        """The memory of what is kept, and what is not any more."""
        steps: tuple[int, ...] = memory.observed
        old = steps[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else ()
        best = memory.exact[2] if memory.exact else None
        drop = tuple(step for step in old if step != best)
        effects: tuple[Effect, ...] = tuple(DeleteCheckpoint(step) for step in drop)
        return memory._replace(observed=tuple(step for step in steps if step not in drop)), effects

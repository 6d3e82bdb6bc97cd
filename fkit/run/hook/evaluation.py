"""When to validate, as mmcv 1.x has it: EvalHook and DistEvalHook."""

from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.run.effect import Validate
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["DistEvalHook", "EvalHook"]

_BEST = ("save_best", "rule", "greater_keys", "less_keys", "out_dir")


@dataclass(frozen=True)
class EvalHook(Hook):
    """Validate every ``interval`` epochs or iterations from ``start`` on; not after the last one, unless it is one of them.

    A run that has this hook is validated by it alone: ``train_cfg``'s ``val_interval`` and ``val_begin`` do not count.

    Args:
        start: the first epoch (or iteration) to validate after; with 0 and an interval of 1 the run is validated before it
            begins too. None is ``interval``.
        interval: from one validation to the next.
        by_epoch: what both count.
        save_best, rule, greater_keys, less_keys, out_dir: arguments of CheckpointHook here, which keeps the best; None.

    Raises:
        FkitValueError: an interval below 1, a start below 0, or an argument of CheckpointHook.

    Example:
        >>> hook = EvalHook(start=2, interval=3)
        >>> [done for done in range(1, 10) if hook.now(done)]
        [2, 5, 8]
    """

    priority: ClassVar[str | int] = "LOW"
    start: int | None = None
    interval: int = 1
    by_epoch: bool = True
    save_best: Any = None
    rule: Any = None
    greater_keys: Any = None
    less_keys: Any = None
    out_dir: Any = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1 or (self.start is not None and self.start < 0):
            raise FkitValueError(
                f"{type(self).__name__}: interval={self.interval}, start={self.start}: at least 1 and 0."
            )
        for name in _BEST:
            if getattr(self, name) is not None:
                raise FkitValueError(
                    f"{type(self).__name__}: {name}={getattr(self, name)!r}: what is kept is CheckpointHook's to say.",
                    path=name, repair=f"Set default_hooks.checkpoint.{name}; or give it in mmcv's `evaluation`.",
                )  # fmt: skip

    def now(self, done: int) -> bool:
        """Whether it validates when ``done`` epochs (or iterations) are done."""
        past = done if self.start is None else done - self.start
        return past >= 0 and past % self.interval == 0

    def answers(self, event: str) -> bool:
        if event == "before_train":
            return self.start == 0 and self.interval == 1
        return super().answers(event) and (event == "after_train_epoch") == self.by_epoch

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        first, done = self.start or 0, position.iteration
        return first + ((done - first) // self.interval + 1) * self.interval if done >= first else first

    def before_train(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """Once, before anything was trained; a run that goes on does not validate again."""
        return memory, (Validate(),) if not event.iteration and not run.restored else ()

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Validate(),) if self.by_epoch and self.now(event.epoch) else ()

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, (Validate(),) if not self.by_epoch and self.now(event.iteration) else ()


@dataclass(frozen=True)
class DistEvalHook(EvalHook):
    """EvalHook of several processes; how these gather their results is the kit's own affair.

    Args:
        broadcast_bn_buffer: for several processes: all have the batch statistics of the first.
        tmpdir, gpu_collect: for several processes: where mmcv gathers results.
    """

    broadcast_bn_buffer: bool = True
    tmpdir: str | None = None
    gpu_collect: bool = False

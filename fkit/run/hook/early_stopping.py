"""When to stop because nothing becomes better: EarlyStoppingHook."""

import math
from dataclasses import dataclass
from typing import ClassVar

from fkit.run.effect import Stop, WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState
from fkit.training.best import RULES, is_better, metric_of, rule_of
from fkit.tree.check import check_fields
from fkit.tree.error import FkitError, FkitValueError

__all__ = ["EarlyStoppingHook"]


@dataclass(frozen=True)
class EarlyStoppingHook(Hook):
    """Stop when a metric has not become better by ``min_delta`` for ``patience`` validations: mmengine's hook.

    Args:
        monitor: the metric's name.
        rule: "greater" or "less": what is better; by default what the name says.
        min_delta: by how much better it is to be, at least.
        strict: fail where validation gives no such metric; else that is said.
        check_finite: stop when it is not finite.
        patience: validations that may pass without.
        stopping_threshold: stop when the metric is better than this.

    Memory: exact, (validations without, the best value or None).

    Raises:
        FkitValueError: a rule that there is not, or none for the name; a patience below 0.
    """

    priority: ClassVar[str | int] = "LOWEST"
    monitor: str
    rule: str | None = None
    min_delta: float = 0.1
    strict: bool = False
    check_finite: bool = True
    patience: int = 5
    stopping_threshold: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.rule is not None and self.rule not in RULES:
            raise FkitValueError(f"EarlyStoppingHook: rule={self.rule!r}.", value=self.rule, choices=RULES)
        if self.rule is None and rule_of(self.monitor) is None:
            raise FkitValueError(
                f"EarlyStoppingHook: monitor={self.monitor!r}: its name does not say whether more of it is better.",
                repair="Say rule='greater' or rule='less'.",
            )
        if self.patience < 0:
            raise FkitValueError(f"EarlyStoppingHook: patience={self.patience}: at least 0.")

    def memory(self) -> Memory:
        return Memory((0, None))

    def after_val_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        if not event.metrics:  # mmcv's "val" phase has losses alone
            return memory, ()
        try:
            name = metric_of(self.monitor, event.metrics, "EarlyStoppingHook: monitor")
        except FkitError as error:
            if self.strict:
                raise
            return memory, (WriteText(f"{error.what} The run is not stopped early.", "WARNING"),)
        rule = self.rule or rule_of(self.monitor) or "greater"
        count, best = memory.exact
        value = float(event.metrics[name])
        wanted = math.nan if best is None else best + (self.min_delta if rule == "greater" else -self.min_delta)
        if self.check_finite and not math.isfinite(value):
            return memory, self._stop(f"{name} = {value} is not finite (the best was {best})")
        if self.stopping_threshold is not None and is_better(rule, value, self.stopping_threshold):
            text = f"{name} = {value:g} is better than the threshold {self.stopping_threshold:g}"
            return Memory((count, value)), self._stop(text)
        if not is_better(rule, wanted, value):
            return Memory((0, value)), ()
        count += 1
        if count < self.patience:
            return Memory((count, best)), ()
        text = f"{name} has not become better than {best:g} by {self.min_delta:g} in {count} validations"
        return Memory((count, best)), self._stop(text)

    def _stop(self, reason: str) -> tuple[WriteText, Stop]:
        return WriteText(f"the run is stopped early: {reason}"), Stop(reason)

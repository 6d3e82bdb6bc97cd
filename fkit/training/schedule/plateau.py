"""mmengine's ReduceOnPlateau: lower a value when validation gets no better."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.training.schedule.policy import INF, Extent, Time, Value
from fkit.tree.check import check_fields, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError, quoted

__all__ = ["ReduceOnPlateauLR"]


@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateauLR:
    """The value times ``factor`` after more than ``patience`` validations that were no better than the best so far.

    Args:
        monitor: the metric.
        rule: "less" or "greater" is better.
        factor: what the value is multiplied by, below 1.
        patience: validations that may be no better.
        threshold: how much better counts, as a part of the best ("rel") or by itself ("abs").
        threshold_rule: which of the two.
        cooldown: validations after a reduction in which none is counted.
        min_value: the least value; a list gives one for each group.
        eps: a smaller reduction is none.
        begin: epochs done from which validations count.
        end: and before which.
    """

    monitor: str = "loss"
    rule: str = "less"
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_rule: str = "rel"
    cooldown: int = 0
    min_value: float | tuple[float, ...] = 0.0
    eps: float = 1e-8
    begin: int = 0
    end: int = INF
    by_epoch: bool = True
    param: str = "lr"

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        if not self.by_epoch:
            raise FkitValueError(f"{name}: by_epoch = False: it counts epochs, and steps when validation is done.")
        if not 0 <= self.begin < self.end:
            raise FkitValueError(f"{name}: begin={self.begin} and end={self.end} make no range.")
        for field, words in (("rule", ("less", "greater")), ("threshold_rule", ("rel", "abs"))):
            word = getattr(self, field)
            if word not in words:
                raise FkitValueError(f"{name}: {field} = {word!r}.", path=field, value=word, choices=words)
        if not self.factor < 1:
            raise FkitValueError(f"{name}: factor = {self.factor} is not below 1.", path="factor")
        if not self.threshold >= 0:
            raise FkitValueError(f"{name}: threshold = {self.threshold} is not at least 0.", path="threshold")
        if isinstance(self.min_value, (list, tuple)):
            object.__setattr__(self, "min_value", tuple(self.min_value))
        for one in self.min_value if isinstance(self.min_value, tuple) else (self.min_value,):
            expect_number(one, f"{name}: min_value")

    def bind(self, extent: Extent, value: Value) -> "ReduceOnPlateauLR":
        """The policy for a hyperparameter of ``value`` (G,).

        Raises:
            FkitValueError: ``min_value`` has another number of entries.
        """
        if isinstance(self.min_value, tuple) and len(self.min_value) != len(value):
            raise FkitValueError(
                f"{type(self).__name__}: min_value = {quoted(self.min_value)} has {len(self.min_value)} entries for "
                f"{len(value)} groups of parameters.",
                path="min_value",
            )
        return self

    def init(self) -> tuple[float, int, int]:
        """The best metric, validations since that were no better, and those in which none is counted."""
        return (float(INF if self.rule == "less" else -INF), 0, 0)

    def step(self, state: Any, at: Time, value: Value) -> tuple[Any, Value]:
        return state, value

    def change(self, at: Time) -> None:
        """Between validations nothing changes."""

    def in_iterations(self, epoch_length: int) -> "ReduceOnPlateauLR":
        """Refuse to be counted in iterations.

        Raises:
            FkitValueError: always.
        """
        raise FkitValueError(f"{type(self).__name__}: convert_to_iter_based has no meaning: it steps at validations.")

    def told(self, state: tuple[float, int, int], epoch: int, metrics: Mapping[str, float], value: Value) -> Any:
        """After a validation: the state, and the value that it makes of ``value`` (G,).

        Raises:
            FkitKeyError: the metric is not among ``metrics``.

        Example:
            >>> policy = ReduceOnPlateauLR(monitor="loss", patience=0, factor=0.5)
            >>> state, value = policy.told(policy.init(), 1, {"loss": 1.0}, np.array([0.1]))
            >>> policy.told(state, 2, {"loss": 1.0}, value)
            ((1.0, 0, 0), array([0.05]))
        """
        if not self.begin <= epoch < self.end:
            return state, value
        if self.monitor not in metrics:
            raise FkitKeyError(
                f"{type(self).__name__} monitors {self.monitor!r}, which the validation did not give.",
                value=self.monitor, choices=tuple(metrics), label="Metrics",
            )  # fmt: skip
        best, bad, cool = state
        metric = float(metrics[self.monitor])
        best, bad = (metric, 0) if self.better(metric, best) else (best, bad + 1)
        if cool > 0:
            cool, bad = cool - 1, 0
        if bad > self.patience:
            lower = np.maximum(value * self.factor, np.asarray(self.min_value))
            value, bad, cool = np.where(value - lower > self.eps, lower, value), 0, self.cooldown
        return (best, bad, cool), value

    def better(self, metric: float, best: float) -> bool:
        """Whether a metric is better than the best by the threshold."""
        sign = -1 if self.rule == "less" else 1
        if math.isnan(metric):
            return False
        least = best * (1 + sign * self.threshold) if self.threshold_rule == "rel" else best + sign * self.threshold
        return sign * metric > sign * least

"""The hook that computes the statistics of batch norm anew: mmpretrain's PreciseBNHook."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from fkit.run.effect import RenewStatistics
from fkit.run.event import Event
from fkit.run.hook.due import next_multiple
from fkit.run.hook.hook import Answer, Hook, Offer
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["PreciseBNHook"]


@dataclass(frozen=True)
class PreciseBNHook(Hook):
    """Every ``interval`` epochs (or iterations, in a run that counts them), the mean and variance of each batch norm become the
    averages of those of whole batches under the weights of now, not of the steps before ("Rethinking 'Batch' in BatchNorm",
    section 3).

    Args:
        num_samples: of the training data that are looked at, as far as whole batches go.
        interval: epochs, or iterations.
        by_epoch: which; the plan says it.

    Example:
        >>> PreciseBNHook(64).after_train_epoch(Memory(), None, Event("after_train_epoch", epoch=3))[1]
        (RenewStatistics(samples=64),)
    """

    priority: ClassVar[str | int] = "ABOVE_NORMAL"
    num_samples: int = 8192
    interval: int = 1
    by_epoch: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1 or self.num_samples < 1:
            raise FkitValueError(
                f"PreciseBNHook: num_samples={self.num_samples}, interval={self.interval}: at least 1 each."
            )

    def bind(self, offer: Offer) -> Self:
        """Counting as the run does."""
        train = None if offer.settings is None else offer.settings.train
        return self if train is None else replace(self, by_epoch=train.by_epoch)

    def answers(self, event: str) -> bool:
        return super().answers(event) and event == ("after_train_epoch" if self.by_epoch else "after_train_iter")

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        return next_multiple(self.interval, position)

    def after_train_epoch(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, () if event.epoch % self.interval else (RenewStatistics(self.num_samples),)

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        return memory, () if event.iteration % self.interval else (RenewStatistics(self.num_samples),)

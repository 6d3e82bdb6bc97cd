"""Averages of the weights: EMAHook, and those of mmcv 1.x and mmdet 2.x."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from fkit.run.effect import WriteText
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook, Offer
from fkit.run.state import Memory, RunState
from fkit.training.average import Share, linear, share_of, warm
from fkit.training.ema import with_ema
from fkit.training.program import Program
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["EMAHook", "ExpMomentumEMAHook", "LinearMomentumEMAHook", "MmcvEMAHook"]


@dataclass(frozen=True)
class EMAHook(Hook):
    """Keep an average of the weights beside them, and validate with it: mmengine's hook.

    The average is in each checkpoint, in the slot "ema"; ``fkit test`` and ``fkit infer`` take it as validation does. The
    first step that counts copies the weights, and so do those before it. Where the weights are not to be validated with
    it, `evaluate_on_ema` says so.

    Args:
        ema_type: "ExponentialMovingAverage", "MomentumAnnealingEMA", "ExpMomentumEMA" (mmdet's) or
            "StochasticWeightAverage": see `fkit.training.average`.
        momentum: the weight of the newest; 0.0002 by default.
        gamma: of the two whose momentum changes: 100, or 2000 of ExpMomentumEMA, by default.
        interval: steps from one that counts to the next.
        update_buffers: average batch statistics too; else they are the newest.
        strict_load: refuse a saved run that lacks the average; else it begins with that run's weights.
        begin_iter: the iteration that counts first, or
        begin_epoch: the epoch.
        evaluate_on_ema: validate and test with the average.
        evaluate_on_origin: and with the weights themselves: their scores are those with "_origin" behind the name.

    Raises:
        FkitValueError: a number out of range, both beginnings, or neither evaluation.

    Example:
        >>> EMAHook(ema_type="StochasticWeightAverage", begin_iter=2).share()(3)
        0.3333333333333333
    """

    priority: ClassVar[str | int] = "NORMAL"
    ema_type: str = "ExponentialMovingAverage"
    momentum: float | None = None
    gamma: float | None = None
    interval: int = 1
    update_buffers: bool = False
    strict_load: bool = False
    begin_iter: int = 0
    begin_epoch: int = 0
    evaluate_on_ema: bool = True
    evaluate_on_origin: bool = False
    length: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.begin_iter and self.begin_epoch:
            raise FkitValueError(
                f"EMAHook: begin_iter={self.begin_iter} and begin_epoch={self.begin_epoch}: one of the two."
            )
        if self.begin_iter < 0 or self.begin_epoch < 0:
            raise FkitValueError(
                f"EMAHook: begin_iter={self.begin_iter}, begin_epoch={self.begin_epoch}: at least 0 each."
            )
        _check_interval("EMAHook", self.interval)
        if not (self.evaluate_on_ema or self.evaluate_on_origin):
            raise FkitValueError(
                "EMAHook: evaluate_on_ema=False and evaluate_on_origin=False: with one of the two.",
                repair="To validate with the weights themselves, evaluate_on_origin=True.",
            )
        self.share()

    def share(self) -> Share:
        """The weight of the newest, of the iterations done."""
        first = (self.begin_epoch - 1) * self.length if self.begin_epoch else self.begin_iter - 1
        return share_of(self.ema_type, self.momentum, self.gamma, max(first, 0), self.interval)

    def bind(self, offer: Offer) -> Hook:
        """With the length of an epoch, where it begins with one.

        Raises:
            FkitValueError: it would begin after the run.
        """
        course = offer.course
        if not course.limit or not (self.begin_epoch or self.begin_iter):  # a test: nothing moves
            return self
        if self.begin_epoch > 1 and not course.by_epoch:
            raise FkitValueError(
                f"EMAHook: begin_epoch={self.begin_epoch}, and this run counts iterations.", repair="Say begin_iter."
            )
        batches = offer.length() if course.by_epoch else 0
        begin, limit = self.begin_epoch or self.begin_iter, course.limit if self.begin_epoch else course.total(batches)
        if begin > limit:
            word = "begin_epoch" if self.begin_epoch else "begin_iter"
            raise FkitValueError(f"EMAHook: {word}={begin} is beyond the run's {limit}.")
        bound = replace(self)
        object.__setattr__(bound, "length", batches)
        return bound

    def wrap(self, program: Program) -> Program:
        words = {(True, False): "average", (False, True): "own", (True, True): "both"}
        return with_ema(
            program, self.share(), update_buffers=self.update_buffers, strict=self.strict_load,
            predict=words[self.evaluate_on_ema, self.evaluate_on_origin],
        )  # fmt: skip

    def answers(self, event: str) -> bool:
        return super().answers(event) and self.momentum is not None and self.momentum > 0.5

    def before_run(self, memory: Memory, run: RunState, event: Event) -> Answer:
        """A momentum that may have been meant the other way round is said."""
        text = (
            f"EMAHook: momentum={self.momentum} is the weight of the newest: the average is hardly one. 1 - momentum?"
        )
        return memory, (WriteText(text, "WARNING"),)


@dataclass(frozen=True)
class LinearMomentumEMAHook(Hook):
    """mmdet 2.x's: every ``interval``-th step counts, by ``min(momentum ** interval, (1 + i) / (warm_up + i))`` after ``i``
    iterations; the average begins with the first weights. Validation takes the average, and a checkpoint holds both.

    Args:
        momentum: the weight of the newest, for an interval of 1.
        interval: steps from one that counts to the next.
        skip_buffers: leave batch statistics as they are; else they are averaged too.
        warm_up: iterations over which the weight rises.
        resume_from: None: the run's own ``resume`` says it.
    """

    priority: ClassVar[str | int] = "NORMAL"
    momentum: float = 0.0002
    interval: int = 1
    skip_buffers: bool = False
    warm_up: int = 100
    resume_from: str | None = None
    offset: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_fields(self)
        _check_old(type(self).__name__, self.interval, self.resume_from)
        self.share()

    def share(self) -> Share:
        """The weight of the newest, of the iterations done."""
        rule, interval, offset = linear(self.momentum**self.interval, self.warm_up), self.interval, self.offset
        return lambda done: 0.0 if (done + offset) % interval else rule(done)

    def wrap(self, program: Program) -> Program:
        return with_ema(program, self.share(), update_buffers=not self.skip_buffers, strict=False)


@dataclass(frozen=True)
class MmcvEMAHook(LinearMomentumEMAHook):
    """mmcv 1.x's EMAHook: as LinearMomentumEMAHook, but the first step counts and every ``interval``-th after it, and
    batch statistics stay as they are.

    Where mmcv's checkpoint holds the average or the weights by the order of its hooks, one of the kit's holds both.
    """

    skip_buffers: bool = True
    offset: ClassVar[int] = 0


@dataclass(frozen=True)
class ExpMomentumEMAHook(Hook):
    """mmdet 2.x's: every ``interval``-th step counts, by ``(1 - momentum) * exp(-(1 + i) / total_iter) + momentum`` after
    ``i`` iterations; the average begins with the first weights.

    Args:
        momentum, interval, skip_buffers, resume_from: as those of `LinearMomentumEMAHook`.
        total_iter: iterations over which the weight falls.
    """

    priority: ClassVar[str | int] = "NORMAL"
    momentum: float = 0.0002
    interval: int = 1
    skip_buffers: bool = False
    total_iter: int = 2000
    resume_from: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        _check_old("ExpMomentumEMAHook", self.interval, self.resume_from)
        self.share()

    def share(self) -> Share:
        """The weight of the newest, of the iterations done."""
        rule, interval = warm(self.momentum, self.total_iter), self.interval
        return lambda done: 0.0 if (done + 1) % interval else rule(done)

    def wrap(self, program: Program) -> Program:
        return with_ema(program, self.share(), update_buffers=not self.skip_buffers, strict=False)


def _check_interval(name: str, interval: int) -> None:
    if interval < 1:
        raise FkitValueError(f"{name}: interval={interval}: at least 1.")


def _check_old(name: str, interval: int, resume_from: str | None) -> None:
    _check_interval(name, interval)
    if resume_from is not None:
        raise FkitValueError(
            f"{name}: resume_from={resume_from!r}: a run goes on as a whole.", repair="Say resume, beside the hooks."
        )

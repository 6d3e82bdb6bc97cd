"""`clip_grad`'s error_if_nonfinite, as a hook."""

import math
from dataclasses import dataclass
from typing import ClassVar

from fkit.run.effect import Fail
from fkit.run.event import Event
from fkit.run.hook.hook import Answer, Hook
from fkit.run.state import Memory, RunState
from fkit.tree.check import check_fields

__all__ = ["FiniteGradientHook"]


@dataclass(frozen=True)
class FiniteGradientHook(Hook):
    """Fail at the step whose gradient norm is not finite, as ``error_if_nonfinite=True`` of torch's clipping does. The
    norm is read after every step, which waits for the device; the step itself has moved nothing.

    Args:
        names: what the norm is logged as; one where one optimizer clips.

    Example:
        >>> hook = FiniteGradientHook(("grad_norm",))
        >>> hook.after_train_iter(Memory(), None, Event("after_train_iter", iteration=3, logs={"grad_norm": math.inf}))[1]
        (Fail(what='grad_norm = inf at iteration 3 is not finite, and clip_grad has error_if_nonfinite=True.'),)
    """

    priority: ClassVar[str | int] = "VERY_HIGH"
    names: tuple[str, ...] = ("grad_norm",)

    def __post_init__(self) -> None:
        check_fields(self)

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        names = [name for name in self.names if name in event.logs]
        for name, value in zip(names, event.read([event.logs[name] for name in names]), strict=True):
            if not math.isfinite(value):
                where = f"{name} = {value} at iteration {event.iteration}"
                return memory, (Fail(f"{where} is not finite, and clip_grad has error_if_nonfinite=True."),)
        return memory, ()

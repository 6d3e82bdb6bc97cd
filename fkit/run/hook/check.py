"""Hooks that look after a run: its losses, and the number of classes; and one made of a function."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from fkit.catalog.report import parts_in
from fkit.recipe.label import part_classes
from fkit.recipe.settings import Part, line_of
from fkit.recipe.vocabulary import name_of
from fkit.run.effect import Fail
from fkit.run.event import EVENTS, Event
from fkit.run.hook.due import next_multiple
from fkit.run.hook.hook import Answer, Hook, Offer
from fkit.run.state import Memory, Position, RunState
from fkit.tree.check import check_fields, expect
from fkit.tree.contract import expect_fit
from fkit.tree.error import FkitKeyError, FkitValueError

__all__ = ["CheckInvalidLossHook", "ClosureHook", "NumClassCheckHook", "stated_classes"]

_OTHERS = frozenset(("VGG", "FusedSemanticHead"))  # whose num_classes counts something else


@dataclass(frozen=True)
class CheckInvalidLossHook(Hook):
    """mmdet's: fail where a loss of every ``interval``-th iteration is not finite. LoggerHook reads the losses of all
    iterations, and fails likewise.

    Args:
        interval: iterations from look to look.

    Example:
        >>> hook, memory = CheckInvalidLossHook(interval=2), Memory()
        >>> hook.after_train_iter(memory, None, Event("after_train_iter", iteration=4, logs={"loss": math.inf}))[1]
        (Fail(what='loss = inf at iteration 4 is not finite.'),)
    """

    priority: ClassVar[str | int] = "NORMAL"
    interval: int = 50

    def __post_init__(self) -> None:
        check_fields(self)
        if self.interval < 1:
            raise FkitValueError(f"CheckInvalidLossHook: interval={self.interval}: at least 1.")

    def due(self, event: str, position: Position, length: int, total: int) -> int:
        return next_multiple(self.interval, position)

    def after_train_iter(self, memory: Memory, run: RunState, event: Event) -> Answer:
        if event.iteration % self.interval:
            return memory, ()
        names = [name for name in event.logs if "loss" in name]
        for name, value in zip(names, event.read([event.logs[name] for name in names]), strict=True):
            if not math.isfinite(value):
                return memory, (Fail(f"{name} = {value} at iteration {event.iteration} is not finite."),)
        return memory, ()


@dataclass(frozen=True)
class NumClassCheckHook(Hook):
    """mmdet's: the ``num_classes`` that the model's config states is the number of classes of the data to train and to
    validate on. Checked when the plan is made."""

    priority: ClassVar[str | int] = "NORMAL"

    def bind(self, offer: Offer) -> Hook:
        """Itself.

        Raises:
            FkitValueError: the two numbers differ; it names both.
        """
        settings = offer.settings
        if settings is None or settings.model is None:
            return self
        for part in ("train", "val"):
            if part not in settings.loaders:
                continue
            classes = part_classes(settings, offer.registry, part)
            for path, kind, number in stated_classes(settings.model):
                if classes and number != len(classes):
                    data = settings.loaders[part].path
                    raise FkitValueError(
                        f"{path} = {number} of {kind}, and {data}.dataset has {len(classes)} classes: {_few(classes)}.",
                        path=path,
                        origin=line_of(settings.tree, path),
                        repair=f"Set {path}={len(classes)}, or the classes of the dataset.",
                    )
        return self


def stated_classes(model: Part) -> Iterator[tuple[str, str, int]]:
    """(path, type, number) of each ``num_classes`` that a model's config states, but those of region proposals, which tell
    objects from the background.

    Example:
        >>> head = {"type": "Head", "num_classes": 80, "rpn_head": {"type": "RPNHead", "num_classes": 1}}
        >>> list(stated_classes(Part("model", {"type": "Detector", "head": head})))
        [('model.head.num_classes', 'Head', 80)]
    """
    for path, node in (("", model.node), *parts_in(model.node)):
        number, kind = node.get("num_classes"), name_of(node.get("type"))
        if isinstance(number, int) and not path.endswith("rpn_head") and kind not in _OTHERS:
            yield ".".join(word for word in (model.path, path, "num_classes") if word), kind, number


def _few(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:4]) + (", ..." if len(classes) > 4 else "")


@dataclass(frozen=True)
class ClosureHook(Hook):
    """mmcv's: a hook of one function.

    Args:
        fn_name: the event that it answers, one of `fkit.run.event.EVENTS`.
        fn: ``fn(memory, run, event) -> (memory, effects)``, as every handler.

    Example:
        >>> def stop(memory, run, event):
        ...     return memory, (Fail("enough"),)
        >>> ClosureHook("after_train_epoch", stop).after_train_epoch(Memory(), None, Event("after_train_epoch"))[1]
        (Fail(what='enough'),)
    """

    priority: ClassVar[str | int] = "NORMAL"
    fn_name: str
    fn: Callable[[Memory, Any, Event], Answer]

    def __post_init__(self) -> None:
        expect(self.fn_name, str, "ClosureHook: fn_name is the name of an event")
        if self.fn_name not in EVENTS:
            raise FkitKeyError(
                f"ClosureHook: {self.fn_name!r} is no event.", value=self.fn_name, choices=EVENTS, label="Events"
            )
        expect_fit(self.fn, "fn", "memory, run, event", "ClosureHook: its", "It answers (memory, effects).")
        object.__setattr__(self, self.fn_name, self.fn)

"""The schedules of a plan, built from the config; and what they give over a whole run."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.config.schema import FLAG, check
from fkit.recipe.settings import Part, Settings
from fkit.recipe.source import build_part, said_at
from fkit.run.course import Course
from fkit.training.program import Hyperparams
from fkit.training.schedule.chain import arrange
from fkit.training.schedule.policy import Extent, Schedule, targets
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitError, FkitValueError, quoted
from fkit.tree.path import parse

__all__ = ["schedules_of"]

_SCHEDULE = Contract(
    "schedule",
    (("init", ""), ("step", "state, at, value")),
    """
and `param`, the name of what it sets. For example, half of the rate from the third epoch on:
    class Half:
        param = "lr"
        def __init__(self, end): pass
        def init(self): return ()
        def step(self, state, at, value): return state, value / 2 if at.epoch >= 2 else value""",
)


def schedules_of(
    settings: Settings, registry: Registry, course: Course, hyperparams: Hyperparams, length: Callable[[], int]
) -> tuple[Schedule, ...]:
    """The policies of ``param_scheduler``, in order; one without an end ends with the run.

    Args:
        hyperparams: what the optimizers start with.
        length: gives the iterations of an epoch; asked where a policy counts them.

    Raises:
        FkitError: a policy is not known, has other arguments, or acts on what the optimizer does not have.
    """
    for part in settings.schedules:
        for key in ("by_epoch", "convert_to_iter_based", "verbose"):
            if part.node.get(key) is not None:
                check(part.node[key], FLAG, (*parse(part.path), key), settings.tree)
    made: list[Schedule] = []
    for part in settings.schedules:
        try:
            schedule = _schedule(part, settings, registry, course, length)
            targets(schedule.param, hyperparams)
            if hasattr(schedule, "bind"):  # what it says of a run whose length is known
                by_step = course.by_epoch and not getattr(schedule, "by_epoch", True)
                arrange((schedule,), hyperparams, Extent(course.by_epoch, course.limit, length() if by_step else 0))
        except FkitError as error:
            raise said_at(error, part.path, settings) from error.__cause__
        made.append(schedule)
    return tuple(made)


def _schedule(
    part: Part, settings: Settings, registry: Registry, course: Course, length: Callable[[], int]
) -> Schedule:
    options, convert = part.node.pop("convert_to_iter_based", False)
    options, _ = options.pop("verbose", None)
    options, step = options.pop("last_step", None)
    if step not in (None, -1):
        raise FkitValueError(f"last_step = {quoted(step)}: a run knows itself at which step it is.", repair="Drop it.")
    options, parts = _parts_of_epochs(options) if convert else (options, {})
    by_epoch = options.get("by_epoch") is not False
    end = (course.limit if course.by_epoch else 1) if by_epoch else course.total(length() if course.by_epoch else 0)
    schedule = build_part(part._replace(node=options), settings, registry, "param_schedulers", defaults={"end": end})
    expect_contract(schedule, _SCHEDULE)
    schedule = schedule.in_iterations(length()) if convert else schedule
    if parts:
        schedule = replace(schedule, **{name: int(value * length()) for name, value in parts.items()})
    return _aimed(schedule, part.name) if part.name else schedule


def _parts_of_epochs(options: Config) -> tuple[Config, dict[str, float]]:
    """The options without a begin and end that are no whole epochs, and those: a conversion to iterations takes them."""
    parts = {name: options[name] for name in ("begin", "end") if isinstance(options.get(name), float)}
    for name in parts:
        options, _ = options.pop(name)
    return options, parts


def _aimed(schedule: Any, optimizer: str) -> Any:
    """A schedule for one of several optimizers."""
    param = f"{optimizer}.{schedule.param}"
    if not is_dataclass(schedule) or isinstance(schedule, type) or all(one.name != "param" for one in fields(schedule)):
        raise FkitValueError(
            f"{type(schedule).__name__} cannot be told that it is for {optimizer!r}.",
            repair=f"Let its own `param` be {param!r}, and list it in param_scheduler without the optimizer's name.",
        )
    return replace(schedule, param=param)

"""The hooks of a plan: built from the config, given what they need, in firing order; and its schedules."""

from collections.abc import Callable

from fkit.catalog.registry import Registry
from fkit.config.schema import FLAG, check
from fkit.recipe.settings import Part, Settings
from fkit.recipe.source import build_part, said_at, source_of
from fkit.run.course import Course
from fkit.run.hook.gradient import FiniteGradientHook
from fkit.run.hook.hook import Hook, Offer, ask, check_hook, first_memory
from fkit.run.hook.log import RecordHook
from fkit.run.hook.order import Placed, priority_number, register
from fkit.training.program import Hyperparams
from fkit.training.schedule import Schedule, target
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitError
from fkit.tree.path import parse

__all__ = ["hooks_of", "wrapping"]

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


def hooks_of(
    settings: Settings,
    registry: Registry,
    backend: str,
    course: Course,
    hyperparams: Callable[[], Hyperparams],
    of: str = "train",
) -> tuple[tuple[str, Hook], ...]:
    """(name, hook) of the default hooks, of the loop's own, and of the custom ones, in firing order: by priority, ties as
    they stand.

    Args:
        hyperparams: what the optimizers start with, for the schedules.
        of: the plan's part; one that does not train has no schedules, and puts no beginning and end on record.
    """
    trains = of == "train"
    offer = Offer(
        course,
        hyperparams,
        lambda: _schedules(settings, registry, course, hyperparams()) if trains else (),
        lambda: (source_of(settings, registry, "train", 0).length or 0) if trains else 0,
    )
    default = [part for part in settings.hooks if part.path.startswith("default_hooks")]
    custom = [part for part in settings.hooks if part not in default]
    rows: tuple[Placed, ...] = ()
    for part in default:
        rows = _with(rows, part, settings, registry, backend, offer)
    for name, hook in _loop_hooks(settings) if trains else ():
        rows = register(rows, name, hook)
    for part in custom:
        rows = _with(rows, part, settings, registry, backend, offer)
    return tuple((name, hook) for _, name, hook in rows)


def _with(
    rows: tuple[Placed, ...], part: Part, settings: Settings, registry: Registry, backend: str, offer: Offer
) -> tuple[Placed, ...]:
    """The hooks with the one that a part of the config describes."""
    options, said = part.node.pop("priority", None)
    hook = build_part(part._replace(node=options), settings, registry, "hooks", backend=backend)
    try:
        check_hook(part.name, hook)
        priority_number(hook.priority if said is None else said)
        bound = ask(part.name, "bind", hook.bind, offer)
        expect(bound, Hook, "what it gives in bind is a hook")
        first_memory(part.name, bound)
        return register(rows, part.name, bound, said=said)
    except FkitError as error:
        raise said_at(error, part.path, settings) from error.__cause__ or error


def wrapping(settings: Settings, registry: Registry, backend: str) -> tuple[tuple[str, Hook], ...]:
    """(name, hook) of those hooks of the config that wrap the program, in firing order: as they are built, for there is no
    run that they could be bound to."""
    rows: tuple[Placed, ...] = ()
    for part in settings.hooks:
        options, said = part.node.pop("priority", None)
        hook = build_part(part._replace(node=options), settings, registry, "hooks", backend=backend)
        try:
            check_hook(part.name, hook)
            if type(hook).wrap is not Hook.wrap:
                rows = register(rows, part.name, hook, said=said)
        except FkitError as error:
            raise said_at(error, part.path, settings) from error.__cause__ or error
    return tuple((name, hook) for _, name, hook in rows)


def _loop_hooks(settings: Settings) -> list[tuple[str, Hook]]:
    """Those that every run has: they are the loop's own, and no config names them."""
    clip = None if settings.wrapper is None else settings.wrapper.clip
    finite: list[tuple[str, Hook]] = [("finite_gradient", FiniteGradientHook())] if clip and clip.finite else []
    return [*finite, ("record", RecordHook())]


def _schedules(
    settings: Settings, registry: Registry, course: Course, hyperparams: Hyperparams
) -> tuple[Schedule, ...]:
    for part in settings.schedules:
        for key in ("by_epoch", "convert_to_iter_based"):
            if part.node.get(key) is not None:
                check(part.node[key], FLAG, (*parse(part.path), key), settings.tree)
    nodes = [part.node for part in settings.schedules]
    by_step = any(not _by_epoch(node) or node.get("convert_to_iter_based") for node in nodes)
    length = source_of(settings, registry, "train", 0).length or 0 if by_step and course.by_epoch else 0
    schedules = tuple(_schedule(part, settings, registry, course, length) for part in settings.schedules)
    for part, schedule in zip(settings.schedules, schedules, strict=True):
        try:
            target(schedule.param, hyperparams)
        except FkitError as error:
            raise said_at(error, part.path, settings) from error
    return schedules


def _by_epoch(node: dict[str, object]) -> bool:
    return node.get("by_epoch") is not False


def _schedule(part: Part, settings: Settings, registry: Registry, course: Course, length: int) -> Schedule:
    """A policy; where it has no end, it ends with the run.

    Args:
        length: iterations of an epoch.
    """
    options, convert = part.node.pop("convert_to_iter_based", False)
    for ignored in ("verbose", "last_step"):
        options, _ = options.pop(ignored, None)
    epochs = course.limit if course.by_epoch else 1
    end = epochs if _by_epoch(options) else course.total(length)
    schedule = build_part(part._replace(node=options), settings, registry, "param_schedulers", defaults={"end": end})
    try:
        expect_contract(schedule, _SCHEDULE)
        return schedule.in_iterations(length) if convert else schedule
    except FkitError as error:
        raise said_at(error, part.path, settings) from error

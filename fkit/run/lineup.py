"""The hooks of a plan: built from the config, given what they need, in firing order."""

from collections.abc import Callable
from functools import cache
from typing import Any

from fkit.catalog.registry import Registry
from fkit.recipe.settings import Part, Settings
from fkit.recipe.source import build_part, said_at, source_of
from fkit.run.course import Course
from fkit.run.hook.gradient import FiniteGradientHook
from fkit.run.hook.hook import Hook, Offer, ask, check_hook, first_memory
from fkit.run.hook.log import RecordHook
from fkit.run.hook.order import Placed, priority_number, register
from fkit.run.style import style_of
from fkit.run.timetable import schedules_of
from fkit.training.program import Hyperparams
from fkit.training.schedule.policy import Schedule
from fkit.tree.check import expect
from fkit.tree.error import FkitError

__all__ = ["hooks_of", "wrapping"]


def hooks_of(
    settings: Settings,
    registry: Registry,
    backend: str,
    course: Course,
    hyperparams: Callable[[], Hyperparams],
    host: Callable[[Any], Any],
    of: str = "train",
) -> tuple[tuple[str, Hook], ...]:
    """(name, hook) of the default hooks, of the loop's own, and of the custom ones, in firing order: by priority, ties as
    they stand.

    Args:
        hyperparams: what the optimizers start with, for the schedules.
        host: the room's.
        of: the plan's part; one that does not train has no schedules, and puts no beginning and end on record.
    """
    trains = of == "train"

    @cache
    def length() -> int:
        return (source_of(settings, registry, "train", 0).length or 0) if trains else 0

    def schedules() -> tuple[Schedule, ...]:
        return schedules_of(settings, registry, course, hyperparams(), length) if trains else ()

    style = style_of(settings, registry, course)
    offer = Offer(course, hyperparams, schedules, length, settings, registry, backend, host, style)
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
    several = len(settings.wrappers) > 1
    strict = [name for name, one in settings.wrappers.items() if one.clip is not None and one.clip.finite]
    names = tuple(f"{name}/grad_norm" if several else "grad_norm" for name in strict)
    finite: list[tuple[str, Hook]] = [("finite_gradient", FiniteGradientHook(names))] if names else []
    return [*finite, ("record", RecordHook())]

"""Runs that differ in seed and numbers alone, trained together in this process, each in its own work folder."""

import io
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, cast

from rich.console import Console

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.data.source import Source
from fkit.edge.beside import Beside, spare_cores
from fkit.edge.lockstep import Lockstep, together_of
from fkit.edge.progress import Screen
from fkit.edge.signal import Inbox, inbox
from fkit.edge.work import Outcome, Ready, work
from fkit.run.plan import Plan, open_data, plan
from fkit.run.start import begin
from fkit.training.fleet import Fleet
from fkit.tree.tree import thaw

__all__ = ["Grouped", "likeness", "run_group"]

_LOOK_SECONDS = 0.1


class Grouped(NamedTuple):
    """What came of runs that trained together.

    Attributes:
        outcomes: of each, in order; or the error that ended it.
        form: how their steps were taken, for a person.
    """

    outcomes: tuple[Outcome | BaseException, ...]
    form: str


def likeness(cfg: Config) -> Config:
    """What runs that train together share: the config without its seed, its work folder, the optimizers' numbers and those of
    schedules, all of which are arguments of a step.

    Example:
        >>> one = Config({"seed": 1, "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}}, "param_scheduler": []})
        >>> likeness(one) == likeness(one.merge({"seed": 2, "optim_wrapper.optimizer.lr": 0.2}))
        True
    """
    tree: dict[str, Any] = {key: thaw(value) for key, value in cfg.items() if key not in ("seed", "work_dir", "resume")}
    randomness = tree.get("randomness")
    if isinstance(randomness, dict):
        cast("dict[str, Any]", randomness).pop("seed", None)
    tree["param_scheduler"] = _without_numbers(tree.get("param_scheduler"))
    wrapper = tree.get("optim_wrapper")
    for one in (wrapper, *(wrapper.values() if isinstance(wrapper, dict) else ())):  # pyright: ignore[reportUnknownVariableType]
        if isinstance(one, dict) and isinstance(one.get("optimizer"), dict):  # pyright: ignore[reportUnknownMemberType]
            one["optimizer"] = _without_arguments(one["optimizer"])  # pyright: ignore[reportUnknownArgumentType]
    return Config(tree)


def _without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_numbers(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_without_numbers(item) for item in cast("Sequence[Any]", value)]
    return "a number" if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _without_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """An optimizer's table without what its step takes as arguments: numbers, and betas; another tuple is a part of the step."""
    return {
        name: _without_numbers(value) if name == "betas" or not isinstance(value, (list, tuple, dict)) else value
        for name, value in options.items()
    }


def run_group(
    configs: Sequence[Config], registry: Registry, screen: Screen, *, allow: str | Iterable[str] = (), resume: Sequence[bool] = ()
) -> Grouped:  # fmt: skip
    """Train configs of one `likeness`, their steps as one where the backend has a form of it that is faster, else one run
    after the other.

    Args:
        configs: each with its ``work_dir``.
        registry, allow: as of `fkit.run_config`.
        screen: what a person watches; the runs themselves write their own log.txt and nothing else.
        resume: of each, whether to go on with what its folder holds; none by default.

    Returns:
        what came of each. A run that fails ends none of the others.
    """
    asked = [
        cfg.merge({"resume": True}) if flag else cfg
        for cfg, flag in zip(configs, resume or [False] * len(configs), strict=True)
    ]
    first = plan(asked[0] if asked[0].get("seed") is not None else asked[0].merge({"seed": 0}), registry, allow=allow)
    together, why = together_of(first.program)
    with inbox() as ears:
        if together is None or len(asked) == 1:
            form = "one run" if together is not None else f"one run after the other: {why}"
            screen.say(f"{len(asked)} runs in this process: {form}")
            return Grouped(tuple(_alone(cfg, registry, allow, ears, screen) for cfg in asked), form)
        screen.say(f"{len(asked)} runs in this process: {together.form}")
        meeting = Lockstep(first.program, together, len(asked))
        with ExitStack() as stack:
            count, beside = min(spare_cores(), len(asked)), None
            if count > 0:
                beside = stack.enter_context(Beside(count, first.settings.environment.cv2_threads))
            meant = partial(_data, beside)
            return Grouped(_side_by_side(asked, registry, allow, meeting, ears, screen, meant), together.form)


def _alone(cfg: Config, registry: Registry, allow: str | Iterable[str], ears: Inbox, screen: Screen) -> Any:
    """A run of its own; none once a signal came."""
    if ears.first:
        return KeyboardInterrupt(ears.first)
    try:
        outcome = work(cfg, registry, _silent(), allow=allow, heard=ears.beside())
    except Exception as error:
        return error
    screen.say(f"{outcome.folder.name}: {outcome.run.status}")
    return outcome


def _side_by_side(
    configs: Sequence[Config], registry: Registry, allow: str | Iterable[str], meeting: Lockstep, ears: Inbox, screen: Screen,
    data: Callable[[Plan], Mapping[str, Source]],
) -> tuple[Outcome | BaseException, ...]:  # fmt: skip
    """Each run in a thread of its own, one of which runs at a time."""
    results: dict[int, Outcome | BaseException] = {}

    def body(place: int, cfg: Config) -> None:
        def planned(seeded: Config, fleet: Fleet) -> Plan:
            own = plan(seeded, registry, allow=allow, fleet=fleet)
            return replace(own, program=meeting.program(place, own.program))

        with meeting.baton:
            try:
                ready = Ready(planned, begin, data, {"together": len(configs)}, background=True)
                results[place] = work(cfg, registry, _silent(), allow=allow, ready=ready, heard=ears.beside())
            except BaseException as error:  # of this run; the others go on
                results[place] = error
            finally:
                meeting.leave()

    threads = [
        threading.Thread(target=body, args=(place, cfg), name=f"run {place}", daemon=True)
        for place, cfg in enumerate(configs)
    ]
    for thread in threads:
        thread.start()
    done = -1
    while any(thread.is_alive() for thread in threads):
        next(thread for thread in threads if thread.is_alive()).join(max(_LOOK_SECONDS, screen.seconds))
        if meeting.steps != done:
            done = meeting.steps
            screen.show("sweep", done, 0, (f"{len(configs) - len(results)} runs",))
    return tuple(results[place] for place in range(len(configs)))


def _data(beside: Beside | None, made: Plan) -> Mapping[str, Source]:
    """A run's sources, their batches made by the processes that all runs share where there are any."""
    data = open_data(made)
    return data if beside is None else {name: beside.source(source) for name, source in data.items()}


def _silent() -> Screen:
    """A screen that nobody sees."""
    return Screen(Console(file=io.StringIO()))

"""What a config's schedules will give at each step of its run, before it runs."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.recipe.settings import Settings, missing, read
from fkit.recipe.source import registry_of, source_of
from fkit.recipe.spec import optimizers_of
from fkit.run.hook.schedule import ParamSchedulerHook
from fkit.run.plan import course_of, program
from fkit.run.timetable import schedules_of
from fkit.training.program import Hyperparams
from fkit.training.schedule.chain import ahead, chain
from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.policy import Extent, Time, Value
from fkit.training.schedule.recursion import Recursion
from fkit.tree.check import expect_number
from fkit.tree.error import FkitError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["Forecast", "forecast"]

_STRETCH = 4096  # iterations computed at once


class Forecast(NamedTuple):
    """The hyperparameters of a run, step by step.

    Attributes:
        values: those that are scheduled, {name: (iterations, groups) float64}; without a schedule, the learning rates.
        extent: of the run.
        monitors: the metrics on which a schedule waits: what it does with them nobody knows before.
    """

    values: Mapping[str, Value]
    extent: Extent
    monitors: tuple[str, ...] = ()


def forecast(
    cfg: Config, registry: Registry | None = None, *, allow: str | Iterable[str] = (), epoch_length: int | None = None
) -> Forecast:
    """The values that a config's schedules give, in force in the step of each iteration.

    Args:
        cfg: with ``train_cfg`` and ``optim_wrapper``.
        registry: by default the built-in one.
        allow: modules that the config may import and name: see `fkit.catalog.allow`.
        epoch_length: iterations of an epoch; by default what the config's data say.

    Raises:
        FkitError: a schedule that a plan would refuse; or the length of an epoch is needed, and nothing says it.

    Example:
        >>> table = forecast(Config({
        ...     "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
        ...     "train_cfg": {"by_epoch": False, "max_iters": 4},
        ...     "param_scheduler": {"type": "StepLR", "step_size": 2, "by_epoch": False},
        ... }))
        >>> table.values["lr"][:, 0].round(9).tolist()
        [0.1, 0.1, 0.01, 0.01]
    """
    if epoch_length is not None:
        expect_number(epoch_length, "epoch_length", whole=True)
        if epoch_length < 1:
            raise FkitValueError(f"epoch_length = {epoch_length}: at least 1.")
    settings = read(cfg)
    if not settings.wrappers:
        raise missing(settings, "optim_wrapper", "a schedule")
    reg = registry_of(settings, registry, allow)
    course = course_of(settings, reg, "train")

    def length() -> int:
        return epoch_length if epoch_length is not None else _length(settings, reg)

    base = _base(cfg, settings, reg, allow)
    policies = schedules_of(settings, reg, course, base, length)
    known = length() if course.by_epoch else epoch_length or _length_if_known(settings, reg)
    extent = Extent(course.by_epoch, course.limit, known)
    hook = ParamSchedulerHook(policies, base, extent)
    members = [one for link in hook.links if isinstance(link.policy, Recursion) for one in link.policy.members]
    monitors = [one.monitor for one in members if isinstance(one, ReduceOnPlateauLR)]
    return Forecast(frozen(_walk(hook, extent)), extent, tuple(dict.fromkeys(monitors)))


def _base(cfg: Config, settings: Settings, registry: Registry, allow: str | Iterable[str]) -> Hyperparams:
    """What the optimizers start with; a model is built only where groups are made of its parameters."""
    optimizers = optimizers_of(settings, registry)
    if any(optimizer.constructor is not None for optimizer in optimizers.values()):
        return program(cfg, registry, allow=allow).hyperparams()
    prefixes = {name: f"{name}." if len(optimizers) > 1 else "" for name in optimizers}
    return frozen(
        {
            f"{prefixes[of]}{name}": value
            for of, one in optimizers.items()
            for name, value in (*one.hyperparams().items(), *one.origins().items())
        }
    )


def _length(settings: Settings, registry: Registry) -> int:
    """Iterations of an epoch, from the data.

    Raises:
        FkitError: the data do not say it, or are not there.
    """
    repair = "Say how many iterations an epoch has: --epoch-length N, or forecast(..., epoch_length=N)."
    if "train" not in settings.loaders:
        raise FkitValueError("nothing says how long an epoch is: the config has no train_dataloader.", repair=repair)
    try:
        length = source_of(settings, registry, "train", 0).length
    except FkitError as error:
        raise FkitValueError(f"nothing says how long an epoch is: {error.what}", repair=repair) from error
    if not length:
        raise FkitValueError("nothing says how long an epoch is: the data have no end.", repair=repair)
    return length


def _length_if_known(settings: Settings, registry: Registry) -> int:
    try:
        return _length(settings, registry)
    except FkitError:
        return 0


def _walk(hook: ParamSchedulerHook, extent: Extent) -> dict[str, Value]:
    """The value of each hyperparameter at each iteration."""
    names = hook.names or tuple(name for name in hook.base if name.rpartition(".")[2] == "lr")
    per_epoch = extent.length if extent.by_epoch else min(_STRETCH, extent.total) or 1
    rows: dict[str, list[Value]] = {name: [] for name in names}
    states: tuple[Any, ...] = hook.memory().exact
    for start in range(0, extent.total, per_epoch):
        count = min(per_epoch, extent.total - start)
        epoch = start // per_epoch if extent.by_epoch else 0
        if hook.closed:
            stretch = ahead(hook.links, Time(start, epoch), count, hook.base)
        else:
            each: dict[str, list[Value]] = {name: [] for name in names}
            for iteration in range(start, start + count):
                states, values = chain(hook.links, states, Time(iteration, epoch), hook.base)
                for name in names:
                    each[name].append(values[name])
            stretch = {name: np.stack(column) for name, column in each.items()}
        for name in names:
            fixed = np.broadcast_to(hook.base[name], (count, len(hook.base[name])))
            rows[name].append(stretch.get(name, fixed))
    return {name: np.concatenate(parts) for name, parts in rows.items() if parts}

"""The hooks of mmcv 1.x: which its runner registers, under which names and priorities, and in which order they fire."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.config.dialect.work import Work
from fkit.tree.tree import put

__all__ = ["Row", "order", "training_hooks"]

_ITERATES = frozenset(("Cyclic", "OneCycle"))  # policies that count iterations where nothing else is said
_TIMER = "IterTimerHook"
_SCHEDULER, _CHECKPOINT, _TIMES, _LOGGER = "param_scheduler", "checkpoint", "timer", "logger"
_SOURCES = frozendict(
    param_scheduler="lr_config", checkpoint="checkpoint_config", timer="timer_config", logger="log_config"
)


class Row(NamedTuple):
    """A hook that mmcv 1.x's runner registers.

    Attributes:
        name: of its class.
        priority: as `fkit.run.hook.order` has it.
        by_epoch: whether it counts epochs; None where it does not count.
        key: of the default hook that does its work here; "" where none does.
    """

    name: str
    priority: str | int
    by_epoch: bool | None
    key: str = ""


def training_hooks(configs: Mapping[str, Any], by_epoch: bool = True) -> tuple[Row, ...]:
    """What ``register_training_hooks`` registers (mmcv/runner/base_runner.py, iter_based_runner.py), in that order; who fires
    first is for the priorities to say.

    Args:
        configs: ``lr_config``, ``momentum_config``, ``optimizer_config``, ``checkpoint_config``, ``timer_config``,
            ``log_config``, ``custom_hooks`` and ``profiler_config``, those that there are.
        by_epoch: whether the runner counts epochs; one that does not has its schedule, its checkpoints and its loggers
            count iterations too.

    Example:
        >>> rows = training_hooks({"checkpoint_config": {"interval": 1}, "lr_config": {"policy": "poly"}})
        >>> [(row.name, row.priority) for row in rows]
        [('PolyLrUpdaterHook', 'VERY_HIGH'), ('CheckpointHook', 'NORMAL'), ('IterTimerHook', 'LOW')]
    """
    rows = [
        *_policy(configs, "lr_config", "LrUpdaterHook", "VERY_HIGH", by_epoch),
        *_policy(configs, "momentum_config", "MomentumUpdaterHook", "HIGH", True),
    ]
    optimizer, checkpoint = configs.get("optimizer_config"), configs.get("checkpoint_config")
    if isinstance(optimizer, Mapping):
        rows.append(Row(str(optimizer.get("type", "OptimizerHook")), "ABOVE_NORMAL", None))
    if isinstance(checkpoint, Mapping):
        said = checkpoint.get("by_epoch", by_epoch)
        rows.append(Row(str(checkpoint.get("type", "CheckpointHook")), "NORMAL", bool(said), _CHECKPOINT))
    timer = configs.get("timer_config", {"type": _TIMER})
    if isinstance(timer, Mapping):
        rows.append(Row(str(timer.get("type", _TIMER)), "LOW", None, _TIMES))
    log = configs.get("log_config")
    for hook in _tables(log.get("hooks")) if isinstance(log, Mapping) else ():
        rows.append(Row(str(hook.get("type")), "VERY_LOW", bool(hook.get("by_epoch", by_epoch)), _LOGGER))
    for hook in _tables(configs.get("custom_hooks")):
        rows.append(Row(str(hook.get("type")), hook.get("priority", "NORMAL"), None))
    profiler: Any = configs.get("profiler_config")
    if isinstance(profiler, Mapping):
        rows.append(Row(str(profiler.get("type", "ProfilerHook")), "NORMAL", bool(profiler.get("by_epoch", True))))
    return tuple(rows)


def _policy(configs: Mapping[str, Any], name: str, suffix: str, priority: str, by_epoch: bool) -> tuple[Row, ...]:
    """The hook of a policy: mmcv names its class for it, a name in lower case with a capital."""
    table = configs.get(name)
    if not isinstance(table, Mapping):
        return ()
    policy = table.get("policy")
    if not isinstance(policy, str):
        return (Row(str(table.get("type")), priority, None, _SCHEDULER),)
    policy = policy.title() if policy == policy.lower() else policy
    counts = table.get("by_epoch", by_epoch and policy not in _ITERATES)
    return (Row(f"{policy}{suffix}", priority, bool(counts), _SCHEDULER),)


def _tables(hooks: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(hook for hook in hooks if isinstance(hook, Mapping)) if isinstance(hooks, (list, tuple)) else ()


def order(work: Work) -> Work:
    """Give the hooks of a translated config mmcv's priorities: those that its runner registered have its own, and a custom
    one that names none is NORMAL, whatever its class says."""
    rows = training_hooks(work.source, work.by_epoch)
    work, timer = work.take("timer_config")
    work, profiler = work.take_table("profiler_config")
    if timer is not None:
        work = work.put("default_hooks.timer", timer, "timer_config")
    if profiler is not None:
        hooks = [*(work.old.get("custom_hooks") or ()), {"type": "ProfilerHook", **profiler}]
        work = work._replace(old=put(work.old, ("custom_hooks",), hooks, work.mark("profiler_config")))
    for key in dict.fromkeys(row.key for row in rows if row.key):
        if work.read(f"default_hooks.{key}.priority") is None:
            priority = next(row.priority for row in rows if row.key == key)
            work = work.put(f"default_hooks.{key}.priority", priority, _SOURCES[key])
    known: Any = work.old.get("custom_hooks")
    custom: tuple[Any, ...] = tuple(known) if isinstance(known, (list, tuple)) else ()
    for index, hook in enumerate(custom):
        if isinstance(hook, Mapping) and hook.get("type") == "EMAHook":  # mmengine's of that name is another
            path = ("custom_hooks", index, "type")
            work = work._replace(old=put(work.old, path, "mmcv.EMAHook", work.mark(f"custom_hooks[{index}].type")))
        if isinstance(hook, Mapping) and "priority" not in hook:
            path = ("custom_hooks", index, "priority")
            work = work._replace(old=put(work.old, path, "NORMAL", work.mark(f"custom_hooks[{index}].type")))
    return work

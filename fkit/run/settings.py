"""The run's keys: mmengine's vocabulary, closed and typed, with documented defaults."""

from collections.abc import Mapping
from typing import Any, cast

from frozendict import frozendict

from fkit.catalog.report import undone_delete
from fkit.config.change.override import undeclared
from fkit.config.config import Config
from fkit.config.dialect import translate
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitError, FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen
from fkit.tree.path import Path, parse, show

__all__ = ["DEFAULTS", "TABLES", "check", "settle"]

_HOOKS: Mapping[str, Any] = frozendict(
    runtime_info=frozendict(type="RuntimeInfoHook"),
    timer=frozendict(type="IterTimerHook"),
    sampler_seed=frozendict(type="DistSamplerSeedHook"),
    logger=frozendict(type="LoggerHook"),
    param_scheduler=frozendict(type="ParamSchedulerHook"),
    checkpoint=frozendict(type="CheckpointHook"),
)

DEFAULTS: Mapping[str, Any] = frozen(
    {
        # what is trained, on what, how long
        "model": None,
        "data_preprocessor": None,
        "train_dataloader": None,
        "val_dataloader": None,
        "test_dataloader": None,
        "train_cfg": None,
        "val_cfg": None,
        "test_cfg": None,
        "optim_wrapper": None,
        "param_scheduler": None,
        "val_evaluator": None,
        "test_evaluator": None,
        "workflow": (("train", 1),),
        "auto_scale_lr": None,
        # what happens beside
        "default_hooks": _HOOKS,
        "custom_hooks": (),
        "log_processor": None,
        "log_level": "INFO",
        "visualizer": None,
        "vis_backends": None,
        # how it is run
        "seed": None,
        "randomness": None,
        "backend": "torch",
        "dtype": "float32",
        "device": None,
        "parallel": None,
        "compile": False,
        "env_cfg": None,
        "launcher": "none",
        "strategy": None,
        "runner_type": None,
        "model_wrapper_cfg": None,
        "find_unused_parameters": False,
        "sync_bn": None,
        "tta_model": None,
        "tta_pipeline": None,
        # where it comes from and goes
        "load_from": None,
        "resume": False,
        "work_dir": None,
        "experiment_name": None,
        "default_scope": None,
        "custom_imports": None,
    }
)
"""Every known top-level key with its default; any other is the user's own variable, and is kept."""

TABLES: Mapping[str, tuple[str, ...]] = frozendict(
    train_cfg=("type", "by_epoch", "max_epochs", "max_iters", "val_interval", "val_begin", "dynamic_intervals"),
    val_cfg=("type", "fp16"),
    test_cfg=("type", "fp16"),
    optim_wrapper=(
        "type", "optimizer", "param_groups", "paramwise_cfg", "constructor", "clip_grad", "accumulative_counts",
        "loss_scale", "dtype", "use_fsdp",
    ),
    randomness=("seed", "diff_rank_seed", "deterministic", "masks"),
    auto_scale_lr=("enable", "base_batch_size"),
    env_cfg=("cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"),
)  # fmt: skip
"""Keys of the tables that are closed; a key beside them is an error."""

_TYPES: Mapping[str, tuple[type, ...]] = frozendict(
    model=(Mapping,), train_dataloader=(Mapping,), val_dataloader=(Mapping,), test_dataloader=(Mapping,),
    train_cfg=(Mapping,), val_cfg=(Mapping,), test_cfg=(Mapping,), optim_wrapper=(Mapping,),
    param_scheduler=(Mapping, list, tuple), val_evaluator=(Mapping, list, tuple), test_evaluator=(Mapping, list, tuple),
    workflow=(list, tuple), auto_scale_lr=(Mapping,), default_hooks=(Mapping,), custom_hooks=(list, tuple),
    log_level=(str,), seed=(int,), randomness=(Mapping,), backend=(str,), dtype=(str,), device=(str,), compile=(bool,),
    env_cfg=(Mapping,), launcher=(str,), work_dir=(str,), load_from=(str,), resume=(bool, str), experiment_name=(str,),
    default_scope=(str,), custom_imports=(Mapping,),
)  # fmt: skip

# whole numbers of those tables, with the least that each may be
_WHOLE: Mapping[str, int | None] = frozen(
    {
        "train_cfg.max_epochs": 1,
        "train_cfg.max_iters": 1,
        "train_cfg.val_interval": 1,
        "train_cfg.val_begin": 0,
        "auto_scale_lr.base_batch_size": 1,
        "optim_wrapper.accumulative_counts": 1,
        "randomness.seed": None,
    }
)

# keys of mmengine's that are read, checked, and change nothing yet: named to the reader, for none is dropped in silence
_INERT: Mapping[str, str] = frozen(
    {
        "visualizer": "no pictures are drawn while a run trains; its curves are.",
        "vis_backends": "metrics go to metrics.jsonl and log.txt, and to no other writer yet.",
        "log_processor": "a line of the log is always the mean since the line before.",
        "log_level": "the log holds every line, with its level.",
        "env_cfg": "threads and cuDNN are left as they are, and workers start by forkserver.",
        "experiment_name": "a run is named by its work folder.",
        "find_unused_parameters": "it is for several processes, and there is one.",
        "randomness.deterministic": "runs repeat to the bit on the CPU; on CUDA no flag of torch's is set yet.",
        "randomness.diff_rank_seed": "it is for several processes, and there is one.",
        "val_cfg.fp16": "validation computes in the run's dtype.",
        "test_cfg.fp16": "tests compute in the run's dtype.",
    }
)

# tables whose keys are checked where they are used: by this file, or by what opens the data and builds the hooks
_CHECKED = (*TABLES, "train_dataloader", "val_dataloader", "test_dataloader", "default_hooks")

_DTYPES = ("float32", "float64", "bfloat16")


def settle(cfg: Config) -> Config:
    """The config in mmengine's vocabulary, checked, with every default that is not None filled in.

    Raises:
        FkitError: a known key with a letter added, dropped, changed or swapped; a key that its table does not take; a
            value of the wrong type.
    """
    return settle_with_notes(cfg)[0]


def settle_with_notes(cfg: Config) -> tuple[Config, tuple[str, ...]]:
    """`settle`, and what a reader should know, a sentence each: of the translation, and of keys that change nothing."""
    expect(cfg, Config, "`cfg` is a Config", "fkit.load_config(path) reads one, fkit.Config(mapping) makes one.")
    known, notes = translate(cfg)
    check(known)
    _judge(cfg, known)
    table: Mapping[str, Any] = known.get("default_hooks") or EMPTY
    hooks = {**_HOOKS, **{name: _filled(name, hook) for name, hook in table.items()}}
    missing = {name: value for name, value in DEFAULTS.items() if value is not None and known.get(name) is None}
    filled = known.merge({**missing, "default_hooks": Config(hooks)})
    seed = _seed(filled)
    inert = tuple(
        f"{path} changes nothing: {why}"
        for path, why in _INERT.items()
        if known.get(path) and known.get(path) != DEFAULTS.get(path)
    )
    return (filled if seed is None else filled.merge({"seed": seed})), (*notes, *inert)


def check(cfg: Config) -> None:
    """Refuse what is nearly a known key, what a closed table does not take, and values of the wrong type."""
    for name in cfg:
        if name not in DEFAULTS and isinstance(name, str):
            meant = next((known for known in DEFAULTS if _one_slip(name, known)), None)
            if meant is not None:
                raise FkitKeyError(
                    f"{name!r} is no key of a run.",
                    path=name,
                    origin=cfg.origin(name),
                    value=name,
                    choices=(meant,),
                    label="Meant",
                    repair="Rename it, or take a name that is not a letter away from a known one.",
                )
    _check_deletions({name: value for name, value in cfg.items() if name in DEFAULTS or name == "_delete_"}, ())
    for name, kinds in _TYPES.items():
        value = cfg.get(name)
        if value is not None and not (isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)):
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise FkitTypeError(f"{name} = {quoted(value)} is no {expected}.", path=name, origin=cfg.origin(name))
    for name in ("param_scheduler", "custom_hooks", "default_hooks"):
        _check_items(cfg, name)
    for path, least in _WHOLE.items():
        _check_whole(cfg, path, least)
    for table, keys in TABLES.items():
        for key in cfg.get(table) or ():
            if key not in keys:
                raise FkitKeyError(
                    f"{table}.{key} is unknown.",
                    path=f"{table}.{key}",
                    origin=cfg.origin(f"{table}.{key}"),
                    value=key,
                    choices=keys,
                    label="Keys",
                )
    if cfg.get("dtype") is not None and cfg["dtype"] not in _DTYPES:
        raise FkitValueError(
            f"dtype = {cfg['dtype']!r} is no compute type.",
            origin=cfg.origin("dtype"),
            value=cfg["dtype"],
            choices=_DTYPES,
        )


def _check_deletions(node: Any, path: Path) -> None:
    """``_delete_`` is a word of merging; where nothing was merged, no part knows what to do with it."""
    if isinstance(node, Mapping):
        if "_delete_" in node:
            raise undone_delete(node, show(path) if path else "")
        for key, value in cast("Mapping[str, Any]", node).items():
            _check_deletions(value, (*path, key))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(cast("list[Any]", node)):
            _check_deletions(value, (*path, i))


def _check_items(cfg: Config, name: str) -> None:
    """A list or a table of parts holds mappings, or None where a part is left out."""
    node = cfg.get(name)
    if name == "param_scheduler" and isinstance(node, Mapping):
        return
    parts: Any = node.items() if isinstance(node, Mapping) else enumerate(node or ())
    for key, part in parts:
        if not isinstance(part, Mapping) and not (part is None and isinstance(node, Mapping)):
            path = show((name, key))
            raise FkitTypeError(
                f"{path} = {quoted(part)} is no mapping.",
                path=path,
                origin=cfg.origin(path),
                repair="Say dict(type=...).",
            )


def _check_whole(cfg: Config, path: str, least: int | None) -> None:
    value = cfg.get(path)
    if value is None:
        return
    try:
        expect_number(value, path, whole=True)
    except FkitTypeError as error:
        error.path, error.origin = path, cfg.origin(path)
        raise
    if least is not None and value < least:
        raise FkitValueError(f"{path} = {value}: at least {least}.", path=path, origin=cfg.origin(path))


def _filled(name: str, hook: Any) -> Any:
    """A default hook that is given without its type is the default one with some arguments changed."""
    if isinstance(hook, Mapping) and "type" not in hook and name in _HOOKS:
        return {**_HOOKS[name], **cast("Mapping[str, Any]", hook)}
    return hook  # pyright: ignore[reportUnknownVariableType]


def _judge(cfg: Config, known: Config) -> None:
    """Refuse a word of the command line that made a key of which nothing is known.

    A key of a closed table, a dataloader or a part (a mapping with ``type``) is left to what checks those; so is one of
    mmcv's, which the translation has taken up.
    """
    for key, word in undeclared(cfg):
        path = parse(key)
        head, last = str(path[0]), str(path[-1])
        if head not in known or (len(path) == 1 and head in DEFAULTS):
            continue
        if (len(path) == 2 and head in _CHECKED) or (len(path) == 3 and head == "default_hooks"):
            continue
        parent: Any = cfg if len(path) == 1 else cfg.get(show(path[:-1]))
        if len(path) > 1 and (isinstance(parent, list) or "type" in parent):
            continue
        choices = tuple(name for name in (*parent, *(DEFAULTS if len(path) == 1 else ())) if name != last)
        raise FkitKeyError(
            f"{word!r}: {key} is in no file of the config, and no part takes it.",
            path=key,
            value=last,
            choices=choices,
            label="Keys",
            repair=f"Write {key}:=... to declare it new.",
        )


def refuse(cfg: Config, path: str, why: str) -> FkitError:
    """The error for a key that this version reads but does not act on, so that nothing is dropped in silence."""
    return FkitValueError(f"{path} = {quoted(cfg.get(path))} {why}", path=path, origin=cfg.origin(path))


def _seed(cfg: Config) -> int | None:
    """One value with ``randomness.seed``."""
    seed, twin = cfg.get("seed"), cfg.get("randomness.seed")
    if seed is not None and twin is not None and seed != twin:
        raise FkitValueError(
            f"seed = {seed} and randomness.seed = {twin} are one value.",
            origin=cfg.origin("seed"),
            repair="Set one of them.",
        )
    return seed if seed is not None else twin


def _one_slip(word: str, known: str) -> bool:
    """Whether ``word`` is ``known`` with a letter added, dropped, changed, or swapped with its neighbour.

    Example:
        >>> _one_slip("modle", "model"), _one_slip("models", "model"), _one_slip("my_model", "model")
        (True, True, False)
    """
    if word == known or abs(len(word) - len(known)) > 1:
        return False
    i = next((k for k, (a, b) in enumerate(zip(word, known, strict=False)) if a != b), min(len(word), len(known)))
    tail, known_tail = word[i:], known[i:]
    return (
        tail[1:] == known_tail[1:]
        or tail[1:] == known_tail
        or tail == known_tail[1:]
        or (tail[:2] == known_tail[1::-1] and len(known_tail) > 1 and tail[2:] == known_tail[2:])
    )

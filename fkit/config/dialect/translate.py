"""mmcv 1.x's keys of a run -> mmengine's."""

from collections.abc import Callable
from typing import TypeVar

from fkit.config.dialect.data import evaluation, loaders
from fkit.config.dialect.hook import order
from fkit.config.dialect.log import log
from fkit.config.dialect.optimizer import optimizer
from fkit.config.dialect.schedule import momentum, rate
from fkit.config.dialect.work import Table, Work
from fkit.config.origin import of
from fkit.tree import tree
from fkit.tree.check import expect
from fkit.tree.error import quoted
from fkit.tree.node import Node, marks_of, meta_of

__all__ = ["translate"]

N = TypeVar("N", bound=Node)

# keys that say a config is of mmcv 1.x
_SIGNS = frozenset(
    [
        "runner",
        "total_epochs",
        "total_iters",
        "optimizer_config",
        "lr_config",
        "momentum_config",
        "checkpoint_config",
        "log_config",
    ]
)
_NEW = frozenset(
    [
        "optim_wrapper",
        "train_dataloader",
        "val_dataloader",
        "test_dataloader",
        "param_scheduler",
        "default_hooks",
        "val_evaluator",
        "test_evaluator",
        "val_cfg",
    ]
)
_LOOP = frozenset(("by_epoch", "max_epochs", "max_iters", "val_interval", "val_begin", "dynamic_intervals"))


def translate(cfg: N) -> tuple[N, tuple[str, ...]]:
    """The config in mmengine's vocabulary, and what becomes of keys that have no place there.

    Args:
        cfg: a config in either vocabulary.

    Returns:
        (config, warnings): the config itself where it is in mmengine's vocabulary already.

    Raises:
        FkitTypeError: ``cfg`` is no config.
        FkitValueError: a key that cannot be translated, with its place and what to write instead.

    Example:
        >>> import fkit
        >>> cfg, warnings = translate(fkit.Config({"total_epochs": 12, "optimizer": {"type": "SGD", "lr": 0.1}}))
        >>> cfg.train_cfg.max_epochs, cfg.optim_wrapper.optimizer.type, warnings
        (12, 'SGD', ())
    """
    expect(cfg, Node, "`cfg` is a config (fkit.load_config reads one)")
    if _is_new(cfg):
        return cfg, tuple(
            f"{_where(cfg, key)}{key!r} is a key of mmcv 1.x in a config of mmengine's vocabulary: it is kept as a variable, and does nothing."
            for key in _SIGNS & cfg.keys()
            if not key.endswith("_epochs")
        )
    if not _is_old(cfg):
        return cfg, ()
    kind = type(cfg)
    work = Work(cfg, cfg, kind.of({}))
    for step in _STEPS:
        work = step(work)
    items = {**{k: v for k, v in work.old.items() if k not in work.new}, **work.new}
    marks = {**(marks_of(work.old) or {}), **(marks_of(work.new) or {})}
    return kind.of(items, {k: m for k, m in marks.items() if k in items}, meta_of(cfg)), work.notes


def _where(cfg: Node, key: str) -> str:
    place = of(cfg, key)
    return f"{place}: " if place is not None else ""


def _is_new(cfg: Node) -> bool:
    loop = cfg.get("train_cfg")
    return bool(_NEW & cfg.keys()) or (isinstance(loop, dict) and bool(_LOOP & loop.keys()))


def _is_old(cfg: Node) -> bool:
    if _SIGNS & cfg.keys():
        return True
    data, optimizer = cfg.get("data"), cfg.get("optimizer")
    if isinstance(data, dict) and {"train", "val", "test", "samples_per_gpu", "imgs_per_gpu"} & data.keys():
        return True
    if isinstance(optimizer, dict) and "type" in optimizer:
        return True
    model = {"train_cfg", "test_cfg"} & cfg.keys() and isinstance(cfg.get("model"), dict)
    return bool(model) or any(key in cfg for key in ("evaluation", "resume_from", "dist_params"))


def _model(work: Work) -> Work:
    """``train_cfg`` and ``test_cfg`` of the model stood at the top level in mmdet 1.x and 2.x, mmseg 0.x and mmpose 0.x."""
    for key in ("train_cfg", "test_cfg"):
        model = work.old.get("model")
        if key not in work.old or not isinstance(model, dict):
            continue
        work, value = work.take(key)
        if value is None:
            continue
        if key in model and model[key] is not None:
            raise work.fail(key, f"{key} is given at the top level and in the model.", "Keep one of the two.")
        work = work._replace(old=tree.put(work.old, ("model", key), value, work.mark(key)))
    return work


def _length(work: Work) -> Work:
    """``runner``, ``total_epochs`` and ``total_iters`` -> ``train_cfg``."""
    work, runner = work.take_table("runner")
    work, epochs = work.take("total_epochs")
    work, iters = work.take("total_iters")
    table: Table = dict(runner or {})
    path = "runner" if runner is not None else "total_epochs" if epochs is not None else "total_iters"
    kind = table.pop("type", None)
    # Swin's runner with Amp in its name is one of these, and says that apex is there
    known = kind is None or kind in _RUNNERS or (isinstance(kind, str) and kind.endswith("RunnerAmp"))
    if not known:  # one of the user's own, which knows its arguments
        own = {key: table.pop(key) for key in [*table] if key not in ("max_iters", "max_epochs")}
        work = work.put("runner_type", {"type": kind, **own}, "runner.type")
    max_iters, max_epochs = table.pop("max_iters", None), table.pop("max_epochs", None)
    iterates = kind is not None and str(kind).startswith("IterBased")
    by_epoch = not iterates and max_iters is None and (iters is None or epochs is not None)
    unit, limit, total = ("max_epochs", max_epochs, epochs) if by_epoch else ("max_iters", max_iters, iters)
    length = total if limit is None else limit
    if length is None:
        if runner is not None:
            raise work.fail("runner", "The runner has neither max_epochs nor max_iters.")
        return work._replace(by_epoch=by_epoch)
    source = f"runner.{unit}" if limit is not None else path
    work = work._replace(by_epoch=by_epoch, length=work.whole(source, length))
    work = work.put("train_cfg.by_epoch", by_epoch, source).put(f"train_cfg.{unit}", length, source)
    return work.leave("runner", table, "has no key of a loop of mmengine's, and is not translated.")


_RUNNERS = ("EpochBasedRunner", "IterBasedRunner", "Runner")


_KEPT = (
    "max_keep_ckpts", "save_last", "save_optimizer", "out_dir", "filename_tmpl", "create_symlink", "sync_buffer",
    "file_client_args", "meta", "priority",
)  # fmt: skip


def _checkpoint(work: Work) -> Work:
    work, table = work.take_table("checkpoint_config")
    if table is None:
        return work
    hook: Table = {
        "type": table.pop("type", "CheckpointHook"),
        "interval": table.pop("interval", 1),
        "by_epoch": table.pop("by_epoch", work.by_epoch),
    }
    for key in _KEPT:
        if key in table:
            hook[key] = table.pop(key)
    work = work.put("default_hooks.checkpoint", hook, "checkpoint_config")
    return work.leave("checkpoint_config", table, "has no key of a checkpoint hook here, and is not translated.")


_MOVES = (
    ("dist_params", "env_cfg.dist_cfg"),
    ("opencv_num_threads", "env_cfg.mp_cfg.opencv_num_threads"),
    ("mp_start_method", "env_cfg.mp_cfg.mp_start_method"),
    ("cudnn_benchmark", "env_cfg.cudnn_benchmark"),
    ("deterministic", "randomness.deterministic"),
)


def _environment(work: Work) -> Work:
    for old, new in _MOVES:
        work, value = work.take(old)
        if value is not None:
            work = work.put(new, value, old)
    work, resume_from = work.take("resume_from")
    work, automatic = work.take("auto_resume")
    if resume_from is not None:
        work = work.put("resume", resume_from, "resume_from")
    elif automatic:
        work = work.put("resume", True, "auto_resume")
    for key in ("gpu_ids", "gpus"):
        if key in work.old:
            work, value = work.take(key)
            text = f"{key} = {quoted(tree.thaw(value))}: devices are named on the command line, and this is not translated."
            work = work.note(text, key)
    return work


_STEPS: tuple[Callable[[Work], Work], ...] = (
    _model, _length, optimizer, rate, momentum, loaders, _checkpoint, evaluation, log, _environment, order,
)  # fmt: skip

"""mmcv 1.x's keys of a run -> mmengine's."""

from collections.abc import Callable
from typing import Any

from fkit.config.config import Config
from fkit.config.dialect.data import evaluation, loaders
from fkit.config.dialect.schedule import momentum, rate
from fkit.config.dialect.work import Work, fail, mark_of
from fkit.tree import tree
from fkit.tree.node import marks_of, meta_of

__all__ = ["translate"]

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


def translate(cfg: Config) -> tuple[Config, tuple[str, ...]]:
    """The config in mmengine's vocabulary, and what becomes of keys that have no place there.

    Args:
        cfg: a config in either vocabulary.

    Returns:
        (config, warnings): the config itself where it is in mmengine's vocabulary already.

    Raises:
        FkitValueError: a key that cannot be translated, with its place and what to write instead.

    Example:
        >>> cfg, warnings = translate(Config({"total_epochs": 12, "optimizer": {"type": "SGD", "lr": 0.1}}))
        >>> cfg.train_cfg.max_epochs, cfg.optim_wrapper.optimizer.type, warnings
        (12, 'SGD', ())
    """
    if _is_new(cfg):
        return cfg, tuple(
            f"{_where(cfg, key)}{key!r} is a key of mmcv 1.x in a config of mmengine's vocabulary: it is kept as a variable, and does nothing."
            for key in _SIGNS & cfg.keys()
            if not key.endswith("_epochs")
        )
    if not _is_old(cfg):
        return cfg, ()
    work = Work(cfg, Config.of({}))
    for step in _STEPS:
        work = step(work)
    made = {**{k: v for k, v in work.old.items() if k not in work.new}, **work.new}
    marks = {**(marks_of(work.old) or {}), **(marks_of(work.new) or {})}
    return Config.of(made, {k: m for k, m in marks.items() if k in made}, meta_of(cfg)), work.notes


def _where(cfg: Config, key: str) -> str:
    mark = mark_of(cfg, key)
    return f"{mark.place}: " if mark is not None else ""


def _is_new(cfg: Config) -> bool:
    loop = cfg.get(("train_cfg",))
    return bool(_NEW & cfg.keys()) or (isinstance(loop, dict) and bool(_LOOP & loop.keys()))


def _is_old(cfg: Config) -> bool:
    if _SIGNS & cfg.keys():
        return True
    data, optimizer = cfg.get(("data",)), cfg.get(("optimizer",))
    if isinstance(data, dict) and {"train", "val", "test", "samples_per_gpu", "imgs_per_gpu"} & data.keys():
        return True
    if isinstance(optimizer, dict) and "type" in optimizer:
        return True
    model = {"train_cfg", "test_cfg"} & cfg.keys() and isinstance(cfg.get(("model",)), dict)
    return bool(model) or any(key in cfg for key in ("evaluation", "resume_from", "dist_params"))


def _model(work: Work) -> Work:
    """``train_cfg`` and ``test_cfg`` of the model stood at the top level in mmdet 1.x and 2.x, mmseg 0.x and mmpose 0.x."""
    for key in ("train_cfg", "test_cfg"):
        source = work.old
        if key not in source or not isinstance(source.get(("model",)), dict):
            continue
        work, value = work.take(key)
        if value is None:
            continue
        if key in source["model"] and source["model"][key] is not None:
            raise fail(source, key, f"{key} is given at the top level and in the model.", "Keep one of the two.")
        work = work._replace(old=tree.put(work.old, ("model", key), value, mark_of(source, key)))
    return work


def _length(work: Work) -> Work:
    """``runner``, ``total_epochs`` and ``total_iters`` -> ``train_cfg``."""
    source = work.old
    work, runner = work.take("runner")
    work, epochs = work.take("total_epochs")
    work, iters = work.take("total_iters")
    rest: dict[str, Any] = dict(runner or {})
    kind = rest.pop("type", None)
    path = "runner" if runner is not None else "total_epochs" if epochs is not None else "total_iters"
    if kind is not None and kind not in _RUNNERS:
        known = kind.endswith("RunnerAmp") if isinstance(kind, str) else False
        if not known:
            raise fail(
                source,
                "runner.type",
                f"The runner {kind!r} has no loop of mmengine's.",
                f"Known are {', '.join(_RUNNERS)}.",
            )
        work = work.put("optim_wrapper.type", "AmpOptimWrapper", mark_of(source, "runner.type"))
    max_iters = rest.pop("max_iters", None)
    max_epochs = rest.pop("max_epochs", None)
    by_epoch = (
        not (kind is not None and str(kind).startswith("IterBased"))
        and max_iters is None
        and (iters is None or epochs is not None)
    )
    length = (
        (max_epochs if max_epochs is not None else epochs)
        if by_epoch
        else (max_iters if max_iters is not None else iters)
    )
    work = work._replace(by_epoch=by_epoch, length=length)
    if length is None:
        if runner is not None:
            raise fail(source, "runner", "The runner has neither max_epochs nor max_iters.")
        return work
    unit = "max_epochs" if by_epoch else "max_iters"
    inner = f"runner.{unit}" if runner is not None and unit in runner else path
    mark = mark_of(source, inner)
    work = work.put("train_cfg.by_epoch", by_epoch, mark).put(f"train_cfg.{unit}", length, mark)
    return work.leave("runner", rest, "has no key of a loop of mmengine's, and is not translated.")


_RUNNERS = ("EpochBasedRunner", "IterBasedRunner", "Runner")


def _optimizer(work: Work) -> Work:
    source = work.old
    work, optimizer = work.take("optimizer")
    if optimizer is not None:
        rest: dict[str, Any] = dict(optimizer)
        paramwise, constructor = rest.pop("paramwise_cfg", None), rest.pop("constructor", None)
        if "type" not in rest and rest and all(isinstance(v, dict) for v in rest.values()):
            work = work.put(
                "optim_wrapper", {"constructor": constructor, "optimizer": optimizer}, mark_of(source, "optimizer")
            )
            return work.note(
                "optimizer holds several: each becomes an optimizer of the run under its name.",
                _where(source, "optimizer")[:-2] or None,
            )
        kept = Config.of(rest, {k: m for k, m in (marks_of(optimizer) or {}).items() if k in rest})
        work = work.put(
            "optim_wrapper.type", work.new.get("optim_wrapper.type") or "OptimWrapper", mark_of(source, "optimizer")
        )
        work = work.put("optim_wrapper.optimizer", kept, mark_of(source, "optimizer"))
        if paramwise is not None:
            work = work.put("optim_wrapper.paramwise_cfg", paramwise, mark_of(source, "optimizer.paramwise_cfg"))
        if constructor is not None:
            work = work.put("optim_wrapper.constructor", constructor, mark_of(source, "optimizer.constructor"))
    return _optimizer_config(work)


def _optimizer_config(work: Work) -> Work:
    source = work.old
    work, value = work.take("optimizer_config")
    work, half = work.take("fp16")
    rest: dict[str, Any] = dict(value or {})
    kind = rest.pop("type", None)
    clip, every = rest.pop("grad_clip", None), rest.pop("cumulative_iters", rest.pop("update_interval", None))
    if clip is not None:
        work = work.put("optim_wrapper.clip_grad", clip, mark_of(source, "optimizer_config.grad_clip"))
    if every is not None and every != 1:
        work = work.put("optim_wrapper.accumulative_counts", every, mark_of(source, "optimizer_config"))
    amp = rest.pop("use_fp16", None) or (isinstance(kind, str) and "Fp16" in kind)
    scale = rest.pop("loss_scale", None)
    if half is not None:
        scale = half.get(("loss_scale",), 512.0) if isinstance(half, dict) else 512.0
        others = {k: v for k, v in half.items() if k != "loss_scale"} if isinstance(half, dict) else {}
        work = work.leave("fp16", others, "has no key of an optimizer wrapper, and is not translated.")
    if amp or half is not None:
        mark = mark_of(source, "fp16" if half is not None else "optimizer_config")
        work = work.put("optim_wrapper.type", "AmpOptimWrapper", mark)
        work = work.put("optim_wrapper.loss_scale", 512.0 if scale is None else scale, mark)
    known = (
        "OptimizerHook",
        "Fp16OptimizerHook",
        "GradientCumulativeOptimizerHook",
        "GradientCumulativeFp16OptimizerHook",
        "DistOptimizerHook",
    )
    if kind is not None and kind not in known:
        raise fail(
            source,
            "optimizer_config.type",
            f"The optimizer hook {kind!r} is not known.",
            f"Known are {', '.join(known)}.",
        )
    why = "is how mmcv 1.x reduces gradients; fkit's backends reduce them their own way."
    return work.leave("optimizer_config", rest, why)


def _checkpoint(work: Work) -> Work:
    source = work.old
    work, value = work.take("checkpoint_config")
    if value is None:
        return work
    rest: dict[str, Any] = dict(value)
    kind = rest.pop("type", "CheckpointHook")
    made: dict[str, Any] = {
        "type": kind,
        "interval": rest.pop("interval", 1),
        "by_epoch": rest.pop("by_epoch", work.by_epoch),
    }
    for key in ("max_keep_ckpts", "save_last", "save_optimizer", "out_dir", "filename_tmpl"):
        if key in rest:
            made[key] = rest.pop(key)
    work = work.put("default_hooks.checkpoint", made, mark_of(source, "checkpoint_config"))
    rest.pop("meta", None)  # what the run writes about itself, it writes in any case
    return work.leave("checkpoint_config", rest, "has no key of a checkpoint hook here, and is not translated.")


_BACKENDS = (
    ("TensorboardLoggerHook", "TensorboardVisBackend"),
    ("WandbLoggerHook", "WandbVisBackend"),
    ("MlflowLoggerHook", "MLflowVisBackend"),
)


def _log(work: Work) -> Work:
    source = work.old
    work, value = work.take("log_config")
    if value is None:
        return work
    rest: dict[str, Any] = dict(value)
    mark = mark_of(source, "log_config")
    logger: dict[str, Any] = {"type": "LoggerHook", "interval": rest.pop("interval", 10)}
    backends: list[dict[str, Any]] = []
    known = dict(_BACKENDS)
    for hook in rest.pop("hooks", None) or ():
        options: dict[str, Any] = dict(hook)
        kind = options.pop("type", None)
        if kind == "TextLoggerHook":
            for key in ("ignore_last", "out_dir"):
                if key in options:
                    logger[key] = options.pop(key)
            if options.pop("by_epoch", work.by_epoch) is not work.by_epoch:
                work = work.put("log_processor", {"type": "LogProcessor", "by_epoch": not work.by_epoch}, mark)
        elif kind in known:
            made: dict[str, Any] = {"type": known[kind]}
            for key in ("init_kwargs", "exp_name", "tags", "log_dir"):
                if key in options:
                    made["save_dir" if key == "log_dir" else key] = options.pop(key)
            options.pop("by_epoch", None)
            backends.append(made)
        else:
            work = work.note(
                f"log_config.hooks has {kind!r}, which has no backend here, and is not translated.",
                mark.place if mark else None,
            )
            continue
        work = work.leave(f"log_config.hooks ({kind})", options, "has no key of a logger here, and is not translated.")
    work = work.put("default_hooks.logger", logger, mark)
    if backends:
        work = work.put("vis_backends", [{"type": "LocalVisBackend"}, *backends], mark)
        work = work.put(
            "visualizer", {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}, *backends]}, mark
        )
    return work.leave("log_config", rest, "has no key of a logger here, and is not translated.")


def _environment(work: Work) -> Work:
    source = work.old
    moves = (
        ("dist_params", "env_cfg.dist_cfg"),
        ("opencv_num_threads", "env_cfg.mp_cfg.opencv_num_threads"),
        ("mp_start_method", "env_cfg.mp_cfg.mp_start_method"),
        ("cudnn_benchmark", "env_cfg.cudnn_benchmark"),
        ("deterministic", "randomness.deterministic"),
    )
    for old, new in moves:
        if old in source:
            work, value = work.take(old)
            if value is not None:
                work = work.put(new, value, mark_of(source, old))
    work, resume_from = work.take("resume_from")
    work, automatic = work.take("auto_resume")
    if resume_from is not None:
        work = work.put("resume", resume_from, mark_of(source, "resume_from"))
    elif automatic:
        work = work.put("resume", True, mark_of(source, "auto_resume"))
    for key in ("gpu_ids", "gpus"):
        if key in source:
            work, value = work.take(key)
            work = work.note(
                f"{key} = {value!r}: devices are named on the command line, and this is not translated.",
                _where(source, key)[:-2] or None,
            )
    return work


_STEPS: tuple[Callable[[Work], Work], ...] = (
    _model, _length, _optimizer, rate, momentum, loaders, _checkpoint, evaluation, _log, _environment,
)  # fmt: skip

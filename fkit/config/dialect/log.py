"""mmcv 1.x's ``log_config`` -> the logger of a run, and its writers."""

from frozendict import frozendict

from fkit.config.dialect.work import Table, Work
from fkit.tree import tree
from fkit.tree.error import quoted

__all__ = ["log"]

_TEXT = (
    "ignore_last", "reset_flag", "interval_exp_name", "out_dir", "out_suffix", "keep_local", "file_client_args", "priority",
)  # fmt: skip
_LINES = frozendict(interval=10, ignore_last=True)  # what a line and its tags share, with mmcv's defaults
_SERVICE = frozendict(init_kwargs="init_kwargs")
# of each of mmcv's hooks: the writer, and what its arguments are called there
_WRITERS = frozendict(
    TensorboardLoggerHook=("TensorboardVisBackend", frozendict(log_dir="save_dir")),
    WandbLoggerHook=(
        "WandbVisBackend",
        frozendict(init_kwargs="init_kwargs", commit="commit", define_metric_cfg="define_metric_cfg"),
    ),
    MlflowLoggerHook=("MLflowVisBackend", frozendict(exp_name="exp_name", tags="tags", params="params")),
    NeptuneLoggerHook=("NeptuneVisBackend", frozendict(init_kwargs="init_kwargs", with_step="with_step")),
    DvcliveLoggerHook=("DVCLiveVisBackend", frozendict(model_file="model_file", path="save_dir")),
    ClearMLLoggerHook=("ClearMLVisBackend", _SERVICE),
    PaviLoggerHook=("PaviVisBackend", _SERVICE),
    SegmindLoggerHook=("SegmindVisBackend", frozendict[str, str]()),
)


def log(work: Work) -> Work:
    """``log_config`` -> ``default_hooks.logger`` and ``vis_backends``; a hook's interval is that of ``log_config`` where it
    says none."""
    work, table = work.take_table("log_config")
    if table is None:
        return work
    logger: Table = {"type": "LoggerHook", "interval": table.pop("interval", 10)}
    writers: list[Table] = []
    hooks = table.pop("hooks", None) or ()
    if not isinstance(hooks, (list, tuple)):
        raise work.fail("log_config.hooks", f"log_config.hooks = {quoted(tree.thaw(hooks))} is no list.")
    tables = [work.table("log_config.hooks", hook) for hook in hooks]
    for options in sorted(tables, key=lambda options: options.get("type") != "TextLoggerHook"):
        kind = options.pop("type", None)
        if kind == "TextLoggerHook":
            work = _text(work, options, logger)
        elif isinstance(kind, str) and kind in _WRITERS:
            work = _writer(work, kind, options, logger, writers)
        else:
            text = f"log_config.hooks has {quoted(tree.thaw(kind))}, which has no writer here, and is not translated."
            work = work.note(text, "log_config")
    work = work.put("default_hooks.logger", logger, "log_config")
    if writers:
        both = [{"type": "LocalVisBackend"}, *writers]
        work = work.put("vis_backends", both, "log_config")
        work = work.put("visualizer", {"type": "Visualizer", "vis_backends": both}, "log_config")
    return work.leave("log_config", table, "has no key of a logger here, and is not translated.")


def _text(work: Work, options: Table, logger: Table) -> Work:
    """The kit's hook of that name has all of its arguments; it counts what the runner counts where it says nothing."""
    logger["type"] = "TextLoggerHook"
    logger["interval"] = options.pop("interval", logger["interval"])
    if "by_epoch" in options or not work.by_epoch:
        logger["by_epoch"] = options.pop("by_epoch", work.by_epoch)
    logger |= {key: options.pop(key) for key in _TEXT if key in options}
    return work.leave("log_config.hooks (TextLoggerHook)", options, "is no argument of it, and is not translated.")


def _writer(work: Work, kind: str, options: Table, logger: Table, writers: list[Table]) -> Work:
    """A writer takes the tags of each line that the logger writes: lines of its own are told."""
    name, arguments = _WRITERS[kind]
    writers.append({"type": name, **{new: options.pop(old) for old, new in arguments.items() if old in options}})
    options.pop("reset_flag", None)  # of a buffer that mmcv's loggers share; here each has its own
    lines = {key: logger.get(key, value) for key, value in _LINES.items()}
    lines["by_epoch"] = logger.get("by_epoch", work.by_epoch)
    for key, value in lines.items():
        asked = options.pop(key, value)
        if asked != value:
            text = f"log_config.hooks ({kind}).{key} = {quoted(tree.thaw(asked))}: a writer takes the lines of the logger, "
            work = work.note(
                f"{text}whose {key} is {quoted(tree.thaw(value))}, and this is not translated.", "log_config"
            )
    return work.leave(
        f"log_config.hooks ({kind})", options, "has no argument of the writer here, and is not translated."
    )

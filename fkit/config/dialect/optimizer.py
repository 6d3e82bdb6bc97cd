"""mmcv 1.x's ``optimizer``, ``optimizer_config`` and ``fp16`` -> ``optim_wrapper``."""

from typing import Any

from fkit.config.dialect.work import Table, Work
from fkit.tree import tree
from fkit.tree.error import quoted
from fkit.tree.node import marks_of

__all__ = ["optimizer"]

# mmcv's own hooks, and that of the Swin Transformer's repository
_HOOKS = (
    "OptimizerHook",
    "Fp16OptimizerHook",
    "GradientCumulativeOptimizerHook",
    "GradientCumulativeFp16OptimizerHook",
    "DistOptimizerHook",
)
_SEVERAL = "is for several processes, and there is one."
# Fp16OptimizerHook's own default; apex, which DistOptimizerHook calls, has a scale that moves
_FP16_SCALE = 512.0


def optimizer(work: Work) -> Work:
    """The optimizer, or each of several, and what its hook did between loss and update."""
    work, table = work.take_table("optimizer")
    paths: list[str] = []
    if table is not None and "type" not in table and table and all(isinstance(one, dict) for one in table.values()):
        for name in table:
            paths.append(f"optim_wrapper.{name}")
            work = _one(work, f"optimizer.{name}", paths[-1], dict(table[name]), work.source["optimizer"][name])
    elif table is not None:
        paths.append("optim_wrapper")
        work = _one(work, "optimizer", "optim_wrapper", table, work.source["optimizer"])
    return _hook(work, paths or ["optim_wrapper"])


def _one(work: Work, old: str, path: str, options: Table, source: Any) -> Work:
    paramwise, constructor = options.pop("paramwise_cfg", None), options.pop("constructor", None)
    marks = {key: mark for key, mark in (marks_of(source) or {}).items() if key in options}
    work = work.put(f"{path}.type", "OptimWrapper", old)
    work = work.put(f"{path}.optimizer", type(source).of(options, marks), old)
    if paramwise is not None:
        work = work.put(f"{path}.paramwise_cfg", paramwise, f"{old}.paramwise_cfg")
        constructor = "DefaultOptimizerConstructor" if constructor is None else constructor
    return work if constructor is None else work.put(f"{path}.constructor", constructor, f"{old}.constructor")


def _hook(work: Work, paths: list[str]) -> Work:
    """``optimizer_config`` and ``fp16``, which hold for every optimizer."""
    work, hook = work.take_table("optimizer_config")
    work, fp16 = work.take("fp16")
    table: Table = dict(hook or {})
    kind = table.pop("type", None)
    if kind is not None and kind not in _HOOKS:
        raise work.fail(
            "optimizer_config.type",
            f"The optimizer hook {quoted(kind)} is not known.",
            f"Known are {', '.join(_HOOKS)}.",
        )
    if table.pop("detect_anomalous_params", None):
        raise work.fail(
            "optimizer_config.detect_anomalous_params",
            "optimizer_config.detect_anomalous_params = True: mmcv lists the parameters that the loss does not reach.",
            "Leave it out: here such a parameter has no gradient and stays as it is, and a loss that reaches none is an error.",
        )
    clip, every = table.pop("grad_clip", None), table.pop("cumulative_iters", table.pop("update_interval", None))
    half, scale = _half(work, kind, table)
    source = "optimizer_config"
    if fp16 is not None:  # these are the arguments of Fp16OptimizerHook
        options: Table = dict(fp16) if isinstance(fp16, dict) else {}
        half, scale, source = True, options.pop("loss_scale", _FP16_SCALE), "fp16"
        clip = options.pop("grad_clip", clip)
        work = work.leave("fp16", options, "has no key of an optimizer wrapper, and is not translated.")
    for path in paths:
        if clip is not None:
            work = work.put(f"{path}.clip_grad", clip, "optimizer_config.grad_clip")
        if every is not None and every != 1:
            work = work.put(f"{path}.accumulative_counts", every, "optimizer_config")
        if half:
            work = work.put(f"{path}.type", "AmpOptimWrapper", source)
            work = work.put(f"{path}.loss_scale", scale, source)
    if fp16 is not None or (isinstance(kind, str) and "Fp16" in kind):  # the hook marks the model: it predicts so too
        for key in ("val_cfg.fp16", "test_cfg.fp16"):
            work = work.put(key, True, source)
    return work.leave("optimizer_config", table, _SEVERAL)


def _half(work: Work, kind: Any, table: Table) -> tuple[bool, Any]:
    """Whether a hook trains in half precision, and its loss scale; the keys are taken from its table."""
    runner = tree.get(work.source, "runner.type", None)
    apex = table.pop("use_fp16", isinstance(runner, str) and runner.endswith("RunnerAmp"))
    half = isinstance(kind, str) and "Fp16" in kind
    scale = table.pop("loss_scale", None)
    return bool(half or apex), (_FP16_SCALE if half else "dynamic") if scale is None else scale

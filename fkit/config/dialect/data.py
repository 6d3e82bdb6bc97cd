"""``data`` and ``evaluation`` of mmcv 1.x -> data loaders and evaluators."""

from typing import Any

from fkit.config.dialect.work import Work, mark_of

__all__ = ["evaluation", "loaders"]

_SPLITS = ("train", "val", "test")


def loaders(work: Work) -> Work:
    """Translate ``data``."""
    source = work.old
    work, value = work.take("data")
    if value is None:
        return work
    rest: dict[str, Any] = dict(value)
    batch, workers = rest.pop("samples_per_gpu", None), rest.pop("workers_per_gpu", None)
    shared = {"persistent_workers": rest.pop("persistent_workers", None), "pin_memory": rest.pop("pin_memory", None)}
    if batch is None and "imgs_per_gpu" in rest:  # the name before samples_per_gpu
        batch = rest.pop("imgs_per_gpu")
    for split in _SPLITS:
        dataset, own = rest.pop(split, None), dict(rest.pop(f"{split}_dataloader", None) or {})
        if dataset is None:
            if own:
                work = work.note(f"data.{split}_dataloader has no data.{split}, and is not translated.")
            continue
        size = own.pop("samples_per_gpu", batch if split == "train" else 1 if batch is not None else None)
        made: dict[str, Any] = {
            "batch_size": 1 if size is None else size,
            "num_workers": own.pop("workers_per_gpu", 0 if workers is None else workers),
            **{key: own.pop(key, item) for key, item in shared.items() if own.get(key, item) is not None},
        }
        shuffle = bool(own.pop("shuffle", split == "train"))
        endless = split == "train" and not work.by_epoch
        made["sampler"] = {"type": "InfiniteSampler" if endless else "DefaultSampler", "shuffle": shuffle}
        if "drop_last" in own:
            made["drop_last"] = own.pop("drop_last")
        test_mode = split != "train" and isinstance(dataset, dict) and "test_mode" not in dataset
        made["dataset"] = dataset | {"test_mode": True} if test_mode else dataset
        mark = mark_of(source, f"data.{split}")
        work = work.put(f"{split}_dataloader", made, mark)
        if split != "train":
            work = work.put(f"{split}_cfg", {}, mark)
        work = work.leave(f"data.{split}_dataloader", own, "has no key of a data loader here, and is not translated.")
    return work.leave("data", rest, "has no key of a run here, and is not translated.")


def evaluation(work: Work) -> Work:
    """Translate ``evaluation``, after the loaders."""
    source = work.old
    work, value = work.take("evaluation")
    if value is None:
        return work
    rest: dict[str, Any] = dict(value)
    interval, start = rest.pop("interval", 1), rest.pop("start", None)
    by_epoch = rest.pop("by_epoch", work.by_epoch)
    if by_epoch != work.by_epoch:
        work = work.note("evaluation.by_epoch differs from the runner's: the interval counts in the runner's unit.")
    if work.new.get(("train_cfg",)) is not None:
        work = work.put("train_cfg.val_interval", interval, mark_of(source, "evaluation.interval"))
        if start is not None:
            work = work.put("train_cfg.val_begin", start, mark_of(source, "evaluation.start"))
    for key in ("save_best", "rule", "greater_keys", "less_keys"):
        if key in rest:
            found = rest.pop(key)
            if found is not None:
                hook = work.new.get("default_hooks.checkpoint") or {"type": "CheckpointHook"}
                work = work.put("default_hooks.checkpoint", dict(hook), mark_of(source, f"evaluation.{key}"))
                work = work.put(f"default_hooks.checkpoint.{key}", found, mark_of(source, f"evaluation.{key}"))
    for key in ("gpu_collect", "tmpdir", "broadcast_bn_buffer", "pre_eval", "priority", "out_dir"):
        if rest.pop(key, None) not in (None, False):
            work = work.note(f"evaluation.{key} is how mmcv 1.x gathers results; fkit gathers them its own way.")
    metric = rest.pop("metric", None)
    for split in ("val", "test"):
        if work.new.get((f"{split}_dataloader",)) is not None:
            work = _evaluator(work, split, metric, rest, mark_of(source, "evaluation"))
    if metric is None and not rest:
        return work
    if work.new.get(("val_dataloader",)) is None and work.new.get(("test_dataloader",)) is None:
        work = work.note(f"evaluation.metric = {metric!r} has no data to be measured on, and is not translated.")
        return work.leave("evaluation", rest, "has no data to be measured on, and is not translated.")
    return work


def _evaluator(work: Work, split: str, metric: Any, rest: dict[str, Any], mark: Any) -> Work:
    dataset = work.new.get(f"{split}_dataloader.dataset") or {}
    kind = str(dataset.get("type", "")) if isinstance(dataset, dict) else ""
    names = [metric] if isinstance(metric, str) else list(metric or ())
    if names and all(name in ("mIoU", "mDice", "mFscore") for name in names):
        made: dict[str, Any] = {"type": "IoUMetric", "iou_metrics": names}
    elif names and all(name in ("bbox", "segm", "proposal", "proposal_fast", "keypoints") for name in names):
        made = {"type": "CocoMetric", "ann_file": dataset.get("ann_file"), "metric": metric}
    elif metric == "mAP" and "Coco" in kind:
        made = {"type": "CocoMetric", "ann_file": dataset.get("ann_file")}
    elif metric == "mAP":
        made = {"type": "VOCMetric", "metric": "mAP"}
    elif metric == "accuracy":
        made = {
            "type": "Accuracy",
            **({"topk": rest["metric_options"]["topk"]} if "topk" in (rest.get("metric_options") or {}) else {}),
        }
        rest = {k: v for k, v in rest.items() if k != "metric_options"}
    else:
        return work.note(
            f"evaluation.metric = {metric!r} of the dataset {kind or '?'} has no metric of mmengine's time by itself: "
            f"write {split}_evaluator."
        )
    return work.put(f"{split}_evaluator", made | {k: v for k, v in rest.items() if v is not None}, mark)

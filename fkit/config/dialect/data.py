"""``data`` and ``evaluation`` of mmcv 1.x -> data loaders and evaluators."""

from typing import Any

from fkit.config.dialect.work import Table, Work
from fkit.tree.error import quoted
from fkit.tree.tree import thaw

__all__ = ["evaluation", "loaders"]

_SPLITS = ("train", "val", "test")
_SEGMENTATION = ("mIoU", "mDice", "mFscore")
_DETECTION = ("bbox", "segm", "proposal", "proposal_fast", "keypoints")
# how mmcv 1.x gathers results
_GATHERING = ("gpu_collect", "tmpdir", "broadcast_bn_buffer", "pre_eval", "priority")


def loaders(work: Work) -> Work:
    """Translate ``data``."""
    work, table = work.take_table("data")
    if table is None:
        return work
    batch, workers = table.pop("samples_per_gpu", None), table.pop("workers_per_gpu", None)
    shared = {"persistent_workers": table.pop("persistent_workers", None), "pin_memory": table.pop("pin_memory", None)}
    if batch is None and "imgs_per_gpu" in table:  # the name before samples_per_gpu
        batch = table.pop("imgs_per_gpu")
    for split in _SPLITS:
        path = f"data.{split}_dataloader"
        dataset, options = table.pop(split, None), work.table(path, table.pop(f"{split}_dataloader", None))
        if dataset is None:
            if options:
                work = work.note(f"{path} has no data.{split}, and is not translated.", path)
            continue
        size = options.pop("samples_per_gpu", batch if split == "train" else 1 if batch is not None else None)
        loader: Table = {
            "batch_size": 1 if size is None else size,
            "num_workers": options.pop("workers_per_gpu", 0 if workers is None else workers),
            **{key: options.pop(key, item) for key, item in shared.items() if options.get(key, item) is not None},
        }
        shuffle = bool(options.pop("shuffle", split == "train"))
        endless = split == "train" and not work.by_epoch
        loader["sampler"] = {"type": "InfiniteSampler" if endless else "DefaultSampler", "shuffle": shuffle}
        if "drop_last" in options:
            loader["drop_last"] = options.pop("drop_last")
        test_mode = split != "train" and isinstance(dataset, dict) and "test_mode" not in dataset
        loader["dataset"] = dataset | {"test_mode": True} if test_mode else dataset
        work = work.put(f"{split}_dataloader", loader, f"data.{split}")
        if split != "train":
            work = work.put(f"{split}_cfg", {}, f"data.{split}")
        work = work.leave(path, options, "has no key of a data loader here, and is not translated.")
    return work.leave("data", table, "has no key of a run here, and is not translated.")


def evaluation(work: Work) -> Work:
    """Translate ``evaluation``, after the loaders."""
    work, table = work.take_table("evaluation")
    if table is None:
        return work
    interval, start = table.pop("interval", 1), table.pop("start", None)
    by_epoch = table.pop("by_epoch", work.by_epoch)
    if start is not None or by_epoch != work.by_epoch or not _is_last(interval, work.length):  # mmengine's does not
        hook: Table = {"type": "EvalHook", "interval": interval, "by_epoch": by_epoch}
        hook |= {
            key: item for key, item in (("start", start), ("priority", table.pop("priority", None))) if item is not None
        }
        work = work.put("default_hooks.evaluation", hook, "evaluation")
    elif work.read("train_cfg") is not None:
        work = work.put("train_cfg.val_interval", interval, "evaluation.interval")
    for key in ("save_best", "rule", "greater_keys", "less_keys", "out_dir"):
        value = table.pop(key, None)
        if value is not None:
            hook = work.read("default_hooks.checkpoint") or {"type": "CheckpointHook"}
            work = work.put("default_hooks.checkpoint", {**hook, key: value}, f"evaluation.{key}")
    for key in _GATHERING:
        if table.pop(key, None) not in (None, False):
            text = f"evaluation.{key} is how mmcv 1.x gathers results; fkit gathers them its own way."
            work = work.note(text, f"evaluation.{key}")
    return _evaluators(work, table)


def _is_last(interval: Any, length: int | None) -> bool:
    """Whether an interval ends with the run, after which mmengine's loops validate in any case, and mmcv's do not."""
    return length is None or type(interval) is not int or interval < 1 or length % interval == 0


def _evaluators(work: Work, table: Table) -> Work:
    metric = table.pop("metric", None)
    splits = [split for split in ("val", "test") if work.read(f"{split}_dataloader") is not None]
    for split in splits:
        work = _evaluator(work, split, metric, table)
    if splits or (metric is None and not table):
        return work
    text = f"evaluation.metric = {quoted(thaw(metric))} has no data to be measured on, and is not translated."
    work = work.note(text, "evaluation.metric")
    return work.leave("evaluation", table, "has no data to be measured on, and is not translated.")


def _evaluator(work: Work, split: str, metric: Any, options: Table) -> Work:
    dataset = work.read(f"{split}_dataloader.dataset")
    dataset = dataset if isinstance(dataset, dict) else {}
    kind = str(dataset.get("type", ""))
    names: list[Any] = list(metric) if isinstance(metric, (list, tuple)) else [] if metric is None else [metric]
    if names and all(name in _SEGMENTATION for name in names):
        evaluator: Table = {"type": "IoUMetric", "iou_metrics": names}
    elif names and all(name in _DETECTION for name in names):
        evaluator = {"type": "CocoMetric", "ann_file": dataset.get("ann_file"), "metric": metric}
    elif metric == "mAP" and "Coco" in kind:
        evaluator = {"type": "CocoMetric", "ann_file": dataset.get("ann_file")}
    elif metric == "mAP":
        evaluator = {"type": "VOCMetric", "metric": "mAP"}
    elif metric == "accuracy":
        measured = options.get("metric_options")
        topk = measured.get("topk") if isinstance(measured, dict) else None
        evaluator = {"type": "Accuracy", **({"topk": topk} if topk is not None else {})}
        options = {key: value for key, value in options.items() if key != "metric_options"}
    else:
        text = f"evaluation.metric = {quoted(thaw(metric))} of the dataset {kind or '?'} has no metric of mmengine's time by itself: "
        return work.note(f"{text}write {split}_evaluator.", "evaluation.metric")
    more = {key: value for key, value in options.items() if value is not None}
    return work.put(f"{split}_evaluator", evaluator | more, "evaluation")

"""``data`` and ``evaluation`` of mmcv 1.x -> data loaders and evaluators."""

from typing import Any

from fkit.config.dialect.dataset import dataset_of, package_of
from fkit.config.dialect.measure import evaluators
from fkit.config.dialect.row import Ledger
from fkit.config.dialect.work import Table, Work
from fkit.tree.error import quoted
from fkit.tree.tree import thaw

__all__ = ["evaluation", "loaders"]

_SPLITS = ("train", "val", "test")
# how mmcv 1.x gathers results
_GATHERING = ("gpu_collect", "tmpdir", "broadcast_bn_buffer", "pre_eval", "priority")


def loaders(work: Work) -> Work:
    """Translate ``data``."""
    work, table = work.take_table("data")
    if table is None:
        return work
    work, package = _scoped(work, [table[split] for split in _SPLITS if split in table])
    batch, workers = table.pop("samples_per_gpu", None), table.pop("workers_per_gpu", None)
    shared = {key: table.pop(key, None) for key in ("persistent_workers", "pin_memory", "drop_last")}
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
        ledger = Ledger(type(work.source), package, split == "train")
        try:
            dataset = dataset_of(ledger, dataset)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as cause:
            text = f"data.{split} is not written as datasets and pipelines of mmcv 1.x are: {cause}."
            raise work.fail(f"data.{split}", text, "Write it as train_dataloader = dict(dataset=...).") from cause
        loader["dataset"] = dataset if split == "train" else _tested(dataset)
        if package in ("mmdet", "mmseg"):  # images of several sizes were padded where a batch was made
            loader["collate_fn"] = {"type": "pseudo_collate"}
        work = work._replace(notes=(*work.notes, *ledger.notes))
        work = work.put(f"{split}_dataloader", loader, f"data.{split}")
        if split != "train":
            work = work.put(f"{split}_cfg", {}, f"data.{split}")
        work = work.leave(path, options, "has no key of a data loader here, and is not translated.")
    return work.leave("data", table, "has no key of a run here, and is not translated.")


def _scoped(work: Work, datasets: list[Any]) -> tuple[Work, str | None]:
    """The package whose names the config has: its registry was of its own, as a default scope is today."""
    scope = work.old.get("default_scope")
    package = package_of(work.old.get("model"), datasets)
    if package is not None and scope is None:
        work = work.put("default_scope", package, "model.type" if package_of(work.old.get("model"), []) else "data")
    return work, package


def _tested(dataset: Any) -> Any:
    """A dataset for validation or test, with those inside it."""
    if not isinstance(dataset, dict):
        return dataset
    if isinstance(dataset.get("datasets"), (list, tuple)):
        return dataset | {"datasets": [_tested(one) for one in dataset["datasets"]]}
    if isinstance(dataset.get("dataset"), dict):
        return dataset | {"dataset": _tested(dataset["dataset"])}
    return dataset if "test_mode" in dataset else dataset | {"test_mode": True}


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
    spans = table.pop("dynamic_intervals", None)
    if spans is not None and work.read("train_cfg") is not None:
        path = "evaluation.dynamic_intervals"
        if not isinstance(spans, (list, tuple)) or not all(isinstance(span, (list, tuple)) for span in spans):
            raise work.fail(path, f"{path} = {quoted(thaw(spans))} is no list of pairs (from when, interval).")
        work = work.put("train_cfg.dynamic_intervals", [tuple(span) for span in spans], path)
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
    scope = work.read("default_scope") or work.old.get("default_scope")
    several, more = evaluators(scope, metric, options, dict(dataset))
    if not several:
        text = f"evaluation.metric = {quoted(thaw(metric))} of the dataset {dataset.get('type', '?')} has no metric of mmengine's time by itself: "
        return work.note(f"{text}write {split}_evaluator.", "evaluation.metric")
    several[0] |= more
    return work.put(f"{split}_evaluator", several[0] if len(several) == 1 else several, "evaluation")

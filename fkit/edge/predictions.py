"""Predictions of held-out data as a file: written while a test goes on, and scored from there without a model."""

import contextlib
import os
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fkit.catalog.registry import Registry
from fkit.config.config import Config
from fkit.data.identity import changes, classes_of, describe, metainfo_of
from fkit.data.loader import Loader
from fkit.data.source import Source
from fkit.edge.progress import Screen
from fkit.edge.signal import ending
from fkit.edge.target import file_target
from fkit.edge.watch import Watch
from fkit.metric.evaluator import Evaluator, sample_ids, truth
from fkit.metric.foreign import open_predictions
from fkit.metric.ground import ground_file
from fkit.metric.kept import Predictions, first_line, last_line, row_line
from fkit.recipe.settings import read
from fkit.recipe.source import evaluator_of, registry_of, source_of
from fkit.run.attempt import attempt
from fkit.run.effect import WritePredictions
from fkit.run.held import one_pass
from fkit.run.hook.hook import handlers
from fkit.run.hook.predictions import PredictionsHook
from fkit.run.plan import Plan, held_out
from fkit.structures.batch import Batch
from fkit.training.fleet import Fleet
from fkit.tree.check import expect
from fkit.tree.error import FkitValueError, RunError, quoted
from fkit.tree.frozen import frozen
from fkit.tree.write import atomic_file

__all__ = ["Gathering", "Target", "keeping", "predictions_target", "score_predictions"]

_TRUTH = ("instances", "ignored_instances", "text")
_SHOWN = 3
_HELD = 1 << 26  # bytes that a process keeps in memory
UNNUMBERED = 1 << 40  # from here on a process beside the first counts samples that have no number


class Target:
    """A file of predictions that is being written; it has its name when all are in it.

    Args:
        place: the file.
        source: of the data.
    """

    def __init__(self, place: Path, source: Source) -> None:
        self._place = place
        self._source = source
        self._ids: set[int] = set()
        self._file: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Target":
        self._file = self._stack.enter_context(atomic_file(self._place))
        self._add(first_line(_identity(self._source)))
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            self._add(last_line(len(self._ids)))
        self._stack.__exit__(*error)

    def perform(self, effect: WritePredictions, run: Any = None) -> None:
        """Write rows; of a sample that padding repeats the first.

        Raises:
            RunError: the disk is full, or refuses.
        """
        self.add((int(row["sample_idx"]), row_line(row)) for row in effect.rows)

    def add(self, lines: Iterable[tuple[int, bytes]]) -> None:
        """Write lines, each with the number of its sample; otherwise as `perform`."""
        for number, line in lines:
            if number not in self._ids:
                self._ids.add(number)
                self._add(line)

    def _add(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as cause:
            raise RunError(
                f"{self._place}: cannot be written: {cause.strerror or cause}.", repair="Make room."
            ) from cause


class Gathering:
    """The predictions of several processes, which each keeps for itself until all have predicted; then the first one writes
    them, batch by batch, in the order of the data.

    Args:
        fleet: the processes.
        target: the first process's file; None in the others.
    """

    def __init__(self, fleet: Fleet, target: Target | None) -> None:
        self._fleet = fleet
        self._target = target
        self._count = 0
        self._kept: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Gathering":
        self._kept = self._stack.enter_context(tempfile.SpooledTemporaryFile(_HELD))
        return self

    def __exit__(self, *error: Any) -> None:
        with self._stack:
            if error[0] is None:
                self._gather()

    def perform(self, effect: WritePredictions, run: Any = None) -> None:
        """Keep rows.

        Raises:
            FkitValueError: the samples have no numbers of their own.
            RunError: the disk is full, or refuses.
        """
        lines = [(int(row["sample_idx"]), row_line(row)) for row in effect.rows]
        if any(number >= UNNUMBERED for number, _ in lines):
            raise FkitValueError(
                "the samples have no `sample_idx`, by which predictions of several processes are told apart.",
                path="test_dataloader.dataset", repair="Let the data set give one, or test in one process.",
            )  # fmt: skip
        try:
            pickle.dump(lines, self._kept)
        except OSError as cause:
            raise RunError(f"predictions cannot be kept in {tempfile.gettempdir()}: {cause.strerror or cause}.", repair="Make room.") from cause  # fmt: skip
        self._count += 1

    def _gather(self) -> None:
        self._kept.seek(0)
        for turn in range(max(self._fleet.gather(self._count))):
            for lines in self._fleet.gather(pickle.load(self._kept) if turn < self._count else []):
                if self._target is not None:
                    self._target.add(lines)


def keeping(plan: Plan) -> Plan:
    """A plan of a test whose predictions are given away as effects."""
    expect(plan, Plan, "`plan` is a plan (fkit.plan makes one)")
    hooks = (*plan.hooks, ("predictions", PredictionsHook(plan.room.host, plan.fleet.rank * UNNUMBERED)))
    return replace(plan, hooks=hooks, handlers=handlers(hooks))


def score_predictions(
    cfg: Config,
    file: str | os.PathLike[str],
    registry: Registry | None = None,
    screen: Screen | None = None,
    *,
    allow: str | Iterable[str] = (),
    part: str = "test",
    measures: Sequence[str] = (),
) -> Mapping[str, float]:
    """Score predictions that are in a file against a config's data; no model is built, and no checkpoint read.

    Args:
        cfg: with ``test_dataloader`` and ``test_evaluator``; validation's are taken where it has none.
        file: what `fkit test --predictions` wrote; or a .pkl of mmengine's DumpResults or of the first generation's
            ``tools/test.py --out``, or COCO's results (.json).
        registry, allow: as of `fkit.plan`.
        screen: what a person watches.
        part: "test" or "val".
        measures: what is measured, in place of what the config says: `Evaluator.measuring`.

    Returns:
        {metric: score}.

    Raises:
        FkitError: the file is none, is cut off, has a sample twice, lacks one or is of other data; or the config has nothing
            to test on.
    """
    expect(cfg, Config, "`cfg` is a Config", "fkit.load_config(path) reads one, fkit.Config(mapping) makes one.")
    expect(file, (str, os.PathLike), "`file` is the path of a file of predictions")
    settings = read(cfg)
    whose = {kind: held_out(settings, part, kind) for kind in ("dataloader", "evaluator")}
    reg = registry_of(settings, registry, allow)
    evaluator = evaluator_of(settings, reg, whose["evaluator"])
    if evaluator is None:
        raise FkitValueError(f"{whose['evaluator']}_evaluator = None: there is nothing to score by.")
    source = source_of(settings, reg, whose["dataloader"], settings.seed or 0)
    evaluator = evaluator.measuring(measures).informed(metainfo_of(source))
    names = classes_of(source.dataset if isinstance(source, Loader) else source)
    kept = open_predictions(file, None if names is None else len(names), lambda: _categories(evaluator, source, names))
    _expect_data(kept, source)
    shown = source if screen is None else Watch(screen).over(source, part)
    state = attempt("the evaluator", "batch", 0, evaluator.empty)
    with ending(), contextlib.ExitStack() as stack:
        if screen is not None:
            stack.callback(screen.close)
        number = 0
        for number, batch, ids, rows in _matched(kept, shown, None if names is None else len(names)):
            state = attempt(
                "the metric", "batch", number, evaluator.observe, state, rows, truth(batch), ids, batch.valid
            )
        scores = attempt("the metric", "batch", number, evaluator.compute, state)
    return frozen({name: float(value) for name, value in scores.items()})


def _matched(
    kept: Predictions, source: Source, classes: int | None
) -> Iterator[tuple[int, Batch, Any, list[Mapping[str, Any]]]]:
    """Each batch with what the file says of its samples; that it says of no others is looked at last."""
    used: set[Any] = set()
    count = 0
    for number, batch, _ in one_pass(source, "batch"):
        ids = sample_ids(batch, count)
        rows: list[Mapping[str, Any]] = []
        for at, idx in enumerate(ids.tolist()):
            meta: Mapping[str, Any] = batch.meta[at] if batch.meta else {}
            key = {"sample_idx": idx, "img_id": meta.get("img_id", idx), "place": count + at}[kept.by]
            if key not in kept.keys and not kept.sparse:
                raise _missing(kept, key, meta)
            used.add(key)
            rows.append(_of_sample(kept, key, meta, classes))
        count += len(ids)
        yield number, batch, ids, rows
    others = [key for key in kept.keys if key not in used]
    if others:
        raise FkitValueError(
            f"{kept.file}: has predictions of {len(others)} samples that the data set has not: {kept.by} "
            f"{', '.join(map(repr, others[:_SHOWN]))}{', ...' if len(others) > _SHOWN else ''}.",
            repair="Score them with the data that they were made on.",
        )


def _missing(kept: Predictions, key: Any, meta: Mapping[str, Any]) -> FkitValueError:
    name = f" ({meta['img_path']})" if meta.get("img_path") else ""
    return FkitValueError(
        f"{kept.file}: has no prediction of the sample with {kept.by} {key!r}{name}; it has {len(kept.keys)} samples.",
        repair="Predict on all of the data, and on the same: test_dataloader says which.",
    )


def _of_sample(kept: Predictions, key: Any, meta: Mapping[str, Any], classes: int | None) -> Mapping[str, Any]:
    """What the file says of one sample: neither its truth, nor what the data say of it."""
    row = kept.read(key)
    for name, told in (("img_id", lambda value: value), ("img_path", lambda value: os.path.basename(str(value)))):
        if name in row and name in meta and row[name] is not None and told(row[name]) != told(meta[name]):
            raise FkitValueError(
                f"{kept.file}: the sample with {kept.by} {key!r} has {name} {quoted(row[name])}, and in the data "
                f"{quoted(meta[name])}.",
                repair="Score them with the data that they were made on.",
            )
    group: Any = row.get("pred_instances")
    labels: Any = group.get("labels") if isinstance(group, Mapping) else None
    if classes is not None and labels is not None and len(labels) and int(max(labels)) >= classes:
        raise _others(kept, key, f"label {int(max(labels))}", classes)
    scores: Any = row.get("pred_score")
    if classes is not None and getattr(scores, "ndim", 0) == 1 and len(scores) not in (1, classes):
        raise _others(kept, key, f"scores of {len(scores)} classes", classes)
    return {
        name: value
        for name, value in row.items()
        if name not in meta and name not in _TRUTH and name != "sample_idx" and not name.startswith("gt_")
    }


def _others(kept: Predictions, key: Any, what: str, classes: int) -> FkitValueError:
    return FkitValueError(
        f"{kept.file}: the sample with {kept.by} {key!r} has {what}, and the data set has {classes} classes.",
        repair="Name those that the model was trained on: test_dataloader.dataset.metainfo.classes=[...].",
    )


def _identity(source: Source) -> dict[str, Any]:
    """What is said of data in a file: how they come in batches is none of it."""
    return {name: value for name, value in describe(source).items() if name != "batches"}


def _expect_data(kept: Predictions, source: Source) -> None:
    """Refuse what was made on other data, as far as that is known before they are read."""
    here = _identity(source)
    lines = changes(kept.data, here)
    count = here.get("samples")
    if not lines and kept.by == "place" and count is not None and count != len(kept.keys):
        lines = (f"samples: {len(kept.keys)} -> {count}",)
    if lines:
        raise FkitValueError(
            "\n  ".join((f"{kept.file}: was made on other data than the config's:", *lines)),
            repair="Score them with the data that they were made on (--cfg-options test_dataloader...=...), or predict anew.",
        )


def _categories(evaluator: Evaluator, source: Source, names: Sequence[str] | None) -> Sequence[Any]:
    """COCO's category id of each label: of the annotation file that is scored against, else of the data; else the labels."""
    for metric in evaluator.metrics:
        file: Any = getattr(metric, "ann_file", None)
        if isinstance(file, str):
            return ground_file(file, getattr(metric, "backend_args", None), names).categories
    ids: Any = getattr(source.dataset, "cat_ids", None) if isinstance(source, Loader) else None
    return tuple(ids) if ids is not None else range(len(names or ()))


def predictions_target(path: str, inputs: Iterable[str | os.PathLike[str]]) -> Path:
    """The file that ``--predictions`` names, looked at before the work begins.

    Raises:
        FkitError: as of `file_target`; or it does not end in .jsonl.
    """
    place = file_target(path, "--predictions", inputs)
    if (place.is_file() or not place.exists()) and place.suffix != ".jsonl":
        raise FkitValueError(
            f"--predictions {path}: is written as lines of JSON, and ends in .jsonl.",
            repair=f"Say --predictions {place.with_suffix('.jsonl')}; a .pkl as mmengine's is written by "
            "test_evaluator=[..., dict(type='DumpResults', out_file_path='a.pkl')].",
        )
    return place

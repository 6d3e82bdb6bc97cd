"""Several metrics as one monoid, made from a config."""

import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from operator import itemgetter
from typing import Any, Self, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.metric.gathered import Gathered
from fkit.metric.metric import Metric, Targets, check_metric
from fkit.metric.sample import META, samples
from fkit.structures.batch import Batch
from fkit.tree.check import expect
from fkit.tree.contract import title
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError, quoted

__all__ = ["Evaluator", "MultiDatasetsEvaluator", "get_metric_value", "sample_ids", "truth"]

_NUMBER = itemgetter("sample_idx")


@dataclass(frozen=True)
class Evaluator:
    """Metrics, observed together.

    Args:
        metrics: each a `fkit.Metric`, or a value with its methods.

    Example:
        >>> from fkit.metric.accuracy import Accuracy
        >>> evaluator = Evaluator((Accuracy(),))
        >>> batch = Batch(np.zeros((2, 1)), {"gt_label": np.array([0, 1])})
        >>> outputs = {"pred_label": np.array([0, 0])}
        >>> state = evaluator.observe(evaluator.empty(), outputs, batch.targets, sample_ids(batch, 0))
        >>> evaluator.compute(evaluator.merge(state, evaluator.empty()))
        {'accuracy/top1': 0.5}
    """

    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        expect(self.metrics, (list, tuple), "Evaluator: metrics are a list")
        for number, metric in enumerate(self.metrics):
            try:
                check_metric(metric)
            except FkitTypeError as error:
                error.path = f"[{number}]" if len(self.metrics) > 1 else ""
                raise
        object.__setattr__(self, "metrics", tuple(self.metrics))

    @staticmethod
    def of(cfg: Any, build: Callable[[str, Any], Any]) -> "Evaluator":
        """The evaluator that a config describes.

        Args:
            cfg: a metric's config, a list of them, ``dict(metrics=...)``, or what is built already.
            build: ``(kind, cfg) -> part``.

        Raises:
            FkitTypeError: it is none of these.

        Example:
            >>> from fkit.metric.accuracy import Accuracy
            >>> Evaluator.of([{"topk": 5}], lambda kind, cfg: Accuracy(**cfg)).metrics[0].topk
            (5,)
        """
        if isinstance(cfg, Evaluator):
            return cfg
        if isinstance(cfg, Mapping) and "metrics" in cfg:
            node = cast("Mapping[str, Any]", cfg)
            kind, metrics = str(node.get("type", "Evaluator")).rpartition(".")[2], Evaluator.of(node["metrics"], build)
            words = {word: node[word] for word in node if word not in ("type", "metrics")}
            if kind == "MultiDatasetsEvaluator" and words.keys() <= {"dataset_prefixes"}:
                return MultiDatasetsEvaluator(metrics.metrics, **words)
            if kind != "Evaluator" or words:
                raise FkitTypeError(f"an evaluator is dict(type='Evaluator', metrics=...), not {quoted(cfg)}.")
            return metrics
        if isinstance(cfg, str) or not (isinstance(cfg, Mapping | Sequence) or hasattr(cfg, "observe")):
            raise FkitTypeError(f"an evaluator is a metric's config or a list of them, not {quoted(cfg)}.")
        parts = cast("Sequence[Any]", cfg) if isinstance(cfg, Sequence) else (cast(Any, cfg),)
        return Evaluator(tuple(build("metrics", part) if isinstance(part, Mapping) else part for part in parts))

    def informed(self, metainfo: Mapping[str, Any]) -> "Evaluator":
        """The evaluator whose metrics know a dataset's metainfo (its ``classes``): those of the kit that were given none.

        Example:
            >>> from fkit.metric.segmentation import IoUMetric
            >>> Evaluator((IoUMetric(),)).informed({"classes": ("cell",)}).metrics[0].classes
            ('cell',)
        """
        expect(metainfo, Mapping, "`metainfo` is a mapping")
        return Evaluator(tuple(one.informed(metainfo) if isinstance(one, Gathered) else one for one in self.metrics))

    def measuring(self, names: Sequence[str]) -> Self:
        """The evaluator that measures something else: ``metric`` (mmdet), ``iou_metrics`` (mmseg) or ``items`` (mmpretrain) of
        that metric which knows the names.

        Args:
            names: none leave it as it is.

        Raises:
            FkitValueError: no metric knows them.

        Example:
            >>> from fkit.metric.segmentation import IoUMetric
            >>> Evaluator((IoUMetric(),)).measuring(["mDice"]).metrics[0].iou_metrics
            ('mDice',)
        """
        expect(names, (list, tuple), "`names` are what is measured")
        refused: list[FkitError] = []
        for at, metric in enumerate(self.metrics if names else ()):
            known = [one.name for one in fields(metric)] if is_dataclass(metric) else []
            for word in ("metric", "iou_metrics", "items"):
                if word not in known:
                    continue
                try:
                    other: Any = replace(metric, **{word: names[0] if len(names) == 1 else tuple(names)})
                except FkitError as error:
                    refused.append(error)
                else:
                    return replace(self, metrics=(*self.metrics[:at], other, *self.metrics[at + 1 :]))
        if not names:
            return self
        whole = ", ".join(title(metric) for metric in self.metrics)
        raise refused[0] if refused else FkitValueError(f"none of the metrics can be told what to measure: {whole}.")

    def writing(self, prefix: str | None) -> Self:
        """The evaluator that writes results for a server, and gives no number (mmdet's ``format_only``).

        Args:
            prefix: of the files (``out/test`` makes ``out/test.bbox.json``); None leaves it as it is.

        Raises:
            FkitValueError: none of the metrics can.

        Example:
            >>> from fkit.metric.coco import CocoMetric
            >>> Evaluator((CocoMetric(),)).writing("out/test").metrics[0].format_only
            True
        """
        expect(prefix, (str, type(None)), "`prefix` is the path of files, without .bbox.json")
        if prefix is None:
            return self
        words: dict[str, Any] = {"format_only": True, "outfile_prefix": prefix}
        able = [is_dataclass(one) and words.keys() <= {part.name for part in fields(one)} for one in self.metrics]
        if not any(able):
            whole = ", ".join(title(metric) for metric in self.metrics)
            raise FkitValueError(f"none of the metrics writes results by format_only: {whole}.")
        others = [replace(cast(Any, one), **words) for one, can in zip(self.metrics, able, strict=True) if can]
        return replace(self, metrics=tuple(others))

    def empty(self) -> tuple[Any, ...]:
        """The state that has seen nothing: one a metric."""
        return tuple(metric.empty() for metric in self.metrics)

    def observe(
        self, state: tuple[Any, ...], outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None
    ) -> tuple[Any, ...]:
        """The state that has also seen one batch.

        Args:
            outputs: what ``program.predict`` gave, as host arrays.
            targets: the batch's, with its meta where a metric asks for that; see `truth`.
            ids: (N,) int64, which samples they are; see `sample_ids`.
            valid: the batch's masks; None where all is real.
        """
        return tuple(
            [metric.observe(one, outputs, targets, ids, valid) for metric, one in zip(self.metrics, state, strict=True)]
        )

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        """The state that has seen what both saw."""
        return tuple(metric.merge(x, y) for metric, x, y in zip(self.metrics, a, b, strict=True))

    def matrices(self, state: tuple[Any, ...]) -> tuple[tuple[str, NDArray[Any], tuple[str, ...] | None], ...]:
        """What the metrics with a method ``matrix`` counted, for a picture: (name, (K, K) true by predicted, names of classes).

        Example:
            >>> from fkit.metric.classification import ConfusionMatrix
            >>> evaluator = Evaluator((ConfusionMatrix(num_classes=2),))
            >>> state = evaluator.observe(evaluator.empty(), {"pred_label": [1]}, {"gt_label": [0]}, [0])
            >>> [(name, matrix.tolist(), classes) for name, matrix, classes in evaluator.matrices(state)]
            [('confusion_matrix', [[0, 1], [0, 0]], None)]
        """
        rows: list[tuple[str, NDArray[Any], tuple[str, ...] | None]] = []
        for metric, one, name in zip(self.metrics, state, self._titles(), strict=True):
            count: Any = getattr(metric, "matrix", None)
            if callable(count):
                matrix: NDArray[Any] = np.asarray(count(one))
                classes: Any = getattr(metric, "classes", None)
                rows.append((name, matrix, classes if classes is not None and len(classes) == len(matrix) else None))
        return tuple(rows)

    def _titles(self) -> tuple[str, ...]:
        return tuple(str(getattr(metric, "title", "")) or title(metric) for metric in self.metrics)

    def compute(self, state: tuple[Any, ...]) -> dict[str, float]:
        """All numbers by name.

        Raises:
            FkitValueError: two metrics give a number of the same name, or nothing was observed.
        """
        scores: dict[str, float] = {}
        for metric, one in zip(self.metrics, state, strict=True):
            for name, value in _scores(metric, one):
                _enter(scores, name, value, "Set the prefix of one of them: dict(type=..., prefix='b').")
        return scores


@dataclass(frozen=True)
class MultiDatasetsEvaluator(Evaluator):
    """One metric for each of the data sets that were concatenated; mmdet's MultiDatasetsEvaluator.

    Args:
        metrics: one a data set.
        dataset_prefixes: what each one's numbers begin with, before the metric's own prefix.
        cumulative_sizes: how many samples there are up to the end of each; told by the data's metainfo.

    Example:
        >>> from fkit.metric.accuracy import Accuracy
        >>> evaluator = MultiDatasetsEvaluator((Accuracy(), Accuracy()), ("a", "b"), cumulative_sizes=(2, 3))
        >>> outputs, targets = {"pred_label": np.array([0, 0, 1])}, {"gt_label": np.array([0, 1, 1])}
        >>> evaluator.compute(evaluator.observe(evaluator.empty(), outputs, targets, np.arange(3)))
        {'a/accuracy/top1': 0.5, 'b/accuracy/top1': 1.0}
    """

    dataset_prefixes: Sequence[str] = ()
    cumulative_sizes: Sequence[int] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dataset_prefixes", "cumulative_sizes"):
            expect(getattr(self, name), (list, tuple), f"MultiDatasetsEvaluator: {name} is a list")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.dataset_prefixes) != len(self.metrics):
            raise FkitValueError(
                f"MultiDatasetsEvaluator: {len(self.dataset_prefixes)} dataset_prefixes for {len(self.metrics)} metrics."
            )

    def informed(self, metainfo: Mapping[str, Any]) -> "MultiDatasetsEvaluator":
        """That whose metrics know each its dataset's metainfo, where the datasets differ in it."""
        expect(metainfo, Mapping, "`metainfo` is a mapping")
        sizes = self.cumulative_sizes or tuple(metainfo.get("cumulative_sizes", ()))
        each = tuple(metainfo.get("datasets", ()))
        if len(each) != len(self.metrics):
            each = (metainfo,) * len(self.metrics)
        pairs = zip(self.metrics, each, strict=True)
        metrics = tuple(one for metric, known in pairs for one in Evaluator((metric,)).informed(known).metrics)
        return MultiDatasetsEvaluator(metrics, self.dataset_prefixes, sizes)

    def observe(
        self, state: tuple[Any, ...], outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None
    ) -> tuple[Any, ...]:
        if len(self.cumulative_sizes) != len(self.metrics):
            raise FkitValueError(
                f"MultiDatasetsEvaluator: {len(self.metrics)} metrics for {len(self.cumulative_sizes)} data sets.",
                repair="Concatenate as many data sets as there are metrics: dict(type='ConcatDataset', datasets=[...]).",
            )
        several = samples(outputs, targets, ids, valid)
        places = np.searchsorted(np.asarray(self.cumulative_sizes), np.asarray(ids), side="right")
        states: list[Any] = []
        for at, (metric, one) in enumerate(zip(self.metrics, state, strict=True)):
            mine = [sample for sample, place in zip(several, places, strict=True) if place == at]
            states.append(metric.observe(one, mine, {}, [row["sample_idx"] for row in mine]) if mine else one)
        return tuple(states)

    def _titles(self) -> tuple[str, ...]:
        return tuple(f"{prefix} {name}" for prefix, name in zip(self.dataset_prefixes, super()._titles(), strict=True))

    def compute(self, state: tuple[Any, ...]) -> dict[str, float]:
        scores: dict[str, float] = {}
        for prefix, metric, one in zip(self.dataset_prefixes, self.metrics, state, strict=True):
            for name, value in _scores(metric, one):
                _enter(scores, f"{prefix}/{name}", value, "Let the dataset_prefixes differ.")
        return scores


def _enter(scores: dict[str, float], name: str, value: Any, repair: str) -> None:
    if name in scores:
        raise FkitValueError(f"two metrics give {name!r}.", repair=repair)
    scores[name] = value


def _scores(metric: Metric, state: Any) -> Iterable[tuple[str, Any]]:
    """What a metric gives: names and numbers.

    Raises:
        FkitTypeError: it gives something else.
    """
    scores: Any = metric.compute(state)
    who = title(metric)
    if not isinstance(scores, Mapping):
        raise FkitTypeError(
            f"{who}.compute gave {quoted(scores)}, and a metric gives a mapping of names to numbers.",
            repair=f"Return {{{who.lower()!r}: number}}.",
        )
    for name, score in cast("Mapping[Any, Any]", scores).items():
        if not isinstance(name, str):
            raise FkitTypeError(f"{who}.compute names a number {quoted(name)}, and a name is text.")
        if isinstance(score, str | bytes) or not (isinstance(score, numbers.Real) or hasattr(score, "__float__")):
            raise FkitTypeError(f"{who}.compute gives {name} = {quoted(score)}, which is no number.")
    return cast("Mapping[str, Any]", scores).items()


def truth(batch: Batch) -> Targets:
    """A batch's targets with its meta among them, as ``targets["meta"]``: one mapping a sample (``img_id``, ``img_path``).

    Example:
        >>> truth(Batch(np.zeros((1, 1)), {"gt_label": np.array([3])}, meta=({"img_id": 7},)))["meta"][0]["img_id"]
        7
    """
    expect(batch, Batch, "`batch` is a Batch")
    return frozendict({**batch.targets, META: batch.meta}) if batch.meta else batch.targets


def get_metric_value(indicator: str, metrics: Mapping[str, Any]) -> Any:
    """The number that a name stands for.

    Args:
        indicator: with a ``/`` the whole name ("coco/bbox_mAP"), without one what comes after the last ``/``.
        metrics: numbers by name.

    Raises:
        FkitValueError: no number is of that name, or several are.

    Example:
        >>> get_metric_value("bbox_mAP", {"coco/bbox_mAP": 0.4, "coco/bbox_mAP_50": 0.6})
        0.4
    """
    expect(indicator, str, "`indicator` is a number's name")
    expect(metrics, Mapping, "`metrics` are numbers by name")
    names = [name for name in metrics if indicator == (name if "/" in indicator else str(name).rpartition("/")[2])]
    if len(names) == 1:
        return metrics[names[0]]
    if names:
        raise FkitValueError(f"{indicator!r} may be {' or '.join(map(repr, names))}.", repair="Write the whole name.")
    raise FkitValueError(f"no metric is called {indicator!r}.", value=indicator, choices=metrics, label="Metrics")


def sample_ids(batch: Batch, first: int) -> NDArray[np.int64]:
    """Which samples a batch holds, (N,) int64: ``sample_idx`` of its meta, or where that is absent numbers from
    ``first`` on."""
    expect(batch, Batch, "`batch` is a Batch")
    meta = batch.meta
    if meta:
        try:
            return np.fromiter(map(_NUMBER, meta), np.int64, len(meta))
        except KeyError:
            pass
        except (TypeError, ValueError):
            raise FkitTypeError("`sample_idx` of a batch's meta is not a whole number in each.") from None
    return np.arange(first, first + len(batch), dtype=np.int64)

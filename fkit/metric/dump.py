"""Predictions kept in a file, and scored from there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fkit.catalog.builtin import registry as built_in
from fkit.catalog.registry import Registry
from fkit.fileio.io import dump, load
from fkit.metric.detection import image_size, run_lengths
from fkit.metric.evaluator import Evaluator
from fkit.metric.gathered import Gathered
from fkit.metric.row import records
from fkit.metric.sample import META, Sample, samples
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.tree import thaw

__all__ = ["DumpDetResults", "DumpResults", "evaluate"]

_TRUTH = ("gt_instances", "ignored_instances", "gt_panoptic_seg")


@dataclass(frozen=True)
class DumpResults(Gathered):
    """Keep each sample's meta, truth and predictions in a file, for `fkit.evaluate`; mmengine's DumpResults. It gives no number.

    Args:
        out_file_path: a .pkl or .pickle, written when the numbers of the others are computed: a list of one mapping a sample, in
            the order of their ids.

    Example:
        >>> import tempfile
        >>> file = tempfile.mkdtemp() + "/predictions.pkl"
        >>> metric = DumpResults(file)
        >>> metric.compute(metric.observe(metric.empty(), {"pred_label": np.array([3])}, {"gt_label": np.array([3])}, [0]))
        {}
        >>> evaluate(file, {"type": "Accuracy"}, allow_pickle=True)
        {'accuracy/top1': 1.0}
    """

    out_file_path: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if Path(self.out_file_path).suffix not in (".pkl", ".pickle"):
            raise FkitValueError(
                f"{type(self).__name__}: out_file_path = {self.out_file_path!r} ends in .pkl or .pickle."
            )

    def record(self, sample: Sample) -> Any:
        return dict(sample)

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        Path(self.out_file_path).parent.mkdir(parents=True, exist_ok=True)
        dump([thaw(row) for row in rows], self.out_file_path, allow_pickle=True)
        return {}


@dataclass(frozen=True)
class DumpDetResults(DumpResults):
    """`DumpResults` of detections: masks are kept as run lengths, and the truth is left out.

    Args:
        out_file_path: as of `DumpResults`.
    """

    def record(self, sample: Sample) -> Any:
        row = {name: value for name, value in sample.items() if name not in _TRUTH}
        said = row.get("pred_instances")
        if isinstance(said, Mapping) and "masks" in said:
            group = cast("Mapping[str, Any]", said)
            row["pred_instances"] = {
                **group,
                "masks": run_lengths(group["masks"], image_size(sample), "DumpDetResults"),
            }
        return row


def evaluate(
    predictions: Any,
    evaluator: Any,
    targets: Sequence[Any] | None = None,
    *,
    metainfo: Mapping[str, Any] | None = None,
    chunk_size: int = 1,
    registry: Registry | None = None,
    allow_pickle: bool = False,
) -> dict[str, float]:
    """Score predictions that were made before.

    Args:
        predictions: one mapping or `DataSample` a sample, with its predictions, and its truth and meta where ``targets`` has
            not got them; or a file of these, as `DumpResults` writes them.
        evaluator: an `Evaluator`, a metric, its config, or a list of these.
        targets: one mapping a sample: its truth and meta, or as a pipeline packs it.
        metainfo: of the data set: ``classes``.
        chunk_size: how many samples are scored at a time.
        registry: where a config's metrics are looked up; None is the built-in one.
        allow_pickle: read a pickled file; it may run code, so only one that you trust.

    Raises:
        FkitError: predictions and targets differ in number, or a metric lacks something.

    Example:
        >>> evaluate([{"pred_label": 1}, {"pred_label": 0}], {"type": "Accuracy"}, [{"gt_label": 1}, {"gt_label": 1}])
        {'accuracy/top1': 0.5}
    """
    expect_number(chunk_size, "evaluate: chunk_size", whole=True)
    if chunk_size < 1:
        raise FkitValueError(f"evaluate: chunk_size = {chunk_size}: at least 1.")
    if registry is not None:
        expect(registry, Registry, "evaluate: `registry` is a Registry (fkit.registry() is one)")
    scorer = Evaluator.of(evaluator, (registry or built_in()).build).informed(metainfo or {})
    rows: Any = load(predictions, allow_pickle=allow_pickle) if isinstance(predictions, (str, Path)) else predictions
    if isinstance(rows, (str, Mapping)) or not isinstance(rows, Iterable):
        raise FkitTypeError("evaluate: `predictions` are one mapping or DataSample a sample, or a file of these.")
    said = list(cast("Iterable[Any]", rows))
    known = [_truth(one) for one in targets] if targets is not None else [{}] * len(said)
    if len(known) != len(said):
        raise FkitValueError(f"evaluate: there are {len(said)} predictions and {len(known)} targets.")
    state = scorer.empty()
    for start in range(0, len(said), chunk_size):
        part = slice(start, start + chunk_size)
        numbers = np.arange(start, start + len(said[part]))
        whole = samples(said[part], known[part], numbers)
        ids = [int(one["sample_idx"]) for one in whole]
        state = scorer.observe(state, records(whole).tolist(), {}, ids)
    return scorer.compute(state)


def _truth(one: Any) -> Any:
    """A sample's truth and meta; of a packed sample both together."""
    if isinstance(one, Mapping) and "targets" in one:
        packed = cast("Mapping[str, Any]", one)
        return {**packed.get(META, {}), **packed["targets"]}
    return one

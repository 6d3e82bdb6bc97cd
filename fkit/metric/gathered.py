"""Metrics that keep one row a sample, and make their numbers of all rows at the end."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from fkit.metric.metric import Metric, Targets
from fkit.metric.row import Rows, records
from fkit.metric.sample import Sample, samples
from fkit.tree.check import check_fields, expect
from fkit.tree.error import FkitTypeError, FkitValueError
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["Gathered", "classes_of", "expect_choice", "ratio"]


@dataclass(frozen=True)
class Gathered(Metric):
    """A metric that keeps what each sample says as a row of its own, and scores all rows at the end.

    Derive a frozen dataclass and write ``score``, and either ``record``, what one sample says, or ``rows``, what those of a
    batch say. A repeated sample counts once; order, split and the number of processes change no bit.

    Args:
        metainfo: of the dataset: ``classes``, their names in the order of their labels. By default the evaluator gives
            that of the data it is observed on.
        collect_device: OpenMMLab's word for where processes meet; states are merged as values here, on the host.
        collect_dir: likewise.

    Example:
        >>> class Largest(Gathered):
        ...     def record(self, sample):
        ...         return {"size": sample["size"]}
        ...     def score(self, rows):
        ...         return {"most": max(row["size"] for row in rows)}
        >>> metric = Largest()
        >>> metric.compute(metric.observe(metric.empty(), {"size": [2.0, 4.0]}, {}, [0, 1]))
        {'largest/most': 4.0}
    """

    default_prefix: ClassVar[str | None] = None  # what names begin with; "" for the bare name; None for the class's

    _: KW_ONLY
    metainfo: Mapping[str, Any] = field(default=EMPTY)
    collect_device: str = "cpu"
    collect_dir: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        who = type(self).__name__
        expect(self.metainfo, Mapping, f"{who}: metainfo is a mapping")
        expect(self.prefix, str, f"{who}: prefix is text")
        object.__setattr__(self, "metainfo", frozen(self.metainfo))
        if self.collect_device not in ("cpu", "gpu"):
            raise FkitValueError(
                f"{who}: collect_device = {self.collect_device!r}.", value=self.collect_device, choices=("cpu", "gpu")
            )
        if self.collect_dir is not None and self.collect_device != "cpu":
            raise FkitValueError(f"{who}: collect_dir is for collect_device='cpu'.")

    @property
    def title(self) -> str:
        return self.prefix or (type(self).__name__.lower() if self.default_prefix is None else self.default_prefix)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes; None where no data said them."""
        return classes_of(self.metainfo)

    def empty(self) -> Rows:
        return Rows()

    def observe(self, state: Rows, outputs: Any, targets: Targets, ids: Any, valid: Targets | None = None) -> Rows:
        return state.add(ids, self.rows(outputs, targets, ids, valid))

    def merge(self, a: Rows, b: Rows) -> Rows:
        return a.join(b)

    def compute(self, state: Rows) -> dict[str, float]:
        if not state.count:
            raise FkitValueError(f"{type(self).__name__}: no sample was observed.", repair="Check the validation data.")
        numbers = self.score(state.table()[1])
        return {f"{self.title}/{name}" if self.title else name: float(number) for name, number in numbers.items()}

    def informed(self, metainfo: Mapping[str, Any]) -> Self:
        """The metric that knows a dataset's metainfo, where it was given none of its own."""
        expect(metainfo, Mapping, "`metainfo` is a mapping")
        return self if self.metainfo or not metainfo else dataclasses.replace(self, metainfo=metainfo)

    def rows(self, outputs: Any, targets: Targets, ids: Any, valid: Targets | None) -> NDArray[Any]:
        """What the samples of a batch say: (N, ...) numbers, or (N,) records."""
        return records(self.record(sample) for sample in samples(outputs, targets, ids, valid))

    def record(self, sample: Sample) -> Any:
        """What one sample says, as a mapping of arrays, numbers and text."""
        raise FkitTypeError(f"{type(self).__name__} does not say what it keeps of a sample.", repair="Write `record`.")

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        """The numbers by name, without the prefix, of the rows of all samples in the order of their ids."""
        raise FkitTypeError(f"{type(self).__name__} does not say what it measures.", repair="Write `score`.")


def classes_of(metainfo: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the classes that metainfo tells; None where it tells none.

    Example:
        >>> classes_of({"classes": ["cat", "dog"]}), classes_of({})
        (('cat', 'dog'), None)
    """
    expect(metainfo, Mapping, "`metainfo` is a mapping")
    names = metainfo.get("classes", metainfo.get("CLASSES"))
    if names is None:
        return None
    if isinstance(names, str):
        return (names,)
    expect(names, Sequence, "`classes` of metainfo are names")
    return tuple(str(name) for name in cast("Sequence[Any]", names))


def expect_choice(value: Any, choices: Sequence[Any], what: str) -> None:
    """Refuse what is none of the choices; of a list, each.

    Raises:
        FkitValueError: it is none of them.

    Example:
        >>> expect_choice(["bbox", "mask"], ("bbox", "segm"), "CocoMetric: metric")
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: CocoMetric: metric = 'mask'.
          Allowed: bbox, segm
    """
    expect(choices, Sequence, "`choices` is a list")
    several = cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else (value,)
    for one in several:
        if one not in tuple(choices):
            raise FkitValueError(f"{what} = {one!r}.", value=one, choices=tuple(map(str, choices)))


def ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    """``part / whole``; nan where ``whole`` is 0.

    Example:
        >>> ratio(np.array([1, 0]), np.array([2, 0])).tolist()
        [0.5, nan]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(whole) == 0, np.nan, np.asarray(part, np.float64) / whole)

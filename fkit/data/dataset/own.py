"""Datasets of one's own: say what the samples are, and pipeline, numbers, classes and identity come by themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, cast

import numpy as np

from fkit.data.ambient import repeatable, reseed
from fkit.data.dataset.indexed import PIPELINE, Pipeline, checked
from fkit.data.digest import digest_of_samples
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_contract
from fkit.tree.error import FkitTypeError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["Dataset", "Samples", "check_dataset"]

_DATASET = Contract("dataset", (("__len__", ""), ("__getitem__", "index")), """
For example, fkit.Dataset.of(samples) of a list of samples, or with fkit.Dataset:
    class Squares(fkit.Dataset):
        def load(self): return [{"img": np.full((8, 8, 1), n), "gt_label": n % 2} for n in range(9)]""")  # fmt: skip
_LOOKED_AT = 16  # samples, for the fingerprint of a dataset that is not a list
_CONTRACT = (
    "Write `load(self)`, which gives a list of samples, or `__len__(self)` and `sample(self, index)`; a sample is a mapping:"
    ' {"img": (H, W, C), "gt_label": 3}.'
)


class _Metainfo:
    """The field ``metainfo``: what is put in, and the ``classes`` of the class or the value."""

    def __get__(self, dataset: Any, kind: Any = None) -> Any:
        known: Any = getattr(kind if dataset is None else dataset, "classes", ())
        if dataset is not None and (isinstance(known, str) or not isinstance(known, Sequence)):
            raise FkitTypeError(f"{type(dataset).__name__}: classes is a list of names, not {quoted(known)}.")
        classes = {"classes": tuple(cast("Sequence[Any]", known))} if known and isinstance(known, Sequence) else {}
        return frozen({**classes, **({} if dataset is None else vars(dataset)["metainfo"])})

    def __set__(self, dataset: Any, metainfo: Any) -> None:
        expect(metainfo, Mapping, f"{type(dataset).__name__}: metainfo is a mapping")
        vars(dataset)["metainfo"] = frozen(metainfo)


_METAINFO: Any = _Metainfo()


@dataclass(frozen=True)
class Dataset:
    """A dataset of one's own: say what its samples are; pipeline, numbers, classes and identity come by themselves.

    Derive a frozen dataclass and write `load`, which gives a list of samples; or, where they do not fit into memory,
    ``__len__`` and `sample`. What it says of a sample is a mapping of anything: ``img`` (H, W, C) or ``img_path`` for
    LoadImageFromFile, ``gt_label`` int, and what else transforms and metrics want. A sample is the same at every call: what
    is random is a transform, which is handed a generator. Of `Dataset.of` a list of samples makes a dataset at once.

    Args:
        pipeline: transforms that the loader runs, built from the config; ``dataset[i]`` is the raw sample.
        metainfo: what is known of the whole, ``classes`` above all; it goes before the attribute ``classes``.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> @dataclass(frozen=True)
        ... class Parity(Dataset):
        ...     split: str = "test"
        ...     classes = ("even", "odd")
        ...     def load(self):
        ...         return [{"img": digit["img"], "gt_label": digit["gt_label"] % 2} for digit in Digits(self.split)]
        >>> parity = Parity(pipeline=[])
        >>> len(parity), parity[-1]["sample_idx"], parity[0]["gt_label"], parity.metainfo["classes"]
        (360, 359, 1, ('even', 'odd'))
    """

    __fkit_kind__ = "datasets"

    classes: ClassVar[Sequence[str]] = ()

    _: KW_ONLY
    pipeline: Pipeline = PIPELINE
    metainfo: Mapping[str, Any] = _METAINFO

    @staticmethod
    def of(
        samples: Iterable[Sample],
        *,
        pipeline: Any = (),
        classes: Sequence[str] = (),
        metainfo: Mapping[str, Any] = EMPTY,
    ) -> "Samples":
        """The dataset of a list of samples.

        Example:
            >>> Dataset.of([{"img": np.zeros((8, 8, 1)), "gt_label": 3}])[0]["gt_label"]
            3
        """
        return Samples(samples, pipeline=pipeline, metainfo={**({"classes": classes} if classes else {}), **metainfo})

    def load(self) -> Iterable[Sample]:
        """All samples, in order; called once, when they are first asked for.

        Raises:
            FkitTypeError: the class has neither this method nor ``__len__`` and `sample`.
        """
        raise FkitTypeError(f"{type(self).__name__} does not say what its samples are.", repair=_CONTRACT)

    def sample(self, index: int) -> Sample:
        """The raw sample ``index``, from 0 to ``len(self) - 1``, the same at every call."""
        return self.records[index]

    @property
    def records(self) -> tuple[Sample, ...]:
        """What `load` gave."""
        kept: Any = vars(self).get("_records")
        if kept is None:
            kept = _listed(self.load(), f"{type(self).__name__}.load()")
            vars(self)["_records"] = kept
        return kept

    @property
    def fingerprint(self) -> str:
        """A digest of the samples: of all that `load` gave; of a dataset with `sample`, of up to 16, evenly spread, which
        are read. A resumed run compares it."""
        name = type(self)
        places: Iterable[int] = range(len(self))
        if name.sample is not Dataset.sample:
            places = sorted({int(place) for place in np.linspace(0, len(self) - 1, min(_LOOKED_AT, len(self)))})

        def look() -> str:
            reseed(0)
            return digest_of_samples(self.sample(place) for place in places)

        return repeatable(look)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        place = checked(index, len(self), type(self).__name__)
        sample: Any = self.sample(place)
        if not isinstance(sample, Mapping):
            raise FkitTypeError(f"sample({place}) gave {quoted(sample)}, not a mapping.", repair=_CONTRACT)
        return frozen({"sample_idx": place, **cast(Sample, sample)})


@dataclass(frozen=True)
class Samples(Dataset):
    """A list of samples as a dataset; see `Dataset.of`."""

    samples: Iterable[Sample] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", _listed(self.samples, "`samples`"))

    def load(self) -> Iterable[Sample]:
        return self.samples


def check_dataset(dataset: Any) -> None:
    """Refuse what gives no samples: for the door of a loader.

    Raises:
        FkitTypeError: it has no length or no samples; the message says what to write.

    Example:
        >>> check_dataset(Dataset())
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: Dataset does not say what its samples are.
          Write `load(self)`, which gives a list of samples, or `__len__(self)` and `sample(self, index)`; a sample is a mapping: {"img": (H, W, C), "gt_label": 3}.
    """
    expect_contract(dataset, _DATASET)
    kind = type(dataset)
    if not isinstance(dataset, Dataset) or kind.load is not Dataset.load or kind.__getitem__ is not Dataset.__getitem__:
        return
    missing = [name for name in ("__len__", "sample") if getattr(kind, name) is getattr(Dataset, name)]
    if len(missing) == 2:
        dataset.load()
    elif missing:
        raise FkitTypeError(f"{kind.__name__} has no {missing[0]}.", repair=_CONTRACT)


def _listed(samples: Any, what: str) -> tuple[Sample, ...]:
    if isinstance(samples, (str, Mapping)) or not isinstance(samples, Iterable):
        raise FkitTypeError(f"{what} is a list of samples, not {quoted(samples)}.", repair=_CONTRACT)
    rows = tuple(cast("Iterable[Any]", samples))
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise FkitTypeError(f"{what}: sample {place} is {quoted(row)}, not a mapping.", repair=_CONTRACT)
    return rows

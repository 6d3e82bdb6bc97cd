"""A dataset whose samples are mixed with others of it: mosaic and mix-up as mmdet's recipes of YOLOX have them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fkit.data.dataset.indexed import Indexed
from fkit.data.dataset.wrapper import One, Passing, parts_of
from fkit.data.job import pipeline_of
from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import Mixed, Steps
from fkit.data.transform.transform import Sample
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["MultiImageMixDataset"]


@dataclass(frozen=True, init=False)
class MultiImageMixDataset(Passing):
    """A dataset with a second pipeline, whose steps may mix samples; mmdet's MultiImageMixDataset.

    The other samples that a step fetches (Mosaic, MixUp, CopyPaste) are as ``dataset`` with its own pipeline gives them,
    whatever step asks.

    Args:
        dataset: any; its pipeline loads.
        pipeline: the steps after it.
        skip_type_keys: names of steps of ``pipeline`` that are left out.
        max_refetch: how many others are tried in place of a sample that is dropped.
        lazy_init: the dataset is loaded when it is first read.

    Example:
        >>> from fkit.data.dataset.digits import Digits
        >>> from fkit.data.transform.mosaic import Mosaic
        >>> mixed = MultiImageMixDataset(Digits("test"), [Mosaic((8, 8))], skip_type_keys=["Mosaic"])
        >>> len(mixed), mixed.pipeline.steps[0].steps
        (360, ())
    """

    dataset: Indexed
    mixing: Mixed
    tries: int

    def __init__(
        self,
        dataset: One,
        pipeline: Steps,
        skip_type_keys: Sequence[str] | None = None,
        max_refetch: int = 15,
        lazy_init: bool = False,
    ) -> None:
        name = type(self).__name__
        parts_of([dataset], name)
        expect(skip_type_keys, (list, tuple, type(None)), f"{name}: skip_type_keys is a list of names")
        for key in skip_type_keys or ():
            expect(key, str, f"{name}: skip_type_keys is a list of names")
        expect(lazy_init, bool, f"{name}: lazy_init is True or False")
        expect_number(max_refetch, f"{name}: max_refetch", whole=True)
        if max_refetch < 1:
            raise FkitValueError(f"{name}: max_refetch = {max_refetch!r}: at least 1.")
        skipped = {key.rpartition(".")[2] for key in skip_type_keys or ()}
        steps = tuple(step for step in Compose(pipeline).steps if type(step).__name__ not in skipped)
        inner = pipeline_of(dataset) or Compose()
        mixing = Mixed(steps)
        whole = Compose((*inner.steps, mixing))
        for key, value in (("dataset", dataset), ("mixing", mixing), ("tries", max_refetch), ("pipeline", whole)):
            object.__setattr__(self, key, value)
        if not lazy_init:
            self.full_init()

    @property
    def parts(self) -> tuple[Indexed, ...]:
        return (self.dataset,)

    @property
    def max_refetch(self) -> int:
        return self.tries

    def locate(self, index: int) -> tuple[int, int]:
        expect_number(index, "index", whole=True)
        return 0, index

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of sample ``idx``, the dataset's own: no pipeline has been run on it."""
        return dict(self[idx])

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[index]

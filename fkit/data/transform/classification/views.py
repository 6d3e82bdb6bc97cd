"""Several pictures of a sample: mmpretrain's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import Steps, pipelines_of
from fkit.data.transform.formatting import names_of
from fkit.data.transform.transform import Fetch, Holder, Sample, Transform, replaced
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["ApplyToList", "MultiView"]


@dataclass(frozen=True)
class MultiView(Holder):
    """Several pictures of one, each by a pipeline, for self-supervision; mmpretrain's MultiView.

    Args:
        transforms: the pipelines, each a list of transforms.
        num_views: how many pictures of each pipeline; one int where there is one pipeline.

    Params: what the pipeline of each picture drew. ``img`` becomes a tuple of the pictures; other keys stay.

    Example:
        >>> from fkit.data.transform.resize import Resize
        >>> views = MultiView([[Resize(4)], [Resize(2)]], [2, 1])({"img": np.zeros((8, 8, 3), np.uint8)})
        >>> [img.shape for img in views["img"]]
        [(4, 4, 3), (4, 4, 3), (2, 2, 3)]
    """

    transforms: Steps
    num_views: int | Sequence[int]
    views: tuple[Compose, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pipelines = pipelines_of("MultiView", self.transforms)
        counts: Any = self.num_views if isinstance(self.num_views, (list, tuple)) else (self.num_views,)
        for one in counts:
            expect_number(one, "MultiView: num_views", whole=True)
        if len(counts) != len(pipelines) or min(counts) < 0 or not sum(counts):
            raise FkitValueError(
                f"MultiView: num_views = {self.num_views!r}: one number a pipeline, of {len(pipelines)}."
            )
        views = tuple(one for one, count in zip(pipelines, counts, strict=True) for _ in range(count))
        object.__setattr__(self, "transforms", pipelines)
        object.__setattr__(self, "num_views", tuple(counts))
        object.__setattr__(self, "views", views)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return self.views

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...]:
        return tuple(view.draw(sample, rng, fetch) for view in self.views)

    def apply(self, sample: Sample, params: tuple[Any, ...]) -> Any:
        return _joined(sample, (view.apply(sample, one) for view, one in zip(self.views, params, strict=True)))

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        return _joined(sample, (view(sample, rng, fetch) for view in self.views))


@dataclass(frozen=True)
class ApplyToList(Holder):
    """A pipeline for each member of a list of the sample, such as paths of several pictures; mmpretrain's ApplyToList.

    Args:
        transforms: the pipeline.
        scatter_key: of the list; where it holds none, the pipeline is carried out once.
        collate_keys: of what becomes a list of all; other keys are of the first.

    Params: what the pipeline drew for each member.

    Example:
        >>> from fkit.data.transform.resize import Resize
        >>> both = ApplyToList([Resize(2)], "img", ["img_shape"])({"img": [np.zeros((4, 4, 3), np.uint8)] * 2})
        >>> both["img_shape"], len(both["img"])
        (((2, 2), (2, 2)), 2)
    """

    transforms: Steps
    scatter_key: str
    collate_keys: Sequence[str]
    pipeline: Compose = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect(self.scatter_key, str, "ApplyToList: scatter_key is a name")
        names = names_of(self.collate_keys, "ApplyToList: collate_keys")
        object.__setattr__(self, "collate_keys", tuple(dict.fromkeys((*names, self.scatter_key))))
        pipeline = Compose(self.transforms)
        object.__setattr__(self, "transforms", pipeline.steps)
        object.__setattr__(self, "pipeline", pipeline)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return (self.pipeline,)

    def scattered(self, sample: Sample) -> list[Sample] | None:
        """The sample for each member; None where there is no list."""
        expect(sample, Mapping, "`sample` is a mapping")
        several: Any = sample.get(self.scatter_key)
        if not isinstance(several, (list, tuple)):
            return None
        if not several:
            raise FkitValueError(f"ApplyToList: the sample's {self.scatter_key!r} is an empty list.")
        return [replaced(sample, **{self.scatter_key: one}) for one in cast("Sequence[Any]", several)]

    def gathered(self, rows: Iterable[Any]) -> Any:
        """One sample of the several; None where one of them was dropped."""
        done = list(rows)
        if any(one is None for one in done):
            return None
        lists = {key: tuple(one[key] for one in done) for key in self.collate_keys if key in done[0]}
        return frozen({**done[0], **lists})

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...]:
        rows = self.scattered(sample)
        return tuple(self.pipeline.draw(one, rng, fetch) for one in ([sample] if rows is None else rows))

    def apply(self, sample: Sample, params: tuple[Any, ...]) -> Any:
        rows = self.scattered(sample)
        if rows is None:
            return self.pipeline.apply(sample, params[0])
        return self.gathered(self.pipeline.apply(one, drawn) for one, drawn in zip(rows, params, strict=True))

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        rows = self.scattered(sample)
        if rows is None:
            return self.pipeline(sample, rng, fetch)
        return self.gathered(self.pipeline(one, rng, fetch) for one in rows)


def _joined(sample: Sample, views: Iterable[Any]) -> Any:
    done = list(views)
    if any(one is None for one in done):
        return None
    for one in done:
        if "img" not in one:
            raise FkitKeyError("a pipeline of MultiView gave no 'img'.", value="img", choices=one, label="It gave")
    return replaced(sample, img=tuple(one["img"] for one in done))

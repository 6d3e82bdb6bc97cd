"""Transforms under other names of a sample's keys, and of several entries alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import Steps
from fkit.data.transform.transform import Fetch, Holder, Sample, Transform, replaced
from fkit.tree.check import expect
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["KeyMapper", "ProposalBroadcaster", "TransformBroadcaster"]

_TREE = (
    "Map an inner name to an outer one, to a list or mapping of outer ones, or to ... to leave it out:"
    " mapping=dict(img='gt_img')."
)


@dataclass(frozen=True)
class KeyMapper(Holder):
    """A pipeline that finds a sample's entries under other names; mmcv 2.x's KeyMapper.

    Args:
        transforms: the pipeline.
        mapping: {inner name: outer name}; in place of an outer name a list or a mapping of them, which the inner name then
            stands for, or ``...``, which hides the inner name from the pipeline. None: all names as they are.
        remapping: {inner name: outer name} for what comes out; entries that it does not name are not kept. None with
            ``auto_remap=False`` keeps every entry under its inner name.
        auto_remap: what comes out goes back to where it came from by ``mapping``; True where there is no ``remapping``.
        allow_nonexist_keys: an outer name that the sample lacks is left out. Else its entry is None.

    Params: what the pipeline drew.

    Raises:
        FkitValueError: ``auto_remap`` and ``remapping`` are given both; the pipeline drops the sample.
        FkitKeyError: the pipeline gave no entry of a name of ``remapping``.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> mapper = KeyMapper([RandomFlip(1.0)], mapping={"img": "depth"})
        >>> done = mapper({"img": 1, "depth": np.array([[1, 2]])}, np.random.default_rng(0))
        >>> done["img"], done["depth"].tolist()
        (1, [[2, 1]])
    """

    transforms: Steps = ()
    mapping: Any = None
    remapping: Any = None
    auto_remap: bool | None = None
    allow_nonexist_keys: bool = False
    pipeline: Compose = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = type(self).__name__
        expect(self.auto_remap, (bool, type(None)), f"{name}: auto_remap is True, False or None")
        expect(self.allow_nonexist_keys, bool, f"{name}: allow_nonexist_keys is True or False")
        auto = self.remapping is None if self.auto_remap is None else self.auto_remap
        if auto and self.remapping is not None:
            raise FkitValueError(f"{name}: with auto_remap there is no remapping.", repair="Leave out one of the two.")
        for word in ("mapping", "remapping"):
            tree: Any = getattr(self, word)
            expect(tree, (Mapping, type(None)), f"{name}: {word} is a mapping of names", _TREE)
            object.__setattr__(self, word, None if tree is None else _frozen_tree(tree, f"{name}: {word}"))
        pipeline = Compose(() if cast(Any, self.transforms) is None else self.transforms)
        object.__setattr__(self, "transforms", pipeline.steps)
        object.__setattr__(self, "pipeline", pipeline)
        object.__setattr__(self, "auto_remap", auto)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return (self.pipeline,)

    def inner(self, sample: Sample) -> Sample:
        """The sample under the pipeline's names."""
        expect(sample, Mapping, "`sample` is a mapping")
        if self.mapping is None:
            return sample
        taken = {name: self._taken(sample, outer) for name, outer in self.mapping.items()}
        return frozen({key: value for key, value in {**sample, **taken}.items() if value is not ...})

    def outer(self, sample: Sample, done: Sample) -> Sample:
        """The sample with what the pipeline made of it, under the sample's names."""
        back = self.mapping if self.auto_remap else self.remapping
        return frozen({**sample, **(done if back is None else self._named(done, back))})

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        return self.pipeline.draw(self.inner(sample), rng, fetch)

    def apply(self, sample: Sample, params: Any) -> Sample:
        inner = self.inner(sample)
        return self.outer(sample, self._whole(inner, self.pipeline.apply(inner, params)))

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        inner = self.inner(sample)
        return self.outer(sample, self._whole(inner, self.pipeline(inner, rng, fetch)))

    def _whole(self, inner: Sample, done: Any) -> Sample:
        """What went in, with what came out laid over it."""
        if done is None:
            raise FkitValueError(f"{type(self).__name__}: the pipeline in it dropped the sample.")
        return frozen({**inner, **done})

    def _taken(self, sample: Sample, outer: Any) -> Any:
        if isinstance(outer, Mapping):
            several = {key: self._taken(sample, one) for key, one in cast("Mapping[Any, Any]", outer).items()}
            return frozen({key: value for key, value in several.items() if value is not ...})
        if isinstance(outer, tuple):
            return [self._taken(sample, one) for one in cast("tuple[Any, ...]", outer)]
        if outer is ...:
            return ...
        return sample.get(outer, ... if self.allow_nonexist_keys else None)

    def _named(self, done: Any, back: Any) -> dict[str, Any]:
        if isinstance(back, Mapping):
            several: dict[str, Any] = {}
            for key, outer in cast("Mapping[Any, Any]", back).items():
                if isinstance(done, Mapping) and key in done:
                    several.update(self._named(done[key], outer))
                elif outer is not ... and not self.allow_nonexist_keys:
                    raise FkitKeyError(
                        f"{type(self).__name__}: the pipeline in it gave no {key!r}.",
                        value=str(key),
                        choices=cast("Any", done) if isinstance(done, Mapping) else (),
                        label="It gave",
                    )
            return several
        if isinstance(back, tuple):
            row = cast("tuple[Any, ...]", back)
            if not isinstance(done, Sequence) or len(cast("Sequence[Any]", done)) != len(row):
                raise FkitValueError(f"{type(self).__name__}: {quoted(done)} for the {len(row)} names {row!r}.")
            joined: dict[str, Any] = {}
            for one, outer in zip(cast("Sequence[Any]", done), row, strict=True):
                joined.update(self._named(one, outer))
            return joined
        return {} if back is ... or done is ... else {back: done}


@dataclass(frozen=True)
class TransformBroadcaster(KeyMapper):
    """A pipeline carried out on several entries, one after the other; mmcv 2.x's TransformBroadcaster.

    Args:
        transforms: the pipeline.
        mapping: as of `KeyMapper`: each inner name stands for a list, of outer names or the entry of one outer name that
            is a list; the pipeline is carried out on each member. None: every entry of the sample is a list.
        remapping, auto_remap, allow_nonexist_keys: as of `KeyMapper`.
        share_random_params: draw once, for the first, and do the same to all.

    Params: what the pipeline drew, for each member.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> both = TransformBroadcaster([RandomFlip(0.5)], mapping={"img": ["a", "b"]}, share_random_params=True)
        >>> sorted(both({"a": np.eye(2), "b": np.eye(2)}, np.random.default_rng(0)))
        ['a', 'b']
    """

    share_random_params: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        expect(self.share_random_params, bool, "TransformBroadcaster: share_random_params is True or False")

    def scattered(self, sample: Sample) -> list[Sample]:
        """The sample that the pipeline gets, for each member."""
        inner = self.inner(sample)
        keys = tuple(inner) if self.mapping is None else tuple(key for key in self.mapping if key in inner)
        counts: dict[str, int] = {}
        for key in keys:
            if isinstance(inner[key], str) or not isinstance(inner[key], Sequence):
                raise FkitTypeError(f"TransformBroadcaster: {key!r} is {quoted(inner[key])}, not a list.", repair=_TREE)
            counts[key] = len(inner[key])
        if not counts or 0 in counts.values():
            raise FkitValueError("TransformBroadcaster: there is nothing to carry the pipeline out on.", repair=_TREE)
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{key!r} {count}" for key, count in counts.items())
            raise FkitValueError(f"TransformBroadcaster: lists of several lengths: {said}.")
        count = counts[keys[0]]
        rows = ({**inner, **{key: inner[key][place] for key in keys}} for place in range(count))
        return [frozen({key: value for key, value in row.items() if value is not ...}) for row in rows]

    def gathered(self, sample: Sample, rows: list[Sample], done: list[Any]) -> Sample:
        """The sample with the lists of what the pipeline made."""
        whole = [self._whole(row, one) for row, one in zip(rows, done, strict=True)]
        keys = dict.fromkeys(key for one in whole for key in one)
        return self.outer(sample, frozen({key: [one.get(key, ...) for one in whole] for key in keys}))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...]:
        rows = self.scattered(sample)
        if self.share_random_params:
            return (self.pipeline.draw(rows[0], rng, fetch),) * len(rows)
        return tuple(self.pipeline.draw(row, rng, fetch) for row in rows)

    def apply(self, sample: Sample, params: tuple[Any, ...]) -> Sample:
        rows = self.scattered(sample)
        return self.gathered(sample, rows, [self.pipeline.apply(*one) for one in zip(rows, params, strict=True)])

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        if self.share_random_params:
            return self.apply(sample, self.draw(sample, rng, fetch))
        rows = self.scattered(sample)
        return self.gathered(sample, rows, [self.pipeline(row, rng, fetch) for row in rows])


@dataclass(frozen=True)
class ProposalBroadcaster(Holder):
    """A pipeline carried out on ``proposals`` as on ``gt_bboxes``; mmdet 3.x's ProposalBroadcaster.

    Args:
        transforms: the pipeline; it draws once, for both.

    Params: what the pipeline drew.

    Raises:
        FkitKeyError: the sample has no proposals.

    Example:
        >>> from fkit.data.transform.resize import Resize
        >>> ProposalBroadcaster([Resize(4)])({"img": np.zeros((2, 2, 3))})
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitKeyError: the sample has no 'proposals'.
          It has: img
          Load them (LoadProposals), or leave ProposalBroadcaster out.
    """

    transforms: Steps = ()
    pipeline: Compose = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pipeline = Compose(self.transforms)
        object.__setattr__(self, "transforms", pipeline.steps)
        object.__setattr__(self, "pipeline", pipeline)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return (self.pipeline,)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        return self.pipeline.draw(sample, rng, fetch)

    def apply(self, sample: Sample, params: Any) -> Any:
        expect(sample, Mapping, "`sample` is a mapping")
        if sample.get("proposals") is None:
            raise FkitKeyError(
                "the sample has no 'proposals'.",
                choices=sample,
                label="It has",
                repair="Load them (LoadProposals), or leave ProposalBroadcaster out.",
            )
        done = self.pipeline.apply(sample, params)
        other = self.pipeline.apply(replaced(sample, gt_bboxes=sample["proposals"]), params)
        return None if done is None or other is None else replaced(done, proposals=other["gt_bboxes"])


def _frozen_tree(tree: Any, what: str) -> Any:
    if isinstance(tree, Mapping):
        return frozen({key: _frozen_tree(one, what) for key, one in cast("Mapping[Any, Any]", tree).items()})
    if isinstance(tree, (list, tuple)):
        return tuple(_frozen_tree(one, what) for one in cast("list[Any]", tree))
    if tree is not ... and not isinstance(tree, str):
        raise FkitTypeError(f"{what}: {quoted(tree)} is no name.", repair=_TREE)
    return tree

"""Transforms of transforms: one chosen by chance, all by chance, in any order, in branches."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, cast

import numpy as np

from fkit.catalog.entry import Built
from fkit.data.transform.compose import Compose, Streams
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Holder, Sample, Transform
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Chosen", "Mixed", "MultiBranch", "RandomApply", "RandomChoice", "RandomOrder", "chances", "pipelines_of"]

Steps = Annotated[Iterable[Any], Built("transforms")]


class Chosen(NamedTuple):
    """What `RandomChoice` and `RandomOrder` decided.

    Attributes:
        which: the number of the pipeline; or the order of the steps.
        params: what that pipeline drew.
    """

    which: Any
    params: tuple[Any, ...]


@dataclass(frozen=True)
class Mixed(Compose):
    """Transforms one after the other, whose ``fetch`` gives other samples as they come into the first of them.

    In a `Compose` the samples that a step fetches went through the steps before it; in this one through none of its steps.

    Args:
        transforms: the steps.

    Example:
        >>> Mixed([]).steps
        ()
    """

    def streams(self, rng: np.random.Generator | None, fetch: Fetch | None) -> Streams:
        return Streams(self.steps, rng, fetch, earlier=False, drawing=self.drawing)


@dataclass(frozen=True)
class RandomChoice(Holder):
    """One of several pipelines, by chance; mmcv 2.x's RandomChoice.

    Args:
        transforms: the pipelines, each a list of transforms or one transform.
        prob: of each; their sum is 1. None: all alike.

    Params: a `Chosen`.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> pick = RandomChoice([[RandomFlip(1.0)], [RandomFlip(1.0, "vertical")]], prob=[0.0, 1.0])
        >>> pick({"img": np.zeros((2, 2, 3), np.uint8)}, np.random.default_rng(0))["flip_direction"]
        'vertical'
    """

    transforms: Steps
    prob: Iterable[float] | None = None
    pipelines: tuple[Compose, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pipelines = pipelines_of(type(self).__name__, self.transforms)
        prob = chances(type(self).__name__, self.prob, len(pipelines))
        object.__setattr__(self, "transforms", pipelines)
        object.__setattr__(self, "pipelines", pipelines)
        object.__setattr__(self, "prob", prob)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return self.pipelines

    @property
    def random(self) -> bool:
        return True

    def which(self, rng: np.random.Generator | None) -> int:
        """The number of a pipeline, drawn."""
        return int(needed(rng, self).choice(len(self.pipelines), p=cast(Any, self.prob)))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Chosen:
        which = self.which(rng)
        return Chosen(which, self.pipelines[which].draw(sample, rng, fetch))

    def apply(self, sample: Sample, params: Chosen) -> Any:
        return self.pipelines[params.which].apply(sample, params.params)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        return self.pipelines[self.which(rng)](sample, rng, fetch)


@dataclass(frozen=True)
class RandomApply(Holder):
    """A pipeline, or nothing, by chance; mmcv 2.x's RandomApply.

    Args:
        transforms: the pipeline: a list of transforms, or one.
        prob: of carrying it out.

    Params: what the pipeline drew; None where it is left out.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> both = [RandomApply([RandomFlip(1.0)], prob)({"img": np.zeros((1, 1))}, np.random.default_rng(0)) for prob in (0.0, 1.0)]
        >>> ["flip" in one for one in both]
        [False, True]
    """

    transforms: Steps
    prob: float = 0.5
    pipeline: Compose = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        expect_number(self.prob, "RandomApply: prob")
        if not 0 <= self.prob <= 1:
            raise FkitValueError(f"RandomApply: prob = {self.prob!r} is not in [0, 1].")
        pipeline = Compose(self.transforms)
        object.__setattr__(self, "transforms", pipeline.steps)
        object.__setattr__(self, "pipeline", pipeline)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return (self.pipeline,)

    @property
    def random(self) -> bool:
        return True

    def does(self, rng: np.random.Generator | None) -> bool:
        """Whether to carry the pipeline out, drawn."""
        return bool(needed(rng, self).random() < self.prob)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...] | None:
        return self.pipeline.draw(sample, rng, fetch) if self.does(rng) else None

    def apply(self, sample: Sample, params: tuple[Any, ...] | None) -> Any:
        return sample if params is None else self.pipeline.apply(sample, params)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        return self.pipeline(sample, rng, fetch) if self.does(rng) else sample


@dataclass(frozen=True)
class RandomOrder(Holder):
    """Transforms in an order drawn for each sample; mmdet 3.x's RandomOrder.

    Args:
        transforms: the steps.

    Params: a `Chosen`, whose ``which`` is the order of the steps.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> from fkit.data.transform.resize import Resize
        >>> steps = RandomOrder([RandomFlip(1.0), Resize(4)])
        >>> sorted(steps.draw({"img": np.zeros((2, 2, 3), np.uint8)}, np.random.default_rng(0), None).which)
        [0, 1]
    """

    transforms: Steps
    pipeline: Compose = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pipeline = Compose(self.transforms)
        object.__setattr__(self, "transforms", pipeline.steps)
        object.__setattr__(self, "pipeline", pipeline)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return (self.pipeline,)

    @property
    def random(self) -> bool:
        return True

    def order(self, rng: np.random.Generator | None) -> tuple[int, ...]:
        """The order of the steps, drawn."""
        return tuple(needed(rng, self).permutation(len(self.pipeline.steps)).tolist())

    def ordered(self, order: Iterable[int]) -> Compose:
        """The steps in that order."""
        expect(order, Iterable, "`order` is a list of the steps' numbers")
        return Compose(tuple(self.pipeline.steps[place] for place in order))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Chosen:
        order = self.order(rng)
        return Chosen(order, self.ordered(order).draw(sample, rng, fetch))

    def apply(self, sample: Sample, params: Chosen) -> Any:
        return self.ordered(params.which).apply(sample, params.params)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        return self.ordered(self.order(rng))(sample, rng, fetch)


@dataclass(frozen=True, init=False)
class MultiBranch(Holder):
    """Several versions of one sample, each by a pipeline of its own; mmdet 3.x's MultiBranch, for semi-supervised training.

    Args:
        branch_field: the names of all branches of the dataset.
        branch_pipelines: the pipeline of each branch that this dataset has, by name.

    Gives, for each key that the pipelines give (``inputs``, ``targets``, ``meta``), a mapping of the branches, with None
    for a branch that has no pipeline here. The sample is dropped where one of the pipelines drops it.

    Params: what each pipeline drew, by branch.

    Example:
        >>> from fkit.data.transform.formatting import PackInputs
        >>> both = MultiBranch(["sup", "unsup"], sup=[PackInputs()])({"img": np.zeros((2, 2, 3))})
        >>> both["inputs"]["sup"].shape, both["inputs"]["unsup"]
        ((3, 2, 2), None)
    """

    branch_field: tuple[str, ...]
    branch_pipelines: Mapping[str, Compose]

    def __init__(self, branch_field: Iterable[str], *, build: Any = None, **branch_pipelines: Any) -> None:
        expect(branch_field, (list, tuple), "MultiBranch: branch_field is a list of names")
        names = tuple(branch_field)
        for name in names:
            expect(name, str, "MultiBranch: branch_field is a list of names")
        for name in branch_pipelines:
            if name not in names:
                raise FkitValueError(
                    f"MultiBranch: the branch {name!r} is not in branch_field.", value=name, choices=names
                )
        pipelines = {name: Compose(_built(steps, build)) for name, steps in branch_pipelines.items()}
        object.__setattr__(self, "branch_field", names)
        object.__setattr__(self, "branch_pipelines", frozen(pipelines))

    @property
    def parts(self) -> tuple[Transform, ...]:
        return tuple(self.branch_pipelines.values())

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Mapping[str, Any]:
        return frozen({name: steps.draw(sample, rng, fetch) for name, steps in self.branch_pipelines.items()})

    def apply(self, sample: Sample, params: Mapping[str, Any]) -> Any:
        return self._joined({name: steps.apply(sample, params[name]) for name, steps in self.branch_pipelines.items()})

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        return self._joined({name: steps(sample, rng, fetch) for name, steps in self.branch_pipelines.items()})

    def _joined(self, done: Mapping[str, Any]) -> Any:
        if any(one is None for one in done.values()):
            return None
        keys = dict.fromkeys(key for one in done.values() for key in one)
        return frozen({key: frozen({name: done.get(name, {}).get(key) for name in self.branch_field}) for key in keys})


def pipelines_of(name: str, several: Any) -> tuple[Compose, ...]:
    """A list of pipelines, each a list of transforms or one; ``name`` is whose they are.

    Example:
        >>> pipelines_of("RandomChoice", [])
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitValueError: RandomChoice: transforms is an empty list.
          Give at least one pipeline.
    """
    if isinstance(several, (str, Mapping)) or not isinstance(several, Iterable):
        raise FkitTypeError(f"{name}: transforms is a list of pipelines, not {quoted(several)}.")
    row = tuple(cast("Iterable[Any]", several))
    if not row:
        raise FkitValueError(f"{name}: transforms is an empty list.", repair="Give at least one pipeline.")
    return tuple(one if isinstance(one, Compose) else Compose(one) for one in row)


def chances(name: str, prob: Any, count: int) -> tuple[float, ...] | None:
    """Probabilities of ``count`` things, checked; None is None.

    Example:
        >>> chances("RandomChoice", [0.5, 0.25, 0.25], 3)
        (0.5, 0.25, 0.25)
    """
    expect_number(count, "`count`", whole=True)
    if prob is None:
        return None
    expect(prob, (list, tuple), f"{name}: prob is a list of probabilities, one a pipeline")
    for one in prob:
        expect_number(one, f"{name}: prob")
    several = tuple(float(one) for one in prob)
    if len(several) != count:
        raise FkitValueError(f"{name}: {len(several)} probabilities for {count} pipelines.")
    if not all(one >= 0 for one in several) or not math.isclose(sum(several), 1, abs_tol=1e-8):
        raise FkitValueError(f"{name}: prob = {prob!r}: none is below 0, and their sum is 1, not {sum(several):g}.")
    return several


def _built(steps: Any, build: Any) -> Any:
    if build is not None and isinstance(steps, Mapping):
        return build("transforms", steps)
    return [_built(step, build) for step in cast("list[Any]", steps)] if isinstance(steps, (list, tuple)) else steps

"""Steps one after the other, each with a generator and other samples of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import numpy as np
from frozendict import frozendict

from fkit.array.random import generator, key
from fkit.catalog.entry import Built
from fkit.data.transform.foreign import as_transform, name_of
from fkit.data.transform.transform import CONTRACT, Fetch, Holder, Sample, Transform, is_random
from fkit.tree.error import FkitError, FkitRuntimeError, FkitTypeError, like, quoted
from fkit.tree.trace import blamed

__all__ = ["Compose", "Earlier", "Streams"]

_TRIES = 16  # samples that are dropped, one after the other, before a fetch gives up


@dataclass(frozen=True)
class Compose(Holder):
    """Transforms one after the other.

    Each step draws from a generator of its own, which follows from the one that the pipeline is given and the step's
    place: what a step draws does not depend on how much another drew. A step that mixes samples gets a ``fetch`` which
    gives another sample as the steps before this one would give it. A step that gives None drops the sample: then the
    answer is None.

    Args:
        transforms: the steps; each a `Transform`, or a callable that takes and returns a dict as OpenMMLab's do. One that
            is no list is the only one.

    Raises:
        FkitError: a step failed: names the step and its place, of the same class as the cause.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> len(Compose([RandomFlip(prob=1.0), RandomFlip(prob=1.0)]).transforms)
        2
    """

    transforms: Annotated[Iterable[Any], Built("transforms")] = ()
    steps: tuple[Transform, ...] = field(init=False, repr=False, compare=False)
    drawing: tuple[bool, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        several: Any = self.transforms
        if isinstance(several, (str, Mapping)) or not (isinstance(several, Iterable) or callable(several)):
            raise FkitTypeError(f"Compose: transforms is a list of transforms, not {quoted(several)}.")
        row = cast("Iterable[Any]", several) if isinstance(several, Iterable) else (several,)
        steps = tuple(_step(step, place) for place, step in enumerate(row))
        object.__setattr__(self, "transforms", steps)
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "drawing", tuple(map(is_random, steps)))

    @property
    def parts(self) -> tuple[Transform, ...]:
        return self.steps

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> tuple[Any, ...]:
        """The steps' draws in order, as far as the sample gets; a later one sees what the earlier made of the sample."""
        drawn: list[Any] = []
        streams = self.streams(rng, fetch)
        for place, step in enumerate(self.steps):
            drawn.append(step.draw(sample, *streams(place)))
            left: Any = step.apply(sample, drawn[-1]) if place + 1 < len(self.steps) else None
            if left is None:
                break
            sample = left
        return tuple(drawn)

    def apply(self, sample: Sample, params: tuple[Any, ...]) -> Any:
        for step, drawn in zip(self.steps, params, strict=False):  # of a sample that was dropped there are fewer
            sample = step.apply(sample, drawn)
        return sample

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        streams = self.streams(rng, fetch)
        for place, step in enumerate(self.steps):
            try:
                done: Any = step(sample, *streams(place))
                if done is None:
                    return None
                sample = _mapping(done)
            except Exception as cause:
                raise _failed(step, place, sample, cause) from cause
        return sample

    def streams(self, rng: np.random.Generator | None, fetch: Fetch | None) -> "Streams":
        """Where the steps draw from, for one sample."""
        return Streams(self.steps, rng, fetch, drawing=self.drawing)


class Streams:
    """Where the steps of a pipeline draw from for one sample: ``streams(place)`` is a step's generator and fetch, asked for
    in order. Steps that draw are counted alone: one that does not draw may come or go.

    Args:
        steps: of the pipeline.
        rng: of the pipeline; one number of it decides all generators. None where nothing draws.
        fetch: raw samples.
        earlier: whether a step's fetch gives samples as the steps before it give them, or as ``fetch`` does.
        drawing: which steps draw; by default each is asked.
    """

    def __init__(
        self,
        steps: tuple[Transform, ...],
        rng: np.random.Generator | None,
        fetch: Fetch | None,
        earlier: bool = True,
        drawing: tuple[bool, ...] | None = None,
    ) -> None:
        self.steps, self.fetch, self.earlier = steps, fetch, earlier
        self.drawing = tuple(map(is_random, steps)) if drawing is None else drawing
        self.seed = None if rng is None else int(rng.integers(2**63))
        self.drew = 0

    def __call__(self, place: int) -> tuple[np.random.Generator | None, Fetch | None]:
        if self.seed is None or not self.drawing[place]:
            return None, self.fetch
        self.drew += 1
        fetch = self.fetch
        if fetch is not None:
            before = self.steps[:place] if self.earlier else ()
            base = fetch if not isinstance(fetch, Earlier) else fetch.base
            fetch = Earlier(getattr(fetch, "steps", ()) + before, base, key(self.seed, "fetch", self.drew)[0])
        return generator(key(self.seed, "step", self.drew)), fetch


class Earlier(Fetch):
    """Other samples as the first steps of a pipeline give them; each call has draws of its own.

    Args:
        steps: the first steps.
        base: raw samples.
        seed: with the number of the call, decides what the steps draw.
    """

    def __init__(self, steps: tuple[Transform, ...], base: Fetch, seed: int) -> None:
        self.steps, self.base, self.seed, self.calls = steps, base, seed, 0

    def __len__(self) -> int:
        return len(self.base)

    def __call__(self, index: int) -> Sample:
        self.calls += 1
        rng = generator(key(self.seed, self.calls))
        for _ in range(_TRIES):
            sample = Compose(self.steps)(self.base(index), rng, self.base)
            if sample is not None:
                return sample
            index = int(rng.integers(len(self)))
        raise FkitRuntimeError(
            f"{_TRIES} samples in a row were dropped by the steps before the one that mixes samples.",
            repair="Let a filter keep more, or let it come after the step that mixes.",
        )


def _mapping(sample: Any) -> Sample:
    if type(sample) is frozendict or isinstance(sample, Mapping):
        return cast(Sample, sample)
    raise FkitTypeError(f"it gave {quoted(sample)}, not a sample.", repair=CONTRACT)


def _step(step: Any, place: int) -> Transform:
    try:
        return as_transform(step)
    except FkitTypeError as error:
        error.path = f"pipeline[{place}]"
        raise


def _failed(step: Transform, place: int, sample: Sample, cause: Exception) -> FkitError:
    name = name_of(step)
    text = str(cause) if isinstance(cause, FkitError) else f"{type(cause).__name__}: {cause}"
    if type(cause) is KeyError and cause.args and cause.args[0] not in sample:
        text = f"the sample has no {cause.args[0]!r}; it has {', '.join(sample)}."
    inner = cause.path.removeprefix("pipeline") if isinstance(cause, FkitError) else ""
    path = f"pipeline[{place}]" + (f".transforms{inner}" if inner.startswith("[") else "")
    kind = type(cause) if isinstance(cause, FkitError) else like(cause)
    return kind(blamed(f"pipeline[{place}], {name}: {text}", cause), path=path, value=name)

"""What a transform is: a frozen value of two functions, one that decides and one that does."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, cast

import numpy as np

from fkit.array.random import generator, key
from fkit.catalog.entry import Built
from fkit.data.ambient import repeatable, reseed
from fkit.tree.check import expect
from fkit.tree.contract import Contract, expect_contract, expect_fit, title
from fkit.tree.error import FkitError, FkitRuntimeError, FkitTypeError, like, quoted
from fkit.tree.frozen import frozen
from fkit.tree.trace import blamed

__all__ = [
    "Compose",
    "Earlier",
    "Fetch",
    "Foreign",
    "Holder",
    "Sample",
    "Streams",
    "Transform",
    "as_transform",
    "is_random",
    "of_others",
    "replaced",
]

_TRIES = 16  # samples that are dropped, one after the other, before a fetch gives up

Sample = Mapping[str, Any]
"""One sample: a frozen mapping. ``img`` (H, W, C), ``gt_label`` int, ``sample_idx`` int, ``img_path`` str, ..."""


_CONTRACT = (
    "Write `apply(self, sample, params)`, which returns a new mapping ({**sample, 'img': ...}); what is random is decided in"
    " `draw(self, sample, rng, fetch)`, whose answer `apply` is given as `params`."
)


class Fetch(Protocol):
    """Other samples of the dataset, for transforms that mix several (mosaic, mix-up)."""

    def __call__(self, index: int) -> Sample: ...

    def __len__(self) -> int: ...


_TRANSFORM = Contract(
    "transform",
    (("draw", "sample, rng, fetch"), ("apply", "sample, params")),
    """
For example, with fkit.Transform, whose draw decides nothing:
    class Invert(fkit.Transform):
        def apply(self, sample, params):
            return {**sample, "img": 255 - sample["img"]}""",
)
_FUNCTION = "\n  Or it is a function of a sample, a dict, which returns one."


class Transform:
    """One step of a pipeline; subclasses are frozen dataclasses that write `apply`, and `draw` where they are random.

    Calling it decides and does: ``t(sample, rng, fetch) == t.apply(sample, t.draw(sample, rng, fetch))``. The two
    parts are apart so that a draw can be recorded, handed in by a test, or shared by several images.

    Example:
        >>> from fkit.data.transform.flip import RandomFlip
        >>> flip = RandomFlip(prob=0.5)
        >>> sample = {"img": np.arange(2).reshape(1, 2, 1)}
        >>> flip.apply(sample, "horizontal")["img"].ravel().tolist()
        [1, 0]
    """

    __fkit_kind__ = "transforms"

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Any:
        """The random decisions for ``sample``; None where there are none to make. Never changes the sample."""
        return None

    def apply(self, sample: Sample, params: Any) -> Sample:
        """The sample with ``params`` carried out: a new mapping; arrays of the old one are not written to."""
        raise FkitTypeError(f"{type(self).__name__} does not say what it does.", repair=_CONTRACT)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Sample:
        return self.apply(sample, self.draw(sample, rng, fetch))


class Holder(Transform):
    """A transform that holds others: it draws where one of them does, and is of others where one of them is.

    Subclasses write ``parts``, and `__call__` beside `draw` and `apply` where drawing has to carry steps out: a call does
    it once, draw and apply twice.
    """

    @property
    def parts(self) -> tuple[Transform, ...]:
        """The transforms it holds."""
        return ()

    @property
    def random(self) -> bool:
        """Whether it draws, or any transform that it holds."""
        return any(is_random(part) for part in self.parts)

    @property
    def of_others(self) -> bool:
        """Whether any part is code of others, which may draw from the global generators."""
        return any(of_others(part) for part in self.parts)


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

    def __post_init__(self) -> None:
        several: Any = self.transforms
        if isinstance(several, (str, Mapping)) or not (isinstance(several, Iterable) or callable(several)):
            raise FkitTypeError(f"Compose: transforms is a list of transforms, not {quoted(several)}.")
        row = cast("Iterable[Any]", several) if isinstance(several, Iterable) else (several,)
        steps = tuple(_step(step, place) for place, step in enumerate(row))
        object.__setattr__(self, "transforms", steps)
        object.__setattr__(self, "steps", steps)

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
        return Streams(self.steps, rng, fetch)


class Streams:
    """Where the steps of a pipeline draw from for one sample: ``streams(place)`` is a step's generator and fetch, asked for
    in order. Steps that draw are counted alone: one that does not draw may come or go.

    Args:
        steps: of the pipeline.
        rng: of the pipeline; one number of it decides all generators. None where nothing draws.
        fetch: raw samples.
        earlier: whether a step's fetch gives samples as the steps before it give them, or as ``fetch`` does.
    """

    def __init__(
        self, steps: tuple[Transform, ...], rng: np.random.Generator | None, fetch: Fetch | None, earlier: bool = True
    ) -> None:
        self.steps, self.fetch, self.earlier = steps, fetch, earlier
        self.seed = None if rng is None else int(rng.integers(2**63))
        self.drew = 0

    def __call__(self, place: int) -> tuple[np.random.Generator | None, Fetch | None]:
        if self.seed is None or not is_random(self.steps[place]):
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


@dataclass(frozen=True)
class Foreign(Transform):
    """A callable written for OpenMMLab's pipelines: it takes a dict, may change it, and returns it.

    Such a transform draws from the global generators (numpy's, ``random``'s, torch's), so they are seeded from the
    sample's key around each call and put back afterwards. It is given a dict of its own with copies of the arrays.

    Args:
        transform: ``transform(results) -> results``; None drops the sample.

    Warns:
        UserWarning: once, when the pipeline is made.
    """

    transform: Callable[[Any], Any]

    def __post_init__(self) -> None:
        warnings.warn(
            f"{_name(self.transform)} has no draw and apply: the global generators (numpy's, random's, torch's) are"
            " seeded from the sample's key around each call of it, and arrays are copied for it. Derive it from"
            " fkit.data.transform.transform.Transform to draw from the `rng` it is given.",
            stacklevel=2,
        )

    @property
    def of_others(self) -> bool:
        return True

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> int:
        """The seed of the global generators."""
        return 0 if rng is None else int(rng.integers(2**32))

    def apply(self, sample: Sample, params: int) -> Any:
        def call() -> Any:
            copy = {
                key: cast(Any, value).copy() if isinstance(value, np.ndarray) else value
                for key, value in sample.items()
            }
            reseed(params)
            return self.transform(copy)

        answer = repeatable(call)
        if answer is None:  # the sample is dropped
            return None
        if not isinstance(answer, Mapping):
            raise FkitTypeError(
                f"it returned {quoted(answer)}, not a dict.",
                repair="Return the dict that it was given, changed or not.",
            )
        return frozen(cast("Mapping[str, Any]", answer))


def as_transform(step: Any) -> Transform:
    """``step`` as a `Transform`: itself where it has ``draw`` and ``apply``, else wrapped in `Foreign`, as is what has
    OpenMMLab's ``transform(results)``.

    Raises:
        FkitTypeError: it cannot be called, is a config that was not built, or a `Transform` with no ``apply``.
    """
    kind, ported = cast(Any, type(step)), getattr(step, "transform", None)
    bare = isinstance(step, Transform) and (kind.apply, kind.__call__) == (Transform.apply, Transform.__call__)
    if (bare or not callable(step)) and callable(ported) and not isinstance(step, type):
        step = ported
    elif bare:
        Transform.apply(cast(Any, step), {}, None)
    if not isinstance(step, type) and hasattr(step, "draw") and hasattr(step, "apply") and callable(step):
        if type(step).__module__.partition(".")[0] != "fkit":
            expect_contract(step, _TRANSFORM)
        return cast(Transform, step)
    if isinstance(step, Mapping):
        raise FkitTypeError(
            f"a step of a pipeline is the config {quoted(cast(Any, step))}, not a transform.",
            repair='Build it first: fkit.build(cfg, registry, "transforms").',
        )
    if isinstance(step, type):
        raise FkitTypeError(
            f"a step of a pipeline is the class {title(step)}, not a transform.",
            repair=f"{step.__name__}(...) makes one.",
        )
    if not callable(step):
        raise FkitTypeError(
            f"a step of a pipeline is {quoted(step)}, which cannot be called.", repair=_TRANSFORM.text + _FUNCTION
        )
    name = title(cast(Any, step))
    expect_fit(step, name, "sample", f"{name} is no step of a pipeline: its", _TRANSFORM.text + _FUNCTION)
    return Foreign(step)


def is_random(step: Any) -> bool:
    """Whether a transform draws: a generator is made only for a pipeline that does."""
    if isinstance(step, Holder):
        return step.random
    kind = cast(Any, type(step))
    return not isinstance(step, Transform) or kind.draw is not Transform.draw or kind.__call__ is not Transform.__call__


def of_others(part: Any) -> bool:
    """Whether a dataset, a transform or a function is code of others, which may draw from the global generators.

    What the kit has that holds parts of others says so by a property ``of_others``.

    Example:
        >>> from fkit.data.dataset import Digits
        >>> of_others(Digits("test")), of_others(dict)
        (False, True)
    """
    module: Any = getattr(part, "__module__", None)
    if not isinstance(module, str) or module.partition(".")[0] != "fkit":
        return True
    return bool(getattr(part, "of_others", False))


def replaced(sample: Sample, **changes: Any) -> Sample:
    """The sample with some keys changed or added.

    Example:
        >>> replaced({"a": 1, "b": 2}, b=3)["b"]
        3
    """
    expect(sample, Mapping, "`sample` is a mapping")
    return frozen({**sample, **changes})


def _mapping(sample: Any) -> Sample:
    if isinstance(sample, Mapping):
        return cast(Sample, sample)
    raise FkitTypeError(f"it gave {quoted(sample)}, not a sample.", repair=_CONTRACT)


def _name(step: Any) -> str:
    step = getattr(step, "__self__", step) if getattr(step, "__name__", "") == "transform" else step
    return getattr(step, "__name__", None) or type(step).__name__


def _step(step: Any, place: int) -> Transform:
    try:
        return as_transform(step)
    except FkitTypeError as error:
        error.path = f"pipeline[{place}]"
        raise


def _failed(step: Transform, place: int, sample: Sample, cause: Exception) -> FkitError:
    name = _name(step.transform) if isinstance(step, Foreign) else _name(step)
    text = str(cause) if isinstance(cause, FkitError) else f"{type(cause).__name__}: {cause}"
    if type(cause) is KeyError and cause.args and cause.args[0] not in sample:
        text = f"the sample has no {cause.args[0]!r}; it has {', '.join(sample)}."
    inner = cause.path.removeprefix("pipeline") if isinstance(cause, FkitError) else ""
    path = f"pipeline[{place}]" + (f".transforms{inner}" if inner.startswith("[") else "")
    kind = type(cause) if isinstance(cause, FkitError) else like(cause)
    return kind(blamed(f"pipeline[{place}], {name}: {text}", cause), path=path, value=name)

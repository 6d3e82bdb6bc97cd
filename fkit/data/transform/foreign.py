"""What others wrote as a step of a pipeline: OpenMMLab's transforms, and plain functions."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from fkit.data.ambient import repeatable, reseed
from fkit.data.transform.transform import Fetch, Sample, Transform
from fkit.tree.contract import Contract, expect_contract, expect_fit, title
from fkit.tree.error import FkitTypeError, quoted
from fkit.tree.frozen import frozen

__all__ = ["Foreign", "as_transform", "name_of"]

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
            f"{name_of(self.transform)} has no draw and apply: the global generators (numpy's, random's, torch's) are"
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


def name_of(step: Any) -> str:
    """What a step is called in messages: of its class, or its function.

    Example:
        >>> name_of(len)
        'len'
    """
    step = step.transform if isinstance(step, Foreign) else step
    step = getattr(step, "__self__", step) if getattr(step, "__name__", "") == "transform" else step
    return getattr(step, "__name__", None) or type(step).__name__

"""What a transform is: a frozen value of two functions, one that decides and one that does."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from frozendict import frozendict

from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError

__all__ = ["CONTRACT", "Fetch", "Holder", "Sample", "Transform", "is_random", "of_others", "replaced"]

Sample = Mapping[str, Any]
"""One sample: a frozen mapping. ``img`` (H, W, C), ``gt_label`` int, ``sample_idx`` int, ``img_path`` str, ..."""


CONTRACT = (
    "Write `apply(self, sample, params)`, which returns a new mapping ({**sample, 'img': ...}); what is random is decided in"
    " `draw(self, sample, rng, fetch)`, whose answer `apply` is given as `params`."
)
"""What a transform of one's own writes, for messages."""


class Fetch(Protocol):
    """Other samples of the dataset, for transforms that mix several (mosaic, mix-up)."""

    def __call__(self, index: int) -> Sample: ...

    def __len__(self) -> int: ...


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
        raise FkitTypeError(f"{type(self).__name__} does not say what it does.", repair=CONTRACT)

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
    if type(sample) is not frozendict:
        expect(sample, Mapping, "`sample` is a mapping")
    return frozendict({**sample, **changes})

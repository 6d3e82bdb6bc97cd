"""What drawing needs: a generator and, for transforms that mix samples, other samples."""

from collections.abc import Sequence

import numpy as np

from fkit.data.transform.transform import Fetch, Sample
from fkit.tree.check import expect
from fkit.tree.error import FkitRuntimeError

__all__ = ["another", "between", "needed"]


def needed(rng: np.random.Generator | None, of: object) -> np.random.Generator:
    """``rng``, or an error that says who draws."""
    if rng is None:
        raise FkitRuntimeError(
            f"{type(of).__name__} draws, and was given no rng.",
            repair="Pass one: t(sample, fkit.array.random.generator(fkit.array.random.key(0))).",
        )
    expect(rng, np.random.Generator, "`rng` is a numpy Generator")
    return rng


def between(rng: np.random.Generator, limits: Sequence[float]) -> float:
    """A number between two, drawn.

    Example:
        >>> between(np.random.default_rng(0), (2.0, 2.0))
        2.0
    """
    expect(rng, np.random.Generator, "`rng` is a numpy Generator")
    expect(limits, (list, tuple), "`limits` are two numbers")
    low, high = limits
    return float(rng.uniform(low, high))


def another(rng: np.random.Generator | None, fetch: Fetch | None, of: object) -> Sample:
    """Another sample of the dataset, drawn; or an error that says who asks for it.

    Example:
        >>> class Two(Fetch):
        ...     def __call__(self, index): return {"sample_idx": index}
        ...     def __len__(self): return 2
        >>> another(np.random.default_rng(0), Two(), None)["sample_idx"]
        1
    """
    if fetch is None:
        raise FkitRuntimeError(
            f"{type(of).__name__} mixes samples, and was given no fetch.",
            repair="It is a step of a dataset's pipeline; alone it is called t(sample, rng, fetch).",
        )
    return fetch(int(needed(rng, of).integers(len(fetch))))

"""Bases that positions are told by, found anew for each picture; written once over ``xp``."""

from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitValueError

__all__ = ["expected", "moved", "unit"]

_EPS = 1e-12


def unit(xp: Ops, x: Any, axis: int, power: int = 2) -> Any:
    """Vectors along an axis by their lengths; ``power`` 1 is the sum of absolute values.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> unit(Numpy(), np.array([[3.0, 4.0]]), 1).tolist()
        [[0.6, 0.8]]
    """
    length = abs(x).sum(axis) if power == 1 else (x * x).sum(axis) ** 0.5
    sides = [1 if at == axis else side for at, side in enumerate(x.shape)]
    return x / xp.lib.clip(length, _EPS, None).reshape(sides)


def expected(xp: Ops, features: Any, bases: Any, steps: int) -> tuple[Any, Any]:
    """Expectation maximisation (Li et al. 2019): what share each basis has in each position, and which bases tell these best.

    Args:
        features: (N, P, C).
        bases: (1, C, K) that it begins with.
        steps: how often.

    Returns:
        Shares (N, P, K) and bases (N, C, K).

    Raises:
        FkitValueError: ``steps`` is not from 1.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> shares, found = expected(Numpy(), np.array([[[9.0, 0.0], [0.0, 9.0]]]), np.eye(2)[None], 2)
        >>> shares.round(2).tolist(), found.round(2).tolist()
        ([[[1.0, 0.0], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 1.0]]])
    """
    if steps < 1:
        raise FkitValueError(f"num_stages={steps}, but it is from 1.")
    shares: Any = None
    for _ in range(steps):
        shares = xp.softmax(features @ bases, 2)
        bases = unit(xp, features.swapaxes(1, 2) @ unit(xp, shares, 1, 1), 1)
    return shares, bases


def moved(xp: Ops, bases: Any, mean: Any, momentum: float) -> Any:
    """Bases (1, C, K), a little nearer to those of a batch, ``mean`` (1, C, K).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> moved(Numpy(), np.zeros((1, 1, 1)), np.full((1, 1, 1), 7.0), 0.5).tolist()
        [[[0.5]]]
    """
    return (1 - momentum) * bases + momentum * unit(xp, mean, 1)

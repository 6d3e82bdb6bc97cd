"""How alike the keypoints of two persons are, and which of several that are alike is kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkit.tree.check import expect

__all__ = ["MOST", "oks", "oks_nms", "soft_oks_nms"]

MOST = 20
"""Persons of an image that count."""


def oks(
    points: NDArray[Any], others: NDArray[Any], area: float, areas: NDArray[Any], sigmas: NDArray[Any]
) -> NDArray[np.float64]:
    """How alike a person's keypoints (K, 2) are to those of others (N, K, 2), by COCO's rule: (N,), 1 for the same.

    Args:
        area, areas: the persons' sizes, in square pixels.
        sigmas: how far annotators differ, (K,).

    Example:
        >>> oks(np.zeros((1, 2)), np.array([[[0.0, 0.0]], [[2.0, 0.0]]]), 100.0, np.full(2, 100.0), np.array([0.1])).round(3).tolist()
        [1.0, 0.607]
    """
    for value, name in ((points, "points"), (others, "others"), (areas, "areas"), (sigmas, "sigmas")):
        expect(value, np.ndarray, f"`{name}` is an array")
    gaps = ((others - points) ** 2).sum(axis=-1)
    unit = (2 * sigmas) ** 2 * 2 * ((area + areas) / 2 + np.spacing(1))[:, None]
    return np.exp(-gaps / unit).mean(axis=-1)


def oks_nms(
    points: NDArray[Any], areas: NDArray[Any], scores: NDArray[Any], sigmas: NDArray[Any], threshold: float
) -> list[int]:
    """Which persons (N, K, 2) are kept, the best first: none that is more alike to a better one than the threshold.

    Example:
        >>> oks_nms(np.zeros((2, 1, 2)), np.full(2, 100.0), np.array([0.1, 0.9]), np.array([0.1]), 0.9)
        [1]
    """
    order = _ordered(scores)
    kept: list[int] = []
    while order.size:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[oks(points[best], points[order], areas[best], areas[order], sigmas) <= threshold]
    return kept


def soft_oks_nms(
    points: NDArray[Any], areas: NDArray[Any], scores: NDArray[Any], sigmas: NDArray[Any], threshold: float
) -> list[int]:
    """The order of 20 persons (N, K, 2) at most, the best first, where a score sinks by how alike a person is to a better one.

    Example:
        >>> soft_oks_nms(np.zeros((2, 1, 2)), np.full(2, 100.0), np.array([0.1, 0.9]), np.array([0.1]), 0.9)
        [1, 0]
    """
    order = _ordered(scores)
    left = scores[order]
    kept: list[int] = []
    while order.size and len(kept) < MOST:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        left = left[1:] * np.exp(
            -(oks(points[best], points[order], areas[best], areas[order], sigmas) ** 2) / threshold
        )
        again = _ordered(left)
        order, left = order[again], left[again]
    return kept


def _ordered(scores: NDArray[Any]) -> NDArray[np.intp]:
    expect(scores, np.ndarray, "`scores` is an array (N,)")
    return np.argsort(scores)[::-1]

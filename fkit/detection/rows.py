"""Some of the priors of a batch: which they are, and a loss of each level's."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fkit.array.ops import Ops
from fkit.detection.loss.base import called

__all__ = ["Rows", "by_level", "level_of", "level_sums", "rows_of", "spans_of", "spread", "together"]


class Rows(NamedTuple):
    """Some of the N * P priors of a batch.

    Attributes:
        image: (R,) which image.
        prior: (R,) which prior of it.
        level: (R,) of which level it is.
        real: (R,) bool; the others pad.
        spans: (start, stop) of the priors of each level.
        whole: N where these are all priors of N images in their order, else 0.
    """

    image: Any
    prior: Any
    level: Any
    real: Any
    spans: tuple[tuple[int, int], ...]
    whole: int

    def of(self, xp: Ops, values: Any) -> Any:
        """The rows of an array (N, P, ...): (R, ...)."""
        flat = values.reshape((-1, *values.shape[2:]))
        return flat if self.whole else xp.take(flat, self.image * values.shape[1] + self.prior)

    def prior_of(self, xp: Ops, values: Any) -> Any:
        """The rows of an array (P, ...) that all images share."""
        return xp.take(values, self.prior)


def spans_of(levels: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Where each level's priors stand among those of all: (start, stop) a level.

    Args:
        levels: arrays (N, P, ...).

    Example:
        >>> import numpy as np
        >>> spans_of([np.zeros((2, 6, 4)), np.zeros((2, 2, 4))])
        ((0, 6), (6, 8))
    """
    ends = [sum(level.shape[1] for level in levels[: at + 1]) for at in range(len(levels))]
    return tuple((end - level.shape[1], end) for end, level in zip(ends, levels, strict=True))


def together(xp: Ops, levels: Sequence[Any]) -> Any:
    """The levels (N, P, ...) of an output one behind the other."""
    return levels[0] if len(levels) == 1 else xp.lib.concat(list(levels), axis=1)


def rows_of(xp: Ops, wanted: Any, spans: tuple[tuple[int, int], ...]) -> Rows:
    """The priors (N, P) that are wanted, or all where shapes may not depend on values."""
    count, width = wanted.shape
    flat = wanted.reshape(-1)
    index = xp.real(flat)
    whole = count if index.shape[0] == flat.shape[0] else 0
    prior = index % width
    return Rows(
        index // width, prior, level_of(xp, prior, spans), flat if whole else xp.take(flat, index), spans, whole
    )


def level_of(xp: Ops, prior: Any, spans: tuple[tuple[int, int], ...]) -> Any:
    """The level of each of some priors.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> level_of(Numpy(), np.array([5, 6]), ((0, 6), (6, 8))).tolist()
        [0, 1]
    """
    level = prior * 0
    for start, _ in spans[1:]:
        level = level + (prior >= start)
    return level


def by_level(
    xp: Ops, loss: Any, rows: Rows, pred: Any, target: Any, weight: Any, avg_factor: Any, **more: Any
) -> tuple[Any, ...]:
    """A loss of each level's rows alone.

    Args:
        loss: see `fkit.detection.loss.base.called`.
        pred, target: (R, ...).
        weight: (R,) or (R, K).
        avg_factor: what each level's sum is divided by.
        more: further arrays (R, ...) that the loss takes by name.
    """
    parts: list[Any] = []
    for level, (start, stop) in enumerate(rows.spans):
        if rows.whole:

            def cut(array: Any, start: int = start, stop: int = stop) -> Any:
                shape = array.shape[1:]
                return array.reshape((rows.whole, -1, *shape))[:, start:stop].reshape((-1, *shape))

            named = {name: cut(array) for name, array in more.items()}
            parts.append(called(loss, xp, cut(pred), cut(target), cut(weight), avg_factor=avg_factor, **named))
        else:
            here = xp.cast(rows.level == level, weight)
            mine = weight * (here if weight.ndim == 1 else here[:, None])
            parts.append(called(loss, xp, pred, target, mine, avg_factor=avg_factor, **more))
    return tuple(parts)


def level_sums(xp: Ops, rows: Rows, values: Any) -> tuple[Any, ...]:
    """The sums of numbers (R,), of each level alone."""
    if rows.whole:
        table = values.reshape((rows.whole, -1))
        return tuple(table[:, start:stop].sum() for start, stop in rows.spans)
    return tuple((values * xp.cast(rows.level == level, values)).sum() for level in range(len(rows.spans)))


def spread(xp: Ops, rows: Rows, values: Any, shape: tuple[int, int]) -> Any:
    """Numbers of rows (R,) where they belong among all priors (N, P), and 0 elsewhere."""
    if rows.whole:
        return values.reshape(tuple(shape))
    index = xp.lib.where(rows.real, rows.image * shape[1] + rows.prior, shape[0] * shape[1])
    return xp.put(xp.full((shape[0] * shape[1],), 0, values), index, values).reshape(tuple(shape))

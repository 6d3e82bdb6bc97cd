"""The metrics of two runs, held against each other over their steps."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fkit.training.best import is_better, rule_of
from fkit.training.row import Row, points_of

__all__ = ["Contrast", "contrasts"]


class Contrast(NamedTuple):
    """One metric of two runs.

    Attributes:
        mode: "train" or "val".
        name: of the metric.
        common: steps at which both have it.
        first: of these, the first at which it differs; None where it never does.
        largest: the largest relative difference, |a - b| / max(|a|, |b|); inf where one of the two is not finite.
        at: its step; None where nothing differs.
        finals: the last value of each; None where it has none.
        bests: the best of each; None where it has none, or where the name does not say what is better.
    """

    mode: str
    name: str
    common: int
    first: int | None
    largest: float
    at: int | None
    finals: tuple[float | None, float | None]
    bests: tuple[float | None, float | None]


def contrasts(first: Iterable[Row], second: Iterable[Row]) -> tuple[Contrast, ...]:
    """Every metric that one of two runs has, held against the other's, bit by bit; of rows of one step the last counts.

    Args:
        first, second: rows, as metrics.jsonl holds them; what is not finite is nan.

    Example:
        >>> a, b = ([{"step": s, "mode": "train", "loss": x} for s, x in enumerate(row, 1)] for row in ((4, 2), (4, 1)))
        >>> contrasts(a, b)[0][1:6]
        ('loss', 2, 2, 0.5, 2)
    """
    one, other = points_of(first), points_of(second)
    return tuple(_contrast(key, one.get(key, {}), other.get(key, {})) for key in dict.fromkeys((*one, *other)))


def _contrast(key: tuple[str, str], one: Mapping[int, float], other: Mapping[int, float]) -> Contrast:
    steps = sorted({*one} & {*other})
    apart = {step: _relative(one[step], other[step]) for step in steps}
    differing = [step for step in steps if apart[step] > 0]
    at = max(differing, key=apart.__getitem__, default=None)
    finals = [curve[max(curve)] if curve else None for curve in (one, other)]
    bests = [_best(key[1], curve) for curve in (one, other)]
    return Contrast(
        *key,
        common=len(steps),
        first=differing[0] if differing else None,
        largest=apart[at] if at is not None else 0.0,
        at=at,
        finals=(finals[0], finals[1]),
        bests=(bests[0], bests[1]),
    )


def _relative(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other))


def _best(name: str, curve: Mapping[int, float]) -> float | None:
    rule = rule_of(name)
    best: float | None = None
    for value in curve.values() if rule is not None else ():
        if math.isfinite(value) and (best is None or is_better(str(rule), value, best)):
            best = value
    return best

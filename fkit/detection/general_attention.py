"""Generalised attention (Zhu et al. 2019): which of its terms there are, waves of distances, and how its layers start."""

from typing import NamedTuple

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.tree.error import FkitValueError

__all__ = ["Terms", "attention_start", "attention_terms", "check_square", "distance_waves"]

_WAVE = 1000.0


class Terms(NamedTuple):
    """What a query's look at a key is the sum of.

    Attributes:
        content: of what is at the query and what is at the key.
        place: of what is at the query, and the distance.
        key: of what is at the key alone.
        distance: of the distance alone.
    """

    content: bool
    place: bool
    key: bool
    distance: bool

    @property
    def queries(self) -> bool:
        """Whether queries are asked for what is there."""
        return self.content or self.place

    @property
    def keys(self) -> bool:
        """Whether keys are."""
        return self.content or self.key

    @property
    def distances(self) -> bool:
        """Whether distances count."""
        return self.place or self.distance

    @property
    def turned(self) -> bool:
        """Whether distances of rows are asked for by the query at (x, y) in place of (y, x): mmcv does so without the fourth bit."""
        return self.place and not self.distance

    @property
    def alike(self) -> bool:
        """Whether all queries see the same."""
        return self.key and not (self.content or self.place or self.distance)


def attention_terms(attention_type: str, spatial_range: int, width: int) -> Terms:
    """The terms that a text of four bits says: "1111" has all.

    Args:
        spatial_range: how far a query sees; below 0 everywhere.
        width: of the waves of distances.

    Raises:
        FkitValueError: it is no such text, or has no bit; or a query does not see everything; or the width is no multiple of 4.

    Example:
        >>> attention_terms("0100", -1, 256).place
        True
    """
    if len(attention_type) != 4 or set(attention_type) - {"0", "1"} or "1" not in attention_type:
        raise FkitValueError(
            f"GeneralizedAttention: attention_type={attention_type!r}, but it is like '0100' or '1111'."
        )
    if spatial_range >= 0:
        raise FkitValueError(
            f"GeneralizedAttention: spatial_range={spatial_range}, but every position sees all others here.",
            repair="Set spatial_range=-1.",
        )
    terms = Terms(*(bit == "1" for bit in attention_type))
    if terms.distances and width % 4:
        raise FkitValueError(f"GeneralizedAttention: waves of distances have a width of 4, 8, ..., not {width}.")
    return terms


def check_square(terms: Terms, high: int, wide: int) -> None:
    """Refuse maps on which rows and columns cannot change places where they have to.

    Raises:
        FkitValueError: they are not square.
    """
    if terms.turned and high != wide:
        raise FkitValueError(
            f"GeneralizedAttention: attention_type has its second bit without its fourth, so maps are square, not {high} x {wide}."
        )


def distance_waves(
    count: int, seen: int, q_stride: int, kv_stride: int, magnitude: float, width: int
) -> NDArray[np.float64]:
    """(count, seen, width): sines and cosines of how far each of the queries' lines is from each of the keys'.

    Example:
        >>> distance_waves(2, 1, 1, 2, 1, 4)[0].tolist()
        [[0.0, 0.0, 1.0, 1.0]]
    """
    lengths = _WAVE ** (2.0 / width * np.arange(width // 2, dtype=np.float64))
    apart = (np.arange(count)[:, None] * q_stride - np.arange(seen)[None] * kv_stride) * float(magnitude)
    angles = apart[..., None] / lengths
    return np.concatenate([np.sin(angles), np.cos(angles)], -1)


def attention_start(terms: Terms) -> tuple[frozendict[str, object], ...]:
    """How the layers start: LeCun's uniform weights.

    Example:
        >>> [rule["override"]["name"] for rule in attention_start(attention_terms("0010", -1, 8))]
        ['key_conv', 'value_conv', 'proj_conv']
    """
    there = (
        (terms.queries, "query_conv"), (terms.keys, "key_conv"), (True, "value_conv"), (terms.distances, "appr_geom_fc_x"),
        (terms.distances, "appr_geom_fc_y"), (True, "proj_conv"),
    )  # fmt: skip
    rule = frozendict(type="Kaiming", a=1, mode="fan_in", nonlinearity="leaky_relu", distribution="uniform", bias=0)
    return tuple(rule | {"override": frozendict(name=name)} for some, name in there if some)

"""What necks of pose estimators share."""

from collections.abc import Sequence
from typing import Any

from fkit.tree.error import FkitValueError

__all__ = ["chosen_maps", "expect_factor"]


def chosen_maps(maps: Sequence[Any], index: int | Sequence[int] | None) -> list[Any]:
    """The maps of these places, or all.

    Raises:
        FkitValueError: there are fewer.

    Example:
        >>> chosen_maps(("a", "b", "c"), (-1, 0))
        ['c', 'a']
    """
    if index is None:
        return list(maps)
    places = (index,) if isinstance(index, int) else tuple(index)
    if any(not -len(maps) <= place < len(maps) for place in places):
        raise FkitValueError(f"FeatureMapProcessor: select_index={index!r}, but there are {len(maps)} maps.")
    return [maps[place] for place in places]


def expect_factor(factor: float) -> float:
    """A factor above 0, itself.

    Raises:
        FkitValueError: it is not.
    """
    if not factor > 0:
        raise FkitValueError(f"FeatureMapProcessor: scale_factor={factor!r}, but it is above 0.")
    return factor

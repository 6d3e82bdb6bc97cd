"""What necks of pose estimators share."""

from collections.abc import Sequence
from typing import Any, Final

from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["CSP_BN", "SWISH", "TWICE", "chosen_maps", "expect_factor", "expect_none"]

CSP_BN: Final = frozendict(type="BN", momentum=0.03, eps=0.001)
SWISH: Final = frozendict(type="Swish")
TWICE: Final = frozendict(scale_factor=2, mode="nearest")


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
        raise FkitValueError(f"the places {index!r} are asked for, but there are {len(maps)} maps.")
    return [maps[place] for place in places]


def expect_factor(factor: float) -> float:
    """A factor above 0, itself.

    Raises:
        FkitValueError: it is not.
    """
    if not factor > 0:
        raise FkitValueError(f"FeatureMapProcessor: scale_factor={factor!r}, but it is above 0.")
    return factor


def expect_none(out_channels: Any) -> None:
    """Refuse ``out_channels`` of MMPose's CSPNeXtPAFPN, which does not run with any.

    Raises:
        FkitTypeError: there are some.
    """
    if out_channels is not None:
        raise FkitTypeError(
            f"CSPNeXtPAFPN of mmpose: out_channels={out_channels!r}, but it is None.", repair="Say mmdet.CSPNeXtPAFPN."
        )

"""Queries whose places have a part of their own in attention (Meng et al. 2021), and those that are boxes (Liu et al. 2022)."""

from dataclasses import dataclass
from typing import Any

from fkit.array.ops import Ops
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Anchors", "check_patterns", "check_places", "modulated"]

_SCALES = ("cond_elewise", "cond_scalar", "fix_elewise")


@dataclass(frozen=True)
class Anchors:
    """How a decoder of DAB-DETR uses its queries' boxes.

    Args:
        query_dim: 4, boxes; 2, places.
        query_scale_type: what waves of a place are multiplied with: "cond_elewise", by what the query says, a number a channel;
            "cond_scalar", one number; "fix_elewise", a learnt vector a layer.
        with_modulated_hw_attn: whether waves are multiplied with what queries say of boxes' sides over those sides.

    Raises:
        FkitValueError: a number or a word that is none of these, or places, which have no sides.
    """

    query_dim: int = 4
    query_scale_type: str = "cond_elewise"
    with_modulated_hw_attn: bool = True

    def __post_init__(self) -> None:
        if self.query_dim not in (2, 4):
            raise FkitValueError(f"decoder: query_dim={self.query_dim}, but it is 2 or 4.")
        if self.query_scale_type not in _SCALES:
            raise FkitValueError(
                f"decoder: query_scale_type={self.query_scale_type!r:.60} is unknown.",
                value=str(self.query_scale_type), choices=_SCALES, label="Types",
            )  # fmt: skip
        if self.with_modulated_hw_attn and self.query_dim == 2:
            raise FkitValueError("decoder: places have no sides.", repair="with_modulated_hw_attn = False")

    def scale_widths(self, width: int) -> tuple[int, int] | None:
        """What each layer of the network of the scale gives; None where the scale is learnt by itself.

        Example:
            >>> Anchors(query_scale_type="cond_scalar").scale_widths(8)
            (8, 1)
        """
        if self.query_scale_type == "fix_elewise":
            return None
        return (width, width if self.query_scale_type == "cond_elewise" else 1)


def modulated(xp: Ops, waves: Any, sides: Any, boxes: Any) -> Any:
    """Waves of places (N, Q, C), the half of y and then that of x, multiplied with sides over a box's own.

    Args:
        sides: (N, Q, 2) width and height.
        boxes: (N, Q, 4) centres and sides.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> waves, sides, boxes = np.ones((1, 1, 4)), np.array([[[0.5, 1.0]]]), np.full((1, 1, 4), 0.5)
        >>> modulated(Numpy(), waves, sides, boxes).tolist()
        [[[2.0, 2.0, 1.0, 1.0]]]
    """
    ratio = sides / boxes[..., 2:]
    halves = waves.reshape((*waves.shape[:-1], 2, -1))
    return (halves * xp.lib.stack([ratio[..., 1], ratio[..., 0]], -1)[..., None]).reshape(tuple(waves.shape))


def check_places(cross: bool, query_pos: Any, key_pos: Any, waves: Any) -> None:
    """Whether attention by content and places is told the places.

    Raises:
        FkitTypeError: it is not.
    """
    told = {"query_pos": query_pos, "key_pos": key_pos, **({"ref_sine_embed": waves} if cross else {})}
    for name, value in told.items():
        if value is None:
            raise FkitTypeError(f"ConditionalAttention: {name} is None.", repair="Give the places of queries and keys.")


def check_patterns(random: bool, patterns: int) -> None:
    """Whether DAB-DETR's queries can begin as they are to.

    Raises:
        FkitValueError: with boxes drawn anew, which no rule of initial weights gives, or a number of patterns below 0.
    """
    if random:
        raise FkitValueError(
            "DABDETR: with_random_refpoints=True is not known.", repair="with_random_refpoints = False"
        )
    if patterns < 0:
        raise FkitValueError(f"DABDETR: num_patterns={patterns}, but it is 0 or more.")

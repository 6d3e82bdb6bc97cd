"""A plain vision transformer's size, as mmseg's configs say it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["INIT", "PlainPlan", "plain_plan"]

INIT = (
    frozendict(type="TruncNormal", layer="Linear", std=0.02, bias=0.0),
    frozendict(type="Kaiming", layer="Conv2d", mode="fan_in", bias=0.0),
    frozendict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
    frozendict(type="TruncNormal", std=0.02, override=frozendict(name="pos_embed")),
    frozendict(type="TruncNormal", std=0.02, override=frozendict(name="cls_token")),
)


class PlainPlan(NamedTuple):
    """A vision transformer's size.

    Attributes:
        grid: rows and columns of patches that positions are of.
        outputs: the layers whose maps are given.
        rates: of stochastic depth, of each layer.
    """

    grid: tuple[int, int]
    outputs: tuple[int, ...]
    rates: tuple[float, ...]


def plain_plan(
    img_size: Any,
    patch_size: int,
    num_layers: int,
    out_indices: Any,
    drop_path_rate: float,
    with_cls_token: bool,
    output_cls_token: bool,
) -> PlainPlan:
    """The size.

    Raises:
        FkitError: arguments that do not fit together.

    Example:
        >>> plain_plan(224, 16, 12, -1, 0.0, True, False)[:2]
        ((14, 14), (11,))
    """
    size: Sequence[int] = (img_size, img_size) if isinstance(img_size, int) else img_size
    sides = tuple(size) * 2 if len(size) == 1 else tuple(size)
    if len(sides) != 2:
        raise FkitTypeError(f"VisionTransformer: img_size={img_size!r}: a number, or (height, width).")
    if output_cls_token and not with_cls_token:
        raise FkitValueError("VisionTransformer: output_cls_token=True takes with_cls_token=True.")
    which = (out_indices,) if isinstance(out_indices, int) else tuple(out_indices)
    outputs = tuple(num_layers - 1 if one == -1 else int(one) for one in which)
    if not all(0 <= one < num_layers for one in outputs):
        raise FkitValueError(f"VisionTransformer: out_indices={out_indices}, but there are {num_layers} layers.")
    last = max(num_layers - 1, 1)
    rates = tuple(drop_path_rate * at / last for at in range(num_layers))
    return PlainPlan((sides[0] // patch_size, sides[1] // patch_size), outputs, rates)

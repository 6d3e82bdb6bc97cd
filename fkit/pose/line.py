"""How wide the layers of heads of lines are, and what they are made of."""

from collections.abc import Sequence
from typing import Any, Final

from frozendict import frozendict

from fkit.pose.deconv import HEATMAP_INIT
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["KL", "SIMCC_INIT", "WHOLE_BN", "checked_channels", "enlarged", "expect_pixels", "line_sizes", "simcc_parts"]

KL: Final = frozendict(type="KLDiscretLoss", use_target_weight=True)
WHOLE_BN: Final = frozendict(type="BN", requires_grad=True)
SIMCC_INIT: Final = (*HEATMAP_INIT, frozendict(type="Normal", layer=("Linear",), std=0.01, bias=0))


def line_sizes(
    who: str, in_channels: Any, input_size: Sequence[int], map_size: Sequence[int], ratio: float
) -> tuple[int, int, int]:
    """Pixels of a map, and bins across and down.

    Raises:
        FkitTypeError: several maps' channels.

    Example:
        >>> line_sizes("SimCCHead", 8, (192, 256), (6, 8), 2.0)
        (48, 384, 512)
    """
    if isinstance(in_channels, (tuple, list)):
        raise FkitTypeError(f"{who}: in_channels are those of one map, not {in_channels!r}.")
    width, height = input_size
    return map_size[0] * map_size[1], int(width * ratio), int(height * ratio)


def enlarged(size: Sequence[int], layers: Sequence[int] | None) -> tuple[int, int]:
    """(width, height) of a map after layers that double it.

    Example:
        >>> enlarged((6, 8), (256, 256))
        (24, 32)
    """
    factor = 2 ** len(layers or ())
    return size[0] * factor, size[1] * factor


def simcc_parts(
    who: str,
    kind: str,
    in_channels: int,
    out_channels: int,
    deconv_channels: Sequence[int] | None,
    deconv_kernels: Sequence[int] | None,
    deconv_groups: Sequence[int] | None,
    conv_channels: Sequence[int] | None,
    conv_kernels: Sequence[int] | None,
    final_layer: Any,
) -> dict[str, Any] | None:
    """The arguments of the head that makes maps before lines; None: there is none.

    Raises:
        FkitValueError: an unknown kind.
    """
    if kind not in ("heatmap", "vipnas"):
        raise FkitValueError(f"{who}: deconv_type={kind!r}.", value=str(kind), choices=("heatmap", "vipnas"))
    if not deconv_channels:
        return None
    options: dict[str, Any] = {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "deconv_out_channels": deconv_channels,
        "conv_out_channels": conv_channels,
        "conv_kernel_sizes": conv_kernels,
        "final_layer": final_layer,
    }
    # mmpose gives one the kernels, the other the groups
    more = {"deconv_kernel_sizes": deconv_kernels} if kind == "heatmap" else {"deconv_num_groups": deconv_groups}
    return {**options, **more}


def checked_channels(who: str, found: int, wanted: int) -> None:
    """Refuse features of another width.

    Raises:
        FkitTypeError: they have one.
    """
    if found != wanted:
        raise FkitTypeError(
            f"{who}: in_channels={wanted}, but the features are {found} numbers a picture.",
            repair="A neck of type GlobalAveragePooling pools maps.",
        )


def expect_pixels(who: str, found: int, wanted: int) -> None:
    """Refuse maps of another size than the linear layers are of.

    Raises:
        FkitValueError: they have one.
    """
    if found != wanted:
        raise FkitValueError(
            f"{who}: maps of {found} pixels, but by in_featuremap_size they have {wanted}.",
            repair="Pictures have the config's input_size.",
        )

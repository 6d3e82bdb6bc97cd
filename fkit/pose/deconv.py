"""The layers of a heatmap head: which there are, and how each enlarges its maps."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["HEATMAP_INIT", "KEYPOINT_MSE", "ONE", "Tower", "edges_of", "expect_map", "final_of", "groups_of", "tower"]

ONE: Final = frozendict(kernel_size=1)
KEYPOINT_MSE: Final = frozendict(type="KeypointMSELoss", use_target_weight=True)
HEATMAP_INIT: Final = (
    frozendict(type="Normal", layer=("Conv2d", "ConvTranspose2d"), std=0.001),
    frozendict(type="Constant", layer="BatchNorm2d", val=1),
)
# kernel: (padding, output_padding), with which a stride of 2 doubles maps
_EDGES: Final[Mapping[int, tuple[int, int]]] = frozendict({4: (1, 0), 3: (1, 1), 2: (0, 0)})


def expect_map(who: str, channels: int, in_channels: int) -> None:
    """Refuse a map that is not the one that a head was made for.

    Args:
        who: the head, for messages.
        channels: of the map.
        in_channels: of the head.

    Raises:
        FkitTypeError: it has other channels.

    Example:
        >>> expect_map("SimCCHead", 8, in_channels=8)
    """
    if channels != in_channels:
        raise FkitTypeError(
            f"{who}: in_channels={in_channels}, but its map has {channels} channels.",
            repair=f"Set in_channels={channels}, or out_indices of the backbone to another map.",
        )


class Tower(NamedTuple):
    """Layers one after the other: channels in and out, and the kernel of each."""

    rows: tuple[tuple[int, int, int], ...]
    width: int


def tower(who: str, name: str, inner: int, widths: Sequence[int] | None, kernels: Sequence[int] | None) -> Tower:
    """The layers of ``{name}_out_channels`` and ``{name}_kernel_sizes``; none where there are no channels.

    Raises:
        FkitValueError: they are not as many.

    Example:
        >>> tower("HeatmapHead", "deconv", 8, (4, 2), (4, 4))
        Tower(rows=((8, 4, 4), (4, 2, 4)), width=2)
    """
    if not widths:
        return Tower((), inner)
    if kernels is None or len(kernels) != len(widths):
        raise FkitValueError(
            f"{who}: {name}_out_channels are {list(widths)}, and {name}_kernel_sizes {kernels}.",
            repair="Give one of each a layer.",
        )
    return Tower(tuple(zip((inner, *widths[:-1]), widths, kernels, strict=True)), widths[-1])


def edges_of(who: str, kernel: int) -> tuple[int, int]:
    """(padding, output_padding) of a transposed convolution that doubles maps.

    Raises:
        FkitValueError: another kernel than 2, 3 or 4.

    Example:
        >>> edges_of("HeatmapHead", 3)
        (1, 1)
    """
    if kernel not in _EDGES:
        raise FkitValueError(f"{who}: deconv_kernel_sizes are 2, 3 or 4, not {kernel!r}.")
    return _EDGES[kernel]


def groups_of(widths: Sequence[int] | None, groups: Sequence[int] | None) -> Sequence[int] | None:
    """``deconv_num_groups``, one a layer; None where there are no layers.

    Raises:
        FkitValueError: they are not as many.

    Example:
        >>> groups_of((8, 8), (4, 2))
        (4, 2)
    """
    if not widths:
        return None
    if groups is None or len(groups) != len(widths):
        raise FkitValueError(f"ViPNASHead: deconv_out_channels are {list(widths)}, and deconv_num_groups {groups}.")
    return tuple(groups)


def final_of(who: str, final_layer: Any, inner: int, out: int) -> Mapping[str, Any] | None:
    """The arguments of the last convolution, or None: there is none.

    Raises:
        FkitTypeError: an argument that a convolution does not take.

    Example:
        >>> final_of("HeatmapHead", {"kernel_size": 3, "padding": 1}, 8, 17)["padding"]
        1
    """
    if final_layer is None:
        return None
    whole: dict[str, Any] = {
        "in_channels": inner, "out_channels": out, "kernel_size": 1, "stride": 1, "padding": 0, "bias": True
    }  # fmt: skip
    given = dict(final_layer)
    if given.pop("type", "Conv2d") not in ("Conv2d", "Conv"):
        raise FkitTypeError(f"{who}: final_layer is a Conv2d.")
    for name in given:
        if name not in whole:
            raise FkitTypeError(f"{who}: final_layer takes no {name!r}.", value=name, choices=whole, label="It takes")
    return {**whole, **given}

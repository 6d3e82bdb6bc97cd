"""What necks of segmentors, and heads that enlarge maps, are made of."""

from collections.abc import Sequence
from math import log2
from typing import Any

from frozendict import frozendict

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = [
    "SETR_INIT",
    "WINDOW",
    "XAVIER",
    "enough",
    "expect_channels",
    "expect_four",
    "expect_rescales",
    "halves_of",
    "readout_of",
    "steps_of",
    "window_of",
]

XAVIER = frozendict(type="Xavier", layer="Conv2d", distribution="uniform")
SETR_INIT = (
    frozendict(type="Constant", val=1.0, bias=0, layer="LayerNorm"),
    frozendict(type="Normal", std=0.01, override=frozendict(name="conv_seg")),
)
WINDOW = (49, (16, 20))
"""The side of LR-ASPP's windows, and how far one is from the next."""
_RESCALES = ((4, 2, 1, 0.5), (2, 1, 0.5, 0.25))


def window_of(input_transform: str | None, widths: Any, branches: Sequence[int]) -> None:
    """Refuses maps that LR-ASPP's branches do not fit.

    Raises:
        FkitError: it takes no list of maps, or another number of branches than of maps before the last one.

    Example:
        >>> window_of("multiple_select", (16, 16, 576), (32, 64))
    """
    if input_transform != "multiple_select":
        raise FkitValueError(
            f"LRASPPHead: input_transform={input_transform!r}.", repair="Say input_transform='multiple_select'."
        )
    if len(branches) != len(widths) - 1:
        raise FkitValueError(f"LRASPPHead: branch_channels={tuple(branches)} for {len(widths)} maps: one fewer.")


def halves_of(pairs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The maps and the tokens of a transformer's outputs.

    Raises:
        FkitTypeError: they are no pairs.

    Example:
        >>> halves_of([["map", "token"]])
        (['map'], ['token'])
    """
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):  # pyright: ignore[reportUnknownArgumentType]
        raise FkitTypeError(
            "DPTHead: it takes pairs of a map and a token of the class.",
            repair="Say output_cls_token=True to the VisionTransformer.",
        )
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def readout_of(readout_type: str) -> str:
    """What becomes of a transformer's token of the class, as it is said.

    Raises:
        FkitValueError: it is none of "ignore", "add" and "project".

    Example:
        >>> readout_of("project")
        'project'
    """
    kinds = ("add", "ignore", "project")
    if readout_type not in kinds:
        raise FkitValueError(f"DPTHead: readout_type={readout_type!r}.", value=str(readout_type), choices=kinds)
    return readout_type


def expect_four(widths: Sequence[int], expand: bool) -> None:
    """Refuses another number of maps than four, and channels that are expanded.

    Raises:
        FkitValueError: there are more or fewer, or ``expand`` is true.

    Example:
        >>> expect_four((96, 192, 384, 768), False)
    """
    if len(widths) != 4:
        raise FkitValueError(f"DPTHead: post_process_channels={tuple(widths)}: one for each of four maps.")
    if expand:
        raise FkitValueError("DPTHead: expand_channels=True, which the reference cannot build.", repair="Leave it out.")


def enough(size: Sequence[int]) -> None:
    """Refuses maps that are smaller than LR-ASPP's windows.

    Raises:
        FkitValueError: a side is.

    Example:
        >>> enough((64, 128))
    """
    if min(size) < WINDOW[0]:
        raise FkitValueError(
            f"LRASPPHead: its last map is {size[0]}x{size[1]}, but it takes means over {WINDOW[0]}x{WINDOW[0]}.",
            repair="Give it larger pictures: at 1/8 of their size 392 pixels and more.",
        )


def steps_of(strides: Sequence[int]) -> list[tuple[int, bool]]:
    """Of each map of a pyramid, how many convolutions bring it to the first one's size, and whether they enlarge it.

    Raises:
        FkitValueError: a stride is less than the first one.

    Example:
        >>> steps_of((4, 8, 16, 32))
        [(1, False), (1, True), (2, True), (3, True)]
    """
    if not strides or any(stride < strides[0] for stride in strides):
        raise FkitValueError(f"feature_strides={tuple(strides)}: the first one is the least.")
    return [(max(1, int(log2(stride) - log2(strides[0]))), stride != strides[0]) for stride in strides]


def expect_channels(name: str, in_channels: Any) -> tuple[int, ...]:
    """The channels of each map, as a list says.

    Raises:
        FkitTypeError: it is no list of numbers.

    Example:
        >>> expect_channels("MLANeck", [4, 8])
        (4, 8)
    """
    if not isinstance(in_channels, (list, tuple)) or not all(isinstance(one, int) for one in in_channels):  # pyright: ignore[reportUnknownVariableType]
        raise FkitTypeError(f"{name}: in_channels={in_channels!r:.60}: one number a map.")
    return tuple(in_channels)  # pyright: ignore[reportUnknownArgumentType]


def expect_rescales(rescales: Sequence[float]) -> tuple[float, ...]:
    """The factors by which a plain transformer's maps become a pyramid.

    Raises:
        FkitValueError: other factors than (4, 2, 1, 0.5) or (2, 1, 0.5, 0.25).

    Example:
        >>> expect_rescales([4, 2, 1, 0.5])
        (4, 2, 1, 0.5)
    """
    found = tuple(rescales)
    if found not in _RESCALES:
        raise FkitValueError(f"Feature2Pyramid: rescales={found}, but they are {_RESCALES[0]} or {_RESCALES[1]}.")
    return found

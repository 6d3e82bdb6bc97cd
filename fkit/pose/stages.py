"""Networks of several stages: how many maps their heads take."""

from collections.abc import Sequence
from typing import Any, Final

from frozendict import frozendict

from fkit.tree.error import FkitValueError

__all__ = ["HOURGLASS_INIT", "MSPN_HEAD_INIT", "STAGE_INIT", "expect_depth", "expect_losses", "expect_maps"]

HOURGLASS_INIT: Final = (
    frozendict(type="Normal", std=0.001, layer=("Conv2d",)),
    frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
)
STAGE_INIT: Final = (
    frozendict(type="Kaiming", layer=("Conv2d",)),
    frozendict(type="Constant", val=1, layer=("_BatchNorm", "GroupNorm")),
    frozendict(type="Normal", std=0.01, layer=("Linear",)),
)
MSPN_HEAD_INIT: Final = (
    frozendict(type="Kaiming", layer="Conv2d"),
    frozendict(type="Normal", layer="Linear", std=0.01),
    frozendict(type="Constant", layer="BatchNorm2d", val=1),
)


def expect_maps(who: str, maps: Sequence[Any], count: int, what: str) -> None:
    """Refuse another number of maps than stages.

    Raises:
        FkitValueError: they differ.
    """
    if len(maps) != count:
        raise FkitValueError(f"{who}: {what}={count}, but the backbone gives {len(maps)}.")


def expect_losses(who: str, loss: Any, count: int) -> None:
    """Refuse a list of losses that are not one a stage.

    Raises:
        FkitValueError: they are not as many.
    """
    if isinstance(loss, (list, tuple)) and len(loss) != count:
        raise FkitValueError(f"{who}: {len(loss)} losses for {count} stages.", repair="Give one, or one a stage.")


def expect_depth(times: int, channels: Sequence[int], blocks: Sequence[int]) -> None:
    """Refuse an hourglass that becomes smaller more often than it has sizes.

    Raises:
        FkitValueError: it does, or channels and blocks are not as many.
    """
    if len(channels) != len(blocks) or len(channels) <= times or times < 1:
        raise FkitValueError(
            f"HourglassNet: {len(channels)} stage_channels and {len(blocks)} stage_blocks for downsample_times={times}.",
            repair="Give one of each a size: downsample_times + 1.",
        )

"""What feature pyramids of both backends share: which levels there are, and where extra ones come from."""

from dataclasses import dataclass
from typing import Any

from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Levels", "channels_of", "check_maps"]

_SOURCES = ("on_input", "on_lateral", "on_output")


@dataclass(frozen=True)
class Levels:
    """Levels of a feature pyramid.

    Attributes:
        start: the first map that is used.
        end: one past the last that is.
        extra: levels beyond the maps'.
        source: what convolutions make extra levels from, "on_input", "on_lateral" or "on_output"; "" for max pooling.
    """

    start: int
    end: int
    extra: int
    source: str

    @property
    def used(self) -> int:
        """How many maps are used."""
        return self.end - self.start

    @staticmethod
    def of(name: str, channels: Any, num_outs: int, start: int, end: int, extra: bool | str) -> "Levels":
        """Those of mmdet's arguments.

        Raises:
            FkitError: they contradict each other.

        Example:
            >>> Levels.of("FPN", (8, 16, 32), 5, 1, -1, "on_output")
            Levels(start=1, end=3, extra=3, source='on_output')
        """
        count = len(channels_of(name, channels))
        if extra not in (True, False, *_SOURCES):
            raise FkitValueError(
                f"{name}: add_extra_convs={extra!r}.", value=str(extra), choices=("True", "False", *_SOURCES)
            )
        if not (0 <= start < count and (end == -1 or start <= end < count)):
            raise FkitValueError(f"{name}: start_level={start} and end_level={end}, but there are {count} maps.")
        last = count if end in (-1, count - 1) else end + 1
        if num_outs < last - start or (last < count and num_outs > last - start):
            allowed = f"{last - start}" if last < count else f"{last - start} or more"
            raise FkitValueError(
                f"{name}: num_outs={num_outs}, but levels {start} to {last - 1} give {allowed}.",
                repair="Without end_level there may be more levels than maps.",
            )
        source = ("on_input" if extra else "") if isinstance(extra, bool) else extra
        return Levels(start, last, num_outs - (last - start), source)


def channels_of(name: str, channels: Any) -> tuple[int, ...]:
    """The channels of the maps that a neck takes.

    Raises:
        FkitTypeError: they are no list of numbers.

    Example:
        >>> channels_of("FPN", [8, 16])
        (8, 16)
    """
    if not isinstance(channels, (list, tuple)) or not all(isinstance(one, int) for one in channels):  # pyright: ignore[reportUnknownVariableType]
        raise FkitTypeError(f"{name}: in_channels={channels!r:.80}: a list, the channels of each map.")
    return tuple(channels)  # pyright: ignore[reportUnknownArgumentType]


def check_maps(name: str, maps: Any, channels: tuple[int, ...], axis: int | None = None) -> None:
    """A neck takes as many maps as its ``in_channels`` has.

    Args:
        name: of the neck.
        maps: of the backbone.
        channels: of each.
        axis: of the maps' channels, which are compared too; None: they are not.

    Raises:
        FkitValueError: there are others.
    """
    if len(maps) != len(channels):
        raise FkitValueError(
            f"{name}: in_channels={channels}, but the backbone gives {len(maps)} maps.",
            repair="out_indices of the backbone says which of its maps it gives.",
        )
    found = channels if axis is None else tuple(one.shape[axis] for one in maps)
    if found != tuple(channels):
        raise FkitValueError(
            f"{name}: in_channels={channels}, but the backbone's maps have {found}.",
            repair=f"in_channels = {list(found)}",
        )

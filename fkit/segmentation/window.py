"""Windows of a picture that is too large to be segmented at once."""

from typing import Any, NamedTuple

from fkit.tree.error import FkitTypeError, FkitValueError, quoted

__all__ = ["Slide", "slide_of", "windows"]


class Slide(NamedTuple):
    """Windows: their size, and how far the next one is; (height, width) each."""

    crop: tuple[int, int]
    stride: tuple[int, int]


def slide_of(test_cfg: Any) -> Slide | None:
    """The windows that a segmentor's ``test_cfg`` asks for; None where it takes the whole picture.

    Raises:
        FkitError: an unknown mode or key, or windows that leave gaps.

    Example:
        >>> slide_of({"mode": "slide", "crop_size": (512, 512), "stride": (341, 341)})
        Slide(crop=(512, 512), stride=(341, 341))
    """
    cfg: dict[str, Any] = dict(test_cfg or {})
    mode = cfg.get("mode", "whole")
    if mode not in ("slide", "whole"):
        raise FkitValueError(f"test_cfg.mode={quoted(mode)}.", value=str(mode), choices=("slide", "whole"))
    if mode == "whole":
        return None
    sides: list[tuple[int, int]] = []
    for name in ("crop_size", "stride"):
        value = cfg.get(name)
        if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(one > 0 for one in value):  # pyright: ignore
            raise FkitTypeError(
                f"test_cfg.{name}={quoted(value)}: mode='slide' takes (height, width).",
                repair="test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341))",
            )
        sides.append((int(value[0]), int(value[1])))  # pyright: ignore[reportUnknownArgumentType]
    crop, stride = sides
    if stride[0] > crop[0] or stride[1] > crop[1]:
        raise FkitValueError(f"test_cfg.stride={stride} is more than crop_size={crop}: pixels between have no window.")
    return Slide(crop, stride)


def windows(size: tuple[int, int], slide: Slide) -> list[tuple[int, int, int, int]]:
    """(top, bottom, left, right) of each window of a picture, from the left to the right and down; the last ones end at the
    picture's edge, and where it is smaller than a window that is all of it.

    Example:
        >>> windows((4, 5), Slide((4, 4), (2, 2)))
        [(0, 4, 0, 4), (0, 4, 1, 5)]
    """
    ends: list[list[tuple[int, int]]] = []
    for side, crop, stride in zip(size, slide.crop, slide.stride, strict=True):
        count = max(side - crop + stride - 1, 0) // stride + 1
        last = [min(at * stride + crop, side) for at in range(count)]
        ends.append([(max(end - crop, 0), end) for end in last])
    return [(*rows, *columns) for rows in ends[0] for columns in ends[1]]

"""The plans of mmpretrain's Swin transformers (Liu et al. 2021, 2022)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
from frozendict import frozendict
from numpy.typing import NDArray

from fkit.backbone.arch import arch_of, outputs_of
from fkit.backbone.patch import out_size, pair
from fkit.backbone.swin import spread
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["WindowPlan", "Windowed", "coordinates", "shift_of", "window_plan"]

_ROWS = (
    ("t tiny", 96, (2, 2, 6, 2), (3, 6, 12, 24), 0),
    ("s small", 96, (2, 2, 18, 2), (3, 6, 12, 24), 0),
    ("b base", 128, (2, 2, 18, 2), (4, 8, 16, 32), 0),
    ("l large", 192, (2, 2, 18, 2), (6, 12, 24, 48), 0),
    ("h huge", 352, (2, 2, 18, 2), (8, 16, 32, 64), 6),
    ("g giant", 512, (2, 2, 42, 4), (16, 32, 64, 128), 6),
)
_KEYS = ("embed_dims", "depths", "num_heads", "extra_norm_every_n_blocks")
_SECOND = frozendict(
    {word: frozendict(zip(_KEYS, row, strict=True)) for names, *row in _ROWS for word in names.split()}
)
_FIRST = frozendict(
    {word: frozendict({key: plan[key] for key in _KEYS[:3]}) for word, plan in _SECOND.items() if plan[_KEYS[3]] == 0}
)
_PATCH = ("in_channels", "embed_dims", "conv_type", "kernel_size", "stride", "padding", "dilation", "bias", "norm_cfg",
          "input_size")  # fmt: skip


class Windowed(NamedTuple):
    """A block: its stage's channels and heads, the side of its windows, whether they are shifted, its rate of stochastic depth;
    of the second version whether there is a third norm, and the windows that it was trained with."""

    width: int
    heads: int
    window: int
    shifted: bool
    rate: float
    pads: bool
    third: bool = False
    trained: int = 0


class WindowPlan(NamedTuple):
    """The embedding's arguments, the grid of patches that positions are of, the stages, and those whose maps are given."""

    patch: Mapping[str, Any]
    grid: tuple[int, int]
    stages: tuple[tuple[Windowed, ...], ...]
    outputs: tuple[int, ...]


def window_plan(
    net: str,
    *,
    arch: Any,
    img_size: Any,
    patch_size: Any,
    in_channels: int,
    window_size: Any,
    drop_path_rate: float,
    out_indices: Any,
    pad_small_map: bool,
    stage_cfgs: Any,
    patch_cfg: Any,
    trained: Sequence[int] | None = None,
) -> WindowPlan:
    """The plan of arguments that are called as mmpretrain calls them.

    Args:
        trained: of the second version: the windows it was trained with, one a stage (more say nothing); 0 for its own.

    Raises:
        FkitError: arguments that do not fit together.
    """
    plan = arch_of(net, arch, _FIRST if trained is None else _SECOND)
    width, depths, heads = plan["embed_dims"], plan["depths"], plan["num_heads"]
    count = len(depths)
    windows = [window_size] * count if isinstance(window_size, int) else list(window_size)
    before = [0] * count if trained is None else list(trained)[:count]  # its default is of four
    if not len(heads) == len(windows) == len(before) == count:
        raise FkitValueError(
            f"{net}: {count} depths, {len(heads)} num_heads and {len(windows)} windows: one of each a stage."
        )
    patch: dict[str, Any] = {
        "in_channels": in_channels, "input_size": img_size, "embed_dims": width, "conv_type": "Conv2d",
        "kernel_size": patch_size, "stride": patch_size, "norm_cfg": frozendict(type="LN"), "padding": "corner",
        "dilation": 1, **_known(net, "patch_cfg", patch_cfg, _PATCH),
    }  # fmt: skip
    kernel, step, gap = pair(patch["kernel_size"]), pair(patch["stride"]), pair(patch["dilation"])
    adaptive = isinstance(patch["padding"], str)
    inner = (0, 0) if adaptive else pair(patch["padding"])
    grid = out_size(pair(patch["input_size"]), kernel, step, inner, gap, adaptive)
    rates, every, stages = (
        iter(spread(drop_path_rate, sum(depths))),
        plan.get(_KEYS[3], 0),
        list[tuple[Windowed, ...]](),
    )
    options = [stage_cfgs] * count if isinstance(stage_cfgs, Mapping) else list(stage_cfgs)
    for i, depth in enumerate(depths):
        own = _known(net, "stage_cfgs", options[i], ("block_cfgs",)).get("block_cfgs", {})
        several = [own] * depth if isinstance(own, Mapping) else list(own)
        if width * 2**i % heads[i]:
            raise FkitValueError(
                f"{net}: {width * 2**i} channels of stage {i} are no multiple of its {heads[i]} heads."
            )
        blocks: list[Windowed] = []
        for j in range(depth):
            more = _known(net, "block_cfgs", several[j], ("window_size", "pad_small_map"))
            side, pads = more.get("window_size", windows[i]), more.get("pad_small_map", pad_small_map)
            third = bool(every) and (j + 1) % every == 0
            blocks.append(Windowed(width * 2**i, heads[i], side, j % 2 == 1, next(rates), pads, third, before[i]))
        stages.append(tuple(blocks))
    return WindowPlan(frozendict(patch), (grid[0], grid[1]), tuple(stages), outputs_of(net, out_indices, count))


def shift_of(block: Windowed, height: int, width: int) -> int:
    """By how many pixels a block's windows are shifted on maps of a size.

    Raises:
        FkitValueError: the maps are smaller than a window.

    Example:
        >>> block = Windowed(8, 2, 4, True, 0.0, False)
        >>> shift_of(block, 8, 8), shift_of(block, 4, 8)
        (2, 0)
    """
    side, least = block.window, min(height, width)
    if least < side and not block.pads:
        raise FkitValueError(
            f"maps of {height} x {width} are smaller than windows of {side}.", repair="Set pad_small_map=True."
        )
    return 0 if not block.shifted or (least == side and not block.pads) else side // 2


def coordinates(window: int, trained: int) -> NDArray[np.float32]:
    """The displacements inside of a window, on a scale of logarithms, (1, 2 window - 1, 2 window - 1, 2).

    Example:
        >>> coordinates(2, 0)[0, :, 0, 0].astype(float).round(4).tolist()
        [-1.0566, 0.0, 1.0566]
    """
    steps = np.arange(-(window - 1), window, dtype=np.float32) / np.float32((trained or window) - 1) * np.float32(8)
    # the logarithm is rounded once, to the bits that the reference keeps of it
    logarithm = np.log2((np.abs(steps) + np.float32(1)).astype(np.float64)).astype(np.float32)
    scaled = np.sign(steps) * logarithm / np.float32(3)
    return np.stack(np.meshgrid(scaled, scaled, indexing="ij"), -1)[None].astype(np.float32)


def _known(net: str, what: str, options: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(options, Mapping):
        raise FkitTypeError(f"{net}: {what}={options!r:.80}: a mapping of arguments.")
    for key in cast("Mapping[str, Any]", options):
        if key not in known:
            raise FkitTypeError(f"{net}: {what} takes no argument {key!r}.", value=str(key), choices=known)
    return cast("Mapping[str, Any]", options)

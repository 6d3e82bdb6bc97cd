"""The plan of a RegNet (Radosavovic et al. 2020): widths of its blocks on a quantised line."""

from collections.abc import Mapping
from itertools import groupby
from math import floor
from typing import Any, cast

import numpy as np
from frozendict import frozendict

from fkit.backbone.resnet import BlockPlan, StageOptions
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["regnet_stages"]

_KEYS = ("w0", "wa", "wm", "group_w", "depth", "bot_mul")
_ARCHS: Mapping[str, tuple[float, ...]] = frozendict({
    "regnetx_400mf": (24, 24.48, 2.54, 16, 22, 1.0),
    "regnetx_800mf": (56, 35.73, 2.28, 16, 16, 1.0),
    "regnetx_1.6gf": (80, 34.01, 2.25, 24, 18, 1.0),
    "regnetx_3.2gf": (88, 26.31, 2.25, 48, 25, 1.0),
    "regnetx_4.0gf": (96, 38.65, 2.43, 40, 23, 1.0),
    "regnetx_6.4gf": (184, 60.83, 2.07, 56, 17, 1.0),
    "regnetx_8.0gf": (80, 49.56, 2.88, 120, 23, 1.0),
    "regnetx_12gf": (168, 73.36, 2.37, 112, 19, 1.0),
})  # fmt: skip


def regnet_stages(arch: Any, stem: int, options: StageOptions) -> tuple[tuple[BlockPlan, ...], ...]:
    """The blocks of each stage.

    Args:
        arch: a name, or ``w0``, ``wa``, ``wm`` (the line's start, slope and base), ``group_w``, ``depth``, ``bot_mul``.
        stem: channels of what the first stage gets.
        options: what is not of the widths.

    Raises:
        FkitError: an unknown name, or numbers that do not fit together.
    """
    start, slope, base, group, depth, ratio = _numbers(arch)
    line = np.arange(int(depth)) * slope + start
    steps = np.round(np.log(line / start) / np.log(base))
    widths = (np.round(start * np.power(base, steps) / 8) * 8).astype(int).tolist()
    runs = [(width, len(list(run))) for width, run in groupby(widths)]
    options.check(len(runs))
    inner, plans = stem, list[tuple[BlockPlan, ...]]()
    for i, (width, count) in enumerate(runs):
        inside = int(width * ratio)
        share = min(int(group), inside)
        wide = int(round(inside / share) * share / ratio)
        groups = round(wide * ratio) // share
        mid = wide if groups == 1 else floor(wide * (share / wide)) * groups
        plans.append(options.stage(i, (inner, mid, wide), count, groups))
        inner = wide
    return tuple(plans)


def _numbers(arch: Any) -> tuple[float, ...]:
    if isinstance(arch, str):
        if arch not in _ARCHS:
            raise FkitValueError(
                f"RegNet: arch={arch!r} is unknown.", value=arch, choices=_ARCHS, label="Architectures"
            )
        return _ARCHS[arch]
    if not isinstance(arch, Mapping):
        raise FkitTypeError(f"RegNet: arch={arch!r:.60}: a name, or a dict of {', '.join(_KEYS)}.")
    options: dict[str, Any] = dict(cast("Mapping[str, Any]", arch))
    for key in _KEYS:
        if not isinstance(options.get(key), (int, float)):
            raise FkitTypeError(f"RegNet: arch needs the number {key!r}.", choices=_KEYS, label="Keys")
    numbers = tuple(float(options[key]) for key in _KEYS)
    start, slope, base = numbers[:3]
    if slope < 0 or start <= 0 or base <= 1 or start % 8:
        raise FkitValueError("RegNet: arch has wa >= 0, w0 a multiple of 8 above 0, and wm > 1.")
    return numbers

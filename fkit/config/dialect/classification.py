"""Transforms of mmcls whose names or arguments are others in mmpretrain."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.config.dialect.row import Ledger, Row

__all__ = ["RULES"]


def _resize(ledger: Ledger, row: Row) -> Any:
    """Resize to (height, width), or with -1 of one edge -> Resize and ResizeEdge."""
    size = row.take("size")
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    edge = row.take("adaptive_side", "short")
    if len(pair) == 2 and pair[1] == -1:
        return row.put("type", "ResizeEdge").put("scale", pair[0], "size").put("edge", edge, "adaptive_side").node()
    return row.put("scale", tuple(reversed(pair)), "size").node()


def _center_crop(ledger: Ledger, row: Row) -> Any:
    if row.take("efficientnet_style", False):
        return row.put("type", "EfficientNetCenterCrop").node()
    row.drop("crop_padding", "interpolation", "backend")  # of EfficientNet's way only
    return row.node()


def _resized_crop(ledger: Ledger, row: Row) -> Any:
    size = row.take("size")
    row.put("scale", tuple(reversed(size)) if isinstance(size, (list, tuple)) else size, "size")
    for old, new in (("scale", "crop_ratio_range"), ("ratio", "aspect_ratio_range")):
        if old in row.old:
            row.put(new, row.take(old), old)
    if row.take("efficientnet_style", False):
        return row.put("type", "EfficientNetRandomCrop").node()
    row.drop("min_covered", "crop_padding")
    return row.node()


def _crop(ledger: Ledger, row: Row) -> Any:
    return row.rename("size", "crop_size").node()


def _flip(ledger: Ledger, row: Row) -> Any:
    row.rename("flip_prob", "prob")
    return row.node() if "prob" in row.items or "prob" in row.old else row.put("prob", 0.5).node()


def _policy(ledger: Ledger, row: Row) -> Any:
    """A policy of RandAugment: today each knows which of its arguments the magnitude is."""
    return row.drop("magnitude_key").node()


_POLICIES = (
    "AutoContrast", "Brightness", "ColorTransform", "Contrast", "Cutout", "Equalize", "Invert", "Posterize", "Rotate",
    "Sharpness", "Shear", "Solarize", "SolarizeAdd", "Translate",
)  # fmt: skip

RULES: Mapping[str, Callable[[Ledger, Row], Any]] = frozendict(
    {
        "Resize": _resize,
        "CenterCrop": _center_crop,
        "RandomResizedCrop": _resized_crop,
        "RandomCrop": _crop,
        "RandomFlip": _flip,
        **dict.fromkeys(_POLICIES, _policy),
    }
)

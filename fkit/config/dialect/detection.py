"""Transforms of mmdet 2.x and mmseg 0.x whose names or arguments are others today."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from frozendict import frozendict

from fkit.config.dialect.row import Ledger, Row

__all__ = ["RULES", "resized"]

_FEW = "has no counterpart, and boxes are kept by today's rule."


def resized(row: Row, key: str, size: Any) -> Any:
    """Resize of an old step at one size: ``scale`` or ``scale_factor``."""
    row.drop("img_scale", "multiscale_mode", "ratio_range", "override", "min_size")
    return _shared(row.put("type", "Resize").put(key, size)).node()


def _shared(row: Row) -> Row:
    """What all ways of resizing take; the ratio of the sides was kept unless one said otherwise."""
    if "keep_ratio" not in row.old:
        row.put("keep_ratio", True)
    return row.rename("bbox_clip_border", "clip_object_border")


def _resize(ledger: Ledger, row: Row) -> Any:
    """Resize: one size, a choice of sizes, or sizes within a range."""
    scale, mode, ratios = row.take("img_scale"), row.take("multiscale_mode", "range"), row.take("ratio_range")
    if not isinstance(scale, (list, tuple)) and (scale is not None or ratios is None):
        if scale is None and "scale" not in row.old and "scale_factor" not in row.old:
            ledger.say(
                row, "type", "Resize without img_scale takes the size that MultiScaleFlipAug sets; here it has none."
            )
        return _shared(row if scale is None else row.put("scale", (scale, scale), "img_scale")).node()
    row.drop("override")  # each Resize sets the size anew today
    row.drop("min_size", why="has no counterpart.")
    several: list[Any] = (
        list(cast("Sequence[Any]", scale)) if isinstance(scale, list) or _is_pair_of_pairs(scale) else [scale]
    )
    if ratios is not None:
        row.put("type", "RandomResize").put("scale", several[0], "img_scale").put("ratio_range", ratios)
    elif len(several) == 1:
        return _shared(row.put("scale", several[0], "img_scale")).node()
    elif mode == "value":
        row.put("type", "RandomChoiceResize").put("scales", several, "img_scale")
    else:  # the longer sides and the shorter ones each within a range
        row.put("type", "RandomResize").put("scale", [(max(one), min(one)) for one in several], "img_scale")
    return _shared(row.put("resize_type", "Resize")).node()


def _is_pair_of_pairs(scale: Any) -> bool:
    return isinstance(scale, tuple) and all(isinstance(one, (list, tuple)) for one in cast("tuple[Any, ...]", scale))


def _flip(ledger: Ledger, row: Row) -> Any:
    """RandomFlip: flip_ratio, prob of mmseg; none at all does not flip."""
    row.rename("flip_ratio", "prob")
    prob = row.items.get("prob", row.old.get("prob"))
    if prob is None:
        row.take("prob")
        row.put("prob", 0.0)
    return row.node()


def _crop(ledger: Ledger, row: Row) -> Any:
    """Crops of mmdet 2.x had (height, width), today's have (width, height); mmseg's, and ranges, are as they were."""
    size, kind = row.old.get("crop_size"), row.old.get("crop_type", "absolute")
    if ledger.package == "mmdet" and kind in ("absolute", "relative") and isinstance(size, (list, tuple)):
        row.put("crop_size", _turned(size))
    return row.node()


def _pad(ledger: Ledger, row: Row) -> Any:
    """Pad left img_shape, and had (height, width) where today's has (width, height); mmseg 0.x named the map's value apart."""
    size = row.put("type", "OuterPad").old.get("size")
    if isinstance(size, (list, tuple)):
        row.put("size", _turned(size))
    seg = row.take("seg_pad_val")
    if seg is not None:
        row.put("pad_val", {"img": row.take("pad_val", 0), "seg": seg}, "seg_pad_val")
    elif ledger.package == "mmseg" and isinstance(row.old.get("pad_val"), (int, float)):
        row.put("pad_val", {"img": row.take("pad_val"), "seg": 255})
    return row.node()


def _turned(size: Any) -> Any:
    """(height, width) as (width, height)."""
    return type(size)(reversed(size)) if type(size) in (list, tuple) else tuple(reversed(size))


def _mosaic(ledger: Ledger, row: Row) -> Any:
    """Mosaic and MixUp had (height, width), today's have (width, height)."""
    size = row.old.get("img_scale")
    if isinstance(size, (list, tuple)):
        row.put("img_scale", _turned(size))
    return _affine(ledger, row)


def _affine(ledger: Ledger, row: Row) -> Any:
    skipped = row.take("skip_filter", True)
    for key in ("min_bbox_size", "min_area_ratio", "max_aspect_ratio"):
        if skipped:
            row.drop(key)
        else:
            row.drop(key, why=_FEW)
    return row.node()


def _bundle(ledger: Ledger, row: Row) -> Any:
    """DefaultFormatBundle said what a batch is padded with, which the data loader's collate function does."""
    fills: Any = row.old.get("pad_val")
    if isinstance(fills, dict) and fills not in ({"img": 0, "masks": 0, "seg": 255}, {"img": 0, "seg": 255}):
        row.drop("pad_val", why="is not translated: collate_fn pads images with 0 and maps with 255.")
    return row.node()


def _shift(ledger: Ledger, row: Row) -> Any:
    return row.rename("shift_ratio", "prob").node()


def _magnitude(row: Row, degrees: float) -> Any:
    """A fixed magnitude: what a level of AutoAugment stood for."""
    row.rename("random_negative_prob", "reversal_prob").rename("img_fill_val", "img_border_value")
    if "reversal_prob" not in row.items:
        row.put("reversal_prob", 0.5)
    return row.put("min_mag", degrees, "level").put("max_mag", degrees, "level").node()


def _level(row: Row, key: str, default: float) -> float:
    return float(row.take("level", 0)) / 10 * float(row.take(key, default))


def _shear(ledger: Ledger, row: Row) -> Any:
    """Shear by a share of the side -> ShearX and ShearY by an angle."""
    angle = math.degrees(math.atan(_level(row, "max_shear_magnitude", 0.3)))
    direction = row.take("direction", "horizontal")
    row.put("type", "ShearX" if direction == "horizontal" else "ShearY")
    return _magnitude(row, angle)


def _rotate(ledger: Ledger, row: Row) -> Any:
    if ledger.package != "mmdet" or "level" not in row.old:
        return row.node()
    scale, center = row.take("scale", 1), row.take("center")
    if scale != 1 or center is not None:
        ledger.say(row, "scale", "Rotate: scale and center have no counterpart, and are not translated.")
    return _magnitude(row, _level(row, "max_rotate_angle", 30))


def _tone(name: str) -> Callable[[Ledger, Row], Any]:
    def rule(ledger: Ledger, row: Row) -> Any:
        factor = float(row.take("level", 0)) / 10 * 1.8 + 0.1
        return row.put("type", name).put("min_mag", factor, "level").put("max_mag", factor, "level").node()

    return rule


def _equalize(ledger: Ledger, row: Row) -> Any:
    return row.put("type", "Equalize").node()


RULES: Mapping[str, Callable[[Ledger, Row], Any]] = frozendict(
    Resize=_resize,
    RandomFlip=_flip,
    RandomCrop=_crop,
    RandomCenterCropPad=_crop,
    Pad=_pad,
    Mosaic=_mosaic,
    MixUp=_mosaic,
    RandomAffine=_affine,
    DefaultFormatBundle=_bundle,
    RandomShift=_shift,
    Shear=_shear,
    Rotate=_rotate,
    ColorTransform=_tone("Color"),
    BrightnessTransform=_tone("Brightness"),
    ContrastTransform=_tone("Contrast"),
    EqualizeTransform=_equalize,
)

"""Rows of the built-in registry: transforms that choose, distort and mix."""

__all__ = ["MIXING"]

# file -> what it holds
_MIXING = (
    ("affine", ("RandomAffine",)),
    ("albu", ("Albu", "Albumentation")),
    (
        "colour",
        (
            "AutoContrast",
            "Brightness",
            "Color",
            "ColorTransform",
            "Contrast",
            "Equalize",
            "Invert",
            "Posterize",
            "Sharpness",
            "Solarize",
            "SolarizeAdd",
        ),
    ),
    ("composition", ("MultiBranch", "RandomApply", "RandomChoice", "RandomOrder")),
    ("distortion", ("PhotoMetricDistortion", "YOLOXHSVRandomAug")),
    ("mapping", ("KeyMapper", "ProposalBroadcaster", "TransformBroadcaster")),
    ("mixup", ("CachedMixUp", "MixUp")),
    ("mosaic", ("CachedMosaic", "Mosaic")),
    ("paste", ("CopyPaste", "InstaBoost")),
    ("policy", ("AutoAugment", "RandAugment")),
    ("warp", ("GeomTransform", "Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")),
)

MIXING: tuple[tuple[str, str, str, str | None, str | None], ...] = (
    *(
        ("transforms", name, f"fkit.data.transform.{file}:{name}", None, None)
        for file, names in _MIXING
        for name in names
    ),
    ("transforms", "Albu", "fkit.data.transform.albu:SegAlbu", None, "mmseg"),
)

"""Of mmpretrain's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.data.transform.classification.crop import Twice
from fkit.data.transform.classification.step import Step
from fkit.data.transform.classification.tone import Hole, Jitter
from fkit.data.transform.crop import Crop
from fkit.data.transform.policy import Several
from tests.golden.replay.mmdet import Numbers


def crop(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Crop:
    return Crop(*(int(side) for side in recorded.param("rand_crop_params")))


def drawn_crop(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Crop:
    """By the transform's own draw, of the recorded numbers; held against the recorded piece."""
    drawn = transform.draw(sample, Numbers(recorded), None)
    assert drawn == crop(recorded, transform, sample)
    return drawn


def two_pictures(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Twice:
    return transform.draw(sample, Numbers(recorded, ("bilinear", "bicubic")), None)


def blocks(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return transform.draw(sample, Numbers(recorded), None)


def patches(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    count = (transform.input_size // transform.mask_patch_size) ** 2
    return recorded.draw("np.random.permutation")[: int(np.ceil(count * transform.mask_ratio))]


def hole(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    if recorded.param("random_disable"):
        return None
    top, left, high, wide = recorded.param("random_patch")
    if transform.mode == "const":
        pixels = np.array(transform.fill_color, np.uint8).reshape(1, 1, 3)
    else:
        pixels = recorded.draws[-1]["value"].astype(np.int32).clip(0, 255).astype(np.uint8)
    return Hole(top, left, pixels, (high, wide))


def jitter(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Jitter:
    order, *amounts = recorded.param("_rand_params")
    return Jitter(tuple(order.tolist()), *amounts)


def lighting(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return tuple(recorded.draw("np.random.normal").tolist())


def strength(recorded: Any, transform: Step, sample: Mapping[str, Any]) -> Any:
    if recorded.param("random_disable"):
        return None
    size = getattr(transform, transform.own) if transform.own else 0.0
    if size is None:
        size = recorded.param("random_magnitude")
    return recorded.param("random_negative") if transform.signed else size


def cutout(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    size = strength(recorded, transform, sample)
    if size is None:
        return None
    if transform.shape is None and transform.magnitude_std == "inf":
        recorded.draw("np.random.uniform")  # of the size
    shape = size if isinstance(size, tuple) else int(size)
    return shape, (recorded.draw("np.random.uniform"), recorded.draw("np.random.uniform"))


def some(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Several:
    which = tuple(recorded.param("random_policy_indices"))
    return Several(which, recorded.params_of(transform.chain(which), sample))


def views(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return tuple(recorded.params_of(view, sample) for view in transform.views)


def members(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return tuple(recorded.params_of(transform.pipeline, one) for one in transform.scattered(sample))


def corner(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return recorded.param("rand_translate_params") if transform.aug_translate else transform.draw(sample, None, None)


STRENGTHS = (
    "AutoContrast", "Brightness", "ColorTransform", "Contrast", "Equalize", "GaussianBlur", "Invert", "Posterize", "Rotate",
    "Sharpness", "Shear", "Solarize", "SolarizeAdd", "Translate",
)  # fmt: skip

PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    ApplyToList=members,
    BEiTMaskGenerator=blocks,
    ColorJitter=jitter,
    Cutout=cutout,
    EfficientNetRandomCrop=drawn_crop,
    Lighting=lighting,
    MultiView=views,
    RandAugment=some,
    RandomCrop=crop,
    RandomErasing=hole,
    RandomResizedCrop=drawn_crop,
    RandomResizedCropAndInterpolationWithTwoPic=two_pictures,
    RandomTranslatePad=corner,
    SimMIMMaskGenerator=patches,
    **dict.fromkeys(STRENGTHS, strength),
)

"""Of mmpose's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

from frozendict import frozendict

from fkit.data.transform.pose.bottomup import Whirl
from fkit.data.transform.pose.box import BoxChange
from fkit.data.transform.pose.colour import Photo
from fkit.data.transform.pose.crop import Window


def flip(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.param("_choose_direction")


def about_root(recorded: Any, transform: Any, sample: Any) -> bool:
    return recorded.draw("np.random.rand") <= transform.flip_prob


def half_body(recorded: Any, transform: Any, sample: Any) -> Any:
    return recorded.param("_random_select_half_body")


def box_change(recorded: Any, transform: Any, sample: Any) -> BoxChange:
    return BoxChange(*recorded.param("_get_transform_params"))


def whirl(recorded: Any, transform: Any, sample: Any) -> Whirl:
    shift, factor, degrees, shear = recorded.param("_get_transform_params")
    return Whirl(shift, float(factor[0]), degrees, shear)


def photo(recorded: Any, transform: Any, sample: Any) -> Photo:
    twice, bright, contrast, mode, swap, *amounts, hue, order = recorded.param("_random_flags")
    return Photo(
        amounts[0] if bright else None,
        amounts[1] if contrast and twice else None,
        amounts[2] if mode in (1, 3) else None,
        int(hue) if mode in (2, 3) else None,
        tuple(order.tolist()) if swap else None,
    )


def window(recorded: Any, transform: Any, sample: Any) -> Window:
    return Window(recorded.param("_get_crop_size"), recorded.param("_rand_offset"))


PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    BottomupRandomAffine=whirl,
    BottomupRandomCrop=window,
    HandRandomFlip=flip,
    PhotometricDistortion=photo,
    PoseFlip=flip,
    RandomBBoxTransform=box_change,
    RandomFlipAroundRoot=about_root,
    RandomHalfBody=half_body,
)

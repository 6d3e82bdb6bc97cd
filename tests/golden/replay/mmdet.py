"""Of mmdet's transforms: recorded draws -> params, by the name of fkit's class."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from frozendict import frozendict

from fkit.data.transform.canvas import Expansion
from fkit.data.transform.crop import Crop


class Numbers(np.random.Generator):
    """A generator that gives the recorded numbers in their order; of a choice, its place among the choices."""

    def __new__(cls, recorded: Any, choices: Any = ()) -> "Numbers":
        return super().__new__(cls, np.random.PCG64())

    def __init__(self, recorded: Any, choices: Any = ()) -> None:
        super().__init__(np.random.PCG64())
        self.recorded = recorded
        self.choices = choices

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None) -> Any:
        return self.recorded.draw("np.random.uniform")

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        return self.recorded.draw()

    def integers(self, low: int, high: int | None = None, **more: Any) -> Any:
        if high is None:
            return list(self.choices).index(self.recorded.draw("np.random.choice"))
        return self.recorded.draw("np.random.randint")


def crop(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Crop:
    height, width = recorded.param("_get_crop_size")
    top, left = recorded.param("_rand_offset")
    return Crop(top, left, height, width)


def ssd_crop(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return transform.draw(sample, Numbers(recorded, (1.0, *transform.min_ious, 0.0)), None)


def expansion(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    if recorded.param("_random_prob") > transform.prob:
        return None
    ratio = recorded.param("_random_ratio")
    return Expansion(ratio, *recorded.param("_random_left_top"))


def centre(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return transform.draw(sample, Numbers(recorded, transform.ratios or ()), None)


def drawn(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    """The transform's own draw, of the recorded numbers: where it asks for them in the reference's order."""
    return transform.draw(sample, Numbers(recorded), None)


def patches(recorded: Any, transform: Any, sample: Mapping[str, Any]) -> Any:
    return tuple(tuple(patch) for patch in recorded.param("_get_patches").tolist())


PARAMS: Mapping[str, Callable[..., Any]] = frozendict(
    CutOut=drawn,
    Expand=expansion,
    MinIoURandomCrop=ssd_crop,
    RandomCenterCropPad=centre,
    RandomCrop=crop,
    RandomErasing=patches,
    RandomShift=drawn,
)

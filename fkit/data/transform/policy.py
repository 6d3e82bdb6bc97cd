"""Policies: a few of many augmentations, by chance."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fkit.data.transform import colour, warp
from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import RandomChoice, Steps, chances, pipelines_of
from fkit.data.transform.draw import needed
from fkit.data.transform.transform import Fetch, Holder, Sample, Transform
from fkit.tree.check import expect_number
from fkit.tree.error import FkitValueError

__all__ = ["AutoAugment", "RandAugment", "Several"]

# the policy v0 of "Learning Data Augmentation Strategies for Object Detection" (Zoph et al., 2019), as mmdet has it:
# name, probability and level of the two steps of each
_V0 = """
Equalize .8 1 ShearY .8 4; Color .4 9 Equalize .6 3; Color .4 1 Rotate .6 8; Solarize .8 3 Equalize .4 7;
Solarize .4 2 Solarize .6 2; Color .2 0 Equalize .8 8; Equalize .4 8 SolarizeAdd .8 3; ShearX .2 9 Rotate .6 8;
Color .6 1 Equalize 1 2; Invert .4 9 Rotate .6 0; Equalize 1 9 ShearY .6 3; Color .4 7 Equalize .6 0;
Posterize .4 6 AutoContrast .4 7; Solarize .6 8 Color .6 9; Solarize .2 4 Rotate .8 9; Rotate 1 7 TranslateY .8 9;
ShearX 0 0 Solarize .8 4; ShearY .8 0 Color .6 4; Color 1 0 Rotate .6 2; Equalize .8 4 Equalize 0 8;
Equalize 1 4 AutoContrast .6 2; ShearY .4 7 SolarizeAdd .6 7; Posterize .8 2 Solarize .6 10;
Solarize .6 8 Equalize .6 1; Color .8 6 Rotate .4 5
"""
_SPACE = (
    "AutoContrast Equalize Invert Rotate Posterize Solarize SolarizeAdd Color Contrast Brightness Sharpness ShearX ShearY"
    " TranslateX TranslateY"
)


@dataclass(frozen=True, init=False)
class AutoAugment(RandomChoice):
    """One of several policies, by chance; mmdet's AutoAugment, of both generations.

    Args:
        policies: pipelines, each a list of transforms; None is the policy v0 of Zoph et al. 2019, 25 of two steps.
        prob: of each; their sum is 1. None: all alike.

    Params: a `fkit.data.transform.composition.Chosen`.

    Example:
        >>> len(AutoAugment().pipelines), AutoAugment().pipelines[0].steps[1]
        (25, ShearY(prob=0.8, level=4, min_mag=0.0, max_mag=30.0, reversal_prob=0.5, img_border_value=(128.0, 128.0, 128.0), mask_border_value=0, seg_ignore_label=255, interpolation='bilinear'))
    """

    def __init__(self, policies: Steps | None = None, prob: Any = None) -> None:
        object.__setattr__(self, "transforms", _v0() if policies is None else policies)
        object.__setattr__(self, "prob", prob)
        self.__post_init__()

    @property
    def policies(self) -> tuple[Compose, ...]:
        """The pipelines."""
        return self.pipelines


class Several(NamedTuple):
    """What `RandAugment` decided.

    Attributes:
        which: the numbers of the pipelines, in order.
        params: what each drew.
    """

    which: tuple[int, ...]
    params: tuple[Any, ...]


@dataclass(frozen=True)
class RandAugment(Holder):
    """Some of several augmentations, one after the other; mmdet 3.x's RandAugment.

    Args:
        aug_space: pipelines, each a list of one transform; None is mmdet's, of 15 of `fkit.data.transform.colour` and
            `fkit.data.transform.warp`.
        aug_num: how many, each at most once.
        prob: of each; their sum is 1. None: all alike.

    Params: a `Several`.

    Example:
        >>> RandAugment(aug_num=2).draw({"img": np.zeros((4, 4, 3), np.uint8)}, np.random.default_rng(0), None).which
        (11, 9)
    """

    aug_space: Steps | None = None
    aug_num: int = 2
    prob: Any = None
    pipelines: tuple[Compose, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        space = [[_step(name)] for name in _SPACE.split()] if self.aug_space is None else self.aug_space
        pipelines = pipelines_of("RandAugment", space)
        expect_number(self.aug_num, "RandAugment: aug_num", whole=True)
        prob = chances("RandAugment", self.prob, len(pipelines))
        likely = len(pipelines) if prob is None else sum(one > 0 for one in prob)
        if not 0 <= self.aug_num <= likely:
            raise FkitValueError(f"RandAugment: aug_num = {self.aug_num!r} of {likely} augmentations.")
        for name, value in (("aug_space", pipelines), ("pipelines", pipelines), ("prob", prob)):
            object.__setattr__(self, name, value)

    @property
    def parts(self) -> tuple[Transform, ...]:
        return self.pipelines

    @property
    def random(self) -> bool:
        return True

    def which(self, rng: np.random.Generator | None) -> tuple[int, ...]:
        """The numbers of the pipelines, drawn."""
        count, prob = len(self.pipelines), self.prob
        return tuple(needed(rng, self).choice(count, self.aug_num, p=prob, replace=False).tolist())

    def chain(self, which: tuple[int, ...]) -> Compose:
        """Those pipelines, one after the other."""
        return Compose(tuple(self.pipelines[place] for place in which))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Several:
        which = self.which(rng)
        return Several(which, self.chain(which).draw(sample, rng, fetch))

    def apply(self, sample: Sample, params: Several) -> Any:
        return self.chain(params.which).apply(sample, params.params)

    def __call__(self, sample: Sample, rng: np.random.Generator | None = None, fetch: Fetch | None = None) -> Any:
        return self.chain(self.which(rng))(sample, rng, fetch)


def _v0() -> tuple[Compose, ...]:
    rows = (row.split() for row in _V0.split(";"))
    return tuple(
        Compose(tuple(_step(row[at], prob=float(row[at + 1]), level=int(row[at + 2])) for at in (0, 3))) for row in rows
    )


def _step(name: str, **arguments: Any) -> Transform:
    room: Any = colour if hasattr(colour, name) else warp
    return getattr(room, name)(**arguments)

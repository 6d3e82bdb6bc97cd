"""mmpretrain's policies: a few of many augmentations, by chance."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

import numpy as np

from fkit.data.transform.classification import move, step
from fkit.data.transform.compose import Compose
from fkit.data.transform.composition import RandomChoice, pipelines_of
from fkit.data.transform.draw import needed
from fkit.data.transform.policy import RandAugment as SomeOnce
from fkit.data.transform.transform import Transform
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import frozen

__all__ = ["AutoAugment", "RandAugment"]

Build = Callable[..., Any]

# the policy of "AutoAugment: Learning Augmentation Policies from Data" (Cubuk et al., 2019) for ImageNet, as mmpretrain has
# it: name, probability and strength of the two steps of each; a strength in ninths is of the greatest
_IMAGENET = """
Posterize .4 4 Rotate .6 30; Solarize .6 4/9 AutoContrast .6 -; Equalize .8 - Equalize .6 -; Posterize .6 5 Posterize .6 5;
Equalize .4 - Solarize .2 5/9; Equalize .4 - Rotate .8 8/9; Solarize .6 6/9 Equalize .6 -; Posterize .8 6 Equalize 1 -;
Rotate .2 10 Solarize .6 1/9; Equalize .6 - Posterize .4 5; Rotate .8 8/9 ColorTransform .4 0; Rotate .4 30 Equalize .6 -;
Equalize 0 - Equalize .8 -; Invert .6 - Equalize 1 -; ColorTransform .6 .4 Contrast 1 .8; Rotate .8 8/9 ColorTransform 1 .2;
ColorTransform .8 .8 Solarize .8 2/9; Sharpness .4 .7 Invert .6 -; Shear .6 5/9 Equalize 1 -; ColorTransform .4 0 Equalize .6 -;
Equalize .4 - Solarize .2 5/9; Solarize .6 4/9 AutoContrast .6 -; Invert .6 - Equalize 1 -; ColorTransform .6 .4 Contrast 1 .8;
Equalize .8 - Equalize .6 -
"""
_GREATEST = frozen({"Rotate": 30.0, "Shear": 0.3, "Solarize": 256.0})
_AUTO = ("imagenet",)

# name, strengths of level 0 and of the highest, directions
_SIMPLE = (
    ("AutoContrast", None, ""), ("Equalize", None, ""), ("Rotate", (0, 30), ""),
    ("Shear", (0, 0.3), "horizontal"), ("Shear", (0, 0.3), "vertical"),
)  # fmt: skip
_TIMM = (
    ("AutoContrast", None, ""), ("Equalize", None, ""), ("Invert", None, ""), ("Rotate", (0, 30), ""),
    ("Posterize", (4, 0), ""), ("Solarize", (256, 0), ""), ("SolarizeAdd", (0, 110), ""), ("ColorTransform", (0, 0.9), ""),
    ("Contrast", (0, 0.9), ""), ("Brightness", (0, 0.9), ""), ("Sharpness", (0, 0.9), ""),
    ("Shear", (0, 0.3), "horizontal"), ("Shear", (0, 0.3), "vertical"),
    ("Translate", (0, 0.45), "horizontal"), ("Translate", (0, 0.45), "vertical"),
)  # fmt: skip
_RANDOM: Mapping[str, Any] = frozen({"simple_increasing": _SIMPLE, "timm_increasing": _TIMM})
_HPARAMS: Mapping[str, Any] = frozen({"pad_val": 128})


@dataclass(frozen=True, init=False)
class AutoAugment(RandomChoice):
    """One of several policies, by chance; mmpretrain's AutoAugment.

    Args:
        policies: "imagenet", the 25 policies of Cubuk et al. 2019; or a list of policies, each a list of transforms.
        hparams: of no effect, as in the reference, which merges them into what it prints alone.
        build: of the registry, which calls it; None takes transforms that are made.

    Params: a `fkit.data.transform.composition.Chosen`.

    Example:
        >>> len(AutoAugment("imagenet").pipelines)
        25
    """

    def __init__(self, policies: Any, hparams: Mapping[str, Any] = _HPARAMS, *, build: Build | None = None) -> None:
        expect(hparams, Mapping, "AutoAugment: hparams is a mapping of arguments")
        if isinstance(policies, str):
            _known("AutoAugment", policies, _AUTO)
            policies = _imagenet()
        expect(policies, (list, tuple), "AutoAugment: policies is a name, or a list of lists of transforms")
        for policy in policies:
            expect(policy, (list, tuple), "AutoAugment: a policy is a list of transforms")
        several = [[_made("AutoAugment", one, build) for one in policy] for policy in policies]
        object.__setattr__(self, "transforms", several)
        object.__setattr__(self, "prob", None)
        self.__post_init__()

    @property
    def policies(self) -> tuple[Compose, ...]:
        """The pipelines."""
        return self.pipelines


@dataclass(frozen=True, init=False)
class RandAugment(SomeOnce):
    """Some of several augmentations, one after the other, the same one again by chance; mmpretrain's RandAugment.

    Args:
        policies: "timm_increasing", "simple_increasing", or a list of transforms.
        num_policies: how many.
        magnitude_level: of the transforms that have a magnitude_range.
        magnitude_std: deviation of the level; "inf" draws it from 0 to the level.
        total_level: the highest level.
        hparams: arguments of all the transforms that take them, where a transform is not given its own.
        build: of the registry, which calls it; None takes transforms that are made, which stay as they are.

    Params: a `fkit.data.transform.policy.Several`.

    Example:
        >>> augment = RandAugment("timm_increasing", num_policies=2, magnitude_level=9, magnitude_std=0.5)
        >>> len(augment.pipelines), augment.pipelines[3].steps[0].magnitude_level
        (15, 9)
    """

    def __init__(
        self,
        policies: Any,
        num_policies: int,
        magnitude_level: float,
        magnitude_std: Any = 0.0,
        total_level: float = 10,
        hparams: Mapping[str, Any] = _HPARAMS,
        *,
        build: Build | None = None,
    ) -> None:
        expect(hparams, Mapping, "RandAugment: hparams is a mapping of arguments")
        expect_number(num_policies, "RandAugment: num_policies", whole=True)
        if num_policies < 1:
            raise FkitValueError(f"RandAugment: num_policies = {num_policies!r} is not 1 or more.")
        levels = {"magnitude_level": magnitude_level, "magnitude_std": magnitude_std, "total_level": total_level}
        step.Step(**cast(Any, levels))  # refuses levels that are none
        if isinstance(policies, str):
            _known("RandAugment", policies, tuple(_RANDOM))
            policies = [_row(*row) for row in _RANDOM[policies]]
        expect(policies, (list, tuple), "RandAugment: policies is a name, or a list of transforms")
        several = [_made("RandAugment", _levelled(one, levels, hparams), build) for one in policies]
        pipelines = pipelines_of("RandAugment", several)
        for name, value in (
            ("aug_space", pipelines), ("aug_num", num_policies), ("prob", None), ("pipelines", pipelines),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def which(self, rng: np.random.Generator | None) -> tuple[int, ...]:
        return tuple(needed(rng, self).choice(len(self.pipelines), self.aug_num).tolist())


def _imagenet() -> list[list[Transform]]:
    rows = (row.split() for row in _IMAGENET.split(";"))
    return [[_fixed(*row[:3]), _fixed(*row[3:])] for row in rows]


def _fixed(name: str, prob: str, strength: str) -> Transform:
    """A step of a strength that is written as a number, as ninths of the greatest, or as "-" where there is none."""
    kind: Any = _step(name)
    if strength == "-":
        return kind(prob=float(prob))
    ninths = strength.removesuffix("/9")
    size = float(strength) if ninths == strength else _GREATEST[name] / 9 * int(ninths)
    return kind(int(size) if name == "Posterize" else size, prob=float(prob))


def _row(name: str, strengths: Any, direction: str) -> Mapping[str, Any]:
    row: dict[str, Any] = {"type": name}
    if strengths is not None:
        row["magnitude_range"] = strengths
    return row | ({"direction": direction} if direction else {})


def _step(name: str) -> Any:
    """The step of that name, or None."""
    return (
        getattr(step, name, None)
        if name in step.__all__
        else getattr(move, name, None)
        if name in move.__all__
        else None
    )


def _levelled(policy: Any, levels: Mapping[str, Any], hparams: Mapping[str, Any]) -> Any:
    """The config of a step with the levels and the hparams that it takes."""
    if not isinstance(policy, Mapping):
        return policy
    cfg = dict(cast("Mapping[str, Any]", policy))
    cfg.pop("magnitude_key", None)
    kind = _step(str(cfg.get("type")).rpartition(".")[2])
    own = (
        {one.name for one in fields(kind) if not one.kw_only or one.name in ("pad_val", "interpolation", "prob")}
        if is_dataclass(kind)
        else set[str]()
    )
    more = {word: value for word, value in hparams.items() if word in own}
    return {**more, **cfg, **(levels if "magnitude_range" in cfg else {})}


def _made(name: str, policy: Any, build: Build | None) -> Any:
    """A step of its config, or as it is."""
    if not isinstance(policy, Mapping):
        if callable(policy):
            return policy
        raise FkitTypeError(f"{name}: a policy holds transforms, not {quoted(policy)}.")
    cfg = cast("Mapping[str, Any]", policy)
    kind = _step(str(cfg.get("type")))
    if kind is not None:
        return kind(**{word: value for word, value in cfg.items() if word != "type"})
    if build is not None:
        return build("transforms", cfg)
    raise FkitKeyError(
        f"{name}: the step {cfg.get('type')!r} is a name, which a registry knows.",
        repair=f"fkit.build({{'type': {name!r}, ...}}, registry, 'transforms') looks it up; here, pass the transform.",
    )


def _known(name: str, policies: str, choices: Iterable[str]) -> None:
    if policies not in choices:
        raise FkitValueError(f"{name}: policies = {policies!r} is unknown.", value=policies, choices=tuple(choices))

"""The schedulers of each kind under mmengine's and mmcv's further names: of the momentum, and of any hyperparameter."""

from collections.abc import Iterable
from dataclasses import dataclass, field, make_dataclass
from typing import Any, TypeVar, cast

from fkit.training.schedule.anneal import CosineAnnealingLR, PolyLR, QuadraticWarmupLR
from fkit.training.schedule.cycle import CosineRestartLR, OneCycleLR
from fkit.training.schedule.factor import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, StepLR
from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.updater import (
    CosineAnnealingLrUpdater,
    LinearAnnealingLrUpdater,
    StepLrUpdater,
    WarmupLR,
)

__all__ = [
    "ConstantMomentum",
    "ConstantParamScheduler",
    "CosineAnnealingMomentum",
    "CosineAnnealingMomentumUpdater",
    "CosineAnnealingParamScheduler",
    "CosineRestartMomentum",
    "CosineRestartParamScheduler",
    "ExponentialMomentum",
    "ExponentialParamScheduler",
    "LinearAnnealingMomentumUpdater",
    "LinearMomentum",
    "LinearParamScheduler",
    "MultiStepMomentum",
    "MultiStepParamScheduler",
    "OneCycleParamScheduler",
    "PolyMomentum",
    "PolyParamScheduler",
    "QuadraticWarmupMomentum",
    "QuadraticWarmupParamScheduler",
    "ReduceOnPlateauMomentum",
    "ReduceOnPlateauParamScheduler",
    "StepMomentum",
    "StepMomentumUpdater",
    "StepParamScheduler",
    "WarmupMomentum",
]


P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class _Named:
    """The scheduler of the hyperparameter ``param_name``: "lr", "momentum", "weight_decay", ..."""

    param: str = ""
    param_name: str

    def __post_init__(self) -> None:
        if not self.param:
            object.__setattr__(self, "param", self.param_name)
        parent: Any = super()
        parent.__post_init__()


def _momentum(base: type[P]) -> type[P]:
    """A scheduler of the learning rate as one of the momentum, by mmengine's name of it."""
    return _twin(base, "Momentum", (base,), (("param", str, field(default="momentum")),), "the momentum")


def _named(base: type[P]) -> type[P]:
    """A scheduler of the learning rate as one of any hyperparameter, by mmengine's name of it."""
    return _twin(base, "ParamScheduler", (_Named, base), (), "the hyperparameter ``param_name``")


def _twin(
    base: type[P], word: str, bases: tuple[type, ...], fields: Iterable[tuple[str, type, Any]], of: str
) -> type[P]:
    space = {"__doc__": f"`{base.__name__}` of {of}.", "__module__": __name__}
    name = base.__name__.removesuffix("LR") + word
    made = make_dataclass(name, fields, bases=bases, namespace=space, frozen=True, kw_only=True)
    return cast("type[P]", made)


ConstantMomentum = _momentum(ConstantLR)
LinearMomentum = _momentum(LinearLR)
StepMomentum = _momentum(StepLR)
MultiStepMomentum = _momentum(MultiStepLR)
ExponentialMomentum = _momentum(ExponentialLR)
CosineAnnealingMomentum = _momentum(CosineAnnealingLR)
PolyMomentum = _momentum(PolyLR)
QuadraticWarmupMomentum = _momentum(QuadraticWarmupLR)
CosineRestartMomentum = _momentum(CosineRestartLR)
ReduceOnPlateauMomentum = _momentum(ReduceOnPlateauLR)

ConstantParamScheduler = _named(ConstantLR)
LinearParamScheduler = _named(LinearLR)
StepParamScheduler = _named(StepLR)
MultiStepParamScheduler = _named(MultiStepLR)
ExponentialParamScheduler = _named(ExponentialLR)
CosineAnnealingParamScheduler = _named(CosineAnnealingLR)
PolyParamScheduler = _named(PolyLR)
QuadraticWarmupParamScheduler = _named(QuadraticWarmupLR)
OneCycleParamScheduler = _named(OneCycleLR)
CosineRestartParamScheduler = _named(CosineRestartLR)
ReduceOnPlateauParamScheduler = _named(ReduceOnPlateauLR)


@dataclass(frozen=True, kw_only=True)
class WarmupMomentum(WarmupLR):
    """mmcv's warm-up of the momentum: the factor of `WarmupLR` divides it."""

    param: str = "momentum"
    warmup_ratio: float = 0.9

    def weight(self, t: int) -> float:
        return 1 / self.factor(t)


@dataclass(frozen=True, kw_only=True)
class _Low:
    """The lowest value under mmcv's names for the momentum."""

    param: str = "momentum"
    min_momentum: float | None = None
    min_momentum_ratio: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "min_lr", self.min_momentum)
        if hasattr(self, "min_lr_ratio"):
            object.__setattr__(self, "min_lr_ratio", self.min_momentum_ratio)
        parent: Any = super()
        parent.__post_init__()


@dataclass(frozen=True, kw_only=True)
class StepMomentumUpdater(_Low, StepLrUpdater):
    """`StepLrUpdater` of the momentum."""

    gamma: float = 0.5


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingMomentumUpdater(_Low, CosineAnnealingLrUpdater):
    """`CosineAnnealingLrUpdater` of the momentum."""


@dataclass(frozen=True, kw_only=True)
class LinearAnnealingMomentumUpdater(_Low, LinearAnnealingLrUpdater):
    """`LinearAnnealingLrUpdater` of the momentum."""

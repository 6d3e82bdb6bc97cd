"""The schedulers of each kind under mmengine's and mmcv's further names: of the momentum, and of any hyperparameter."""

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, kw_only=True)
class ConstantMomentum(ConstantLR):
    """`ConstantLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class LinearMomentum(LinearLR):
    """`LinearLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class StepMomentum(StepLR):
    """`StepLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class MultiStepMomentum(MultiStepLR):
    """`MultiStepLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class ExponentialMomentum(ExponentialLR):
    """`ExponentialLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingMomentum(CosineAnnealingLR):
    """`CosineAnnealingLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class PolyMomentum(PolyLR):
    """`PolyLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class QuadraticWarmupMomentum(QuadraticWarmupLR):
    """`QuadraticWarmupLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class CosineRestartMomentum(CosineRestartLR):
    """`CosineRestartLR` of the momentum."""

    param: str = "momentum"


@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateauMomentum(ReduceOnPlateauLR):
    """`ReduceOnPlateauLR` of the momentum."""

    param: str = "momentum"


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


@dataclass(frozen=True, kw_only=True)
class ConstantParamScheduler(_Named, ConstantLR):
    """`ConstantLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class LinearParamScheduler(_Named, LinearLR):
    """`LinearLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class StepParamScheduler(_Named, StepLR):
    """`StepLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class MultiStepParamScheduler(_Named, MultiStepLR):
    """`MultiStepLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class ExponentialParamScheduler(_Named, ExponentialLR):
    """`ExponentialLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class CosineAnnealingParamScheduler(_Named, CosineAnnealingLR):
    """`CosineAnnealingLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class PolyParamScheduler(_Named, PolyLR):
    """`PolyLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class QuadraticWarmupParamScheduler(_Named, QuadraticWarmupLR):
    """`QuadraticWarmupLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class OneCycleParamScheduler(_Named, OneCycleLR):
    """`OneCycleLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class CosineRestartParamScheduler(_Named, CosineRestartLR):
    """`CosineRestartLR` of the hyperparameter ``param_name``."""


@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateauParamScheduler(_Named, ReduceOnPlateauLR):
    """`ReduceOnPlateauLR` of the hyperparameter ``param_name``."""


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

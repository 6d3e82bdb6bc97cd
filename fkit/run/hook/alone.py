"""Hooks of OpenMMLab's for what a run does by itself, or, being one process, has no need of."""

from dataclasses import dataclass
from typing import ClassVar

from fkit.run.hook.hook import Hook

__all__ = ["SetEpochInfoHook", "SyncBuffersHook", "SyncNormHook"]


@dataclass(frozen=True)
class SetEpochInfoHook(Hook):
    """mmdet's name for telling the model which epoch it is. A run tells a model that asks without it
    (`fkit.training.inventory.asks_epoch`). Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "NORMAL"


@dataclass(frozen=True)
class SyncBuffersHook(Hook):
    """OpenMMLab's name for buffers averaged over all processes before validation. A run's processes hold the same buffers after
    each step, those of the first. Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "NORMAL"


@dataclass(frozen=True)
class SyncNormHook(Hook):
    """mmdet's and mmpose's name for batch statistics averaged over all processes before validation; see `SyncBuffersHook`.
    Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "NORMAL"

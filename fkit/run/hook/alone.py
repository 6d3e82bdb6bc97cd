"""Hooks of OpenMMLab's that average over the processes of a run: one process has nothing to average."""

from dataclasses import dataclass
from typing import ClassVar

from fkit.run.hook.hook import Hook

__all__ = ["SyncBuffersHook", "SyncNormHook"]


@dataclass(frozen=True)
class SyncBuffersHook(Hook):
    """OpenMMLab's name for buffers averaged over all processes before validation. A run is one process (``launcher`` is an
    error otherwise), whose buffers are the average. Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "NORMAL"


@dataclass(frozen=True)
class SyncNormHook(Hook):
    """mmdet's and mmpose's name for batch statistics averaged over all processes before validation; see `SyncBuffersHook`.
    Accepted, and has no handlers."""

    priority: ClassVar[str | int] = "NORMAL"

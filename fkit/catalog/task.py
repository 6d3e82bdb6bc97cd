"""Rows of the built-in registry: priors, coders, assigners, samplers, losses and what else detectors are configured with."""

from typing import Any, Final

__all__ = ["TASK"]

_OVERLAP: Final[tuple[Any, ...]] = ()

_TASK: Final[tuple[Any, ...]] = ()

_LOSS: Final[tuple[Any, ...]] = ()

_REGION: Final[tuple[Any, ...]] = ()

TASK = (*_OVERLAP, *_TASK, *_LOSS, *_REGION)

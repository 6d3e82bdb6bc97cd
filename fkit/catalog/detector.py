"""Rows of the built-in registry: heads and detectors."""

from typing import Any, Final

__all__ = ["DETECTOR"]

_DENSE: Final[tuple[Any, ...]] = ()

_REGION: Final[tuple[Any, ...]] = ()

DETECTOR = (*_DENSE, *_REGION)

"""Rows of the built-in registry: layers, necks and backbones."""

from typing import Any, Final

__all__ = ["VISION"]

_NECKS: Final[tuple[Any, ...]] = ()

_BACKBONES: Final[tuple[Any, ...]] = ()

VISION = (*_NECKS, *_BACKBONES)

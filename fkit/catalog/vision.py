"""Rows of the built-in registry: layers, necks and backbones."""

from typing import Any, Final

__all__ = ["VISION"]

_NECKS: Final[tuple[Any, ...]] = ()

_BACKBONES: Final[tuple[Any, ...]] = (
    ("models", "SwinTransformer", "fkit.zoo.torch.swin:SwinTransformer", "torch", None),
    ("models", "SwinTransformer", "fkit.zoo.flax.swin:SwinTransformer", "jax", None),
)

VISION = (*_NECKS, *_BACKBONES)

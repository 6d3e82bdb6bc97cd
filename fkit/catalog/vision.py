"""Rows of the built-in registry: layers, necks and backbones."""

from typing import Any, Final

__all__ = ["VISION"]

_NECKS: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.{file}:{name}", backend, None)
    for room, backend in (("torch", "torch"), ("flax", "jax"))
    for file, names in (
        ("brick", ("ConvModule", "DepthwiseSeparableConvModule")),
        ("fpn", ("FPN", "PAFPN")),
    )
    for name in names
)

_BACKBONES: Final[tuple[Any, ...]] = (
    ("models", "SwinTransformer", "fkit.zoo.torch.swin:SwinTransformer", "torch", None),
    ("models", "SwinTransformer", "fkit.zoo.flax.swin:SwinTransformer", "jax", None),
)

VISION = (*_NECKS, *_BACKBONES)

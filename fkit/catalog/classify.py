"""Rows of the built-in registry: classifiers, their heads and losses, and backbones that began with them."""

from typing import Any, Final

__all__ = ["CLASSIFY"]

# folder and file -> (name, its maker's name, the scope) of both zoos
_TWINS: Final[tuple[tuple[str, tuple[tuple[str, str, str | None], ...]], ...]] = (
    (
        "backbone.mobile_v2",
        (
            ("MobileNetV2", "MobileNetV2", None),
            ("MobileNetV2", "DetMobileNetV2", "mmdet"),
            ("MobileNetV2", "SegMobileNetV2", "mmseg"),
        ),
    ),
)

CLASSIFY: Final[tuple[Any, ...]] = tuple(
    ("models", name, f"fkit.zoo.{room}.{file}:{target}", backend, scope)
    for file, rows in _TWINS
    for name, target, scope in rows
    for backend, room in (("torch", "torch"), ("jax", "flax"))
)

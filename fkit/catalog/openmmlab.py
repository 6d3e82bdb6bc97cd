"""mmcv's and mmdet 2.x's builders by their names: thin functions over a registry, which is an argument here."""

from collections.abc import Mapping
from typing import Any

from fkit.catalog.build import build
from fkit.catalog.registry import Registry
from fkit.tree.error import FkitValueError

__all__ = [
    "build_backbone",
    "build_detector",
    "build_from_cfg",
    "build_head",
    "build_loss",
    "build_neck",
    "build_posenet",
    "build_roi_extractor",
    "build_segmentor",
    "build_shared_head",
]


def build_from_cfg(
    cfg: Any, registry: Registry, kind: str, default_args: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """`fkit.build` with mmcv's argument names; ``options`` are its ``backend``, ``scope`` and ``path``.

    Example:
        >>> reg = Registry().register("hooks", dict, name="Hook")
        >>> build_from_cfg({"type": "Hook"}, reg, "hooks", default_args={"interval": 2})
        {'interval': 2}
    """
    return build(cfg, registry, kind, defaults=default_args, **options)


def build_backbone(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a backbone: a model; ``options`` are `fkit.build`'s ``backend``, ``defaults``, ``scope`` and ``path``.

    Example:
        >>> build_backbone({"type": "Net", "depth": 50}, Registry().register("backbones", dict, name="Net"))
        {'depth': 50}
    """
    return build(cfg, registry, "models", **options)


def build_neck(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a neck: a model, as `build_backbone` does.

    Example:
        >>> build_neck({"type": "FPN"}, Registry().register("necks", dict, name="FPN"))
        {}
    """
    return build(cfg, registry, "models", **options)


def build_roi_extractor(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a RoI extractor: a model, as `build_backbone` does.

    Example:
        >>> build_roi_extractor({"type": "Roi"}, Registry().register("roi_extractors", dict, name="Roi"))
        {}
    """
    return build(cfg, registry, "models", **options)


def build_shared_head(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a shared head: a model, as `build_backbone` does.

    Example:
        >>> build_shared_head({"type": "ResLayer"}, Registry().register("shared_heads", dict, name="ResLayer"))
        {}
    """
    return build(cfg, registry, "models", **options)


def build_head(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a head: a model, as `build_backbone` does.

    Example:
        >>> build_head({"type": "Head", "classes": 3}, Registry().register("heads", dict, name="Head"))
        {'classes': 3}
    """
    return build(cfg, registry, "models", **options)


def build_loss(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a loss: a model, as `build_backbone` does.

    Example:
        >>> build_loss({"type": "L1Loss"}, Registry().register("losses", dict, name="L1Loss"))
        {}
    """
    return build(cfg, registry, "models", **options)


def build_detector(
    cfg: Any,
    registry: Registry,
    train_cfg: Mapping[str, Any] | None = None,
    test_cfg: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Build a detector, with the settings that mmdet 2.x's oldest configs kept outside ``model``.

    Args:
        cfg: the model's config.
        registry: where names are looked up.
        train_cfg: settings of training, for a config that does not hold them itself.
        test_cfg: settings of testing, likewise.
        options: `fkit.build`'s ``backend``, ``scope`` and ``path``.

    Raises:
        FkitValueError: settings are given here and in ``cfg`` too.

    Example:
        >>> reg = Registry().register("detectors", dict, name="Detector")
        >>> build_detector({"type": "Detector"}, reg, test_cfg={"score_thr": 0.05})
        {'train_cfg': None, 'test_cfg': {'score_thr': 0.05}}
    """
    outside = {"train_cfg": train_cfg, "test_cfg": test_cfg}
    for key, value in outside.items():
        if value is not None and isinstance(cfg, Mapping) and cfg.get(key) is not None:  # pyright: ignore
            raise FkitValueError(f"{key} is given both inside the model's config and outside it.", repair="Keep one.")
    return build(cfg, registry, "models", defaults=outside, **options)


def build_segmentor(cfg: Any, registry: Registry, **settings: Any) -> Any:
    """Build a segmentor: mmseg's name for what `build_detector` does.

    Example:
        >>> build_segmentor({"type": "Net"}, Registry().register("segmentors", dict, name="Net"))
        {'train_cfg': None, 'test_cfg': None}
    """
    return build_detector(cfg, registry, **settings)


def build_posenet(cfg: Any, registry: Registry, **options: Any) -> Any:
    """Build a pose network: a model, as `build_backbone` does.

    Example:
        >>> build_posenet({"type": "TopDown"}, Registry().register("posenets", dict, name="TopDown"))
        {}
    """
    return build(cfg, registry, "models", **options)

"""Parts of pose estimators: built in MMPose's scope where the config is in none."""

from collections.abc import Sequence
from typing import Any, cast

from fkit.catalog.build import Builder

__all__ = ["part"]

_SCOPE = "mmpose"


def part(build: Builder, kind: str, cfg: Any, **defaults: Any) -> Any:
    """What a config node of a pose estimator describes.

    Names that several packages have (``ResNet``, ``HRNet``) mean MMPose's where the config has no default scope, so that a
    model's table builds by itself.

    Args:
        build: what a maker is given.
        kind: "models", "codecs".
        cfg: a mapping with ``type``; an object that is built already comes back as it is; None is None; of a list each, as a
            tuple.
        defaults: arguments for keys that ``cfg`` lacks.

    Raises:
        FkitError: as `fkit.build`.
    """
    if isinstance(cfg, (list, tuple)):
        return tuple(part(build, kind, one, **defaults) for one in cast("Sequence[Any]", cfg))
    if cfg is None or not hasattr(cfg, "keys"):
        return cfg
    scoped = getattr(build, "scoped", False)
    return build(kind, cfg, **defaults) if scoped else build(kind, cfg, **{"_scope_": _SCOPE, **defaults})

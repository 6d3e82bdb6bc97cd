"""The registry that the kit ships: rows of (kind, name, "module:attribute", backend, scope), imported when built."""

from collections.abc import Iterator

from fkit.registry.entry import Entry, Lazy
from fkit.registry.registry import Registry

__all__ = ["registry"]

# backend None: any; scope None: the root, which every OpenMMLab scope falls back to.
# A package's own part of a name (mmpretrain's ResNet has other defaults than mmdet's) gets a row with its scope.
_MODELS_TORCH = (
    ("models", "Sequential", "torch.nn:Sequential", "torch", None),
)  # fmt: skip

_MODELS_JAX = (
)  # fmt: skip

_HOOKS = (
)  # fmt: skip

_DATA = (
)  # fmt: skip

_METRICS = (
)  # fmt: skip

_FILES = (
)  # fmt: skip

_ROWS: tuple[tuple[str, str, str, str | None, str | None], ...] = (
    *_MODELS_TORCH, *_MODELS_JAX, *_HOOKS, *_DATA, *_METRICS, *_FILES,
)  # fmt: skip

# OpenMMLab's packages are scopes below the root, open: `mmdet.ResNet` is the kit's ResNet, from mmdet too. So is torch:
# new-style configs import their optimizers from it (`torch.optim.SGD`)
_SCOPES = (
    "mmaction", "mmagic", "mmcls", "mmcv", "mmdet", "mmdet3d", "mmedit", "mmengine", "mmocr", "mmpose", "mmpretrain",
    "mmrazor", "mmrotate", "mmseg", "mmselfsup", "mmtrack", "mmyolo", "torch",
)  # fmt: skip


def registry() -> Registry:
    """The built-in registry: a fresh value, made of lazy entries; nothing is imported until it is built.

    Example:
        >>> reg = registry()
        >>> "models" in reg.kinds, "mmdet" in reg.children
        (True, True)
    """
    reg = Registry()
    for scope in _SCOPES:
        reg = reg.child(scope, open=True)
    return reg.add(_entries(reg.scope))


def _entries(root: str) -> Iterator[Entry]:
    for kind, name, target, backend, scope in _ROWS:
        yield Entry(kind, name, root if scope is None else scope, backend, Lazy(target))

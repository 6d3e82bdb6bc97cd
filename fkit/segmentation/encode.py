"""What the encoding head computes beside its layers."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict

from fkit.array.ops import Ops

__all__ = ["SE_LOSS", "code_norm", "present"]

SE_LOSS = frozendict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=0.2)


def code_norm(norm_cfg: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The norm of code words, which are (N, K, C): of one axis.

    Example:
        >>> code_norm({"type": "BN"})["type"], code_norm({"type": "SyncBN"})["type"]
        ('BN1d', 'SyncBN')
    """
    if norm_cfg is None:
        return frozendict(type="BN1d")
    kind = str(norm_cfg["type"])
    return frozendict({**norm_cfg, "type": f"{kind}1d" if kind in ("BN", "IN") else kind.replace("2d", "1d")})


def present(xp: Ops, labels: Any, count: int) -> Any:
    """(N, count) whole numbers: 1 of the classes that are among the labels (N, H, W).

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> present(Numpy(), np.array([[[2, 255]]]), 3).tolist()
        [[0, 0, 1]]
    """
    flat = labels.reshape(labels.shape[0], -1)
    return xp.lib.stack([xp.cast((flat == at).any(1), "int64") for at in range(count)], 1)

"""Attention of tokens that drawings spell out, for it has other projections than torch's."""

from typing import Any

from fkit.backbone.drawing.net import Net

__all__ = ["attended", "heads_of"]


def heads_of(net: Net, x: Any, heads: int) -> Any:
    """Tokens (N, L, C) by heads, (N, heads, L, C / heads)."""
    return net.turned(x.reshape(x.shape[0], x.shape[1], heads, -1), 0, 2, 1, 3)


def attended(net: Net, name: str, query: Any, key: Any, value: Any, rate: float) -> Any:
    """Values by how like keys are to queries, (N, heads, L, C / heads) each; (N, L, C).

    Args:
        name, rate: of the dropout of the attention.
    """
    scores = net.softmax(query @ net.turned(key, 0, 1, 3, 2) * query.shape[-1] ** -0.5)
    shape = scores.shape
    scores = net.dropout(name, scores.reshape(shape[0], -1, shape[-1]), rate)  # counted sample by sample
    y = net.turned(scores.reshape(shape) @ value, 0, 2, 1, 3)
    return y.reshape(y.shape[0], y.shape[1], -1)

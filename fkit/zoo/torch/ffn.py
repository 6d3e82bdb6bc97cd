"""The feed-forward network of a transformer's block, with OpenMMLab's arguments and names."""

from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.drop import Dropout, DropPath
from fkit.tree.error import FkitValueError

__all__ = ["FFN", "activation"]

_GELU = frozendict(type="GELU")


def activation(cfg: Any) -> nn.Module:
    """The activation of an ``act_cfg``.

    Raises:
        FkitValueError: its type is unknown.
    """
    options = dict(cfg)
    kind = str(options.pop("type", "ReLU"))
    kinds = {"GELU": nn.GELU, "ReLU": nn.ReLU, "SiLU": nn.SiLU, "Swish": nn.SiLU}
    if kind not in kinds:
        raise FkitValueError(f"act_cfg.type={kind!r} is not supported.", value=kind, choices=kinds, label="Activations")
    return kinds[kind]()


class FFN(nn.Module):
    """Two linear layers with an activation between, ``layers.0.0`` and ``layers.1``, added to what came in.

    Args:
        embed_dims, feedforward_channels: widths outside and inside.
        ffn_drop: dropout after each linear layer.
        drop_path: stochastic depth of the branch.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        ffn_drop: float = 0.0,
        drop_path: float = 0.0,
        act_cfg: Any = _GELU,
        add_identity: bool = True,
    ) -> None:
        super().__init__()
        self.add_identity = add_identity
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(embed_dims, feedforward_channels), activation(act_cfg), Dropout(ffn_drop)),
            nn.Linear(feedforward_channels, embed_dims),
            Dropout(ffn_drop),
        )
        self.dropout_layer = DropPath(drop_path)

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        y: Tensor = self.dropout_layer(self.layers(x))
        return y + (x if identity is None else identity) if self.add_identity else y

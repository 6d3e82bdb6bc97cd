"""The feed-forward network of a transformer's block, with OpenMMLab's arguments and names."""

from typing import Any

from frozendict import frozendict
from torch import Tensor, nn

from fkit.backend.torch.activation import act_layer
from fkit.backend.torch.drop import Dropout, drop_layer
from fkit.tree.error import FkitValueError
from fkit.zoo.torch.plugin import LayerScale

__all__ = ["FFN"]

_RELU = frozendict(type="ReLU")


class FFN(nn.Module):
    """Linear layers with an activation between, ``layers.0.0`` to ``layers.1``, added to what came in: (..., C) to the same.

    Args:
        embed_dims, feedforward_channels: widths outside and inside.
        num_fcs: how many linear layers, at least 2.
        ffn_drop: dropout after each linear layer.
        dropout_layer: config of the dropout of the branch, "Dropout" or "DropPath"; None is none.
        add_identity: whether the input is added.
        layer_scale_init_value: above 0, the branch has a learnt factor a channel, ``gamma2.weight``, that begins with it.

    Example:
        >>> FFN(4, 8).layers[0][0].weight.shape
        torch.Size([8, 4])
    """

    def __init__(
        self,
        embed_dims: int = 256,
        feedforward_channels: int = 1024,
        num_fcs: int = 2,
        act_cfg: Any = _RELU,
        ffn_drop: float = 0.0,
        dropout_layer: Any = None,
        add_identity: bool = True,
        init_cfg: Any = None,
        layer_scale_init_value: float = 0.0,
    ) -> None:
        super().__init__()
        if num_fcs < 2:
            raise FkitValueError(f"FFN: num_fcs={num_fcs}: at least 2.")
        self.init_cfg = init_cfg
        self.embed_dims = embed_dims
        self.add_identity = add_identity
        hidden = [
            nn.Sequential(
                nn.Linear(feedforward_channels if i else embed_dims, feedforward_channels), act_layer(act_cfg),
                Dropout(ffn_drop),
            )
            for i in range(num_fcs - 1)
        ]  # fmt: skip
        self.layers = nn.Sequential(*hidden, nn.Linear(feedforward_channels, embed_dims), Dropout(ffn_drop))
        self.dropout_layer = drop_layer(dropout_layer)
        scaled = layer_scale_init_value > 0
        self.gamma2 = LayerScale(embed_dims, scale=layer_scale_init_value) if scaled else nn.Identity()

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        y: Tensor = self.dropout_layer(self.gamma2(self.layers(x)))
        return y + (x if identity is None else identity) if self.add_identity else y

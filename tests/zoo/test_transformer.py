"""Transformer layers by config: how they start, older arguments, masks, errors; their numbers are in golden/test_transformer.py."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fkit
from fkit.array.ops import Numpy
from fkit.array.position import sine
from fkit.backend.torch.template import inventory_of
from fkit.training.initialise import initial
from fkit.tree.error import FkitError
from fkit.zoo.flax import cnn as flax_cnn
from fkit.zoo.torch import cnn

_ATTENTION: dict[str, Any] = {"type": "MultiheadAttention", "embed_dims": 8, "num_heads": 2}
_ORDER = ("self_attn", "norm", "ffn", "norm")
_LAYER: dict[str, Any] = {
    "type": "BaseTransformerLayer",
    "attn_cfgs": _ATTENTION,
    "ffn_cfgs": {},
    "operation_order": _ORDER,
}


def test_where_attention_starts() -> None:
    made = cnn.MultiheadAttention(64, 4)
    start = initial(inventory_of(made, "float32"), lambda seed: {}, 0)
    bound = (6 / (4 * 64)) ** 0.5
    assert bound * 0.95 < abs(start["params/attn.in_proj_weight"]).max() <= bound
    assert 0.11 < abs(start["params/attn.out_proj.weight"]).max() <= 1 / 8
    assert not start["params/attn.in_proj_bias"].any() and not start["params/attn.out_proj.bias"].any()
    learned = initial(inventory_of(cnn.LearnedPositionalEncoding(8), "float32"), lambda seed: {}, 0)
    assert learned["params/row_embed.weight"].min() >= 0 and 0.9 < learned["params/row_embed.weight"].max() <= 1


def test_builders_and_older_arguments() -> None:
    layer = cnn.build_transformer_layer({**_LAYER, "feedforward_channels": 12, "ffn_num_fcs": 3})
    twin = flax_cnn.build_transformer_layer({**_LAYER, "feedforward_channels": 12, "ffn_num_fcs": 3})
    assert [tuple(one.shape) for one in layer.ffns[0].parameters()][::2] == [(12, 8), (12, 12), (8, 12)]
    assert (twin.ffns[0].feedforward_channels, twin.ffns[0].num_fcs, twin.embed_dims) == (12, 3, 8)
    attention = cnn.build_attention({**_ATTENTION, "dropout": 0.25})
    assert (attention.attn.dropout.rate, attention.proj_drop.rate, attention.dropout_layer.rate) == (0.25, 0.0, 0.25)
    assert cnn.build_feedforward_network({"type": "FFN"}, {"embed_dims": 8}).embed_dims == 8
    assert cnn.build_positional_encoding({"type": "SinePositionalEncoding", "num_feats": 4}).num_feats == 4
    both = cnn.build_transformer_layer_sequence(
        {"type": "TransformerLayerSequence", "transformerlayers": _LAYER, "num_layers": 2}
    )
    assert len(both.layers) == 2 and both.embed_dims == 8 and not both.pre_norm


def test_padding_changes_nothing() -> None:
    x = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    layer = cnn.build_transformer_layer({**_LAYER, "batch_first": True}).eval()
    padding = torch.tensor([[False] * 4 + [True] * 2] * 2)
    with torch.no_grad():
        alone, padded = layer(x[:, :4]), layer(x, query_key_padding_mask=padding)[:, :4]
    torch.testing.assert_close(padded, alone, rtol=1e-5, atol=1e-6)


def test_positions_of_a_mask() -> None:
    mask = np.array([[[False, False, True], [True, True, True]]])
    found = sine(Numpy(), mask, "float64", 2, normalize=True, scale=1.0, eps=1e-12)
    np.testing.assert_allclose(found[0, 0, :, 2], np.sin([0.5, 1.0, 1.0]))  # columns: halves of two that are real
    positions = cnn.SinePositionalEncoding(4)
    torch.testing.assert_close(positions(None, torch.zeros(1, 3, 2, 3)), positions(torch.zeros(1, 2, 3)))
    twin = flax_cnn.SinePositionalEncoding(4).apply({}, None, jnp.zeros((1, 2, 3, 3)))
    np.testing.assert_allclose(np.moveaxis(np.asarray(twin), -1, 1), positions(torch.zeros(1, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("cfg", "text"),
    [
        ({**_ATTENTION, "num_heads": 3}, "no multiple of 3 heads"),
        ({**_ATTENTION, "dropout_layer": {"type": "Drop"}}, "type='Drop' is unknown"),
        ({"type": "FFN", "num_fcs": 1}, "num_fcs=1: at least 2"),
        ({"type": "FFN", "act_cfg": {"type": "GLU"}}, "Did you mean 'GELU'"),
        ({**_LAYER, "operation_order": ("self_atn", "norm")}, "Did you mean 'self_attn'"),
        ({**_LAYER, "operation_order": None}, "operation_order=None"),
        ({**_LAYER, "operation_order": ("norm",)}, "no attention"),
        ({**_LAYER, "attn_cfgs": [_ATTENTION] * 2}, "2 configs for 1 parts"),
        ({**_LAYER, "attn_cfgs": 3}, "attn_cfgs=3"),
        ({**_LAYER, "attn_cfgs": {**_ATTENTION, "batch_first": True}}, "batch_first=True, where the layer has False"),
        ({**_LAYER, "ffn_cfgs": {"embed_dims": 9}}, "embed_dims=9, where the layer has 8"),
    ],
)  # fmt: skip
def test_errors(backend: str, cfg: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        fkit.build(cfg, fkit.registry(), "models", backend=backend)


def test_arrays_that_do_not_fit() -> None:
    attention, x = cnn.build_attention(_ATTENTION), torch.zeros(5, 1, 8)
    with pytest.raises(FkitError, match="attn_mask has the shape"):
        attention(x, attn_mask=torch.zeros(3, 5, 5))
    with pytest.raises(FkitError, match="key_padding_mask has the shape"):
        attention(x, key_padding_mask=torch.zeros(5))
    with pytest.raises(FkitError, match="2 masks for 1 attentions"):
        cnn.build_transformer_layer(_LAYER)(x, attn_masks=[None, None])
    with pytest.raises(FkitError, match="maps of 3 x 2, but there are 2 rows"):
        cnn.LearnedPositionalEncoding(4, 2, 2)(torch.zeros(1, 3, 2))
    with pytest.raises(FkitError, match="mask and input are both None"):
        cnn.SinePositionalEncoding(4)(None)
    with pytest.raises(FkitError, match="maps of 3 x 2, but there are 2 rows"):
        flax_cnn.LearnedPositionalEncoding(4, 2, 2).init(jax.random.key(0), jnp.zeros((1, 3, 2)))

"""The one rule between torch's names and layouts and flax's, checked against the layers themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st

from fkit.backend.jax import layers
from fkit.backend.jax.naming import flax_path, kind_of, leaf_of, to_flax, to_torch, torch_path

_WORD = st.sampled_from(["backbone", "layer1", "conv", "bn2", "in_proj", "fc_", "stage_1", "relu2_1_1", "x1y"])
_NAME = st.lists(_WORD | st.integers(0, 12).map(str), max_size=6).map(lambda tokens: [*["head"], *tokens])


@given(_NAME)
def test_a_torch_path_comes_back(tokens):
    assert torch_path(flax_path(".".join(tokens))) == ".".join(tokens)


def test_integers_join_the_token_before_them():
    assert flax_path("layer1.0.downsample.1") == ("layer1_0", "downsample_1")
    assert flax_path("stages.0.1.conv") == ("stages_0_1", "conv")
    assert flax_path("") == () and torch_path(()) == ""


@given(st.sampled_from(["conv", "linear", "conv_transpose", "conv_transpose_swapped", "same"]), st.data())
def test_layouts_come_back(layout, data):
    rank = 2 if layout == "linear" else data.draw(st.integers(3, 5))
    array = np.random.default_rng(0).normal(size=data.draw(st.tuples(*[st.integers(1, 4)] * rank)))
    assert np.array_equal(to_torch(to_flax(array, layout), layout), array)


def _last(x):
    return np.moveaxis(x, 1, -1)


def _apply(flax_layer, torch_layer, x):
    """The flax layer with the torch layer's weights, by the rule."""
    kind = kind_of(flax_layer)
    shapes = jax.eval_shape(flax_layer.init, jax.random.key(0), x)
    state = {name: value.detach().numpy() for name, value in torch_layer.state_dict().items()}
    variables = {
        collection: {
            name: jnp.asarray(
                to_flax(state[leaf_of(kind, collection, name).name], leaf_of(kind, collection, name).layout)
            )
            for name in tree
        }
        for collection, tree in shapes.items()
    }
    for collection, tree in shapes.items():
        for name, shape in tree.items():
            assert variables[collection][name].shape == shape.shape
    return np.asarray(flax_layer.apply(variables, x))


_PAD = ((1, 1), (1, 1))
# a torch transposed convolution of padding p, kernel k, output padding o is one of (k - 1 - p, k - 1 - p + o)
_LAYERS = [
    (nn.Conv(6, (3, 3), padding=_PAD), torch.nn.Conv2d(4, 6, 3, padding=1)),
    (nn.Conv(6, (3, 2), strides=2, padding=_PAD), torch.nn.Conv2d(4, 6, (3, 2), stride=2, padding=1)),
    (nn.Conv(8, (3, 3), feature_group_count=2, padding="VALID"), torch.nn.Conv2d(4, 8, 3, groups=2)),
    (layers.Conv2d(6, (3, 3), padding=2, kernel_dilation=2), torch.nn.Conv2d(4, 6, 3, padding=2, dilation=2)),
    (nn.ConvTranspose(6, (3, 3), (2, 2), padding=((1, 2), (1, 2))),
     torch.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)),
    (nn.ConvTranspose(6, (3, 3), (2, 2), padding=((1, 2), (1, 2)), transpose_kernel=True),
     torch.nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)),
    (nn.GroupNorm(2, epsilon=1e-5), torch.nn.GroupNorm(2, 4)),
    (layers.GroupNorm(2), torch.nn.GroupNorm(2, 4)),
    (nn.BatchNorm(use_running_average=True, epsilon=1e-5), torch.nn.BatchNorm2d(4).eval()),
    (layers.BatchNorm(), torch.nn.BatchNorm2d(4).eval()),
]  # fmt: skip


@pytest.mark.parametrize(("flax_layer", "torch_layer"), _LAYERS, ids=lambda one: type(one).__name__)
def test_layers_on_images_give_what_torch_gives(flax_layer, torch_layer):
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for value in torch_layer.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.from_numpy(rng.uniform(0.5, 1.5, value.shape)))
    x = rng.normal(size=(2, 4, 8, 6)).astype(np.float32)
    want = _last(torch_layer(torch.from_numpy(x)).detach().numpy())
    np.testing.assert_allclose(_apply(flax_layer, torch_layer, _last(x)), want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("flax_layer", "torch_layer"),
    [
        (nn.Dense(5), torch.nn.Linear(3, 5)),
        (layers.Linear(5), torch.nn.Linear(3, 5)),
        (nn.LayerNorm(epsilon=1e-5), torch.nn.LayerNorm(3)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_layers_on_rows_give_what_torch_gives(flax_layer, torch_layer):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    want = torch_layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(_apply(flax_layer, torch_layer, x), want, rtol=1e-5, atol=1e-6)


def test_embeddings_keep_their_layout():
    layer, tokens = torch.nn.Embedding(7, 3), np.array([[0, 6], [2, 2]])
    want = layer(torch.from_numpy(tokens)).detach().numpy()
    assert np.array_equal(_apply(nn.Embed(7, 3), layer, tokens.astype(np.int32)), want)

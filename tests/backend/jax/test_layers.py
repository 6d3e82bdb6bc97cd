"""Layers against torch's, in float64 where bits of the last place count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fkit.array.ops import Numpy
from fkit.array.random import keep, key
from fkit.backend.jax import layers
from fkit.backend.jax.ops import JaxOps
from fkit.tree.error import FkitTypeError, FkitValueError


def _images(shape=(4, 3, 5, 7), shift=0.0):
    return np.random.default_rng(0).normal(size=shape) + shift


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_batch_norm_trains_as_torchs_does(momentum, shift):
    reference = torch.nn.BatchNorm2d(3, momentum=momentum).double().train()
    layer = layers.BatchNorm(momentum=momentum)
    with jax.enable_x64(True):
        x = jnp.asarray(np.moveaxis(_images(), 1, -1))
        variables = jax.tree.map(lambda a: a.astype(jnp.float64), layer.init(jax.random.key(0), x))
        for step in range(3):
            images = _images(shift=shift) * (step + 1)
            want = reference(torch.from_numpy(images)).detach().numpy()
            y, changed = layer.apply(variables, np.moveaxis(images, 1, -1), True, mutable=["batch_stats"])
            variables = {**variables, **changed}
            np.testing.assert_allclose(np.moveaxis(np.asarray(y), -1, 1), want, rtol=1e-9, atol=1e-9)
        kept = variables["batch_stats"]
        np.testing.assert_allclose(kept["mean"], reference.running_mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(kept["var"], reference.running_var.numpy(), rtol=1e-12)
        assert int(kept["num_batches_tracked"]) == 3
        want = reference.eval()(torch.from_numpy(_images())).detach().numpy()
        got = np.moveaxis(np.asarray(layer.apply(variables, x)), -1, 1)
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_batch_norm_without_running_statistics_always_takes_the_batchs():
    layer = layers.BatchNorm(track_running_stats=False, affine=False)
    x = np.moveaxis(_images(), 1, -1).astype(np.float32)
    assert not layer.init(jax.random.key(0), x)
    want = torch.nn.BatchNorm2d(3, track_running_stats=False, affine=False)(torch.from_numpy(np.moveaxis(x, -1, 1)))
    np.testing.assert_allclose(np.moveaxis(np.asarray(layer.apply({}, x)), -1, 1), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "stride", "padding"), [(2, None, 0), (3, 2, 1)])
@pytest.mark.parametrize("edge", [7, 8])
def test_max_pool_is_torchs_on_even_and_odd_edges(size, stride, padding, edge):
    x = np.maximum(_images((2, 3, edge, edge)), 0).astype(np.float32)
    want = F.max_pool2d(torch.from_numpy(x), size, stride, padding).numpy()
    got = layers.max_pool(jnp.asarray(np.moveaxis(x, 1, -1)), size, stride, padding)
    assert np.array_equal(np.moveaxis(np.asarray(got), -1, 1), want)


def test_max_pool_sends_the_gradient_of_a_tie_where_torch_does():
    x = np.maximum(_images((2, 3, 8, 8)) - 1.0, 0).astype(np.float32)  # most windows are all zeros
    weight = np.random.default_rng(1).normal(size=(2, 3, 4, 4)).astype(np.float32)
    leaf = torch.from_numpy(x).requires_grad_()
    (F.max_pool2d(leaf, 3, 2, 1) * torch.from_numpy(weight)).sum().backward()
    last = np.moveaxis(weight, 1, -1)
    grad = jax.grad(lambda y: (layers.max_pool(y, 3, 2, 1) * last).sum())(jnp.asarray(np.moveaxis(x, 1, -1)))
    np.testing.assert_allclose(np.moveaxis(np.asarray(grad), -1, 1), leaf.grad.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("edge", [7, 8])
def test_avg_pool_counts_only_what_is_inside(edge):
    x = _images((2, 3, edge, edge)).astype(np.float32)
    want = F.avg_pool2d(torch.from_numpy(x), 2, 2, ceil_mode=True, count_include_pad=False).numpy()
    got = layers.avg_pool(jnp.asarray(np.moveaxis(x, 1, -1)), 2)
    np.testing.assert_allclose(np.moveaxis(np.asarray(got), -1, 1), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (3, 20), (2, 5, 8)])
def test_dropout_draws_the_runs_bits_in_torchs_order(shape):
    """Images are given channels last and counted channels first; anything else is counted as it is."""
    words = key(0, "a layer")
    x = np.ones(shape, np.float32)
    kept = keep(Numpy(), Numpy().words(0, shape), words, 0.3)
    given = np.moveaxis(x, 1, -1) if len(shape) == 4 else x
    variables = {"random": {"key": jnp.array(words, jnp.uint32)}}
    got = np.asarray(layers.Dropout(0.3).apply(variables, given, True))
    got = np.moveaxis(got, -1, 1) if len(shape) == 4 else got
    np.testing.assert_allclose(got, kept / np.float32(0.7), rtol=1e-6)
    assert np.array_equal(layers.Dropout(0.3).apply({}, given, False), given)


def test_dropout_without_the_runs_bits_takes_flaxs_generator():
    x = np.ones((4, 1000), np.float32)
    layer = layers.Dropout(0.25)
    one, two = (np.asarray(layer.apply({}, x, True, rngs={"dropout": jax.random.key(i)})) for i in (0, 1))
    assert abs((one == 0).mean() - 0.25) < 0.03 and not np.array_equal(one, two)


def test_words_wrap_as_uint32():
    xp = JaxOps()
    assert xp.words(0xFFFFFFFF, (2,)).tolist() == [0xFFFFFFFF, 0]
    assert int(xp.mul(xp.word(0xDEADBEEF), xp.word(0x846CA68B))) == 0xDEADBEEF * 0x846CA68B % 2**32


def test_bad_arguments_are_told():
    with pytest.raises(FkitValueError, match=r"Did you mean 'SyncBN'"):
        layers.norm_layer({"type": "SyncBn"})
    with pytest.raises(FkitTypeError, match="GN needs 'num_groups'"):
        layers.norm_layer({"type": "GN"})
    with pytest.raises(FkitTypeError, match="BN takes no argument 'momentun'"):
        layers.norm_layer({"type": "BN", "momentun": 0.1})
    with pytest.raises(FkitValueError, match="DCNv2"):
        layers.conv_layer({"type": "DCNv2"})
    with pytest.raises(FkitValueError, match=r"\[0, 1\)"):
        layers.Dropout(1.0)

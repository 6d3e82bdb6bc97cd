"""Layers against torch's, in float64 where bits of the last place count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional as F

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


@pytest.mark.parametrize("shape", [(6, 64, 1), (6, 8, 5, 7), (4, 3, 2, 5, 6)])
@pytest.mark.parametrize("shift", [0.0, 30.0, 1000.0])
def test_batch_norm_in_float32_loses_no_precision_where_the_mean_is_large(shape, shift):
    """One pass over the data, and as near to the truth as two would come; the gradient too."""
    x = (np.random.default_rng(0).normal(size=shape) + shift).astype(np.float32)
    weight = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    layer = layers.BatchNorm(affine=False, track_running_stats=False)

    def both(x):
        return jax.value_and_grad(lambda x: (layer.apply({}, x, True) * weight).sum())(x)

    def truth(x):
        leaf = torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float64)).requires_grad_()
        loss = (F.batch_norm(leaf, None, None, training=True) * torch.from_numpy(np.moveaxis(weight, -1, 1))).sum()
        loss.backward()
        return loss.item(), np.moveaxis(leaf.grad.numpy(), 1, -1)

    (loss, grad), (want, wanted) = both(x), truth(x)
    scale = np.abs(weight).sum()
    assert abs(float(loss) - want) < 2e-6 * scale * max(1.0, shift / 30)
    np.testing.assert_allclose(grad, wanted, atol=2e-5 * max(1.0, shift / 30))


def test_batch_norm_of_what_is_constant_is_finite():
    layer = layers.BatchNorm(affine=False, track_running_stats=False)
    x = jnp.full((4, 3, 3, 2), 1e4 / 3)
    y, grad = jax.value_and_grad(lambda x: layer.apply({}, x, True).sum())(x)
    assert float(y) == 0.0 and np.isfinite(grad).all()


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
    with pytest.raises(FkitValueError, match="DCNv9"):
        layers.conv_layer({"type": "DCNv9"})

"""Random layers: the run's bits, by the key, the number of the call and the sample's place."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from fkit.array.ops import Host, Numpy
from fkit.array.random import call_key, host_fold, keep_elements, keep_samples, key, tag
from fkit.array.room import open as open_room
from fkit.backend.jax import drop
from fkit.backend.jax.layers import Linear
from fkit.structures import Batch
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.tree.error import FkitTypeError, FkitValueError


def _kept(kind, of, shape, rate, call):
    """The mask of a call by the shared arithmetic, on numpy, in torch's layout."""
    words = call_key(Host(), of, call)
    if kind is drop.Dropout:
        return keep_elements(Numpy(), words, rate, shape)
    return np.broadcast_to(keep_samples(Numpy(), words, rate, shape[0]).reshape(-1, *(1,) * (len(shape) - 1)), shape)


class _Twice(nn.Module):
    """A block whose one random layer is called twice, as a shared head or a weight-tied block does."""

    kind: type
    rate: float = 0.3

    def setup(self):
        self.drop = self.kind(self.rate)

    def __call__(self, x, train=True):
        return self.drop(x, train), self.drop(x, train)


class _Outer(nn.Module):
    kind: type
    recompute: bool = False

    @nn.compact
    def __call__(self, x):
        block = (nn.remat(_Twice, static_argnums=(2,)) if self.recompute else _Twice)(self.kind, name="block")
        return (*block(x, True), *block(x, True))


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (3, 20), (2, 5, 8), (2, 3, 2, 4, 5)])
@pytest.mark.parametrize("kind", [drop.Dropout, drop.DropPath])
@pytest.mark.parametrize("recompute", [False, True])
def test_random_layers_draw_the_runs_bits_in_torchs_order_anew_at_each_call(shape, kind, recompute):
    """Images are given channels last and counted channels first; recomputing in the backward pass draws the same."""
    words = key(0, "a layer")
    x = np.ones(shape, np.float32)
    turned = len(shape) > 3
    variables = {"random": {"block": {"drop": {"key": jnp.array(words, jnp.uint32)}}}}
    model = _Outer(kind, recompute)
    given_ = np.moveaxis(x, 1, -1) if turned else x
    outputs, back = jax.vjp(lambda x: model.apply(variables, x), given_)
    masks = [_kept(kind, words, shape, 0.3, call) for call in range(4)]
    for got, mask in zip(outputs, masks, strict=True):
        got = np.moveaxis(np.asarray(got), -1, 1) if turned else np.asarray(got)
        np.testing.assert_allclose(got, mask / np.float32(0.7), rtol=1e-6)
    (grad,) = back(outputs)
    grad = np.moveaxis(np.asarray(grad), -1, 1) if turned else np.asarray(grad)
    np.testing.assert_allclose(grad, sum(mask / np.float32(0.7) ** 2 for mask in masks), rtol=1e-5)
    assert np.array_equal(kind(0.3).apply({}, given_, False), given_)


@pytest.mark.parametrize("kind", [drop.Dropout, drop.DropPath])
def test_the_scale_of_what_is_kept_is_not_rounded_in_bfloat16(kind):
    """1 / 0.9 in bfloat16 is 1.109375: a bias of 0.16 % in every activation. The product alone is rounded."""
    x = np.random.default_rng(0).normal(size=(64, 50)).astype(jnp.bfloat16)
    variables = {"random": {"key": jnp.array(key(0, "a"), jnp.uint32)}}
    got = np.asarray(kind(0.1).apply(variables, x, True))
    kept = _kept(kind, key(0, "a"), x.shape, 0.1, 0)
    want = (x.astype(np.float32) * np.float32(1 / 0.9)).astype(jnp.bfloat16)
    assert got.dtype == jnp.bfloat16 and np.array_equal(got[kept], want[kept]) and not got[~kept].any()


@pytest.mark.parametrize("kind", [drop.Dropout, drop.DropPath])
def test_random_layers_without_the_runs_bits_take_flaxs_generator(kind):
    x = np.ones((4000, 1), np.float32)
    layer = kind(0.25)
    one, two = (np.asarray(layer.apply({}, x, True, rngs={"dropout": jax.random.key(i)})) for i in (0, 1))
    assert abs((one == 0).mean() - 0.25) < 0.03 and not np.array_equal(one, two)


_SHARDED = """
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from fkit.backend.jax import drop
mesh = jax.make_mesh((2,), ("d",))
variables = {"random": {"key": np.array([3, 5], np.uint32)}}
x = np.ones((8, 4, 5, 6), np.float32)
for kind in (drop.Dropout, drop.DropPath):
    whole = jax.jit(lambda x: kind(0.4).apply(variables, x, True))(x)
    over = jax.jit(lambda x: kind(0.4).apply(variables, x, True))(
        jax.device_put(x, NamedSharding(mesh, PartitionSpec("d"))))
    assert len(over.sharding.device_set) == 2 and np.array_equal(whole, over), kind
    halves = np.split(np.asarray(over), 2)
    assert not np.array_equal(*halves), kind
"""


def test_devices_that_share_a_batch_draw_by_the_samples_place_in_the_whole():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _SHARDED], env={**os.environ, **flags}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_bad_rates_are_told():
    for kind, what in ((drop.Dropout, "dropout"), (drop.DropPath, "stochastic depth")):
        with pytest.raises(FkitValueError, match=rf"a {what} rate lies in \[0, 1\), found 1"):
            kind(1.0)
        with pytest.raises(FkitTypeError, match=f"a {what} rate"):
            kind("0.5")


class _Masks(nn.Module):
    """Its losses are sums over masks, with weights that tell every element from every other."""

    def setup(self):
        self.fc = Linear(1, use_bias=False)
        self.drop, self.deep = drop.Dropout(0.4), drop.DropPath(0.3)

    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        y = self.fc(inputs)
        if mode == "tensor":
            return self.deep(self.drop(y, train), train)
        ones = jnp.ones_like(inputs)
        weights = 2.0 ** -jnp.arange(inputs.size).reshape(inputs.shape)
        seen = {f"drop{i}": (self.drop(ones, train) * weights).sum() for i in range(2)}
        seen |= {f"deep{i}": (self.deep(ones, train) * weights).sum() for i in range(2)}
        return {"loss": y.mean(), **seen}


def test_a_program_gives_each_step_phase_layer_and_call_a_mask_of_its_own():
    """The protocol, by numpy: fold(fold(fold(state.key, step), phase), tag(path)), and the number of the call."""
    optimizers = {"main": Optimizer.of("SGD", {"lr": 0.1})}
    phases = (Phase(name="one"), Phase(name="two"))
    shape = (4, 6)
    spec = Spec(
        lambda backend: _Masks(), optimizers, phases, "float64", "cpu", example=lambda: np.zeros(shape, np.float32)
    )
    program = open_room("jax").program(spec)
    state = program.init(3)
    words = tuple(int(word) for word in state.key)
    weights = 2.0 ** -np.arange(24.0).reshape(shape)
    seen = set()
    for step in range(3):
        state, logs = program.train_step(state, Batch(np.zeros(shape, np.float32)), program.hyperparams())
        for index, phase in enumerate(("one", "two")):
            for layer, kind, rate in (("drop", drop.Dropout, 0.4), ("deep", drop.DropPath, 0.3)):
                of = host_fold(host_fold(host_fold(words, step), index), tag(layer))
                for call in range(2):
                    want = (_kept(kind, of, shape, rate, call) * weights).sum() / (1 - rate)
                    assert float(logs[f"{phase}/{layer}{call}"]) == pytest.approx(want, rel=1e-12)
                    seen.add(want)
    assert len(seen) > 18  # of 24; a mask of four samples may come twice


def test_a_sampler_draws_by_the_key_of_its_call_and_the_places_of_its_images():
    words = key(0, "a sampler")
    variables = {"random": {"key": jnp.array(words, jnp.uint32)}}
    of, places = drop.Draws().apply(variables, jnp.zeros((2, 3)), True)
    assert tuple(int(word) for word in of) == call_key(Host(), words, 0)
    assert places.tolist() == [0, 1]
    off, _ = drop.Draws().apply(variables, jnp.zeros((2, 3)))
    assert [int(word) for word in off] == [0, 0]

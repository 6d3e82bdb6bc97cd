"""Weights between torch's state_dict and flax's variables: the twin gives the same numbers, and the way back the same bits."""

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as nn
from flax import nnx

import fkit
from fkit.catalog.builtin import registry
from fkit.interop import load_variables, save_variables, to_flax, to_torch

ZOO = {
    "type": "ImageClassifier",
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 8, "num_stages": 2, "strides": (1, 2),
                 "dilations": (1, 1), "out_indices": (1,)},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 5, "in_channels": 16},
}  # fmt: skip


def filled(module):
    """A torch module whose every array is drawn, statistics too."""
    generator = torch.Generator().manual_seed(0)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(
                torch.rand(value.shape, generator=generator) * (1 if "var" in name else 0.3) + 0.1 * ("var" in name)
            )
        else:
            value.fill_(7)
    return module.eval()


class Torch(torch.nn.Module):
    """One's own model."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8))
        self.up = torch.nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.embed = torch.nn.Embedding(11, 4)
        self.norm = torch.nn.LayerNorm(4, eps=1e-5)
        self.fc = torch.nn.Linear(4, 6)
        self.gain = torch.nn.Parameter(torch.ones(6))

    def forward(self, x, words):
        x = self.up(torch.relu(self.stem(x))).mean((2, 3)) + self.embed(words)
        return self.fc(self.norm(x)) * self.gain


class Flax(nn.Module):
    """The same, as flax writes it, with torch's names."""

    @nn.compact
    def __call__(self, x, words, train=False):
        x = nn.Conv(8, (3, 3), padding=1, name="stem_0")(jnp.moveaxis(x, 1, -1))
        x = nn.relu(nn.BatchNorm(not train, momentum=0.9, name="stem_1")(x))
        x = nn.ConvTranspose(4, (4, 4), (2, 2), padding=((2, 2), (2, 2)), name="up")(x).mean((1, 2))
        x = nn.LayerNorm(epsilon=1e-5, name="norm")(x + nn.Embed(11, 4, name="embed")(words))
        return nn.Dense(6, name="fc")(x) * self.param("gain", nn.initializers.ones, (6,))


def both():
    rng = np.random.default_rng(0)
    return filled(Torch()), Flax(), rng.standard_normal((2, 3, 8, 8)).astype(np.float32), np.array([3, 10], np.int32)


def test_ones_own_model_and_its_twin_give_the_same_numbers():
    theirs, ours, x, words = both()
    variables = to_flax(theirs.state_dict(), ours, x, words)
    got = ours.apply(variables, x, words)
    want = theirs(torch.tensor(x), torch.tensor(words)).detach().numpy()
    assert np.abs(np.asarray(got) - want).max() < 2e-6
    assert jax.tree.structure(variables) == jax.tree.structure(ours.init(jax.random.key(0), x, words))


def test_there_and_back_is_the_same_to_the_bit():
    theirs, ours, x, words = both()
    state = {name: value for name, value in theirs.state_dict().items() if not name.endswith("tracked")}
    back = to_torch(to_flax(state, ours, x, words), ours, x, words)
    assert int(back.pop("stem.1.num_batches_tracked")) == 0  # flax does not count
    assert set(back) == set(state) and all(torch.equal(back[name], state[name]) for name in state)
    theirs.load_state_dict({**back, "stem.1.num_batches_tracked": torch.tensor(0)})


class Nnx(nnx.Module):
    """The same once more, as nnx writes it."""

    def __init__(self, rngs):
        self.stem = nnx.List([nnx.Conv(3, 8, (3, 3), padding=1, rngs=rngs), nnx.BatchNorm(8, momentum=0.9, rngs=rngs)])
        self.up = nnx.ConvTranspose(8, 4, (4, 4), (2, 2), padding=((2, 2), (2, 2)), rngs=rngs)
        self.embed = nnx.Embed(11, 4, rngs=rngs)
        self.norm = nnx.LayerNorm(4, epsilon=1e-5, rngs=rngs)
        self.fc = nnx.Linear(4, 6, rngs=rngs)
        self.gain = nnx.Param(jnp.ones(6))

    def __call__(self, x, words):
        x = nnx.relu(self.stem[1](self.stem[0](jnp.moveaxis(x, 1, -1))))
        x = self.norm(self.up(x).mean((1, 2)) + self.embed(words))
        return self.fc(x) * self.gain


def test_a_module_of_nnx_takes_and_gives_weights():
    theirs, _, x, words = both()
    module = Nnx(nnx.Rngs(0))
    nnx.update(module, to_flax(theirs.state_dict(), module))
    module.eval()
    want = theirs(torch.tensor(x), torch.tensor(words)).detach().numpy()
    assert np.abs(np.asarray(module(x, words)) - want).max() < 2e-6
    back = to_torch(module)
    assert set(back) == set(theirs.state_dict())
    assert all(
        torch.equal(back[name], value) for name, value in theirs.state_dict().items() if not name.endswith("tracked")
    )


def test_a_model_of_the_zoo():
    theirs, ours = (registry().build("models", ZOO, backend=name) for name in ("torch", "jax"))
    filled(theirs)
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    state = theirs.state_dict()
    variables = to_flax(state, ours, x)
    got, want = ours.apply(variables, x), theirs(torch.tensor(x)).detach().numpy()
    assert np.abs(np.asarray(got) - want).max() <= 1e-5 * np.abs(want).max()
    back = to_torch(variables, ours, x)
    assert set(back) == set(state) and all(back[name].dtype == value.dtype for name, value in state.items())
    assert all(torch.equal(back[name], value) for name, value in state.items())  # the kit's layers count too
    cfg = fkit.Config({"model": ZOO, "seed": 0})
    with pytest.raises(fkit.FkitError, match="learns the model's shapes from an example"):
        to_flax(state, cfg)
    guessed = to_flax(state)  # convolutions, linear layers and norms: names and shapes say all
    assert jax.tree.all(jax.tree.map(np.array_equal, guessed, variables))
    assert all(torch.equal(array, state[name]) for name, array in to_torch(guessed).items())


def test_without_the_module_names_and_shapes_decide():
    theirs, ours, x, words = both()
    state = theirs.state_dict()
    guessed, told = to_flax(state), to_flax(state, ours, x, words)
    for layer in ("stem_0", "stem_1", "norm", "fc"):
        assert jax.tree.all(jax.tree.map(np.array_equal, guessed["params"][layer], told["params"][layer]))
    assert set(guessed["params"]["embed"]) == {"kernel"} and set(told["params"]["embed"]) == {"embedding"}
    back = to_torch(guessed)
    assert set(back) == set(state) and all(torch.equal(back[name], value) for name, value in state.items())


def test_what_does_not_fit_is_one_error():
    theirs, ours, x, words = both()
    state = theirs.state_dict()
    less = {name: value for name, value in state.items() if name != "fc.bias"}
    cases = [
        (lambda: to_flax(less, ours, x, words), r"missing \(1\): fc.bias"),
        (lambda: to_flax({**state, "more.weight": torch.ones(3)}, ours, x, words), r"unexpected \(1\): more.weight"),
        (lambda: to_flax({**state, "fc.weight": torch.ones(3, 3)}, ours, x, words), r"of another shape \(1\): fc.weight: model \(6, 4\)"),
        (lambda: to_flax(state, theirs), r"a flax.linen.Module, a flax.nnx.Module, a Config or None, not Torch"),
        (lambda: to_flax(state, ours), "Flax is no model: its __call__"),
        (lambda: to_flax(state, None, x), "inputs are there without the module"),
        (lambda: to_flax({"a": "b"}), "a: is no array, but 'b'"),
        (lambda: to_flax([1]), "`state_dict` is a mapping"),
        (lambda: to_torch({"params": {"fc": 3j}}), "params/fc: is no array"),
        (lambda: to_torch({"kernel": np.ones(3)}), "Put parameters alone under 'params'"),
        (lambda: to_torch({"params": {}}, ours, x, words), "missing: .*batch_stats/stem_1/mean"),
    ]  # fmt: skip
    for call, words_ in cases:
        with pytest.raises(fkit.FkitError, match=words_):
            call()


def test_64_bits_are_not_cut():
    with pytest.raises(fkit.FkitError, match=r"jax\.enable_x64"):
        to_flax({"fc.weight": torch.ones(2, 2, dtype=torch.float64)})
    with jax.enable_x64(True):
        variables = to_flax({"fc.weight": torch.ones(2, 2, dtype=torch.float64)})
    assert to_torch(variables)["fc.weight"].dtype == torch.float64


@pytest.mark.parametrize("end", ["safetensors", "msgpack"])
def test_files_of_variables(end, tmp_path):
    theirs, ours, x, words = both()
    variables = to_flax(theirs.state_dict(), ours, x, words)
    path = save_variables(tmp_path / f"a.{end}", flax.core.freeze(variables))
    found = load_variables(path)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, variables))
    assert np.array_equal(ours.apply(found, x, words), ours.apply(variables, x, words))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(fkit.FkitError, match=r"truncated|broken"):
        load_variables(path)
    with pytest.raises(fkit.FkitError, match="is not there"):
        load_variables(tmp_path / f"b.{end}")
    with pytest.raises(fkit.FkitError, match="is to end with"):
        save_variables(tmp_path / "a.pth", variables)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.{end}"]

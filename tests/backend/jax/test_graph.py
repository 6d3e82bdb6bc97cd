"""A user's flax.nnx module as a model: its names, its training, its statistics and masks, exact resume."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import fkit
from fkit.backend.jax.graph import graph_of
from fkit.edge.checkpoint import read_checkpoint, steps
from fkit.edge.follow import follow
from fkit.edge.perform import Edge


class Net(nnx.Module):
    """An MLP with batch normalisation and dropout."""

    def __init__(self, hidden=16, classes=10, *, rngs):
        self.layers = nnx.List([nnx.Linear(64, hidden, rngs=rngs), nnx.BatchNorm(hidden, momentum=0.9, rngs=rngs)])
        self.drop = nnx.Dropout(0.3, rngs=rngs)
        self.fc = nnx.Linear(hidden, classes, rngs=rngs)
        self.gain = nnx.Param(jnp.ones(classes))

    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        x = self.layers[1](self.layers[0](inputs.reshape(len(inputs), -1)))
        scores = self.fc(self.drop(nnx.relu(x))) * self.gain
        if mode == "loss":
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, samples.targets["gt_label"])
            return {"loss": losses.mean()}
        return {"pred_score": nnx.softmax(scores), "pred_label": scores.argmax(1)} if mode == "predict" else scores


NAMES = ["gain", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "layers.1.running_mean",
         "layers.1.running_var", "layers.1.num_batches_tracked", "fc.weight", "fc.bias"]  # fmt: skip


def registry():
    return fkit.registry().register("models", Net, backend="jax")


def config(**model):
    cfg = fkit.load_config("configs/digits/convnet.py", "train_cfg.max_epochs=2")
    return cfg.merge({"model": {"_delete_": True, "type": "Net", **model}, "backend": "jax"})


@pytest.fixture(scope="module")
def made():
    cfg = config()
    program = fkit.program(cfg, registry(), donate=False)
    batch = next(fkit.open_data(fkit.plan(cfg, registry()))["train"].batches(epoch=0, start=0))
    return program, program.init(0), batch


def held(state):
    return {name: np.asarray(array) for tree in (state.params, state.buffers) for name, array in tree.items()}


def test_names_and_layouts_are_torchs(made):
    program, _, _ = made
    entries = {entry.name: entry for entry in program.inventory.entries}
    assert sorted(entries) == sorted(NAMES)
    assert entries["layers.0.weight"].shape == (16, 64) and entries["fc.weight"].shape == (10, 16)
    assert {name for name, entry in entries.items() if entry.buffer} == {
        name for name in NAMES if "running" in name or "tracked" in name
    }
    assert entries["layers.1.weight"].kind == "norm"


def test_the_seed_decides_where_it_begins(made):
    program, state, _ = made
    again, other = held(program.init(0)), held(program.init(1))
    assert all(np.array_equal(again[name], array) for name, array in held(state).items())
    assert not np.array_equal(other["fc.weight"], again["fc.weight"])


def test_a_step_is_nnxs_own(made):
    """Against nnx by hand, without dropout: losses, gradients by SGD, statistics."""
    cfg = config().merge({"optim_wrapper": {"_delete_": True, "optimizer": {"type": "SGD", "lr": 0.1}}})

    class Still(Net):
        def __init__(self, *, rngs):
            super().__init__(rngs=rngs)
            self.drop = nnx.Dropout(0.0)

    program = fkit.program(cfg, fkit.registry().register("models", Still, name="Net", backend="jax"), donate=False)
    state, batch = program.init(0), made[2]
    module = Still(rngs=nnx.Rngs(0))
    for part, name in ((module.layers[0], "layers.0"), (module.fc, "fc")):
        part.kernel[...] = jnp.array(held(state)[f"{name}.weight"])
        part.bias[...] = jnp.array(held(state)[f"{name}.bias"])

    def loss(module):
        return module(
            jnp.asarray(batch.inputs, jnp.float32), fkit.structures.batch.Samples(batch.targets, batch.valid), "loss"
        )["loss"]

    value, grads = nnx.value_and_grad(loss)(module)
    after, logs = program.train_step(state, batch, program.hyperparams())
    assert abs(float(logs["loss"]) - float(value)) < 1e-6
    new = held(after)
    assert np.abs(new["fc.weight"] - np.asarray(module.fc.kernel[...] - 0.1 * grads["fc"]["kernel"][...])).max() < 1e-6
    assert np.abs(new["layers.1.running_mean"] - np.asarray(module.layers[1].mean[...])).max() < 1e-6
    assert int(new["layers.1.num_batches_tracked"]) == 1
    assert np.array_equal(held(state)["layers.1.running_mean"], np.zeros(16))  # what was given is as it was


def test_masks_are_of_the_run_and_of_the_step(made):
    program, state, batch = made
    loss = lambda key, train: float(program.loss(state, batch, key, train=train)[0]["loss"])  # noqa: E731
    assert loss((1, 2), True) == loss((1, 2), True) != loss((1, 3), True)
    assert loss((1, 2), False) == loss((1, 3), False)
    assert not np.allclose(program.predict(state, batch)["pred_score"], 0)


def test_a_run_trains_and_resumes_to_the_bit(tmp_path):
    keeping = {"default_hooks.checkpoint.interval": 1, "default_hooks.checkpoint.max_keep_ckpts": -1}
    plan = fkit.plan(config().merge(keeping), registry())
    whole = follow(Edge(tmp_path / "whole", plan), fkit.begin(plan, 3), fkit.open_data(plan))
    assert whole.metrics["accuracy/top1"] > 0.5
    last, first = steps(tmp_path / "whole/checkpoints")
    saved = read_checkpoint(tmp_path / "whole/checkpoints" / f"step_{first:08d}").saved
    resumed = follow(Edge(tmp_path / "rest", plan), fkit.restore(plan, saved), fkit.open_data(plan))
    one, other = held(whole.train), held(resumed.train)
    assert resumed.iteration == whole.iteration == last and all(
        np.array_equal(one[name], other[name]) for name in NAMES
    )


def test_float64_and_a_module_that_is_made_already():
    cfg = config().merge({"dtype": "float64"})
    program = fkit.program(cfg, registry(), donate=False)
    assert held(program.init(0))["fc.weight"].dtype == np.float64
    module = Net(rngs=nnx.Rngs(5))
    values = graph_of(module).init({})["params"]
    assert np.array_equal(values["fc"]["kernel"], module.fc.kernel[...])


def test_what_is_no_model_is_refused():
    class Bare(nnx.Module):
        def __init__(self, *, rngs):
            self.fc = nnx.Linear(2, 2, rngs=rngs)

        def __call__(self, x):
            return self.fc(x)

    class Broken(nnx.Module):
        def __init__(self, *, rngs):
            self.fc = nnx.Linear(2, "x", rngs=rngs)

    for cls, words in ((Bare, r"Bare is no model: its __call__\(x\)"), (Broken, "rngs")):
        reg = fkit.registry().register("models", cls, name="Net", backend="jax")
        with pytest.raises(fkit.FkitError, match=words):
            fkit.program(config(), reg)

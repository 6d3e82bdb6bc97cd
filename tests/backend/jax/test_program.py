"""The JAX program as pure functions over explicit state."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from fkit.array.room import open as open_room
from fkit.backend.jax.drop import Dropout
from fkit.backend.jax.layers import BatchNorm, Conv2d, Linear
from fkit.structures import Batch, InstanceData
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Phase, Spec
from fkit.tree.error import FkitError, FkitKeyError, FkitRuntimeError, FkitTypeError, FkitValueError

_SHAPE = (6, 2, 8, 8)


class Net(nn.Module):
    """A user's own model, of the kit's layers and of flax's."""

    frozen: bool = False
    rate: float = 0.3

    @nn.compact
    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        x = jnp.moveaxis(inputs, 1, -1)
        x = Conv2d(4, (3, 3), padding=1, use_bias=False, trainable=not self.frozen, name="conv1")(x)
        x = BatchNorm(trainable=not self.frozen, name="bn1")(x, train and not self.frozen)
        x = Dropout(self.rate, name="drop")(nn.relu(x), train).mean((1, 2))
        logits = nn.Dense(3, name="fc")(x)
        if mode == "tensor":
            return logits
        if mode == "predict":
            return {"pred_score": nn.softmax(logits)}
        gold = samples.targets["gt_label"]
        loss = -jnp.take_along_axis(nn.log_softmax(logits), gold[:, None], 1)
        return {"loss_cls": loss, "loss_size": [jnp.square(logits).mean() * 0.01, 0.0], "accuracy": jnp.ones(())}


def _program(model=None, optimizer=("SGD", {"lr": 0.1, "momentum": 0.9}), groups=(), **options):
    options = {"example": lambda: np.zeros(_SHAPE, np.float32), **options}
    mains = {"main": Optimizer.of(*optimizer, groups)}
    return open_room("jax").program(Spec(lambda backend: model or Net(), options.pop("optimizers", mains), **options))


@pytest.fixture(scope="module")
def donating():
    return _program()


@pytest.fixture(scope="module")
def pure():
    return _program(donate=False)


def _batch(seed=0, **targets):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=_SHAPE).astype(np.float32)
    return Batch(images, {"gt_label": rng.integers(0, 3, _SHAPE[0]), **targets})


def _run(program, steps, state=None, **numbers):
    state = program.init(0) if state is None else state
    hyperparams, losses = {**program.hyperparams(), **numbers}, []
    for step in range(steps):
        state, logs = program.train_step(state, _batch(step), hyperparams)
        losses.append(float(logs["loss"]))
    return state, losses


def _same(one, two):
    assert list(one) == list(two)
    for path in one:
        assert one[path].dtype == two[path].dtype and np.array_equal(one[path], two[path]), path


# ------------------------------------------------------------------------------------------------------------- purity


def test_without_donation_a_step_leaves_its_input_as_it_was(pure):
    state = pure.init(0)
    before = pure.collect(state)
    once, logs = pure.train_step(state, _batch(), pure.hyperparams())
    again, other = pure.train_step(state, _batch(), pure.hyperparams())
    _same(pure.collect(state), before)
    _same(pure.collect(once), pure.collect(again))
    assert float(logs["loss"]) == float(other["loss"])
    assert not np.array_equal(once.params["conv1.weight"], state.params["conv1.weight"])


def test_with_donation_a_consumed_state_says_so(donating):
    state = donating.init(0)
    held = state.params["conv1.weight"]
    following, _ = donating.train_step(state, _batch(), donating.hyperparams())
    assert state.consumed and held.is_deleted() and int(following.iteration) == 1
    with pytest.raises(FkitRuntimeError, match="consumed by train_step"):
        donating.predict(state, _batch())
    with pytest.raises(FkitRuntimeError, match="donate=False"):
        donating.train_step(state, _batch(), donating.hyperparams())


def test_arrays_of_the_host_are_copied_both_ways(donating):
    given = donating.collect(donating.init(0))
    kept = {path: array.copy() for path, array in given.items()}
    state = donating.restore(given)
    taken = donating.collect(state)
    _run(donating, 3, state)
    _same(given, kept)
    _same(taken, kept)


def test_donation_changes_no_number(donating, pure):
    one, first = _run(donating, 4)
    two, second = _run(pure, 4)
    assert first == second
    _same(donating.collect(one), pure.collect(two))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_seeds_under_vmap_are_two_runs(dtype):
    program = _program(optimizer=("AdamW", {"lr": 0.01}), donate=False, dtype=dtype)
    rates = (0.01, 0.03)

    def stack(*trees):
        return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *trees)

    with jax.enable_x64(dtype == "float64"):
        states = stack(program.init(1), program.init(2))
        hyperparams = stack(*({**program.hyperparams(), "lr": np.array([rate])} for rate in rates))
        both = jax.vmap(program.train_step)
        losses = []
        for step in range(5):
            states, logs = both(states, stack(_batch(step), _batch(step + 50)), hyperparams)
            losses.append(np.asarray(logs["loss"]))
        states = jax.tree.map(np.asarray, states)
    for index, seed in enumerate((1, 2)):
        state = program.init(seed)
        for step in range(5):
            numbers = {**program.hyperparams(), "lr": np.array([rates[index]])}
            state, logs = program.train_step(state, _batch(step + 50 * index), numbers)
            assert losses[step][index] == pytest.approx(float(logs["loss"]), rel=1e-5)
        for name, value in state.params.items():
            np.testing.assert_allclose(states.params[name][index], value, rtol=1e-5, atol=1e-6)
        assert int(states.iteration[index]) == 5


def test_hyperparams_that_do_not_fit_are_told(donating):
    with pytest.raises(FkitKeyError, match="hyperparams lack 'momentum'"):
        donating.train_step(donating.init(0), _batch(), {"lr": np.zeros(1), "weight_decay": np.zeros(1)})
    with pytest.raises(FkitValueError, match="one number a parameter group"):
        _run(donating, 1, lr=np.zeros(2))


# -------------------------------------------------------------------------------------------------------------- state


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [
        (("SGD", {"lr": 0.1}), "bfloat16"),
        (("Adam", {"lr": 0.1, "amsgrad": True}), "float64"),
        (("optax.adafactor", {"lr": 0.1}), "float32"),
    ],
)
def test_a_state_goes_to_arrays_and_back_exactly(optimizer, dtype):
    program = _program(optimizer=optimizer, dtype=dtype)
    state, _ = _run(program, 2)
    arrays = program.collect(state)
    _same(program.collect(program.restore(arrays)), arrays)
    rest, losses = _run(program, 2, state)
    again, same = _run(program, 2, program.restore(arrays))
    assert losses == same
    _same(program.collect(rest), program.collect(again))


def test_slots_in_torchs_layout_come_back_in_flaxs(donating):
    state = donating.init(0)
    ema = {"conv1.weight": state.params["conv1.weight"], "decay": jnp.float32(0.9)}
    state = state.replace(slots={"ema": ema})
    arrays = donating.collect(state)
    assert arrays["slots/ema/conv1.weight"].shape == (4, 2, 3, 3)
    back = donating.restore(arrays)
    assert back.slots["ema"]["conv1.weight"].shape == (3, 3, 2, 4)
    following, _ = donating.train_step(back, _batch(), donating.hyperparams())
    assert np.array_equal(following.slots["ema"]["conv1.weight"], ema["conv1.weight"])


def test_the_inventory_is_torchs():
    entries = {entry.name: entry for entry in _program(dtype="float64").inventory.entries}
    assert list(entries) == [
        "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked",
        "fc.weight", "fc.bias",
    ]  # fmt: skip
    assert entries["conv1.weight"].shape == (4, 2, 3, 3) and entries["fc.weight"].shape == (3, 4)
    assert entries["conv1.weight"].layer == "Conv2d" and entries["fc.weight"].layer == ""
    assert entries["bn1.num_batches_tracked"].dtype == "int64" and entries["fc.bias"].dtype == "float64"
    assert [name for name, entry in entries.items() if entry.buffer] == list(entries)[3:6]


def test_flaxs_own_layers_keep_flaxs_initial_values_decided_by_the_seed(pure):
    one, two, other = (pure.init(seed).params["fc.weight"] for seed in (0, 0, 1))
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    wide = _program(dtype="float64").init(0).params["fc.weight"]
    assert wide.dtype == np.float64 and np.array_equal(np.asarray(wide, np.float32), one)
    spread = np.concatenate([np.asarray(pure.init(seed).params["fc.weight"]).ravel() for seed in range(100)])
    assert np.std(spread) == pytest.approx(0.5, rel=0.1)  # lecun_normal, fan_in 4


def test_optimizer_state_of_another_optimizer_is_refused(donating):
    arrays = donating.collect(_run(donating, 1)[0])
    with pytest.raises(FkitValueError, match=r"missing \(15\): main/step/.*\n  unknown \(5\): main/mom"):
        _program(optimizer=("Adam", {"lr": 0.1})).restore(arrays)


# ----------------------------------------------------------------------------------------------------- loss and step


def test_losses_are_reduced_and_summed(pure):
    state = pure.init(0)
    losses, buffers = pure.loss(state, _batch(), (1, 2))
    assert set(losses) == {"loss_cls", "loss_size", "accuracy", "loss"}
    assert float(losses["loss"]) == pytest.approx(float(losses["loss_cls"]) + float(losses["loss_size"]))
    assert all(np.array_equal(buffers[name], state.buffers[name]) for name in buffers)
    trained, moved = pure.loss(state, _batch(), (1, 2), train=True)
    other, _ = pure.loss(state, _batch(), (1, 3), train=True)
    assert float(trained["loss"]) not in (float(losses["loss"]), float(other["loss"]))
    assert int(moved["bn1.num_batches_tracked"]) == 1
    key = np.array([1, 2], np.uint32)
    assert float(pure.loss(state, _batch(), key, train=True)[0]["loss"]) == float(trained["loss"])


def test_logs_are_lazy_and_fetched_in_one_go(donating):
    _, logs = donating.train_step(donating.init(0), _batch(), donating.hyperparams())
    assert all(isinstance(value, jax.Array) and value.shape == () for value in logs.values())
    assert open_room("jax").fetch([logs["loss"], logs["accuracy"]]) == [float(logs["loss"]), 1.0]


def test_bytes_and_floats_enter_alike(pure):
    state = pure.init(0)
    images = np.random.default_rng(0).integers(0, 256, _SHAPE).astype(np.uint8)
    scores = [pure.predict(state, Batch(images.astype(kind)))["pred_score"] for kind in (np.uint8, np.float32)]
    assert np.array_equal(*scores)


def test_bfloat16_computes_low_and_keeps_parameters_high(donating):
    program = _program(dtype="bfloat16", donate=False)
    state, low = _run(program, 5)
    assert {str(value.dtype) for value in state.params.values()} == {"float32"}
    assert program.predict(state, _batch())["pred_score"].dtype == jnp.bfloat16
    high = _run(donating, 5)[1]
    assert low != high
    np.testing.assert_allclose(low, high, rtol=0.05)


def test_frozen_parameters_get_neither_gradient_nor_update():
    program = _program(Net(frozen=True))
    start = program.collect(program.init(0))
    state, _ = _run(program, 3)
    end = program.collect(state)
    moved = {
        path for path in end if path.startswith(("params", "buffers")) and not np.array_equal(end[path], start[path])
    }
    assert moved == {"params/fc.weight", "params/fc.bias"}
    assert sorted(state.opt["main"]["momentum_buffer"]) == ["fc.bias", "fc.weight"]


def test_masks_of_the_backend_are_others(donating):
    program = _program(masks="backend")
    one, two = _run(donating, 2)[1], _run(program, 2)[1]
    assert one[0] != two[0] and two == _run(program, 2)[1]
    losses = [float(each.loss(each.init(0), _batch(), (1, 2))[0]["loss"]) for each in (donating, program)]
    assert losses[0] == losses[1]  # without dropout they are one


def test_phases_follow_one_another_each_with_its_optimizer():
    optimizers = {"body": Optimizer.of("SGD", {"lr": 0.1}), "head": Optimizer.of("Adam", {"lr": 0.01})}
    phases = (Phase("loss_cls", "body", "^(conv|bn)"), Phase("loss_size", "head", "^fc", every=2))
    program = _program(optimizers=optimizers, phases=phases, donate=False)
    assert set(program.hyperparams()) == {
        "body.lr", "body.momentum", "body.weight_decay", "head.lr", "head.beta1", "head.beta2", "head.eps",
        "head.weight_decay",
    }  # fmt: skip
    state = program.init(0)
    for step in range(4):
        following, logs = program.train_step(state, _batch(step), program.hyperparams())
        same = np.array_equal(following.params["fc.weight"], state.params["fc.weight"])
        assert same == (step % 2 == 1)
        assert float(logs["body/loss"]) == float(logs["body/loss_cls"])
        assert ("head/loss" in logs) == (step % 2 == 0)
        assert not np.array_equal(following.params["conv1.weight"], state.params["conv1.weight"])
        state = following
    assert int(state.opt["head"]["step"]["fc.weight"]) == 2 and int(state.updates) == int(state.iteration) == 4

    def stack(*leaves):
        return np.stack([np.asarray(leaf) for leaf in leaves])

    # under vmap the iteration is not known on the host: the device decides
    states, batches = jax.tree.map(stack, state, following), jax.tree.map(stack, _batch(4), _batch(4))
    hyperparams = jax.tree.map(lambda row: np.stack([row, row]), dict(program.hyperparams()))
    moved, logs = jax.vmap(program.train_step)(states, batches, hyperparams)
    alone, found = program.train_step(state, _batch(4), program.hyperparams())
    np.testing.assert_allclose(moved.params["fc.weight"][0], alone.params["fc.weight"], rtol=1e-5, atol=1e-7)
    assert float(logs["head/loss"][1]) == pytest.approx(float(found["head/loss"]), rel=1e-5)


def test_structures_in_targets_enter_the_step():
    class Counted(Net):
        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            x = Linear(1, name="fc")(inputs.reshape(inputs.shape[0], -1))
            return x if mode == "tensor" else {"loss": (x.sum() - samples.targets["boxes"].bboxes.sum()) ** 2}

    program = _program(Counted(), optimizer=("SGD", {"lr": 1e-4}))
    batch = _batch(boxes=InstanceData(bboxes=np.ones((3, 4), np.float32), metainfo={"img": "a"}))
    _, logs = program.train_step(program.init(0), batch, program.hyperparams())
    losses, _ = program.loss(program.init(0), batch, (0, 0))
    assert float(logs["loss"]) == pytest.approx(float(losses["loss"])) and float(losses["loss"]) > 1


def test_batch_norm_of_flax_counts_its_batches():
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="bn")(jnp.moveaxis(inputs, 1, -1))
            return x if mode == "tensor" else {"loss": jnp.square(x - 1).mean()}

    program = _program(Plain())
    names = [entry.name for entry in program.inventory.entries]
    assert names == ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked"]
    state, _ = _run(program, 3)
    assert int(state.buffers["bn.num_batches_tracked"]) == 3
    assert not np.array_equal(state.buffers["bn.running_mean"], np.zeros(2))


def test_a_buffer_keeps_its_shape():
    class Growing(nn.Module):
        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            mean = self.variable("batch_stats", "mean", lambda: jnp.zeros(3))
            if train:
                mean.value = jnp.zeros(4)
            return {"loss": Linear(1, name="fc")(inputs.reshape(inputs.shape[0], -1)).sum()}

    with pytest.raises(FkitValueError, match=r"buffer 'mean' has shape \(3,\); the model assigns one of shape \(4,\)"):
        _run(_program(Growing()), 1)


def test_a_module_may_bring_its_own_example():
    class Tokens(nn.Module):
        def example_inputs(self):
            return {"ids": np.zeros((1, 5), np.int64)}

        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            assert isinstance(inputs, Mapping) and jnp.issubdtype(inputs["ids"].dtype, jnp.integer)
            x = nn.Embed(7, 4, name="embed")(inputs["ids"]).mean(1)
            return x if mode == "tensor" else {"loss": jnp.square(x).sum()}

    program = _program(Tokens(), example=None)
    batch = Batch({"ids": np.array([[1, 2, 3, 4, 6]])})
    state, logs = program.train_step(program.init(0), batch, program.hyperparams())
    assert program.collect(state)["params/embed.weight"].shape == (7, 4) and float(logs["loss"]) > 0


# ------------------------------------------------------------------------------------------------------------- errors


def test_what_the_user_may_get_wrong():
    with pytest.raises(FkitValueError, match=r"has no inputs to trace.*\n.*example_inputs"):
        _program(example=None)
    with pytest.raises(FkitTypeError, match="a model on backend 'jax' is a flax"):
        _program(object())
    with pytest.raises(FkitValueError, match="device = 'cuda:99' is not there for JAX"):
        _program(device="cuda:99")
    with pytest.raises(FkitValueError, match="dtype = 'float61' is unknown"):
        _program(dtype="float61")
    with pytest.raises(FkitKeyError, match="asks for optimizer 'disc'"):
        _program(phases=(Phase(optimizer="disc"),))
    with pytest.raises(FkitValueError, match="has no trainable parameter"):
        _program(phases=(Phase(params="^neck"),))
    with pytest.raises(FkitValueError, match="different parameters in two phases"):
        _program(phases=(Phase(params="^fc", name="a"), Phase(params="^conv", name="b")))
    with pytest.raises(FkitKeyError, match="a phase asks for loss 'loss_x'"):
        _run(_program(phases=(Phase("loss_x"),)), 1)
    with pytest.raises(FkitKeyError, match="'Rprop' has no twin"):
        _program(optimizer=("Rprop", {"lr": 0.1}))


def test_a_model_without_a_loss_is_told():
    class Silent(nn.Module):
        result: str = "score"

        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            x = Linear(1, name="fc")(inputs.reshape(inputs.shape[0], -1))
            return {self.result: x.sum()} if mode == "loss" and self.result else x

    with pytest.raises(FkitValueError, match='no key that contains "loss"'):
        _run(_program(Silent()), 1)
    with pytest.raises(FkitTypeError, match="returns a mapping of losses"):
        _run(_program(Silent("")), 1)


def test_two_arrays_of_one_name_are_refused():
    class Inner(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2, name="1")(x)

    class Double(nn.Module):
        @nn.compact
        def __call__(self, inputs, samples=None, mode="tensor", train=False):
            x = inputs.reshape(inputs.shape[0], -1)
            return nn.Dense(2, name="fc_1")(x) + Inner(name="fc")(x)

    with pytest.raises(FkitError, match=r"come to the name 'fc\.1\."):
        _program(Double())


def test_the_room_tells_its_environment():
    rows = open_room("jax").environment()
    assert rows["JAX"] == jax.__version__ and jax.default_backend() in rows["JAX devices"]


def test_outputs_come_to_the_host_in_one_go_whatever_holds_them():
    boxes = InstanceData(scores=jnp.ones(2, jnp.bfloat16), metainfo={"path": "a"})
    outputs = {"score": jnp.arange(3.0), "pair": (jnp.ones(()), [boxes]), "none": None}
    got = open_room("jax").host(outputs)
    assert type(got["score"]) is np.ndarray and got["score"].tolist() == [0.0, 1.0, 2.0] and got["none"] is None
    (one,) = got["pair"][1]
    assert isinstance(one, InstanceData) and one.path == "a"
    assert type(one.scores) is np.ndarray and one.scores.dtype == np.float32

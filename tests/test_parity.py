"""torch and JAX, from the same config, seed and data: the same curves.

In float64 the losses agree to 1e-9. In float32 training is chaotic: a change of one ulp in the initial weights grows
as fast as the difference between the backends does, so there the JAX curve is held against how far torch runs part.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.run.effect import WriteScalars
from fkit.structures.batch import Batch, Samples
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec

_CONVNET = Path(__file__).parents[1] / "configs" / "digits" / "convnet.py"
_STEPS = 200


def _config(**changes):
    logger = {"default_hooks": {"logger": {"type": "LoggerHook", "interval": 1}}}
    return fkit.load_config(str(_CONVNET), trust=False).merge({**logger, **changes})


def _trained(config, backend, steps):
    """The losses of a run's first steps, as its hooks log them."""
    plan = fkit.plan(config, fkit.registry(), backend=backend)
    found = []
    for run, effects in fkit.train(plan, fkit.begin(plan, 7), fkit.open_data(plan), iter(())):
        found += [row.scalars["loss"] for row in effects if isinstance(row, WriteScalars) and row.mode == "train"]
        if run.iteration >= steps:
            return np.array(found)
    raise AssertionError("the run ended early")


def _program(model, optimizer, backend, shape, dtype="float64", **options):
    registry = fkit.registry()
    spec = Spec(
        lambda name: fkit.build(fkit.Config(model), registry, "models", backend=name),
        {"main": Optimizer.of(*optimizer)},
        dtype=dtype,
        example=lambda: np.zeros((1, *shape), np.float32),
        device="cpu",
        **options,
    )
    return open_room(backend).program(spec)


def _batch(step, shape, count):
    """Blobs whose brightness tells their class, so that there is something to learn."""
    rng = np.random.default_rng(step)
    labels = rng.integers(0, 10, count)
    images = rng.normal(size=(count, *shape)) + labels[:, None, None, None] / 5 - 0.9
    return Batch(images.astype(np.float32), {"gt_label": labels})


def _curve(program, state, steps, shape, count):
    losses, hyperparams = [], program.hyperparams()
    for step in steps:
        state, logs = program.train_step(state, _batch(step, shape, count), hyperparams)
        losses.append(logs["loss"])
    return np.array([float(loss) for loss in losses]), state


def _model(backbone, width, neck=True):
    return {
        "type": "ImageClassifier",
        "backbone": backbone,
        "neck": {"type": "GlobalAveragePooling"} if neck else None,
        "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": width},
    }


# ------------------------------------------------------------------------------------------------------------ float64


def test_the_shipped_convnet_trains_alike():
    """Batch norm, dropout, augmentation, warm-up and AdamW as configs/digits/convnet.py has them."""
    one, two = (_trained(_config(dtype="float64"), backend, _STEPS) for backend in ("torch", "jax"))
    assert len(one) == _STEPS and one[-1] < one[0] / 3
    np.testing.assert_allclose(two, one, rtol=1e-9)


def test_resnet18_trains_alike():
    shape, count = (3, 32, 32), 8
    model = _model({"type": "ResNet", "depth": 18, "out_indices": (3,)}, 512)
    optimizer = ("SGD", {"lr": 0.02, "momentum": 0.9, "weight_decay": 1e-4})
    programs = [_program(model, optimizer, backend, shape) for backend in ("torch", "jax")]
    one, two = (_curve(program, program.init(0), range(50), shape, count)[0] for program in programs)
    np.testing.assert_allclose(two, one, rtol=1e-9)


_SMALL = (1, 8, 8)
_NET = _model({"type": "ConvNet", "channels": (8, 16)}, 16)


@pytest.mark.parametrize(
    "optimizer",
    [
        ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}),
        ("Adam", {"lr": 0.01}),
        ("AdamW", {"lr": 0.01, "weight_decay": 0.05}),
    ],
    ids=lambda given: given[0],
)
def test_a_run_may_change_its_backend(optimizer):
    programs = {backend: _program(_NET, optimizer, backend, _SMALL) for backend in ("torch", "jax")}
    whole, end = _curve(programs["torch"], programs["torch"].init(0), range(_STEPS), _SMALL, 16)
    last = programs["torch"].collect(end)
    for first, second in (("torch", "jax"), ("jax", "torch")):
        start, state = _curve(programs[first], programs[first].init(0), range(100), _SMALL, 16)
        before = programs[first].collect(state)
        state = programs[first].convert(state, to=second)
        after = programs[second].collect(state)
        assert list(after) == list(before)
        for path, array in before.items():
            assert after[path].dtype == array.dtype and np.array_equal(after[path], array), path
        rest, state = _curve(programs[second], state, range(100, _STEPS), _SMALL, 16)
        np.testing.assert_allclose([*start, *rest], whole, rtol=1e-9)
        for path, array in programs[second].collect(state).items():
            np.testing.assert_allclose(array, last[path], rtol=1e-7, atol=1e-10, err_msg=path)


def test_an_optimizer_without_a_twin_does_not_convert():
    program = _program(_NET, ("Rprop", {"lr": 0.01}), "torch", _SMALL)
    _, state = _curve(program, program.init(0), range(2), _SMALL, 4)
    with pytest.raises(fkit.FkitError, match=r"'Rprop' has no twin on backend 'jax'") as told:
        program.convert(state, to="jax")
    assert "SGD, Adam, AdamW" in str(told.value)


# ---------------------------------------------------------------------------------------------------------- the table

_MODELS = {
    "ConvNet": (_model({"type": "ConvNet", "channels": (4, 8), "dropout": 0.0}, 8), _SMALL),
    "MLP": (_model({"type": "MLP", "in_channels": 64, "hidden": (12, 8)}, 8, neck=False), _SMALL),
    "ResNet": (
        _model({"type": "ResNet_CIFAR", "depth": 18, "base_channels": 4, "stem_channels": 4, "num_stages": 2,
                "strides": (1, 2), "dilations": (1, 1), "out_indices": (1,)}, 8),
        (3, 8, 8),
    ),
}  # fmt: skip
_OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.05, "weight_decay": 1e-3}),
    "SGD momentum": ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}),
    "SGD nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "Adam": ("Adam", {"lr": 0.01, "weight_decay": 1e-3}),
    "Adam amsgrad": ("Adam", {"lr": 0.01, "amsgrad": True}),
    "AdamW": ("AdamW", {"lr": 0.01, "betas": (0.8, 0.99)}),
}


def _by_hand(model, optimizer, shape, arrays, steps, count):
    """A loop as torch's users write it, from the same weights: losses, and the state_dict at its end."""
    net = fkit.build(fkit.Config(model), fkit.registry(), "models", backend="torch").double()
    weights = {
        path.partition("/")[2]: array for path, array in arrays.items() if path.startswith(("params", "buffers"))
    }
    net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    update = getattr(torch.optim, optimizer[0])(net.parameters(), **optimizer[1])
    losses = []
    for step in range(steps):
        batch = _batch(step, shape, count)
        samples = Samples({"gt_label": torch.from_numpy(batch.targets["gt_label"])}, {})
        loss = net(torch.from_numpy(batch.inputs).double(), samples, mode="loss")["loss"]
        update.zero_grad()
        loss.backward()
        update.step()
        losses.append(loss.item())
    return np.array(losses), {name: value.numpy() for name, value in net.state_dict().items()}


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("optimizer", _OPTIMIZERS)
@pytest.mark.parametrize("model", _MODELS)
def test_every_model_under_every_optimizer_is_the_loop_by_hand(model, optimizer, backend):
    node, shape = _MODELS[model]
    program = _program(node, _OPTIMIZERS[optimizer], backend, shape)
    state = program.init(1)
    want, weights = _by_hand(node, _OPTIMIZERS[optimizer], shape, program.collect(state), 10, 8)
    losses, state = _curve(program, state, range(10), shape, 8)
    np.testing.assert_allclose(losses, want, rtol=1e-9)
    arrays = program.collect(state)
    for name, array in weights.items():
        kind = "params" if f"params/{name}" in arrays else "buffers"
        np.testing.assert_allclose(arrays[f"{kind}/{name}"], array, rtol=1e-7, atol=1e-9, err_msg=name)
    assert int(state.iteration) == int(state.updates) == 10


# ------------------------------------------------------------------------------------------------------------ float32


def _first(program, batch):
    """The first loss and gradient: after one step of SGD the momentum is the gradient."""
    state, logs = program.train_step(program.init(0), batch, program.hyperparams())
    arrays = program.collect(state)
    prefix = "opt/main/momentum_buffer/"
    grads = [arrays[path].ravel() for path in sorted(arrays) if path.startswith(prefix)]
    return float(logs["loss"]), np.concatenate(grads).astype(np.float64)


@pytest.mark.parametrize("model", ["ConvNet", "ResNet-18"])
def test_in_float32_the_first_gradient_is_as_near_as_torchs_own(model):
    node, shape = (_NET, _SMALL)
    if model == "ResNet-18":
        node, shape = _model({"type": "ResNet", "depth": 18, "out_indices": (3,)}, 512), (3, 32, 32)
    optimizer, batch = ("SGD", {"lr": 0.1, "momentum": 0.9}), _batch(0, shape, 16)
    kinds = (("torch", "float64"), ("torch", "float32"), ("jax", "float32"))
    exact, one, two = (_first(_program(node, optimizer, backend, shape, dtype), batch) for backend, dtype in kinds)
    assert two[0] == pytest.approx(one[0], rel=1e-5)
    own = np.linalg.norm(one[1] - exact[1])
    assert own > 0
    assert np.linalg.norm(two[1] - exact[1]) <= 2 * own
    assert np.linalg.norm(two[1] - one[1]) <= 2 * own


def _moved(arrays, seed):
    """Every weight moved by one ulp, up or down by the seed's coin."""
    rng = np.random.default_rng(seed)
    return {
        path: np.nextafter(array, np.where(rng.random(array.shape) < 0.5, np.inf, -np.inf).astype(array.dtype))
        if path.startswith("params/") else array
        for path, array in arrays.items()
    }  # fmt: skip


def test_in_float32_the_curve_parts_from_torchs_as_torchs_do():
    config = _config()
    plan = fkit.plan(config, fkit.registry(), backend="torch")
    source = fkit.open_data(plan)["train"]
    epochs = -(-_STEPS // source.length)
    batches = [batch for epoch in range(epochs) for batch in source.batches(epoch, 0)][:_STEPS]
    programs = {"torch": plan.program, "jax": fkit.plan(config, fkit.registry(), backend="jax").program}
    start = plan.program.collect(plan.program.init(7))

    def log_losses(backend, arrays):
        program, losses = programs[backend], []
        state, hyperparams = program.restore(arrays), program.hyperparams()
        for batch in batches:
            state, logs = program.train_step(state, batch, hyperparams)
            losses.append(logs["loss"])
        return np.log([float(loss) for loss in losses])

    reference = log_losses("torch", start)

    def distance(curve):
        return float(np.sqrt(np.mean((curve - reference) ** 2)))

    own = [distance(log_losses("torch", _moved(start, seed))) for seed in range(8)]
    assert min(own) > 0
    assert distance(log_losses("jax", start)) <= 3 * max(own)

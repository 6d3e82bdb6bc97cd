"""Updates against torch.optim's numbers, and optax's own optimizers by name."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from fkit.backend.jax.optimizer import update
from fkit.training.optimizer import Optimizer
from fkit.tree.error import FkitKeyError, FkitTypeError

_SHAPES = (("conv.weight", (3, 2, 3, 3)), ("conv.bias", (3,)), ("fc.weight", (4, 3)), ("fc.bias", (4,)))
_NAMES = tuple(name for name, _ in _SHAPES)

_TWINS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.5, "amsgrad": True}),
]


def _start(dtype=np.float64):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in _SHAPES}


def _grads(step):
    rng = np.random.default_rng(100 + step)
    # large ones first, so that AMSGrad's maximum matters
    return {name: rng.normal(size=shape) * (10.0 if step < 5 else 0.1) for name, shape in _SHAPES}


def _groups(optimizer):
    values = optimizer.hyperparams()
    return tuple({key: row[i] for key, row in values.items()} for i in range(len(optimizer.groups)))


def _run(optimizer, steps, rates=None):
    rule = update(optimizer, _NAMES)
    move = jax.jit(rule.step)
    params = {name: jnp.asarray(value) for name, value in _start().items()}
    slots = rule.init(params)
    for step in range(steps):
        numbers = _groups(optimizer)
        if rates is not None:
            numbers = tuple({**group, "lr": np.float64(rates[step])} for group in numbers)
        params, slots = move(_grads(step), slots, params, numbers)
    return params, slots


@pytest.mark.parametrize(("type", "options"), _TWINS, ids=str)
def test_twins_give_torchs_numbers_and_slots(type, options):
    rates = np.linspace(options["lr"], options["lr"] / 10, 30)
    leaves = {name: torch.from_numpy(value).requires_grad_() for name, value in _start().items()}
    reference = getattr(torch.optim, type)(leaves.values(), **options)
    for step in range(30):
        for name, grad in _grads(step).items():
            leaves[name].grad = torch.from_numpy(grad)
        reference.param_groups[0]["lr"] = float(rates[step])
        reference.step()
    with jax.enable_x64(True):
        params, slots = _run(Optimizer.of(type, options), 30, rates)
        for name, leaf in leaves.items():
            np.testing.assert_allclose(params[name], leaf.detach().numpy(), rtol=1e-13, atol=1e-13)
            held = {slot for slot, value in reference.state[leaf].items() if value is not None}
            assert {slot for slot in slots if name in slots[slot]} == held
            for slot in slots:
                want = reference.state[leaf][slot].detach().numpy()
                assert slots[slot][name].dtype == want.dtype and slots[slot][name].shape == want.shape
                np.testing.assert_allclose(slots[slot][name], want, rtol=1e-12, atol=1e-15)


def test_groups_have_settings_of_their_own():
    groups = [{"params": "bias$", "lr": 0.0}, {"params": "fc", "momentum": 0.0, "weight_decay": 0.0}]
    optimizer = Optimizer.of("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, groups)
    with jax.enable_x64(True):
        params, slots = _run(optimizer, 2)
    start, (first, second) = _start(), (_grads(0), _grads(1))
    for name in ("conv.bias", "fc.bias"):
        assert np.array_equal(params[name], start[name])
    plain = start["fc.weight"] - 0.1 * first["fc.weight"] - 0.1 * second["fc.weight"]
    np.testing.assert_allclose(params["fc.weight"], plain, rtol=1e-13)
    assert set(slots["momentum_buffer"]) == set(_NAMES)


@pytest.mark.parametrize("name", ["adamax", "optax.lion", "rmsprop", "adafactor", "lamb", "contrib.muon"])
def test_optaxs_own_are_had_by_name(name):
    """The named update equals the one optax makes of its own state, over changing rates."""
    rates = (0.01, 0.02, 0.005)
    optimizer = Optimizer.of(name, {"lr": 0.01})
    params, slots = _run(optimizer, 3, rates)
    factory = optax
    for part in name.removeprefix("optax.").split("."):
        factory = getattr(factory, part)
    own = {key: jnp.asarray(value) for key, value in _start().items()}
    state = factory(learning_rate=0.01).init(own)
    for step, rate in enumerate(rates):
        change, state = factory(learning_rate=rate).update(
            {key: jnp.asarray(value) for key, value in _grads(step).items()}, state, own
        )
        own = optax.apply_updates(own, change)
    for key in own:
        np.testing.assert_allclose(params[key], own[key], rtol=2e-5, atol=1e-6)
    assert len(jax.tree.leaves(state)) == len(jax.tree.leaves(slots))


def test_floats_of_an_optax_optimizer_are_hyperparameters():
    optimizer = Optimizer.of("lion", {"lr": 0.01, "weight_decay": 0.0})
    rule = update(optimizer, _NAMES)
    params = {name: jnp.asarray(value) for name, value in _start(np.float32).items()}
    zeros = {name: jnp.zeros_like(value) for name, value in params.items()}
    moved, _ = rule.step(zeros, rule.init(params), params, ({"lr": 0.5, "weight_decay": 0.1},))
    np.testing.assert_allclose(moved["fc.weight"], params["fc.weight"] * 0.95, rtol=1e-6)


@pytest.mark.parametrize(
    ("type", "options"),
    [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("lion", {"weight_decay": 0.1}), ("lamb", {"weight_decay": 0.1})],
)
def test_what_has_no_gradient_is_neither_decayed_nor_moved_nor_remembered(type, options):
    options = {"lr": 0.1, "weight_decay": 0.1, **options}
    rule = update(Optimizer.of(type, options), _NAMES)
    params = {name: jnp.asarray(value) for name, value in _start(np.float32).items()}
    slots = rule.init(params)
    numbers = ({name: value[0] for name, value in Optimizer.of(type, options).hyperparams().items()},)
    some = {name: jnp.asarray(grad, jnp.float32) for name, grad in _grads(0).items() if name.startswith("conv")}
    moved, after = jax.jit(rule.step)(some, slots, params, numbers)
    assert list(moved) and set(moved) == set(params)
    for name in _NAMES:
        still = np.array_equal(moved[name], params[name])
        assert still == (name not in some)
        for slot in after:
            if name in after[slot] and name not in some:
                assert np.array_equal(after[slot][name], slots[slot][name]), (slot, name)
    whole, _ = jax.jit(rule.step)(
        {**some, **{name: jnp.zeros_like(params[name]) for name in _NAMES if name not in some}}, slots, params, numbers
    )
    assert all(np.array_equal(whole[name], moved[name]) for name in some)


def test_a_torch_name_without_a_twin_is_a_clear_error():
    with pytest.raises(FkitKeyError) as told:
        update(Optimizer.of("Rprop", {"lr": 0.1}), _NAMES)
    text = str(told.value)
    assert "'Rprop' has no twin on backend 'jax'" in text
    assert all(name in text for name in ("SGD", "Adam", "AdamW"))
    with pytest.raises(FkitKeyError, match="'clip' has no twin"):
        update(Optimizer.of("clip", {}), _NAMES)


def test_arguments_are_checked_before_the_first_step():
    with pytest.raises(FkitTypeError, match=r"adamax takes no argument 'betas'"):
        update(Optimizer.of("adamax", {"lr": 0.1, "betas": (0.9, 0.99)}), _NAMES)
    with pytest.raises(FkitTypeError, match="lion needs 'lr'"):
        update(Optimizer.of("lion", {}), _NAMES)

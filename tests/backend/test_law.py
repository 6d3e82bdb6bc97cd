"""Optimizers that are written once: the same numbers on torch and on JAX, and those of torch.optim or of the formulae."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fkit.backend.jax.optimizer import update as jax_update
from fkit.backend.torch.optimizer import update as torch_update
from fkit.training.optimizer import Optimizer
from fkit.tree.error import FkitTypeError, FkitValueError

SHAPES = {"conv.weight": (4, 3, 2, 2), "conv.bias": (4,), "fc.weight": (2, 4), "fc.bias": (2,)}
NAMES = tuple(SHAPES)
GROUPS = [{"params": "bias$", "weight_decay": 0.0, "lr": 0.02}]
STEPS = 12


def start() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in SHAPES.items()}


def slopes(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return {name: rng.normal(size=shape) * (3.0 if step < 4 else 0.1) for name, shape in SHAPES.items()}


def numbers(optimizer: Optimizer) -> tuple[dict[str, float], ...]:
    values = optimizer.hyperparams()
    return tuple({key: float(row[i]) for key, row in values.items()} for i in range(optimizer.count))


def on_torch(optimizer: Optimizer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    rule = torch_update(optimizer, NAMES)
    params = {name: torch.from_numpy(value) for name, value in start().items()}
    slots = rule.init(params)
    for step in range(STEPS):
        grads = {name: torch.from_numpy(grad) for name, grad in slopes(step).items()}
        slots = rule.step(params, grads, slots, numbers(optimizer))
    return {name: value.numpy() for name, value in params.items()}, {
        slot: {name: value.numpy() for name, value in tensors.items()} for slot, tensors in slots.items()
    }


def on_jax(optimizer: Optimizer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with jax.enable_x64(True):
        rule = jax_update(optimizer, NAMES)
        move = jax.jit(rule.step)
        params: dict[str, Any] = {name: jnp.asarray(value) for name, value in start().items()}
        slots = rule.init(params)
        for step in range(STEPS):
            params, slots = move(slopes(step), slots, params, numbers(optimizer))
        return {name: np.asarray(value) for name, value in params.items()}, {
            slot: {name: np.asarray(value) for name, value in tensors.items()} for slot, tensors in slots.items()
        }


def alike(optimizer: Optimizer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What torch gives, which is what JAX gives."""
    (one, held), (two, kept) = on_torch(optimizer), on_jax(optimizer)
    assert set(held) == set(kept) == set(optimizer.slots())
    for name in NAMES:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-10, atol=1e-13)
        for slot in held:
            assert kept[slot][name].shape == held[slot][name].shape and kept[slot][name].dtype == held[slot][name].dtype
            np.testing.assert_allclose(kept[slot][name], held[slot][name], rtol=1e-10, atol=1e-13)
    return one, held


@pytest.mark.parametrize(
    ("type", "options"),
    [
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
        ("RMSprop", {"lr": 0.064, "alpha": 0.9, "momentum": 0.9, "eps": 0.0316, "weight_decay": 1e-5}),
        ("RMSprop", {"lr": 0.01, "centered": True}),
        ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.01, "initial_accumulator_value": 0.5}),
        ("Adamax", {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.01}),
    ],
)
def test_torchs_own_have_torchs_numbers_and_slots(type: str, options: dict[str, Any]) -> None:
    leaves = {name: torch.from_numpy(value).requires_grad_() for name, value in start().items()}
    biases = [leaf for name, leaf in leaves.items() if name.endswith("bias")]
    others = [leaf for name, leaf in leaves.items() if not name.endswith("bias")]
    reference = getattr(torch.optim, type)(
        [{"params": biases, "weight_decay": 0.0, "lr": 0.02}, {"params": others}], **options
    )
    for step in range(STEPS):
        for name, grad in slopes(step).items():
            leaves[name].grad = torch.from_numpy(grad)
        reference.step()
    params, slots = alike(Optimizer.of(type, options, GROUPS))
    for name, leaf in leaves.items():
        np.testing.assert_allclose(params[name], leaf.detach().numpy(), rtol=1e-10, atol=1e-13)
        for slot, value in reference.state[leaf].items():
            if value is not None:
                np.testing.assert_allclose(slots[slot][name], value.detach().numpy(), rtol=1e-6, atol=1e-9)


def lars(options: dict[str, Any], excluded: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """You, Gitman and Ginsburg 2017, algorithm 1, a parameter at a time."""
    params, buffers = start(), dict.fromkeys(NAMES)
    for step in range(STEPS):
        for name, grad in slopes(step).items():
            decay, lr = (0.0, 0.02) if name.endswith("bias") else (options["weight_decay"], options["lr"])
            weight, slope = np.linalg.norm(params[name]), np.linalg.norm(grad)
            local = (
                1.0
                if name in excluded or not weight or not slope
                else options["eta"] * weight / (slope + decay * weight + 1e-8)
            )
            change = local * lr * (grad + decay * params[name])
            before = buffers[name]
            buffers[name] = change if before is None else options["momentum"] * before + change
            nesterov = options.get("nesterov", False)
            params[name] = params[name] - (change + options["momentum"] * buffers[name] if nesterov else buffers[name])
    return params


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars(nesterov: bool) -> None:
    options = {"lr": 4.8, "momentum": 0.9, "weight_decay": 1e-3, "eta": 0.01, "nesterov": nesterov}
    params, _ = alike(Optimizer.of("LARS", options, GROUPS))
    excluded, _ = alike(Optimizer.of("LARS", options, [{**GROUPS[0], "lars_exclude": True}]))
    for name in NAMES:
        np.testing.assert_allclose(params[name], lars(options)[name], rtol=1e-10)
        np.testing.assert_allclose(excluded[name], lars(options, ("conv.bias", "fc.bias"))[name], rtol=1e-10)


def lamb(options: dict[str, Any]) -> dict[str, np.ndarray]:
    """You et al. 2020, algorithm 2, after the gradients were clipped by their norm together."""
    params = start()
    first, second = ({name: np.zeros(shape) for name, shape in SHAPES.items()} for _ in range(2))
    for step in range(1, STEPS + 1):
        grads = slopes(step - 1)
        total = math.sqrt(sum(float((grad**2).sum()) for grad in grads.values()))
        for name in NAMES:
            grad = grads[name] / max(total / options.get("max_grad_norm", 1.0), 1.0)
            decay, lr = (0.0, 0.02) if name.endswith("bias") else (options["weight_decay"], options["lr"])
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.999 * second[name] + 0.001 * grad**2
            change = (
                first[name] / (1 - 0.9**step) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-6)
                + decay * params[name]
            )
            weight, length = np.linalg.norm(params[name]), np.linalg.norm(change)
            trust = weight / length if (decay or options.get("always_adapt")) and weight and length else 1.0
            params[name] = params[name] - lr * (min(trust, 1.0) if options.get("trust_clip") else trust) * change
    return params


@pytest.mark.parametrize("changes", [{}, {"always_adapt": True}, {"trust_clip": True, "max_grad_norm": 0.5}], ids=str)
def test_lamb(changes: dict[str, Any]) -> None:
    options = {"lr": 0.05, "weight_decay": 0.02, **changes}
    params, _ = alike(Optimizer.of("Lamb", options, GROUPS))
    for name in NAMES:
        np.testing.assert_allclose(params[name], lamb(options)[name], rtol=1e-9)


def test_lion() -> None:
    params, average = start(), {name: np.zeros(shape) for name, shape in SHAPES.items()}
    for step in range(STEPS):
        for name, grad in slopes(step).items():
            decay, lr = (0.0, 0.02) if name.endswith("bias") else (0.1, 0.01)
            params[name] = params[name] - lr * (np.sign(0.9 * average[name] + 0.1 * grad) + decay * params[name])
            average[name] = 0.99 * average[name] + 0.01 * grad
    ours, _ = alike(Optimizer.of("Lion", {"lr": 0.01, "weight_decay": 0.1}, GROUPS))
    for name in NAMES:
        np.testing.assert_allclose(ours[name], params[name], rtol=1e-10)


def test_a_parameter_without_a_gradient_rests() -> None:
    for type in ("LARS", "Lamb", "RMSprop"):
        optimizer = Optimizer.of(type, {"lr": 0.1})
        params = {name: torch.from_numpy(value) for name, value in start().items()}
        rule = torch_update(optimizer, NAMES)
        grads = {"fc.bias": torch.from_numpy(slopes(0)["fc.bias"])}
        slots = rule.step(params, grads, rule.init(params), numbers(optimizer))
        assert np.array_equal(params["fc.weight"].numpy(), start()["fc.weight"])
        assert slots["step"]["fc.weight"] == 0 and slots["step"]["fc.bias"] == 1
        assert not np.array_equal(params["fc.bias"].numpy(), start()["fc.bias"])


@pytest.mark.parametrize(
    ("type", "options", "groups", "error", "text"),
    [
        ("LARS", {"lr": 0.1, "etha": 1.0}, (), FkitTypeError, "Did you mean 'eta'"),
        ("Lamb", {"lr": 0.1, "trust_clip": 1}, (), FkitTypeError, "trust_clip = 1 is not True or False"),
        ("RMSprop", {"alpha": 1.5}, (), FkitValueError, "alpha = 1.5 is not"),
        ("SGD", {"momentum": 0.9, "nesterov": True, "dampening": 0.1}, (), FkitValueError, "and no dampening"),
        ("LARS", {"lr": 0.1, "nesterov": True}, (), FkitValueError, "needs a momentum above 0"),
    ],
)
def test_what_is_refused(type: str, options: Any, groups: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        Optimizer.of(type, options, groups)


def test_one_group_with_dampening_is_enough() -> None:
    """The other group's is 0 then, and every one has a number in the hyperparameters."""
    made = Optimizer.of("SGD", {"lr": 0.1, "momentum": 0.9}, [{"params": "bias$", "dampening": 0.5}])
    assert made.hyperparams()["dampening"].tolist() == [0.5, 0.0]
    alike(made)

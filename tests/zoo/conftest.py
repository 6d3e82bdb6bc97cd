"""Twins held against each other: a torch module and its flax twin, with the same numbers in."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from torch import nn

import fkit
from fkit.backend.jax.blueprint import blueprint
from fkit.backend.jax.naming import to_flax, to_torch
from fkit.backend.torch.template import inventory_of
from tests.golden.replay.arithmetic import jit


class _Torch(nn.Module):
    """A part as a model's."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.init_cfg = None
        self.part = part

    def forward(self, inputs: Any) -> Any:
        return self.part(inputs)


class _Flax(linen.Module):
    """A part as a model's, on maps with their channels in place 1."""

    part: Any
    init_cfg: Any = None

    def __call__(self, inputs: Any, samples: Any = None, mode: str = "tensor", train: bool = False) -> Any:
        out = self.part(jax.tree.map(lambda x: jnp.moveaxis(x, 1, -1), inputs), train)
        return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 1), out)


def _drawn(name: str, shape: tuple[int, ...], low: float = -1.0) -> Any:
    """Numbers that depend on a name alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.uniform(low, 1.5, shape) if low > 0 else rng.normal(size=shape)


def _weights(inventory: Any) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for entry in inventory.entries:
        if entry.dtype == "int64":
            arrays[entry.name] = np.zeros(entry.shape, np.int64)
        elif entry.name.endswith(".cov"):
            arrays[entry.name] = np.eye(2)  # of a normal law, which no other numbers are
        elif entry.name.endswith("running_var") or (len(entry.shape) == 1 and entry.name.endswith("weight")):
            arrays[entry.name] = _drawn(entry.name, entry.shape, 0.5)
        else:
            scale = max(int(np.prod(entry.shape[1:])), 1) ** 0.5 if len(entry.shape) > 1 else 4.0
            arrays[entry.name] = _drawn(entry.name, entry.shape) / scale
    return arrays


def _flat(tree: Any) -> list[Any]:
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def _by_torch(model: nn.Module, weights: dict[str, Any], inputs: Any, train: bool) -> tuple[Any, Any]:
    model = model.double().train(train)
    state = {name: torch.tensor(array) for name, array in weights.items()}
    names = list(model.state_dict(keep_vars=True))
    assert [name for name in names if name in state] == list(state)
    model.load_state_dict(state, strict=len(names) == len(state))  # tied arrays stand under their first name
    tensors = jax.tree.map(lambda x: torch.tensor(x, requires_grad=True), inputs)
    outs = jax.tree.leaves(model(tensors))
    sum((out * torch.tensor(_drawn(f"out{i}", tuple(out.shape)))).sum() for i, out in enumerate(outs)).backward()  # type: ignore[union-attr]
    grads = {n: p.grad.numpy() for n, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    grads |= {f"in{i}": x.grad.numpy() for i, x in enumerate(jax.tree.leaves(tensors)) if x.grad is not None}
    buffers = {name: buffer.numpy() for name, buffer in model.named_buffers() if name in weights}
    return [out.detach().numpy() for out in outs], grads | buffers


def _by_flax(model: Any, plan: Any, weights: dict[str, Any], inputs: Any, train: bool) -> tuple[Any, Any]:
    tree: dict[str, Any] = {}
    sites = (*plan.params, *plan.buffers)
    for site in sites:
        node = tree.setdefault(site.collection, {})
        for token in site.path[:-1]:
            node = node.setdefault(token, {})
        node[site.path[-1]] = jnp.asarray(to_flax(weights[site.name], site.layout))
    params = tree.pop("params", {})

    def call(params: Any, inputs: Any) -> Any:
        outs, changed = model.apply({"params": params, **tree}, inputs, train=train, mutable=list(tree))
        leaves = jax.tree.leaves(outs)
        return sum((out * _drawn(f"out{i}", out.shape)).sum() for i, out in enumerate(leaves)), (leaves, changed)

    grads, (outs, changed) = jit(jax.grad(call, (0, 1), has_aux=True))(params, inputs)
    numbers: dict[str, Any] = {f"in{i}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(grads[1]))}
    for site in sites:
        node = grads[0] if site.collection == "params" else {**tree, **changed}[site.collection]
        for token in site.path:
            node = node[token]
        numbers[site.name] = to_torch(np.asarray(node), site.layout)
    return _flat(outs), numbers


def _twins(one: nn.Module, two: Any, inputs: Any, train: bool = False, tolerance: float = 1e-10) -> Any:
    """Hold a torch module and its flax twin against each other: names, rules, outputs, gradients, buffers.

    Args:
        inputs: an array (N, C, H, W), or a tuple of them.

    Returns:
        The torch twin's inventory.
    """
    model, twin = _Torch(one), _Flax(two)
    torch_side = inventory_of(model, "float64")
    with jax.enable_x64(True):
        plan = blueprint(twin, lambda: inputs, "float64")
        assert [entry.name for entry in torch_side.entries] == [entry.name for entry in plan.inventory.entries]
        for mine, other in zip(torch_side.entries, plan.inventory.entries, strict=True):
            assert mine == other
        assert _plain(torch_side.rules) == _plain(plan.inventory.rules)
        weights = _weights(torch_side)
        outs, numbers = _by_torch(model, weights, inputs, train)
        others, found = _by_flax(twin, plan, weights, inputs, train)
    assert [out.shape for out in others] == [out.shape for out in outs]
    for out, other in zip(outs, others, strict=True):
        np.testing.assert_allclose(other, out, rtol=tolerance, atol=tolerance)
    for name, array in numbers.items():
        scale = max(1.0, float(np.abs(array).max(initial=0.0)))
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance * scale, err_msg=name)
    return torch_side


def _plain(rule: Any) -> Any:
    """Nested values without the kinds of their containers."""
    if hasattr(rule, "items"):
        return {key: _plain(value) for key, value in rule.items()}
    return [_plain(value) for value in rule] if isinstance(rule, (tuple, list)) else rule


@pytest.fixture
def twins() -> Any:
    """Hold a torch module and its flax twin against each other: ``twins(one, two, inputs, train=False)``."""
    return _twins


@pytest.fixture
def built_twins() -> Any:
    """Hold what a config builds on torch and on JAX against each other: ``built_twins(cfg, inputs, train=False)``."""

    def compare(cfg: Any, inputs: Any, train: bool = False, tolerance: float = 1e-10) -> Any:
        reg = fkit.registry()
        made = [fkit.build(cfg, reg, "models", backend=backend) for backend in ("torch", "jax")]
        return _twins(made[0], made[1], inputs, train, tolerance)

    return compare


@pytest.fixture
def maps() -> Any:
    """Maps of a backbone: ``maps(channels, size)``, halved from one to the next."""

    def make(channels: tuple[int, ...], size: tuple[int, int] = (24, 20), count: int = 2) -> Any:
        return tuple(
            _drawn(f"map{i}", (count, width, -(-size[0] // 2**i), -(-size[1] // 2**i)))
            for i, width in enumerate(channels)
        )

    return make

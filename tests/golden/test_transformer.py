"""The book ``transformer``: mmcv's attention and transformer layers, and positions, in float64 with gradients, on both backends."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen, traverse_util

import fkit
from fkit.backend.jax.naming import kind_of, leaf_of, to_flax, to_torch, torch_path
from tests.golden.weights import make

BOOK = "transformer"
WIDTH = 8
CLOSE = 1e-9


def given(case: Mapping[str, Any]) -> dict[str, Any]:
    """As experiments/record/transformer.py draws them."""
    first = bool(case["cfg"].get("transformerlayers", case["cfg"]).get("batch_first"))
    drawn: dict[str, Any] = {}
    for name in case["given"]:
        draw = np.random.default_rng(list(name.encode()))
        count = 7 if name in ("key", "value", "key_pos", "key_padding_mask") else 5
        if name == "mask":
            drawn[name] = np.zeros((2, 5, 6), bool)
            drawn[name][1, 4:], drawn[name][1, :, 3:] = True, True
        elif name.endswith("padding_mask"):
            drawn[name] = np.arange(count)[None] >= np.array([[count], [count - 2]])
        elif name == "attn_mask":
            drawn[name] = np.eye(5, 7, dtype=bool)
        elif name == "attn_masks":
            drawn[name] = [np.triu(np.ones((5, 5), bool), 1), draw.standard_normal((2 * 4, 5, 7))]
        else:
            array = draw.standard_normal((2, count, WIDTH))
            drawn[name] = array if first or name == "x" else array.swapaxes(0, 1)
    return drawn


def weight(case: Mapping[str, Any], name: str) -> np.ndarray:
    return np.array(make(f"transformer.{name}", tuple(case["out"]["state"][name])))


def sampled(array: Any) -> list[float]:
    flat = np.ascontiguousarray(array).reshape(-1)
    return [float(np.linalg.norm(flat)), *flat[:: max(flat.size // 16, 1)][:16].tolist()]


def built(case: Mapping[str, Any], backend: str) -> Any:
    return fkit.build(case["cfg"], fkit.registry(), "models", backend=backend)


def by_torch(case: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    module = built(case, "torch").double().eval()
    assert [[name, list(one.shape)] for name, one in module.state_dict().items()] == [
        *map(list, case["out"]["state"].items())
    ]
    module.load_state_dict({name: torch.tensor(weight(case, name)) for name in case["out"]["state"]})

    def tensors(value: Any) -> Any:
        if isinstance(value, list):
            return [tensors(one) for one in value]
        return torch.tensor(np.ascontiguousarray(value), requires_grad=value.dtype == np.float64)

    arrays = {name: tensors(value) for name, value in given(case).items()}
    if "mask" in arrays and case["cfg"]["type"].startswith("Sine"):
        arrays["input"] = torch.zeros(1, dtype=torch.float64)
    out = module(**arrays)
    if out.requires_grad:
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum().backward()
    leaves = {name: one for name, one in arrays.items() if isinstance(one, torch.Tensor)} | dict(
        module.named_parameters()
    )
    return out.detach().numpy(), {name: one.grad.numpy() for name, one in leaves.items() if one.grad is not None}


def by_jax(case: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    module, arrays = built(case, "jax"), given(case)
    modules: dict[tuple[str, ...], Any] = {}

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        modules.setdefault(tuple(context.module.path), context.module)
        return call(*args, **kwargs)

    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, arrays)
        if "mask" in arrays and case["cfg"]["type"].startswith("Sine"):
            arrays["input"] = jnp.zeros(1, jnp.float64)
        with linen.intercept_methods(note):
            variables = module.init(jax.random.key(0), **arrays)
        names: dict[tuple[str, ...], tuple[str, str]] = {}
        for path in traverse_util.flatten_dict(dict(variables.get("params", {}))):
            leaf = leaf_of(kind_of(modules.get(path[:-1])), "params", path[-1])
            names[path] = (".".join(filter(None, (torch_path(path[:-1]), leaf.name))), leaf.layout)
        assert {name for name, _ in names.values()} == set(case["out"]["state"])
        flat = {
            path: jnp.asarray(to_flax(weight(case, name), layout), jnp.float64)
            for path, (name, layout) in names.items()
        }
        real = {name: array for name, array in arrays.items() if hasattr(array, "dtype") and array.dtype == jnp.float64}

        def total(params: Any, real: Any) -> Any:
            others = {name: tree for name, tree in variables.items() if name != "params"}
            out = module.apply({"params": params, **others}, **{**arrays, **real})
            if case["cfg"]["type"].endswith("Encoding"):
                out = jnp.moveaxis(out, -1, 1)
            return (out * jnp.linspace(-1, 1, out.size).reshape(out.shape)).sum(), out

        grads, out = jax.grad(total, (0, 1), has_aux=True)(traverse_util.unflatten_dict(flat), real)
    found = {name: np.asarray(array) for name, array in grads[1].items()}
    for path, array in traverse_util.flatten_dict(grads[0]).items():
        found[names[path][0]] = np.asarray(to_torch(np.asarray(array), names[path][1]))
    return np.asarray(out), found


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_case(case: dict[str, Any], backend: str) -> None:
    out, gradients = (by_torch if backend == "torch" else by_jax)(case)
    want = case["out"]
    assert list(out.shape) == want["shape"]
    np.testing.assert_allclose(sampled(out), want["output"], rtol=CLOSE, atol=CLOSE)
    assert set(want["gradients"]) <= set(gradients)
    for name, value in want["gradients"].items():
        np.testing.assert_allclose(sampled(gradients[name]), value, rtol=CLOSE, atol=CLOSE * value[0], err_msg=name)

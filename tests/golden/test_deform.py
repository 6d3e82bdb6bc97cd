"""The book ``deform``: deformable convolutions as mmcv's compiled operators count them, outputs and gradients, on both backends."""

from typing import Any

import numpy as np
import pytest

from tests.golden.replay.arithmetic import jit

BOOK = "deform"


@pytest.fixture
def arrays(case: dict[str, Any], book_arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = case["id"] + "/"
    return {name.removeprefix(start): value for name, value in book_arrays.items() if name.startswith(start)}


def by_torch(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import torch

    from fkit.backend.torch.layers import conv_layer

    layer = conv_layer({"type": case["type"]}, case["in"], case["out"], 3, **case["options"]).double()
    names = [name for name, _ in layer.named_parameters()]
    assert names == [name.removeprefix("param.") for name in arrays if name.startswith("param.")]
    layer.load_state_dict({name: torch.tensor(arrays["param." + name]) for name in names})
    x = torch.tensor(arrays["x"], requires_grad=True)
    out = layer(x)
    out.backward(torch.tensor(arrays["grad_out"]))
    grads = {f"grad.{name}": parameter.grad.numpy() for name, parameter in layer.named_parameters()}
    return {"out": out.detach().numpy(), "grad.x": x.grad.numpy(), **grads}


def by_jax(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import jax
    import jax.numpy as jnp

    from fkit.backend.jax.layers import conv_layer
    from fkit.backend.jax.naming import to_flax, to_torch

    names = {"stride": "strides", "dilation": "kernel_dilation", "groups": "feature_group_count", "bias": "use_bias"}
    options = {names.get(key, key): value for key, value in case["options"].items()}
    with jax.enable_x64(True):
        layer = conv_layer({"type": case["type"]})(case["out"], (3, 3), **options)
        params: dict[str, Any] = {"conv_offset": {}}
        for name, value in arrays.items():
            if name.startswith("param."):
                *_, part, leaf = ("", *name.split("."))
                place = params if part == "param" else params["conv_offset"]
                place["kernel" if leaf == "weight" else leaf] = jnp.asarray(to_flax(value, "conv") if leaf == "weight" else value)  # fmt: skip
        x = jnp.asarray(arrays["x"].transpose(0, 2, 3, 1))

        @jit
        def call(params: Any, x: Any, grad_out: Any) -> Any:
            out, back = jax.vjp(lambda params, x: layer.apply({"params": params}, x), params, x)
            return out, *back(grad_out)

        out, grads, grad_x = call(params, x, jnp.asarray(arrays["grad_out"].transpose(0, 2, 3, 1)))
        found = {"out": out.transpose(0, 3, 1, 2), "grad.x": grad_x.transpose(0, 3, 1, 2)}
        for name, group in (("", grads), ("conv_offset.", grads["conv_offset"])):
            if "kernel" in group:
                found[f"grad.{name}weight"] = to_torch(group["kernel"], "conv")
            if "bias" in group:
                found[f"grad.{name}bias"] = group["bias"]
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.parametrize("by", [by_torch, by_jax])
def test_case(case: dict[str, Any], arrays: dict[str, np.ndarray], by: Any) -> None:
    found = by(case, arrays)
    recorded = {name: value for name, value in arrays.items() if name == "out" or name.startswith("grad.")}
    assert set(found) == set(recorded)
    for name, value in recorded.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", ["DCN", "DCNv2"])
def test_a_layer_starts_alike_on_both_backends_and_as_a_convolution(kind: str) -> None:
    import torch

    from fkit.backend.jax import layers
    from fkit.backend.torch.layers import conv_layer

    layer = conv_layer({"type": kind, "deformable_groups": 2}, 4, 6, 3, padding=1, bias=False)
    assert layer.start_cfg == layers.conv_layer({"type": kind})(6, (3, 3)).start_cfg
    x = torch.rand(1, 4, 5, 5)
    plain = torch.nn.functional.conv2d(x, layer.weight, padding=1)
    assert torch.allclose(layer(x), plain * (0.5 if kind == "DCNv2" else 1), atol=1e-5)

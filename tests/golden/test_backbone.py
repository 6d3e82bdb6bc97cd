"""The book ``backbone``: backbones of mmdet, small, in float64; their twins are equal to them (tests/zoo)."""

from typing import Any

import numpy as np
import torch

import fkit
from tests.golden.weights import make

BOOK = "backbone"
CLOSE = 1e-9


def sampled(tensor: Any) -> list[float]:
    flat = tensor.detach().contiguous().reshape(-1)
    return [float(flat.norm()), *flat[:: max(flat.numel() // 16, 1)][:16].tolist()]


def test_case(case: dict[str, Any]) -> None:
    module, want = fkit.build(case["cfg"], fkit.registry(), "models", backend="torch", scope="mmdet"), case["out"]
    state = {name: list(array.shape) for name, array in module.state_dict().items()}
    assert list(state.items()) == list(want["state"].items())
    module.load_state_dict(
        {name: torch.tensor(np.array(make(f"backbone.{name}", tuple(shape)))) for name, shape in state.items()}
    )
    module.double().train()
    picture = torch.tensor(np.random.default_rng(0).standard_normal(case["size"]), requires_grad=True)
    outs = module(picture)
    outs = (outs,) if isinstance(outs, torch.Tensor) else outs
    sum(
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum() for out in outs
    ).backward()
    assert len(outs) == len(want["outputs"])
    for out, value in zip(outs, want["outputs"], strict=True):
        np.testing.assert_allclose(sampled(out), value, rtol=CLOSE, atol=CLOSE * value[0])
    leaves = {**dict(module.named_parameters()), "picture": picture}
    for name, value in want["gradients"].items():
        np.testing.assert_allclose(sampled(leaves[name].grad), value, rtol=CLOSE, atol=CLOSE * value[0], err_msg=name)

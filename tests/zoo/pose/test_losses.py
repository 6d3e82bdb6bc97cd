"""Losses of keypoints against what mmpose computes (`record.py`), values and gradients, on torch, JAX and, values, numpy."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fkit
from fkit.array.ops import Numpy
from fkit.backend.jax.ops import JaxOps
from fkit.backend.torch.ops import Torch
from fkit.tree.error import FkitError
from tests.zoo.pose.heads import arguments, numbers

HERE = Path(__file__).parent
LOSSES: dict[str, Any] = json.loads((HERE / "losses.json").read_text())


def _loss(cfg: Any) -> Any:
    return fkit.build({**cfg, "type": f"mmpose.{cfg['type']}"}, fkit.registry(), "models", backend="torch")


def _same(one: Any, other: Any) -> None:
    have = numbers(one)
    assert have["shape"] == other["shape"]
    assert have["values"] == pytest.approx(other["values"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_reference_s_numbers(name: str) -> None:
    case = LOSSES[name]
    want = json.loads((HERE / "recorded" / f"{name}.json").read_text())
    loss, args = _loss(case["cfg"]), arguments(case)
    _same(loss(Numpy(), *args), want["value"])
    tensors = jax.tree.map(torch.from_numpy, args)
    first = tensors[0] if isinstance(tensors[0], list) else [tensors[0]]
    for one in first:
        one.requires_grad_()
    value = loss(Torch(), *tensors)
    value.sum().backward()
    _same(value.detach(), want["value"])
    for one, gradient in zip(first, want["gradients"], strict=True):
        _same(one.grad, gradient)
    with jax.enable_x64(True):
        arrays = jax.tree.map(jnp.asarray, args)
        value, grads = jax.value_and_grad(lambda pred: loss(JaxOps(), pred, *arrays[1:]).sum())(arrays[0])
    assert float(value) == pytest.approx(float(np.sum(want["value"]["values"])), rel=1e-9)
    for one, gradient in zip(jax.tree.leaves(grads), want["gradients"], strict=True):
        _same(np.asarray(one), gradient)


@pytest.mark.parametrize(
    "cfg",
    [
        {"type": "KeypointOHKMMSELoss", "topk": 0},
        {"type": "L1Loss", "reduction": "some"},
        {"type": "MLECCLoss", "mode": "cube"},
        {"type": "BCELoss", "reduction": "none of these"},
        {"type": "KLDiscretLoss", "betas": 2},
    ],
)
def test_refusals(cfg: Any) -> None:
    with pytest.raises(FkitError):
        _loss(cfg)


def test_a_loss_needs_the_weights_that_it_is_told_of() -> None:
    loss = _loss({"type": "SmoothL1Loss", "use_target_weight": True})
    with pytest.raises(FkitError, match="weights"):
        loss(Numpy(), np.ones((1, 2, 2)), np.ones((1, 2, 2)))

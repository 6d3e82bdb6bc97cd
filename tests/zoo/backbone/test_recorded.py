"""Backbones that are drawn once: the numbers of mmseg, mmpose and mmpretrain on torch, and those of torch on JAX, in float64.

experiments/record/drawn.py recorded them.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fkit
from tests.golden.weights import make

_CLOSE = 1e-9
_CASES = [
    pytest.param(case, id=f"{book.stem}: {case['id']}")
    for book in sorted(Path(__file__).parent.glob("*.json"))
    for case in json.loads(book.read_text(encoding="utf-8"))["cases"]
]


def _sampled(tensor: Any) -> list[float]:
    flat = tensor.detach().contiguous().reshape(-1)
    return [float(flat.norm()), *flat[:: max(flat.numel() // 6, 1)][:6].tolist()]


def _flat(outs: Any) -> list[Any]:
    if isinstance(outs, torch.Tensor):
        return [outs]
    return [tensor for one in (outs.values() if isinstance(outs, dict) else outs) for tensor in _flat(one)]


def _arrays(size: Any) -> Any:
    rng = np.random.default_rng(0)
    arrays = tuple(rng.standard_normal(one) for one in (size if isinstance(size[0], list) else [size]))
    return arrays if isinstance(size[0], list) else arrays[0]


def _load(module: nn.Module) -> None:
    drawn = {name: make(f"backbone.{name}", tuple(one.shape)) for name, one in module.state_dict().items()}
    module.load_state_dict({n: torch.tensor(np.array(a)) for n, a in drawn.items() if a is not None}, strict=False)


def _close(found: list[Any], wanted: list[Any], what: str) -> None:
    assert len(found) == len(wanted)
    for one, value in zip(found, wanted, strict=True):
        np.testing.assert_allclose(_sampled(one), value, rtol=_CLOSE, atol=_CLOSE * max(value[0], 1e-3), err_msg=what)


@pytest.mark.parametrize("case", _CASES)
def test_reference(case: dict[str, Any]) -> None:
    module, want = fkit.build(case["cfg"], fkit.registry(), "models", backend="torch", scope=case["scope"]), case["out"]
    state = [[name, list(array.shape)] for name, array in module.state_dict().items()]
    assert len(state) == want["count"]
    assert hashlib.sha256(json.dumps(state).encode()).hexdigest() == want["digest"], state
    assert sorted(name for name, one in module.named_parameters() if not one.requires_grad) == want["frozen"]
    module.double()
    _load(module)
    arrays = _arrays(case["size"])
    module.eval()
    with torch.no_grad():
        still = module(tuple(map(torch.tensor, arrays)) if isinstance(arrays, tuple) else torch.tensor(arrays))
    _close(_flat(still), want["still"], "evaluation")
    module.train()
    inputs = [torch.tensor(one, requires_grad=True) for one in (arrays if isinstance(arrays, tuple) else [arrays])]
    outs = _flat(module(tuple(inputs) if isinstance(arrays, tuple) else inputs[0]))
    _close(outs, want["outputs"], "training")
    sum(
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum() for out in outs
    ).backward()  # type: ignore[union-attr]
    leaves = {**dict(module.named_parameters()), **{f"input{i}": one for i, one in enumerate(inputs)}}
    for name, value in want["gradients"].items():
        _close([leaves[name].grad], [value], name)
    buffers = dict(module.named_buffers())
    for name, value in want["buffers"].items():
        _close([buffers[name]], [value], name)


# XLA takes long for deep ones; others here are of the same operations, and test_drawn.py has ShuffleNet's parts
_LONG = re.compile("shufflenet|large|second kind|hrformer|mobilenet|ddrnet|fast scnn")


@pytest.mark.parametrize("case", [one for one in _CASES if not _LONG.search(str(one.id))])
def test_twins(case: dict[str, Any], built_twins: Any) -> None:
    built_twins({"_scope_": case["scope"], **case["cfg"]}, _arrays(case["size"]), True, 1e-9)

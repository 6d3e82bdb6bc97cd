"""What is recorded of a small network: the parts of it that the reference's and the kit's have in common; numpy and torch only."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

_RULE = Path(__file__).parents[2] / "golden" / "weights.py"
_spec = importlib.util.spec_from_file_location("rule", _RULE)
assert _spec is not None and _spec.loader is not None
rule = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rule)

SAMPLES = 24


def images(size: tuple[int, int]) -> Any:
    """Two images of noise, (2, 3, H, W) float64."""
    drawn = np.random.default_rng(0).standard_normal((2, 3, *size))
    return np.round(drawn * 2**20) / 2**20


def loaded(model: Any) -> Any:
    """A torch module in float64, with the rule's weights; tables of integers keep theirs."""
    model = model.double()
    for name, tensor in model.state_dict().items():
        array = rule.make(name, tuple(tensor.shape))
        if array is not None and tensor.is_floating_point():
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(np.asarray(array)).reshape(tensor.shape))
    return model


def leaves(tree: Any) -> list[Any]:
    """Tensors of nested sequences and mappings, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if tree is None:
        return []
    values = tree.values() if hasattr(tree, "values") else tree
    return [leaf for value in values for leaf in leaves(value)]


def _numbers(array: Any) -> list[float]:
    flat = np.asarray(array, np.float64).reshape(-1)
    return [float(f"{number:.12g}") for number in flat[:: max(flat.size // SAMPLES, 1)][:SAMPLES]]


def found(model: Any, size: tuple[int, int], train: bool = False) -> dict[str, Any]:
    """Names and shapes, outputs, and gradients of a module (N, 3, H, W) to tensors."""
    entries = [[name, list(tensor.shape)] for name, tensor in model.state_dict().items()]
    model = loaded(model)
    model.train(train)  # some give nothing back
    outs = leaves(model(torch.from_numpy(images(size))))
    total: Any = 0
    for i, out in enumerate(outs):
        weight = np.random.default_rng(i + 1).standard_normal(tuple(out.shape))
        total = total + (out * torch.from_numpy(weight)).sum()
    total.backward()
    grads = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}
    picked = list(grads)[:: max(len(grads) // 16, 1)]
    return {
        "entries": entries,
        "outs": [{"shape": list(out.shape), "values": _numbers(out.detach())} for out in outs],
        "with_gradient": len(grads),
        "total": float(np.sqrt(sum(norm**2 for norm in grads.values()))),
        "gradients": {name: grads[name] for name in picked},
    }

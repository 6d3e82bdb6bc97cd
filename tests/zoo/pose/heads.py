"""What is recorded of a head: inputs by rule, targets by the config's codec; what the reference's and the kit's recording have
in common. numpy and torch only."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch

_SMALL = Path(__file__).parents[1] / "classify" / "small.py"
_spec = importlib.util.spec_from_file_location("small", _SMALL)
assert _spec is not None and _spec.loader is not None
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

PARTNERS = (0, 2, 1)
# (N, K, 2) in parts of the input's sides, and (N, K)
POINTS = np.array([[[0.3, 0.25], [0.61, 0.5], [0.8, 0.7]], [[0.45, 0.4], [0.2, 0.77], [0.55, 0.33]]], np.float32)
SEEN = np.array([[1, 1, 1], [1, 0, 1]], np.float32)


def _grid(number: int, shape: list[int]) -> Any:
    drawn = np.random.default_rng(number).standard_normal(shape)
    return np.round(drawn * 2**20) / 2**20


def given(case: Any, number: int = 0) -> Any:
    """The head's maps, at any depth of lists; shapes are lists of numbers."""

    def made(node: Any, at: list[int]) -> Any:
        if isinstance(node[0], int):
            at[0] += 1
            return _grid(100 * number + at[0], node)
        return [made(one, at) for one in node]

    return made(case["maps"], [0])


def arguments(case: Any) -> list[Any]:
    """What a loss is called with, by rule: ["real" or "unit" or "peak" or "weight", *shape] each, at any depth of lists."""
    at = [0]

    def made(node: Any) -> Any:
        if not isinstance(node[0], str):
            return [made(one) for one in node]
        at[0] += 1
        kind, shape = node[0], node[1:]
        drawn = _grid(at[0], shape)
        if kind == "real":
            return drawn
        unit = np.round(2**20 / (1 + np.exp(-drawn))) / 2**20
        if kind == "peak":
            return np.where(unit > 0.8, 1.0, np.where(unit < 0.3, 0.0, unit))
        return np.round(unit * 2) / 2 if kind == "weight" else unit

    return [made(node) for node in case["args"]]


def numbers(array: Any) -> dict[str, Any]:
    """Shape and samples of an array."""
    found = np.asarray(array)
    flat = found.astype(np.float64).reshape(-1)
    count = small.SAMPLES
    picked = flat[:: max(flat.size // count, 1)][:count]
    return {"shape": list(found.shape), "values": [float(f"{one:.12g}") for one in picked]}


def fixed(model: Any) -> Any:
    """Buffers that are no weights keep what they are built with."""
    fresh = {"loc": torch.zeros(2), "cov": torch.eye(2), "mask": torch.tensor([[0, 1], [1, 0]] * 3)}
    for name, one in model.named_buffers():
        if (short := name.rpartition(".")[2]) in fresh:
            one.copy_(fresh[short])
    return model

"""Mixtures of two Gaussians against scikit-learn's, on numpy, torch and JAX."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import torch

from fkit.array.mixture import mixture
from fkit.array.ops import Numpy
from fkit.backend.jax.ops import JaxOps
from fkit.backend.torch.ops import Torch
from fkit.tree.error import FkitTypeError

# fits of GaussianMixture(2, ...) of scikit-learn 1.9.1 in float64, as mmdet's PAAHead calls it
ROWS = json.loads((Path(__file__).parent / "mixture.json").read_text(encoding="utf-8"))


def fitted(backend: str, values: Any, valid: Any, tied: bool) -> list[np.ndarray]:
    if backend == "numpy":
        return [np.asarray(part) for part in mixture(Numpy(), values, valid, tied)]
    if backend == "torch":
        return [part.numpy() for part in mixture(Torch("cpu"), torch.tensor(values), torch.tensor(valid), tied)]
    with jax.enable_x64(True):
        return [np.asarray(part) for part in jax.jit(lambda a, b: mixture(JaxOps(), a, b, tied))(values, valid)]


@pytest.mark.parametrize("kind", ["full", "tied"])
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_equals_scikit_learn(backend: str, kind: str) -> None:
    width = max(len(row["x"]) for row in ROWS) + 2
    values, valid = np.full((len(ROWS) + 1, width), 7.0), np.zeros((len(ROWS) + 1, width), bool)
    for at, row in enumerate(ROWS):
        values[at, : len(row["x"])], valid[at, : len(row["x"])] = row["x"], True
    weights, means, variances, part, likelihood = fitted(backend, values, valid, kind == "tied")
    for at, row in enumerate(ROWS):
        want, count = row[kind], len(row["x"])
        np.testing.assert_allclose(weights[at], want["w"], atol=1e-8)
        np.testing.assert_allclose(means[at], want["m"], atol=1e-8)
        np.testing.assert_allclose(variances[at], np.broadcast_to(want["v"], 2), atol=1e-8)
        np.testing.assert_allclose(likelihood[at, :count], want["ll"], atol=2e-8)
        assert part[at, :count].tolist() == want["part"]
    assert np.isfinite(means).all(), "a row without values fits nothing"


def test_flags_must_fit() -> None:
    with pytest.raises(FkitTypeError, match="as many flags"):
        mixture(Numpy(), np.ones((2, 3)), np.ones((2, 2), bool))

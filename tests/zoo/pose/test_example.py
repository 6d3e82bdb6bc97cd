"""Layers of a config's size are made of any example; on JAX, where they are made by a first call."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import fkit

HERE = Path(__file__).parent
BACKBONES: dict[str, Any] = json.loads((HERE / "backbones.json").read_text())
HEADS: dict[str, Any] = json.loads((HERE / "heads.json").read_text())


def _shapes(cfg: Any, *args: Any) -> Any:
    made = fkit.build({**cfg, "type": f"mmpose.{cfg['type']}"}, fkit.registry(), "models", backend="jax")
    told = jax.eval_shape(made.init, jax.random.key(0), *args)
    return jax.tree.map(lambda leaf: leaf.shape, told["params"], is_leaf=lambda leaf: hasattr(leaf, "shape"))


@pytest.mark.parametrize("name", ["simcc", "simcc_deconv", "rtmcc", "rtmw", "integral", "dsnt"])
def test_heads_of_lines_and_places(name: str) -> None:
    cfg, maps = HEADS[name]["cfg"], HEADS[name]["maps"]

    def given(more: int) -> list[Any]:
        factors = [maps[at][2] // maps[-1][2] for at in range(len(maps))]
        sizes = [(n, h + more * by, w + more * by, c) for (n, c, h, w), by in zip(maps, factors, strict=True)]
        return [jnp.zeros(size) for size in sizes]

    fit, other = given(0), given(1)
    assert _shapes(cfg, other) == _shapes(cfg, fit)


def test_hourglass() -> None:
    cfg = BACKBONES["hourglass"]["cfg"]
    assert _shapes(cfg, jnp.zeros((1, 72, 72, 3))) == _shapes(cfg, jnp.zeros((1, 64, 64, 3)))

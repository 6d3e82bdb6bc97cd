"""Res2Net: names and numbers, equal on torch and JAX; those of mmdet are in golden/test_backbone.py."""

from typing import Any

import pytest

import fkit
from fkit.tree.error import FkitError

_SMALL: dict[str, Any] = {
    "type": "mmdet.Res2Net", "depth": 50, "scales": 3, "base_width": 4, "base_channels": 4, "num_stages": 2,
    "strides": [1, 2], "dilations": [1, 1], "out_indices": [0, 1],
}  # fmt: skip


def test_twins(built_twins: Any, maps: Any) -> None:
    plugins = [{"cfg": {"type": "ContextBlock", "ratio": 0.5}, "position": "after_conv2", "stages": (False, True)}]
    built_twins({**_SMALL, "norm_eval": False, "plugins": plugins}, maps((3,), (20, 18))[0], True)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("more", "text"), [({"scales": 1}, "scales=1: at least 2"), ({"depth": 18}, "Depths: 50, 101")]
)
def test_errors(backend: str, more: Any, text: str) -> None:
    with pytest.raises(FkitError, match=text):
        fkit.build({**_SMALL, **more}, fkit.registry(), "models", backend=backend)

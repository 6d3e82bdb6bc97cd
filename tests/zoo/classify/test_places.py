"""Positions of a vision transformer's checkpoint, for images of another size."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fkit
from fkit.backend.torch.template import inventory_of
from fkit.training.older import older

_ARCH = {"embed_dims": 4, "num_layers": 1, "num_heads": 1, "feedforward_channels": 4}


def _model(size: int, **more: Any) -> Any:
    cfg = {"type": "VisionTransformer", "arch": _ARCH, "img_size": size, "patch_size": 8, **more}
    return fkit.build(cfg, fkit.registry(), "models", backend="torch")


@pytest.mark.parametrize("more", [{}, {"with_cls_token": False, "out_type": "featmap"}], ids=["class", "patches"])
def test_another_grid(more: Any) -> None:
    model = _model(40, **more)
    table = np.random.default_rng(0).normal(size=(1, 9 + model.extra, 4)).astype(np.float32)
    found = older(inventory_of(model, "float32"), {"pos_embed": table})["pos_embed"]
    maps = torch.from_numpy(table[:, model.extra :]).reshape(1, 3, 3, 4).permute(0, 3, 1, 2)
    want = F.interpolate(maps, (5, 5), mode="bicubic", align_corners=False).flatten(2).transpose(1, 2).numpy()
    np.testing.assert_allclose(found[:, model.extra :], want, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found[:, : model.extra], table[:, : model.extra])


def test_a_token_too_many() -> None:
    model = _model(24, with_cls_token=False, out_type="featmap")
    table = np.arange(40, dtype=np.float32).reshape(1, 10, 4)
    assert np.array_equal(older(inventory_of(model, "float32"), {"pos_embed": table})["pos_embed"], table[:, 1:])

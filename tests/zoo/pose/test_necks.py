"""Necks of pose estimators: on torch what their arguments say, and the twins against each other."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

import fkit
from fkit.tree.error import FkitError

PROCESSORS = (
    {"select_index": -1},
    {"select_index": (0, 2), "concat": True, "apply_relu": True},
    {"concat": True, "scale_factor": 2.0},
    {"select_index": 1, "scale_factor": 4.0, "align_corners": True},
)


def _build(cfg: dict[str, Any], backend: str) -> Any:
    return fkit.build(cfg, fkit.registry(), "models", backend=backend)


@pytest.mark.parametrize("options", PROCESSORS)
def test_processors(options: dict[str, Any], maps: Any, built_twins: Any) -> None:
    built_twins({"type": "mmpose.FeatureMapProcessor", **options}, maps((2, 3, 4)))


def test_a_processor_joins_at_the_first_size(maps: Any) -> None:
    several = tuple(torch.from_numpy(x) for x in maps((2, 3, 4)))
    neck = _build({"type": "FeatureMapProcessor", "concat": True, "scale_factor": 0.5}, "torch")
    (out,) = neck(several)
    large = [F.interpolate(x, several[0].shape[2:], mode="bilinear") for x in several]
    want = F.interpolate(torch.cat(large, 1), scale_factor=0.5, mode="bilinear")
    torch.testing.assert_close(out, want)


def test_pooled(maps: Any, built_twins: Any) -> None:
    built_twins({"type": "mmpose.GlobalAveragePooling"}, maps((2, 3)))


def test_paths_without_last_convolutions(maps: Any, built_twins: Any) -> None:
    cfg = {"type": "mmpose.CSPNeXtPAFPN", "in_channels": [4, 8, 16], "out_channels": None, "out_indices": [1, 2]}
    found = built_twins({**cfg, "num_csp_blocks": 1, "act_cfg": {"type": "SiLU"}}, maps((4, 8, 16)), False, 1e-8)
    assert not [entry for entry in found.entries if "out_convs" in entry.name]


@pytest.mark.parametrize(
    "cfg",
    [
        {"type": "mmpose.CSPNeXtPAFPN", "in_channels": [4, 8], "out_channels": 4},
        {"type": "FeatureMapProcessor", "scale_factor": 0},
    ],
)
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_refusals(cfg: dict[str, Any], backend: str) -> None:
    with pytest.raises(FkitError):
        _build(cfg, backend)

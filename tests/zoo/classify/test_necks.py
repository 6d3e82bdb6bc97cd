"""Necks of classifiers: twins."""

from typing import Any


def test_hr_fuse_scales(built_twins: Any, maps: Any) -> None:
    cfg = {"type": "HRFuseScales", "in_channels": (4, 6), "out_channels": 5}
    assert built_twins(cfg, maps((4, 6), (6, 4)), train=True) is not None

"""Pictures that several tests here use."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def samples() -> Path:
    """The sample files: images, videos, and the bad ones, with their manifest."""
    return Path(__file__).parent.parent / "golden" / "data" / "samples"


@pytest.fixture
def photo() -> np.ndarray:
    """(48, 64, 3) uint8: waves with noise, every channel different."""
    y, x = np.mgrid[:48, :64]
    waves = np.stack([np.sin(x / 7 + k) * np.cos(y / 9 - k) for k in range(3)], axis=-1)
    return np.clip(127 + 110 * waves + np.random.default_rng(0).normal(0, 6, waves.shape), 0, 255).astype(np.uint8)

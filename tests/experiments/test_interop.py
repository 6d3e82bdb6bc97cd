"""The worked example of two frameworks in one program learns."""

import runpy
from pathlib import Path


def test_a_torch_backbone_under_a_jax_head_learns_digits():
    script = runpy.run_path(str(Path(__file__).parents[2] / "experiments/interop/backbone.py"))
    losses, accuracy = script["main"](2)
    assert losses[-1] < 0.5 * losses[0] and accuracy > 0.8

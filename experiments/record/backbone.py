"""Records the book ``backbone`` of tests/golden: mmdet 3.3.0's backbones that no recorded network of a detector has, small, in float64.

    python experiments/record/backbone.py tests/golden/books/backbone.json

in an environment with mmdet 3.3.0 and a compiled mmcv 2.1.0 (``nox -s peers`` says how). fkit is not imported. Weights are drawn by the
rule of tests/golden/weights.py under the name ``backbone``, pictures from seed 0. Of each array the book keeps its norm and 16 values, of
gradients those of every fifth parameter and of the picture.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import reference  # noqa: F401  before the packages
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))

from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from weights import make

CASES: dict[str, dict[str, Any]] = {
    "res2net": {
        "type": "Res2Net", "depth": 50, "scales": 4, "base_width": 8, "base_channels": 8, "num_stages": 2,
        "strides": [1, 2], "dilations": [1, 1], "out_indices": [0, 1], "norm_eval": False,
    },
    "resnet of which one block falls back": {
        "type": "ResNet", "depth": 50, "base_channels": 4, "num_stages": 2, "strides": [1, 2], "dilations": [1, 1],
        "out_indices": [0, 1], "norm_eval": False, "stage_with_dcn": [False, True],
        "dcn": {"type": "DCNv2", "deform_groups": 1, "fallback_on_stride": True},
    },
    "layers that heads share": {"type": "ResLayer", "depth": 18, "stage": 1, "style": "caffe", "norm_eval": False},
}  # fmt: skip
PICTURE = [2, 3, 40, 36]
SIZES = {"layers that heads share": [2, 64, 9, 8]}


def sampled(tensor: Any) -> list[float]:
    flat = tensor.detach().contiguous().reshape(-1)
    return [float(flat.norm()), *flat[:: max(flat.numel() // 16, 1)][:16].tolist()]


def recorded(cfg: dict[str, Any], size: list[int]) -> dict[str, Any]:
    module = MODELS.build(copy.deepcopy(cfg))
    state = {name: list(array.shape) for name, array in module.state_dict().items()}
    module.load_state_dict(
        {name: torch.tensor(np.array(make(f"backbone.{name}", tuple(shape)))) for name, shape in state.items()}
    )
    module.double()
    module.train()
    picture = torch.tensor(np.random.default_rng(0).standard_normal(size), requires_grad=True)
    outs = module(picture)
    outs = (outs,) if isinstance(outs, torch.Tensor) else outs
    sum(
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum() for out in outs
    ).backward()
    gradients = {name: sampled(one.grad) for name, one in list(module.named_parameters())[::5]}
    return {
        "state": state,
        "outputs": [sampled(out) for out in outs],
        "gradients": {**gradients, "picture": sampled(picture.grad)},
    }


def main(target: str) -> None:
    register_all_modules()
    cases: list[dict[str, Any]] = []
    for name, cfg in CASES.items():
        size = SIZES.get(name, PICTURE)
        cases.append({"id": name, "cfg": cfg, "size": size, "out": recorded(cfg, size)})
    Path(target).write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

"""Record the book ``deform``: what mmcv 2.1.0's deformable convolutions give, and their gradients.

    python experiments/record/deform.py tests/golden/books

in an environment with mmcv 2.1.0 and its compiled operators (CPU). Numbers are float64; arrays lie in the npz by case and name.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack

# name -> layer, channels in and out, its arguments, how far its offsets go (0: where they start), the map
CASES = (
    ("first", "DCN", 4, 6, {"padding": 1}, 1.0, (2, 6, 7)),
    ("first.start", "DCN", 2, 3, {"padding": 1}, 0.0, (1, 5, 4)),
    ("first.groups", "DCN", 8, 4, {"padding": 2, "dilation": 2, "stride": 2, "groups": 2, "deform_groups": 4}, 2.0, (1, 9, 8)),
    ("second", "DCNv2", 4, 6, {"padding": 1}, 1.0, (2, 6, 7)),
    ("second.start", "DCNv2", 2, 3, {"padding": 1, "bias": False}, 0.0, (1, 5, 4)),
    ("second.groups", "DCNv2", 8, 4, {"padding": 1, "stride": 2, "groups": 4, "deform_groups": 2}, 3.0, (1, 7, 9)),
    ("second.far", "DCNv2", 2, 2, {"padding": 1, "bias": False}, 20.0, (1, 4, 5)),
)  # fmt: skip
LAYERS = {"DCN": DeformConv2dPack, "DCNv2": ModulatedDeformConv2dPack}


def main() -> None:
    folder = Path(sys.argv[1])
    arrays: dict[str, np.ndarray] = {}
    cases = []
    for name, kind, inner, outer, options, reach, (count, height, width) in CASES:
        rng = np.random.default_rng(len(cases))
        layer = LAYERS[kind](inner, outer, 3, **options).double()
        for key, parameter in layer.named_parameters():
            scale = reach / 6 if key == "conv_offset.weight" else reach if key == "conv_offset.bias" else 0.5
            parameter.data = torch.tensor(rng.normal(size=tuple(parameter.shape)) * scale)
        x = torch.tensor(rng.normal(size=(count, inner, height, width)), requires_grad=True)
        out = layer(x)
        grad_out = torch.tensor(rng.normal(size=tuple(out.shape)))
        out.backward(grad_out)
        kept = {"x": x, "out": out, "grad_out": grad_out, "grad.x": x.grad}
        for key, parameter in layer.named_parameters():
            kept |= {f"param.{key}": parameter, f"grad.{key}": parameter.grad}
        arrays |= {f"{name}/{key}": value.detach().numpy() for key, value in kept.items()}
        cases.append({"id": name, "type": kind, "in": inner, "out": outer, "options": options})
    (folder / "deform.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n", encoding="utf-8")
    np.savez_compressed(folder / "deform.npz", **arrays)


if __name__ == "__main__":
    main()

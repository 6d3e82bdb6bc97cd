"""Records the book ``transformer`` of tests/golden: mmcv 2.1.0's attention, feed-forward network and transformer layers, and mmdet 3.3.0's
positions, in float64 with gradients.

    python experiments/record/transformer.py tests/golden/books/transformer.json

in an environment with mmdet 3.3.0 and a compiled mmcv 2.1.0 (``nox -s peers`` says how). fkit is not imported. Weights are drawn by the
rule of tests/golden/weights.py under the name ``transformer``, arrays from the seeds that tests/golden/test_transformer.py draws them
from. Of each array the book keeps its norm and 16 values.
"""

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
from mmengine.config import ConfigDict
from weights import make

WIDTH = 8
ATTENTION = {"type": "MultiheadAttention", "embed_dims": WIDTH, "num_heads": 2}
FFN = {"type": "FFN", "embed_dims": WIDTH, "feedforward_channels": 12}
ENCODER = {
    "type": "BaseTransformerLayer", "attn_cfgs": ATTENTION, "ffn_cfgs": FFN,
    "operation_order": ["self_attn", "norm", "ffn", "norm"],
}  # fmt: skip
DECODER = {
    "type": "BaseTransformerLayer", "attn_cfgs": [ATTENTION, {**ATTENTION, "num_heads": 4}], "ffn_cfgs": FFN,
    "batch_first": True, "operation_order": ["norm", "self_attn", "norm", "cross_attn", "norm", "ffn"],
}  # fmt: skip
# id -> (config, the arrays that it is called with)
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "attention/self": (ATTENTION, ["query", "query_pos"]),
    "attention/cross": (
        {**ATTENTION, "batch_first": True},
        ["query", "key", "value", "query_pos", "key_pos", "attn_mask", "key_padding_mask"],
    ),
    "attention/no bias": ({**ATTENTION, "bias": False}, ["query", "key", "identity", "query_pos", "key_padding_mask"]),
    "ffn": (FFN, ["x"]),
    "ffn/deep": (
        {**FFN, "num_fcs": 3, "act_cfg": {"type": "GELU"}, "layer_scale_init_value": 0.5, "add_identity": False},
        ["x"],
    ),
    "encoder layer": (ENCODER, ["query", "query_pos", "query_key_padding_mask"]),
    "decoder layer": (
        DECODER,
        ["query", "key", "value", "query_pos", "key_pos", "attn_masks", "query_key_padding_mask", "key_padding_mask"],
    ),
    "decoder": (
        {"type": "TransformerLayerSequence", "transformerlayers": DECODER, "num_layers": 2},
        ["query", "key", "value", "query_pos", "key_padding_mask"],
    ),
    "sine": ({"type": "SinePositionalEncoding", "num_feats": 4}, ["mask"]),
    "sine/normalised": (
        {"type": "SinePositionalEncoding", "num_feats": 4, "normalize": True, "offset": -0.5, "temperature": 20},
        ["mask"],
    ),
    "learned": (
        {"type": "LearnedPositionalEncoding", "num_feats": 4, "row_num_embed": 7, "col_num_embed": 9},
        ["mask"],
    ),
}


def arrays(names: list[str], first: bool) -> dict[str, Any]:
    """What a module is called with; (L, N, C) unless ``first``."""
    drawn: dict[str, Any] = {}
    for name in names:
        draw = np.random.default_rng(list(name.encode()))
        count = 7 if name in ("key", "value", "key_pos", "key_padding_mask") else 5
        if name == "mask":
            drawn[name] = np.zeros((2, 5, 6), bool)
            drawn[name][1, 4:], drawn[name][1, :, 3:] = True, True
        elif name.endswith("padding_mask"):
            drawn[name] = np.arange(count)[None] >= np.array([[count], [count - 2]])
        elif name == "attn_mask":
            drawn[name] = np.eye(5, 7, dtype=bool)
        elif name == "attn_masks":
            drawn[name] = [np.triu(np.ones((5, 5), bool), 1), draw.standard_normal((2 * 4, 5, 7))]
        else:
            array = draw.standard_normal((2, count, WIDTH))
            drawn[name] = array if first or name == "x" else array.swapaxes(0, 1)
    return drawn


def tensors(value: Any) -> Any:
    if isinstance(value, list):
        return [tensors(one) for one in value]
    return torch.tensor(np.ascontiguousarray(value), requires_grad=value.dtype == np.float64)


def sampled(tensor: Any) -> list[float]:
    flat = tensor.detach().double().contiguous().reshape(-1)
    return [float(flat.norm()), *flat[:: max(flat.numel() // 16, 1)][:16].tolist()]


def recorded(name: str, cfg: dict[str, Any], names: list[str]) -> dict[str, Any]:
    module = MODELS.build(ConfigDict(json.loads(json.dumps(cfg)))).double().eval()
    state = {key: list(array.shape) for key, array in module.state_dict().items()}
    module.load_state_dict(
        {key: torch.tensor(np.array(make(f"transformer.{key}", tuple(shape)))) for key, shape in state.items()}
    )
    module.double()
    inner = cfg.get("transformerlayers", cfg)
    given = {key: tensors(value) for key, value in arrays(names, bool(inner.get("batch_first"))).items()}
    if name.startswith("sine"):  # the reference's float32, lifted
        torch.float32 = torch.float64
    out = module(**given)
    total = (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum()
    answer = {"state": state, "shape": list(out.shape), "output": sampled(out), "gradients": {}}
    if total.requires_grad:
        total.backward()
        leaves = {
            **{key: one for key, one in given.items() if isinstance(one, torch.Tensor)},
            **dict(module.named_parameters()),
        }
        answer["gradients"] = {key: sampled(one.grad) for key, one in leaves.items() if one.grad is not None}
    return answer


def main(target: str) -> None:
    register_all_modules()
    double = torch.float32
    cases = []
    for name, (cfg, names) in CASES.items():
        cases.append({"id": name, "cfg": cfg, "given": names, "out": recorded(name, cfg, names)})
        torch.float32 = double
    Path(target).write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

"""What is recorded of a small segmentor: names and shapes, logits, losses and gradients in float64; numpy and torch only."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

_RULE = Path(__file__).parents[2] / "golden" / "weights.py"
_spec = importlib.util.spec_from_file_location("rule", _RULE)
assert _spec is not None and _spec.loader is not None
rule = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rule)

SAMPLES = 16
CLASSES = 3
_BODY = {
    "type": "ResNetV1c", "depth": 18, "stem_channels": 4, "base_channels": 4, "strides": [1, 2, 1, 1],
    "dilations": [1, 1, 2, 4], "norm_cfg": {"type": "BN"}, "contract_dilation": True,
}  # fmt: skip
_HEAD = {"channels": 8, "num_classes": CLASSES, "dropout_ratio": 0.0, "norm_cfg": {"type": "BN"}}


def _plain(value: Any) -> Any:
    """A config of JSON, in which a tuple is ``{"__tuple__": [...]}``."""
    if isinstance(value, dict):
        if "__tuple__" in value:
            return tuple(value["__tuple__"])
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def config(case: dict[str, Any]) -> dict[str, Any]:
    """A segmentor of a case: a small ResNet, where it names no backbone, and heads with a few channels."""

    def head(cfg: Any) -> Any:
        if isinstance(cfg, list):
            return [head(one) for one in cfg]
        several = isinstance(cfg.get("in_index"), list)
        return {**_HEAD, **({} if several else {"in_channels": 32, "in_index": 3}), **cfg}

    model: dict[str, Any] = {
        "type": "EncoderDecoder",
        "backbone": _BODY,
        "test_cfg": {"mode": "whole"},
        **_plain(case["model"]),
    }
    for name in ("decode_head", "auxiliary_head"):
        if name in model:
            model[name] = head(model[name])
    return model


def images(case: dict[str, Any]) -> Any:
    """Two images of noise, (2, 3, H, W) float64."""
    drawn = np.random.default_rng(0).standard_normal((2, 3, *case.get("size", (32, 40))))
    return np.round(drawn * 2**20) / 2**20


def labels(case: dict[str, Any]) -> Any:
    """Classes of their pixels, (2, H, W), some of them ignored."""
    count = case.get("classes", CLASSES)
    drawn = np.random.default_rng(1).integers(0, count + 1, (2, *case.get("size", (32, 40))))
    return np.where(drawn == count, 255, drawn)


def loaded(model: Any) -> Any:
    """A torch module in float64, with the rule's weights; tables of integers keep theirs."""
    model = model.double()
    for name, tensor in model.state_dict().items():
        array = rule.make(name, tuple(tensor.shape))
        if array is not None:
            with torch.no_grad():
                tensor.copy_(torch.from_numpy(np.asarray(array)).reshape(tensor.shape))
    return model


def sampled(array: Any) -> list[float]:
    """Some numbers of an array."""
    flat = np.asarray(array, np.float64).reshape(-1)
    return [float(f"{number:.12g}") for number in flat[:: max(flat.size // SAMPLES, 1)][:SAMPLES]]


def found(model: Any, logits: Callable[[Any], Any], losses: Callable[[Any], Any]) -> dict[str, Any]:
    """Names and shapes, logits, losses, and gradients of their sum."""
    entries = [[name, list(tensor.shape)] for name, tensor in model.state_dict().items()]
    model = loaded(model)
    model.eval()
    with torch.no_grad():
        said = logits(model)
    model.train()
    each = {name: value.sum() for name, value in losses(model).items()}
    total: Any = sum(value for name, value in each.items() if "loss" in name)
    total.backward()
    grads = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}
    picked = list(grads)[:: max(len(grads) // 8, 1)]
    own = [name for name in grads if not name.startswith("backbone.")]
    picked += [name for name in own[:: max(len(own) // 12, 1)] if name not in picked]
    after = {
        name: sampled(tensor) for name, tensor in model.state_dict().items() if name.endswith(("running_var", "bases"))
    }
    heads = [name for name in after if not name.startswith("backbone.")]
    return {
        "entries": entries,
        "shape": list(said.shape),
        "logits": sampled(said),
        "losses": {name: float(value.detach()) for name, value in each.items()},
        "with_gradient": len(grads),
        "gradients": {name: grads[name] for name in picked},
        "total": float(np.sqrt(sum(norm**2 for norm in grads.values()))),
        "after": {name: after[name][:4] for name in heads[:: max(len(heads) // 4, 1)]},
    }

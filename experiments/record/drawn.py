"""Records the books of tests/zoo/backbone: small networks of mmseg 1.2.2, mmpose 1.3.2 and mmpretrain 1.2.0, in float64.

    python experiments/record/drawn.py tests/zoo/backbone [FAMILY ...]

in an environment with these packages and a compiled mmcv 2.1.0 (``nox -s peers`` says how). fkit is not imported. Weights are
drawn by the rule of tests/golden/weights.py under the name ``backbone``, inputs from seed 0. Of each array a book keeps its norm
and 6 values; of gradients and of running statistics those of about a dozen of each; of the state a digest.
"""

import copy
import hashlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import reference  # noqa: F401  before the packages
import torch
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "golden"))

from drawn_cases import FAMILIES
from weights import make

for _name in ("", ".coco", ".cocoeval", ".mask"):  # the same functions, for another numpy
    sys.modules["xtcocotools" + _name] = importlib.import_module("pycocotools" + _name)


def sampled(tensor: Any) -> list[float]:
    flat = tensor.detach().contiguous().reshape(-1)
    return [float(flat.norm()), *flat[:: max(flat.numel() // 6, 1)][:6].tolist()]


def flat(outs: Any) -> list[Any]:
    """All tensors of nested sequences and dicts."""
    if isinstance(outs, torch.Tensor):
        return [outs]
    return [tensor for one in (outs.values() if isinstance(outs, dict) else outs) for tensor in flat(one)]


def some(items: list[Any]) -> list[Any]:
    return items[:: max(len(items) // 12, 1)]


def inputs_of(size: Any) -> Any:
    rng = np.random.default_rng(0)
    sizes = size if isinstance(size[0], list) else [size]
    arrays = [torch.tensor(rng.standard_normal(one), requires_grad=True) for one in sizes]
    return arrays if isinstance(size[0], list) else arrays[0]


def load(module: Any, state: dict[str, Any]) -> None:
    drawn = {name: make(f"backbone.{name}", tuple(shape)) for name, shape in state.items()}
    module.load_state_dict({n: torch.tensor(np.array(a)) for n, a in drawn.items() if a is not None}, strict=False)


def recorded(models: Any, cfg: dict[str, Any], size: Any) -> dict[str, Any]:
    module = models.build(copy.deepcopy(cfg))
    state = {name: list(array.shape) for name, array in module.state_dict().items()}
    digest = hashlib.sha256(json.dumps(list(state.items())).encode()).hexdigest()
    frozen = sorted(name for name, one in module.named_parameters() if not one.requires_grad)
    module.double()
    load(module, state)
    module.eval()
    with torch.no_grad():
        still = [sampled(out) for out in flat(module(inputs_of(size)))]
    module.train()
    inputs = inputs_of(size)
    outs = flat(module(inputs))
    sum(
        (out * torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)).sum() for out in outs
    ).backward()
    moved = [(name, one) for name, one in module.named_parameters() if one.grad is not None]
    buffers = [(name, one) for name, one in module.named_buffers() if name.endswith(("running_mean", "running_var"))]
    grads = {name: sampled(one.grad) for name, one in some(moved)}
    arrays = inputs if isinstance(inputs, list) else [inputs]
    return {
        "count": len(state),
        "digest": digest,
        "frozen": frozen,
        "still": still,
        "outputs": [sampled(out) for out in outs],
        "gradients": {**grads, **{f"input{i}": sampled(one.grad) for i, one in enumerate(arrays)}},
        "buffers": {name: sampled(one) for name, one in some(buffers)},
    }


def main(folder: str, *families: str) -> None:
    for family in families or FAMILIES:
        cases: list[dict[str, Any]] = []
        for name, (package, cfg, size) in FAMILIES[family].items():
            importlib.import_module(f"{package}.models")
            init_default_scope(package)
            models = importlib.import_module(f"{package}.registry").MODELS
            print(family, name, flush=True)
            cases.append({"id": name, "scope": package, "cfg": cfg, "size": size, "out": recorded(models, cfg, size)})
        text = json.dumps({"cases": cases}, separators=(",", ":"))
        (Path(folder) / f"{family}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

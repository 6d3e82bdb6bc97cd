"""Record what the reference computes of backbones.json, heads.json and losses.json: ``python record.py [NAME ...]`` where mmpose 1.3.2
is installed. Without names, those are recorded that have no file yet."""

import importlib
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
for _name in ("", ".coco", ".cocoeval", ".mask"):  # the same functions, for another numpy
    sys.modules["xtcocotools" + _name] = importlib.import_module("pycocotools" + _name)
sys.modules.setdefault("chumpy", types.ModuleType("chumpy"))


def _module(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


heads = _module("heads", HERE / "heads.py")
small = heads.small


def _tensors(tree: Any, grad: bool = False) -> Any:
    import torch

    if isinstance(tree, list):
        return [_tensors(one, grad) for one in tree]
    return torch.from_numpy(tree).requires_grad_(grad)


def _samples(case: Any) -> list[Any]:
    """PoseDataSample of each person, its targets by the config's codec."""
    import torch
    from mmengine.structures import InstanceData, PixelData
    from mmpose.registry import KEYPOINT_CODECS
    from mmpose.structures import MultilevelPixelData, PoseDataSample

    given = case.get("encoder", case["cfg"].get("decoder"))
    codecs = [KEYPOINT_CODECS.build(one) for one in (given if isinstance(given, list) else [given])]
    size = tuple((given[0] if isinstance(given, list) else given)["input_size"])
    samples = []
    for points, seen in zip(heads.POINTS * np.array(size), heads.SEEN, strict=True):
        whole = [codec.encode(points[None].astype(np.float32), seen[None]) for codec in codecs]
        sample = PoseDataSample(
            metainfo={"flip_indices": list(heads.PARTNERS), "input_size": size, "img_shape": (64, 64)}
        )
        labels = InstanceData()
        for name in whole[0]:
            values = [torch.from_numpy(np.asarray(one[name])).double() for one in whole]
            if name.startswith("keypoint"):
                labels.set_field(
                    values[0] if len(whole) == 1 else torch.stack([one[0] for one in values])[:, None], name
                )
        sample.gt_instance_labels = labels
        if "heatmaps" in whole[0]:
            maps = [torch.from_numpy(one["heatmaps"]).double() for one in whole]
            if len(whole) == 1:
                sample.gt_fields = PixelData(heatmaps=maps[0])
            else:
                sample.gt_fields = MultilevelPixelData(heatmaps=maps)
        samples.append(sample)
    return samples


def head(case: Any) -> dict[str, Any]:
    """Entries, outputs, losses, gradients and predictions of a head."""
    import torch
    from mmpose.registry import MODELS

    model = MODELS.build(case["cfg"])
    entries = [[name, list(tensor.shape)] for name, tensor in model.state_dict().items()]
    model = small.loaded(model)
    heads.fixed(model)
    maps = _tensors(heads.given(case), grad=True)
    model.train()
    outs = small.leaves(model(tuple(maps)))
    torch.Tensor.float = (
        torch.Tensor.double
    )  # VisPredictHead makes float32 labels, which the loss refuses beside float64
    losses = model.loss(tuple(maps), _samples(case), train_cfg=case.get("train_cfg", {}))
    sum(value.sum() for name, value in losses.items() if "loss" in name).backward()
    grads = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}
    grads |= {f"maps.{i}": one.grad.norm().item() for i, one in enumerate(small.leaves(maps)) if one.grad is not None}
    found = {
        "entries": entries,
        "outs": [heads.numbers(out.detach()) for out in outs],
        "losses": {name: heads.numbers(value.detach()) for name, value in losses.items()},
        "gradients": grads,
    }
    heads.fixed(small.loaded(model)).eval()  # without what training moved
    with torch.no_grad():
        cfg = {"flip_test": True, **case.get("test_cfg", {})}
        pair = [tuple(_tensors(heads.given(case, number))) for number in (0, 1)]
        predictions = model.predict(pair, _samples(case), test_cfg=cfg)
    rows = predictions[0] if isinstance(predictions, tuple) else predictions
    found["pred"] = {
        name: heads.numbers(np.stack([np.asarray(row[name], np.float64) for row in rows]))
        for name in ("keypoints", "keypoint_scores")
    }
    return found


def loss(case: Any) -> dict[str, Any]:
    """The value of a loss, and its gradient."""
    from mmpose.registry import MODELS

    args = [_tensors(one) for one in heads.arguments(case)]
    first = args[0] if isinstance(args[0], list) else [args[0]]
    for one in first:
        one.requires_grad_()
    value = MODELS.build(case["cfg"])(*args)
    value.sum().backward()
    return {"value": heads.numbers(value.detach()), "gradients": [heads.numbers(one.grad) for one in first]}


def main(names: list[str]) -> None:
    """Write the files."""
    importlib.import_module("mmpose.models")
    registry = importlib.import_module("mmpose.registry").MODELS
    (HERE / "recorded").mkdir(exist_ok=True)
    for kind in ("backbones", "heads", "losses"):
        cases = json.loads((HERE / f"{kind}.json").read_text())
        for name, case in cases.items():
            path = HERE / "recorded" / f"{name}.json"
            if name not in names if names else path.exists():
                continue
            if kind == "heads":
                found = head(case)
            elif kind == "losses":
                found = loss(case)
            else:
                found = small.found(registry.build(case["cfg"]), tuple(case["size"]), case.get("train", False))
            path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
            print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

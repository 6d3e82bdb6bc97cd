"""Record what mmseg computes of the segmentors in cases.json: ``python record.py [NAME ...]`` where it is installed.

recorded/NAME.json holds names, shapes, logits, losses and gradients in float64. Without names, those are recorded that have no
file yet.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent


# a torchvision without its compiled part: mmpretrain imports it, and looks for these names
_LIBRARY = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _module(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(numbers: Any, case: dict[str, Any]) -> dict[str, Any]:
    """What mmseg computes of a case."""
    models = importlib.import_module("mmseg.registry").MODELS
    config = importlib.import_module("mmengine.config").ConfigDict
    sample = importlib.import_module("mmseg.structures").SegDataSample
    pixels = importlib.import_module("mmengine.structures").PixelData
    inputs, labels = torch.from_numpy(numbers.images(case)), torch.from_numpy(numbers.labels(case))
    samples = [
        sample(gt_sem_seg=pixels(data=one[None]), gt_edge_map=pixels(data=(one[None] == 1).long())) for one in labels
    ]
    size = tuple(inputs.shape[2:])
    metas = [{"ori_shape": size, "img_shape": size, "pad_shape": size} for _ in samples]
    model = models.build(config(numbers.config(case)))
    return numbers.found(model, lambda net: net.inference(inputs, metas), lambda net: net.loss(inputs, samples))


def main(names: list[str]) -> None:
    """Write the files."""
    numbers = _module("small", HERE / "small.py")
    cases = json.loads((HERE / "cases.json").read_text())
    importlib.import_module("mmseg.models")
    importlib.import_module("mmengine.registry").init_default_scope("mmseg")
    (HERE / "recorded").mkdir(exist_ok=True)
    for name, case in cases.items():
        path = HERE / "recorded" / f"{name}.json"
        if name not in names if names else path.exists():
            continue
        try:
            found = recorded(numbers, case)
        except Exception as error:  # the others are recorded all the same
            print(name, "fails:", error)
            continue
        path.write_text(json.dumps(found, indent=None, separators=(",", ":")) + "\n")
        print(name, len(found["entries"]), found["shape"], found["losses"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

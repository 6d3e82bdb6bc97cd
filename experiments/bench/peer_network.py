"""A reference package's model on network.py's picture and weights, run by an interpreter of its own; network.py starts it."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "record"))
import numpy as np
import reference  # noqa: F401  before the packages
import torch
from detection import serve, weight
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from network import CASES, picture, pose_box, without_files

for name in ("", ".coco", ".cocoeval", ".mask"):  # mmpose asks for xtcocotools, which fits no current numpy
    sys.modules["xtcocotools" + name] = importlib.import_module("pycocotools" + name)
SAMPLES = {
    "mmdet": "DetDataSample",
    "mmseg": "SegDataSample",
    "mmpose": "PoseDataSample",
    "mmpretrain": "DataSample",
}


def prediction(name: str, path: str) -> Callable[[], Any]:
    case = CASES[name]
    importlib.import_module(f"{case.package}.models")
    init_default_scope(case.package)
    cfg = ConfigDict(without_files(Config.fromfile(path).model.to_dict()))
    net = importlib.import_module(f"{case.package}.registry").MODELS.build(cfg).eval()
    state = {
        name: torch.from_numpy(weight(name, tuple(tensor.shape)))
        for name, tensor in net.state_dict().items()
        if tensor.is_floating_point()
    }
    net.load_state_dict(state, strict=False)
    image = torch.from_numpy(picture(case.size))
    one = getattr(importlib.import_module(f"{case.package}.structures"), SAMPLES[case.package])()
    size = tuple(case.size)
    one.set_metainfo({"img_shape": size, "ori_shape": size, "pad_shape": size, "batch_input_shape": size})
    one.set_metainfo({"scale_factor": (1.0, 1.0)})
    if case.package == "mmpose":
        box = pose_box(size)
        one.set_metainfo({key: value[0] for key, value in box.items()})
        one.gt_instances = InstanceData(bboxes=np.float32([[0, 0, *size[::-1]]]), bbox_scores=np.ones(1, np.float32))

    def infer() -> None:
        with torch.no_grad():
            net.predict(image, [one])

    return infer


if __name__ == "__main__":
    serve(prediction(sys.argv[1], sys.argv[2]))

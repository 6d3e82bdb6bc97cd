"""mmdet's detector on detection.py's pictures and weights, run by an interpreter of its own; detection.py starts it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "record"))
import numpy as np
import reference  # noqa: F401  before the packages
import torch
from detection import INFER, TRAIN, objects, pictures, serve, weight
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.structures import InstanceData


def model() -> Any:
    cfg = Config.fromfile(sys.argv[2]).model
    cfg.backbone.init_cfg = None
    built = MODELS.build(cfg)
    state = {
        name: torch.from_numpy(weight(name, tuple(tensor.shape)))
        for name, tensor in built.state_dict().items()
        if tensor.is_floating_point()
    }
    built.load_state_dict(state, strict=False)
    return built


def sample(size: tuple[int, int], padded: tuple[int, int]) -> Any:
    one = DetDataSample()
    meta = {"img_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0)}
    one.set_metainfo({**meta, "pad_shape": padded, "batch_input_shape": padded})
    return one


def inference() -> Callable[[], Any]:
    net = model().eval()
    image = torch.from_numpy(pictures(1, INFER))
    alone = [sample(INFER, tuple(image.shape[2:]))]

    def infer() -> None:
        with torch.no_grad():
            net.predict(image, alone, rescale=True)

    return infer


def training() -> Callable[[], Any]:
    net = model().train()
    images = torch.from_numpy(pictures(2, TRAIN))
    boxes, labels = objects(2, TRAIN)
    samples = [sample(TRAIN, tuple(images.shape[2:])) for _ in range(2)]
    for one, box, label in zip(samples, boxes, labels, strict=True):
        one.gt_instances = InstanceData(bboxes=torch.from_numpy(box), labels=torch.from_numpy(label))
        one.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64))
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 1e-6, 0.9)

    def step() -> None:
        total, _ = net.parse_losses(net.loss(images, samples))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        float(total)

    return step


def main() -> None:
    register_all_modules()
    np.random.seed(0)
    serve(training() if sys.argv[1] == "training" else inference())


if __name__ == "__main__":
    main()

"""Record the cases of the book ``tta`` that are mmdet 3.3.0's: how DetTTAModel merges the boxes of several views.

    python experiments/record/det_tta.py tests/golden/books/tta.json

in an environment with mmdet and mmcv's compiled operators (nox -s peers). The cases take the place of those that the book has.
"""

import json
import sys
from typing import Any

import reference  # noqa: F401  before the packages
import torch
from mmdet.models.test_time_augs.det_tta import DetTTAModel
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import nn

SHAPE = (40, 60)
VIEWS = (None, "horizontal", "vertical", "diagonal")
RULES = (
    ("hard", dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=100)),
    ("few", dict(nms=dict(type="nms", iou_threshold=0.6), max_per_img=5)),
    ("soft", dict(nms=dict(type="soft_nms", iou_threshold=0.5, min_score=0.05), max_per_img=8)),
)


class Model(nn.Module):
    """What a detector would be; the views' predictions are at hand."""

    def test_step(self, data: Any) -> Any:
        return data


def view(direction: str | None) -> dict[str, Any]:
    """What is said of a view: boxes about the same few objects, of which each view sees some a little off."""
    corners = torch.tensor([[4, 5, 20, 17], [8, 6, 24, 18], [30, 20, 55, 38], [40, 2, 52, 12.0]])
    boxes = (corners + torch.randn(4, 4)).clamp(0, 60)
    if direction in ("horizontal", "diagonal"):
        boxes[:, [0, 2]] = SHAPE[1] - boxes[:, [2, 0]]
    if direction in ("vertical", "diagonal"):
        boxes[:, [1, 3]] = SHAPE[0] - boxes[:, [3, 1]]
    meta = dict(ori_shape=SHAPE, img_shape=SHAPE, flip=direction is not None, flip_direction=direction)
    return dict(meta=meta, bboxes=boxes.tolist(), scores=torch.rand(4).tolist(), labels=[0, 0, 1, 2])


def merged(views: list[dict[str, Any]], rule: dict[str, Any]) -> dict[str, Any]:
    model = DetTTAModel(tta_cfg=ConfigDict(rule), module=Model())
    samples = []
    for one in views:
        found = InstanceData(bboxes=torch.tensor(one["bboxes"]), scores=torch.tensor(one["scores"]), labels=torch.tensor(one["labels"]))  # fmt: skip
        samples.append([DetDataSample(metainfo=one["meta"], pred_instances=found)])
    said = model.merge_preds(list(zip(*samples, strict=True)))[0].pred_instances
    return dict(bboxes=said.bboxes.tolist(), scores=said.scores.tolist(), labels=said.labels.tolist())


def main(place: str) -> None:
    torch.manual_seed(0)
    with open(place) as file:
        book = json.load(file)
    cases = [case for case in book["cases"] if not case["id"].startswith("DetTTAModel")]
    for name, rule in RULES:
        views = [view(direction) for direction in VIEWS]
        cases.append(dict(id=f"DetTTAModel/{name}", tta_cfg=rule, views=views, pred_instances=merged(views, rule)))
    with open(place, "w") as file:
        lines = ",\n".join(json.dumps(case) for case in cases)
        file.write(f'{{"meta": {json.dumps(book["meta"])}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(sys.argv[1])

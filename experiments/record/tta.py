"""Record the book ``tta``: how mmsegmentation 1.2.2 and mmpretrain 1.2.0 merge what is predicted of several views.

    python experiments/record/tta.py tests/golden/books/tta.json

in an environment with mmengine, mmcv-lite 2.1.0 and the two packages. The model is a stand-in that gives the case's numbers;
what happens to them is the packages': a segmenter's ``postprocess_result``, and ``test_step`` of the two TTA models.
"""

import json
import sys
from typing import Any

import torch
from loading import Standins
from torch import nn

sys.meta_path.insert(0, Standins())  # compiled operators and torchvision, which nothing here calls

from mmengine.model import BaseTTAModel  # noqa: E402
from mmpretrain.models.tta import AverageClsScoreTTA  # noqa: E402
from mmpretrain.structures import DataSample  # noqa: E402
from mmseg.models.segmentors.base import BaseSegmentor  # noqa: E402
from mmseg.models.segmentors.seg_tta import SegTTAModel  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

# of each case: the original (height, width) of each image; of each view the size of each, its flip, and the padded size
IMAGES = (
    ("plain", [(4, 5)], [([(4, 5)], None, (4, 5)), ([(4, 5)], "horizontal", (4, 5))]),
    ("vertical", [(4, 5)], [([(4, 5)], None, (4, 5)), ([(4, 5)], "vertical", (4, 5))]),
    ("padded", [(4, 5)], [([(4, 5)], None, (6, 8)), ([(4, 5)], "horizontal", (6, 8))]),
    ("scaled", [(4, 5)], [([(2, 3)], None, (2, 4)), ([(4, 5)], None, (4, 6)), ([(6, 7)], "horizontal", (6, 8))]),
    ("unlike", [(4, 5), (3, 6)], [([(4, 5), (2, 4)], None, (4, 6)), ([(6, 7), (4, 8)], "vertical", (6, 8))]),
)


class Told(nn.Module):
    """A segmenter whose network gives the numbers that it is handed."""

    out_channels, align_corners = 3, False
    postprocess_result = BaseSegmentor.postprocess_result

    def test_step(self, data: Any) -> Any:
        return self.postprocess_result(data["inputs"], data["data_samples"])


class Scored(nn.Module):
    def test_step(self, data: Any) -> Any:
        return data["data_samples"]


def tta(kind: type[BaseTTAModel], module: nn.Module) -> BaseTTAModel:
    return kind(module=module)


def maps(name: str, shapes: Any, views: Any) -> dict[str, Any]:
    inputs = [
        torch.randn(len(shapes), 3, *padded, dtype=torch.float64).mul(2).round(decimals=3) for _, _, padded in views
    ]
    samples, metas = [], []
    for sizes, direction, (height, width) in views:
        rows = [
            dict(
                ori_shape=shape, img_shape=size, flip=direction is not None, flip_direction=direction, img_path="a.png",
                padding_size=[0, width - size[1], 0, height - size[0]],
            )
            for shape, size in zip(shapes, sizes, strict=True)
        ]  # fmt: skip
        samples.append([SegDataSample(metainfo=row) for row in rows])
        metas.append([{key: row[key] for key in ("ori_shape", "img_shape", "flip", "flip_direction")} for row in rows])
    model = tta(SegTTAModel, Told())
    each = [
        model.module.test_step({"inputs": one, "data_samples": rows}) for one, rows in zip(inputs, samples, strict=True)
    ]
    scores = [[row.seg_logits.data.softmax(0).round(decimals=12).tolist() for row in rows] for rows in each]
    merged = model.test_step({"inputs": inputs, "data_samples": samples})
    labels = [row.pred_sem_seg.data.tolist() for row in merged]
    numbers = [one.tolist() for one in inputs]
    return dict(id=f"SegTTAModel/{name}", seg_logits=numbers, metas=metas, scores=scores, pred_sem_seg=labels)


def classes() -> dict[str, Any]:
    scores = [torch.randn(2, 4, dtype=torch.float64).softmax(1).round(decimals=6) for _ in range(3)]
    samples = [[DataSample().set_pred_score(row) for row in one] for one in scores]
    merged = tta(AverageClsScoreTTA, Scored()).test_step({"inputs": scores, "data_samples": samples})
    return dict(
        id="AverageClsScoreTTA/mean", scores=[one.tolist() for one in scores], pred_score=[row.pred_score.tolist() for row in merged]
    )  # fmt: skip


def main(place: str) -> None:
    torch.manual_seed(0)
    cases = [*(maps(*image) for image in IMAGES), classes()]
    meta = {"packages": "mmsegmentation 1.2.2, mmpretrain 1.2.0, mmengine 0.10.7", "how": "experiments/record/tta.py"}
    with open(place, "w") as file:
        lines = ",\n".join(json.dumps(case) for case in cases)
        file.write(f'{{"meta": {json.dumps(meta)}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(sys.argv[1])

"""The book ``metric``: what the metrics of mmdet, mmseg and mmpretrain give, each name and number.

Recorded by experiments/record/metric.py, before the packages round. Where a package gives per cent, a fraction is given here;
where it gives a list, a number a class; where it gives a confusion matrix, the pairs that occur. Numbers that a package
computes in float32 agree to what that allows, all others to 1e-9.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from frozendict import frozendict

import fkit
from tests.golden.decoding import Decoder

BOOK = "metric"
PER_CENT = frozenset({"mmseg.IoUMetric", "mmdet.SemSegMetric", "mmdet.CocoPanopticMetric", "mmdet.RefSegMetric", "mmpretrain.Accuracy", "mmpretrain.SingleLabelMetric", "mmpretrain.MultiLabelMetric", "mmpretrain.AveragePrecision", "mmpretrain.VOCMultiLabelMetric", "mmpretrain.VOCAveragePrecision", "mmpretrain.RetrievalRecall", "mmpretrain.RetrievalAveragePrecision", "mmpretrain.MultiTasksMetric", "mmpretrain.VQAAcc"})  # fmt: skip
SINGLE = frozendict(  # what is computed in float32
    {name: 2e-6 for name in ("mmseg.IoUMetric", "mmdet.SemSegMetric", "mmdet.RefSegMetric", "mmpretrain.Accuracy", "mmpretrain.SingleLabelMetric", "mmpretrain.MultiLabelMetric", "mmpretrain.AveragePrecision", "mmpretrain.VOCMultiLabelMetric", "mmpretrain.VOCAveragePrecision", "mmpretrain.MultiTasksMetric", "mmpretrain.VisualGroundingMetric", "mmdet.OpenImagesMetric", "mmdet.VOCMetric")}
    | {"mmseg.DepthMetric": 1e-5}
)  # fmt: skip


def test_case(case: dict[str, Any], book: Any, book_arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    decode = Decoder(book_arrays, (), absent=False)
    kind = case["id"].partition("/")[0]
    if "Coco" in kind or "LVIS" in kind:
        pytest.importorskip("pycocotools")
    files = {key: laid(decode(book["shared"][name]), tmp_path / key) for key, name in case["files"].items()}
    given = [decode(book["shared"][name]) for name in case["given"]]
    metric = fkit.registry().build("metrics", {**case["cfg"], **files}, scope=case["package"])
    metric = metric.informed(decode(case["meta"]))
    state = metric.empty()
    for place in reversed(range(len(given))):  # one by one, the last first: neither tells
        state = metric.merge(state, metric.observe(metric.empty(), [given[place]], {}, [place]))
    expected = dict(numbers(decode(case["out"]), 100 if kind in PER_CENT else 1))
    got = metric.compute(state)
    assert set(got) == set(expected)
    assert got == pytest.approx(expected, rel=SINGLE.get(kind, 1e-9), abs=1e-12, nan_ok=True)


def numbers(out: Mapping[str, Any], divisor: float) -> Any:
    """The recorded numbers by the names that they have here."""
    for name, value in out.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}/{key}", one) for key, one in value.items())
        elif name == "confusion_matrix/result":
            yield from ((f"confusion_matrix/{a}/{b}", value[a, b]) for a, b in zip(*np.nonzero(value), strict=True))
        elif isinstance(value, list):
            yield from ((f"{name}/{at}", one / (1 if "support" in name else divisor)) for at, one in enumerate(value))
        else:
            yield name, value / (1 if "support" in name else divisor)


def laid(content: Any, path: Path) -> str:
    """A file written out: a text, or a folder of pictures."""
    if isinstance(content, str):
        path.write_text(content)
        return str(path)
    path.mkdir()
    for name, picture in content.items():
        cv2.imwrite(str(path / name), picture[..., ::-1])
    return str(path)

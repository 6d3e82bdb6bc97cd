"""What mmengine's users know of structures, one fact a test: those that no other file here shows."""

import numpy as np
import pytest

from fkit.structures import (
    ClsDataSample,
    DataElement,
    DetDataSample,
    InstanceData,
    LabelData,
    PixelData,
    PoseDataSample,
    SegDataSample,
)
from fkit.tree.error import FkitAttributeError, FkitTypeError

SAMPLES = (
    (ClsDataSample, LabelData, ("gt_label", "pred_label")),
    (DetDataSample, InstanceData, ("proposals", "gt_instances", "pred_instances", "ignored_instances")),
    (DetDataSample, PixelData, ("gt_sem_seg", "pred_sem_seg", "gt_panoptic_seg", "pred_panoptic_seg")),
    (SegDataSample, PixelData, ("gt_sem_seg", "pred_sem_seg", "seg_logits")),
    (PoseDataSample, InstanceData, ("gt_instances", "pred_instances")),
    (PoseDataSample, PixelData, ("gt_fields", "pred_fields")),
)


def test_meta_fields_are_set_again():
    x = DataElement(metainfo={"h": 1}).with_meta({"h": 2, "w": 3}).with_meta(w=4)
    assert x.metainfo == {"h": 2, "w": 4} and (x.h, x.w) == (2, 4)
    with pytest.raises(FkitAttributeError, match="already a meta field"):
        x.set(h=5)


@pytest.mark.parametrize(("sample", "kind", "names"), SAMPLES)
def test_fields_of_samples_have_their_classes(sample, kind, names):
    others = {InstanceData: [1], PixelData: np.zeros((2, 3)), LabelData: np.zeros(1)}
    for name in names:
        with pytest.raises(FkitAttributeError, match=f"'{name}' is not set of this {sample.__name__}"):
            getattr(sample(), name)
        value = kind(a=others[kind])
        assert getattr(sample(**{name: value}), name) is value
        for wrong in (other(a=content) for other, content in others.items() if other is not kind):
            with pytest.raises(FkitTypeError, match=rf"{sample.__name__}\.{name} is a {kind.__name__}, not a"):
                sample().set(**{name: wrong})


def test_a_sample_moves_whole():
    torch = pytest.importorskip("torch")
    x = DetDataSample(
        metainfo={"img_shape": (2, 3)},
        gt_instances=InstanceData(bboxes=np.zeros((1, 4)), names=["cat"]),
        gt_sem_seg=PixelData(a=np.zeros((2, 3))),
    ).to_torch()
    assert isinstance(x.gt_instances.bboxes, torch.Tensor) and isinstance(x.gt_sem_seg.a, torch.Tensor)
    assert x.gt_instances.names == ["cat"] and x.img_shape == (2, 3)
    assert x.to_dict()["img_shape"] == (2, 3) and x.to_dict()["gt_instances"]["names"] == ["cat"]

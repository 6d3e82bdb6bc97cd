"""Models of the kit, called as the first generation of OpenMMLab calls its own."""

import numpy as np
import pytest
import torch

import fkit
from fkit.compat import first_generation
from fkit.structures.batch import Samples
from fkit.tree.error import FkitError

DETECTOR = dict(
    type="RetinaNet",
    backbone=dict(type="ResNet", depth=18, base_channels=8, out_indices=(2, 3), norm_cfg=dict(type="BN")),
    neck=dict(type="FPN", in_channels=[32, 64], out_channels=8, num_outs=2),
    bbox_head=dict(
        type="RetinaHead",
        num_classes=2,
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(type="AnchorGenerator", scales=[2], ratios=[1.0], strides=[16, 32]),
    ),
    train_cfg=dict(assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)),
    test_cfg=dict(nms_pre=20, score_thr=0.0, nms=dict(type="nms", iou_threshold=0.5), max_per_img=5),
)
CLASSIFIER = dict(
    type="ImageClassifier",
    backbone=dict(type="ResNet", depth=18, base_channels=8),
    neck=dict(type="GlobalAveragePooling"),
    head=dict(type="LinearClsHead", num_classes=3, in_channels=64),
)
SEGMENTOR = dict(
    type="EncoderDecoder",
    backbone=dict(type="ResNetV1c", depth=18, base_channels=8, norm_cfg=dict(type="BN")),
    decode_head=dict(type="FCNHead", in_channels=64, channels=8, num_convs=1, num_classes=3, in_index=3),
    auxiliary_head=dict(type="FCNHead", in_channels=32, channels=8, num_convs=1, num_classes=3, in_index=2),
)
META = dict(img_shape=(64, 64, 3), ori_shape=(32, 32, 3), pad_shape=(64, 64, 3), scale_factor=np.float32([2, 2, 2, 2]))


def made(cfg, scope):
    torch.manual_seed(0)
    return fkit.build(cfg, fkit.registry(), "models", backend="torch", scope=scope).eval()


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 64, 64), np.float32))


def test_a_detector_s_losses_and_results(images):
    plain = made(DETECTOR, "mmdet")
    model = first_generation(plain)
    assert list(model.state_dict()) == list(plain.state_dict()) and isinstance(model, type(plain))
    boxes = [torch.tensor([[4.0, 4, 30, 30], [20, 10, 60, 50]]), torch.tensor([[8.0, 8, 40, 40]])]
    labels = [torch.tensor([0, 1]), torch.tensor([1])]
    data = dict(img=images, img_metas=[META, META], gt_bboxes=boxes, gt_labels=labels, gt_bboxes_ignore=None)
    done = model.train_step(data, None)
    done["loss"].backward()
    assert done["num_samples"] == 2 and set(done["log_vars"]) == {"loss_cls", "loss_bbox", "loss"}
    assert done["log_vars"]["loss"] == pytest.approx(done["log_vars"]["loss_cls"] + done["log_vars"]["loss_bbox"])
    padded = torch.zeros(2, 2, 4)
    padded[0], padded[1, 0] = boxes[0], boxes[1][0]
    objects = {"bboxes": padded, "labels": torch.tensor([[0, 1], [1, 0]])}
    sizes = {
        "img_shape": torch.full((2, 2), 64),
        "input_shape": torch.full((2, 2), 64),
        "pad_shape": torch.full((2, 2), 64),
    }
    samples = Samples({**sizes, "gt_instances": objects}, {"gt_instances": torch.tensor([[True, True], [True, False]])})
    whole = plain(images, samples, mode="loss")
    assert sum(sum(value) if isinstance(value, (list, tuple)) else value for value in whole.values()) == done["loss"]
    found = model(return_loss=False, img=[images], img_metas=[[META, META]])
    assert [[rows.shape[1] for rows in one] for one in found] == [[5, 5], [5, 5]]
    scaled = model(return_loss=False, img=[images], img_metas=[[META, META]], rescale=False)
    for one, other in zip(found, scaled, strict=True):
        for rows, twice in zip(one, other, strict=True):
            np.testing.assert_allclose(rows[:, :4] * 2, twice[:, :4], rtol=1e-5)


def test_a_classifier_s(images):
    model = first_generation(made(CLASSIFIER, "mmpretrain"))
    labels = torch.tensor([2, 0])
    loss = model(images, return_loss=True, gt_label=labels)["loss"]
    scores = model(return_loss=False, img=images)
    assert loss.item() == pytest.approx(-np.mean([np.log(scores[0][2]), np.log(scores[1][0])]), rel=1e-5)


def test_a_segmentor_s(images):
    plain = made(SEGMENTOR, "mmseg")
    model = first_generation(plain)
    truth = torch.from_numpy(np.random.default_rng(1).integers(0, 3, (2, 1, 64, 64)))
    done = model.train_step(dict(img=images, img_metas=[META, META], gt_semantic_seg=truth), None)
    names = {"decode.loss_ce", "decode.acc_seg", "aux.loss_ce", "aux.acc_seg", "loss"}
    assert set(done["log_vars"]) == names and done["loss"].requires_grad
    logged = done["log_vars"]
    assert logged["loss"] == pytest.approx(logged["decode.loss_ce"] + logged["aux.loss_ce"])
    first, second = model(return_loss=False, img=[images], img_metas=[[META, META]])
    assert first.shape == second.shape == (32, 32)  # of the original image
    whole = model(return_loss=False, img=[images], img_metas=[[META, META]], rescale=False)
    with torch.no_grad():
        labels = plain(images, None, mode="predict")["pred_sem_seg"].numpy()
    assert (np.stack(whole) == labels).all()


def test_what_is_wrong_is_said(images):
    model = first_generation(made(CLASSIFIER, "mmpretrain"))
    with pytest.raises(FkitError, match="gt_lable is no truth"):
        model(images, gt_lable=torch.tensor([1, 2]))
    with pytest.raises(FkitError, match="2 views of each image"):
        model(return_loss=False, img=[images, images], img_metas=[[META] * 2] * 2)
    with pytest.raises(FkitError, match="1 `img_metas` of 2 images"):
        model(images, [META], gt_label=torch.tensor([1, 2]))
    with pytest.raises(FkitError, match="a torch model of the kit"):
        first_generation(model)

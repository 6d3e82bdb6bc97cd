"""A model as one value: built, given weights, asked, drawn; by the names of mmdet, mmseg and mmpretrain."""

import json

import numpy as np
import pytest

import fkit
from fkit.edge.detection import bbox_results
from fkit.edge.served import ServedModel, inference_model, init_model, show_result_pyplot
from fkit.image.io import imwrite
from fkit.structures import ClsDataSample
from fkit.tree.error import FkitError, FkitValueError

SIDE = 64
MODEL = dict(
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
    test_cfg=dict(nms_pre=20, score_thr=0.0, nms=dict(type="nms", iou_threshold=0.5), max_per_img=5),
)


def config(**more):
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="Resize", scale=(SIDE, SIDE), keep_ratio=True),
        dict(type="LoadAnnotations", with_bbox=True),
        dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
    ]
    dataset = dict(type="CocoDataset", ann_file="none.json", metainfo=dict(classes=("cat", "dog")), pipeline=pipeline)
    return fkit.Config(
        dict(
            default_scope="mmdet",
            device="cpu",
            seed=3,
            data_preprocessor=dict(type="DetDataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3, pad_size_divisor=32),
            model=MODEL,
            test_dataloader=dict(batch_size=1, dataset=dataset),
            **more,
        )
    )


def picture(seed=0, size=(48, 96)):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


@pytest.fixture(scope="module", params=["torch", "jax"])
def detector(request):
    return init_model(config(), backend=request.param)


def test_a_path_an_array_and_a_list_are_predicted_alike(detector, tmp_path):
    path = tmp_path / "a.png"
    imwrite(picture(), path)
    alone, array = inference_model(detector, path), inference_model(detector, picture())
    several = inference_model(detector, [path, picture(1)], batch_size=2)
    assert len(several) == 2
    assert detector.classes == ("cat", "dog")
    found = alone.pred_instances
    assert 0 < len(found) <= 5
    for other in (array.pred_instances, several[0].pred_instances):
        np.testing.assert_allclose(other.bboxes, found.bboxes, rtol=1e-4, atol=1e-3)
        np.testing.assert_array_equal(other.labels, found.labels)
    assert alone.ori_shape == (48, 96)
    assert found.bboxes.max() <= 96.01  # pixels of the picture as it came


def older(scales, flip):
    """The same detector in MMDetection 2's words."""
    views = dict(
        type="MultiScaleFlipAug",
        img_scale=scales,
        flip=flip,
        transforms=[
            dict(type="Resize", keep_ratio=True),
            dict(type="RandomFlip"),
            dict(type="Normalize", mean=[0.0] * 3, std=[255.0] * 3, to_rgb=False),
            dict(type="Pad", size_divisor=32),
            dict(type="ImageToTensor", keys=["img"]),
            dict(type="Collect", keys=["img"]),
        ],
    )
    pipeline = [dict(type="LoadImageFromFile"), views]
    data = dict(
        samples_per_gpu=1, test=dict(type="CocoDataset", ann_file="no.json", classes=("cat", "dog"), pipeline=pipeline)
    )
    return fkit.Config(dict(device="cpu", seed=3, model=MODEL, data=data))


def test_a_config_of_mmdet_2_finds_the_same_in_pixels_of_the_picture_and_several_views_no_others():
    plain, old = (inference_model(init_model(cfg), picture()) for cfg in (config(), older((SIDE, SIDE), False)))
    assert old.pred_instances.bboxes.max() > SIDE  # of the picture, not of what the model was shown
    np.testing.assert_allclose(old.pred_instances.bboxes, plain.pred_instances.bboxes, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(old.pred_instances.scores, plain.pred_instances.scores, rtol=1e-4)
    views = inference_model(init_model(older([(SIDE, SIDE), (96, 96)], True)), picture()).pred_instances
    assert len(views) >= len(plain.pred_instances) and SIDE < views.bboxes.max() <= 96.01


def test_both_backends_find_the_same():
    first, second = (inference_model(init_model(config(), backend=name), picture()) for name in ("torch", "jax"))
    np.testing.assert_allclose(first.pred_instances.scores, second.pred_instances.scores, rtol=1e-4)
    np.testing.assert_allclose(first.pred_instances.bboxes, second.pred_instances.bboxes, rtol=1e-3, atol=1e-2)


def test_results_of_the_first_generation_and_their_picture(detector, tmp_path):
    sample = inference_model(detector, picture())
    lists = bbox_results(sample, 2)
    assert [one.shape[1] for one in lists] == [5, 5]
    assert sum(map(len, lists)) == len(sample.pred_instances)
    drawn = [detector.show_result(picture(), result, 0.0, thickness=1) for result in (sample, lists)]
    assert drawn[0].shape == (48, 96, 3)
    assert (drawn[0] != picture()).any()
    detector.show_result(picture(), sample, 0.0, out_file=tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").exists()
    plotted = show_result_pyplot(detector, picture(), lists, 0.0, out_file=tmp_path / "plotted.png")
    assert (tmp_path / "plotted.png").exists() and plotted.shape == (48, 96, 3)


def test_a_palette_by_name_or_by_colours_is_that_of_pictures():
    boxes = [np.array([[20.0, 10, 60, 40, 0.9]], np.float32), np.zeros((0, 5), np.float32)]
    blank = np.zeros((48, 96, 3), np.uint8)
    for palette, colour in (("voc", None), ([(1, 2, 250), (9, 9, 9)], (250, 2, 1)), ("none", None), ("random", None)):
        drawn = init_model(config(), palette=palette).show_result(blank, boxes, thickness=2)
        assert drawn.any()
        if colour is not None:
            assert (drawn == colour).all(-1).any()
    detector = init_model(config(), palette="coco")
    assert detector.palette[0] == (220, 20, 60)
    mine = detector.show_result(blank, boxes, palette=[(1, 2, 250), (9, 9, 9)], thickness=2)
    assert (mine == (250, 2, 1)).all(-1).any()
    with pytest.raises(FkitValueError, match="Palettes: coco, voc, citys"):
        detector.show_result(blank, boxes, palette="cocoa")
    with pytest.raises(FkitValueError, match="Palettes: coco, voc, citys"):
        init_model(config(), palette="cocoa")
    with pytest.raises(FkitError, match="`palette` is a palette's name"):
        init_model(config(), palette=3)
    with pytest.raises(FileNotFoundError, match=r"none\.png is not there"):
        inference_model(detector, "none.png")
    with pytest.raises(FkitError, match=r"`imgs\[1\]` is the path"):
        inference_model(detector, [picture(), 3])
    with pytest.raises(FkitError, match="`cfg_options` is a mapping"):
        init_model(config(), None, "cpu", "coco")


def test_another_test_pipeline_may_be_given():
    detector = init_model(config())
    steps = list(detector.cfg["test_dataloader"]["dataset"]["pipeline"])
    same = inference_model(detector, picture(), steps)
    assert np.array_equal(same.pred_instances.scores, inference_model(detector, picture()).pred_instances.scores)
    larger = [steps[0], dict(type="Resize", scale=(2 * SIDE, 2 * SIDE), keep_ratio=True), *steps[2:]]
    assert inference_model(detector, picture(), larger).img_shape == (64, 128)
    for wrong in ("Resize", [dict(scale=3)], [3]):
        with pytest.raises(FkitError):
            inference_model(detector, picture(), wrong)


def test_a_pretrained_backbone_is_not_read_where_a_checkpoint_follows(tmp_path):
    backbone = {**MODEL["backbone"], "init_cfg": dict(type="Pretrained", checkpoint=str(tmp_path / "not_there.pth"))}
    made = init_model(config().merge({"model.backbone": backbone}))
    assert isinstance(made, ServedModel)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda made, tmp: inference_model(made, tmp / "none.png"), "is not there"),
        (lambda made, tmp: inference_model(made, 3), "imgs"),
        (lambda made, tmp: inference_model(made, picture(), batch_size=0), "batch_size"),
        (lambda made, tmp: inference_model("model", picture()), "init_model makes one"),
        (lambda made, tmp: init_model(3), "config"),
        (lambda made, tmp: bbox_results(picture(), 2), "pred_instances"),
    ],
    ids=["no_file", "no_image", "batch", "no_detector", "no_config", "no_result"],
)
def test_wrong_input_is_one_clear_error(detector, tmp_path, call, says):
    with pytest.raises(fkit.FkitError, match=says):
        call(detector, tmp_path)


def test_what_is_found_is_written_in_coco_s_format(detector):
    from fkit.edge.coco import Objects

    sample = inference_model(detector, picture())
    found = sample.pred_instances
    outputs = {"pred_instances": {name: np.asarray(found[name])[None] for name in ("bboxes", "scores", "labels")}}
    objects = Objects()
    objects.take([{"file_name": "a.png"}], outputs, ({"ori_shape": (48, 96)},), 0.0)
    book = json.loads(json.dumps(objects.book(detector.classes)))
    assert book["images"] == [{"id": 1, "file_name": "a.png", "height": 48, "width": 96}]
    assert [one["name"] for one in book["categories"]] == ["cat", "dog"]
    for row, box in zip(book["annotations"], np.asarray(found.bboxes), strict=True):
        assert row["bbox"] == pytest.approx([box[0], box[1], box[2] - box[0], box[3] - box[1]], abs=1e-4)


CLASSIFIER = dict(
    default_scope="mmpretrain",
    device="cpu",
    seed=3,
    data_preprocessor=dict(mean=[0.0] * 3, std=[255.0] * 3, num_classes=2),
    model=dict(
        type="ImageClassifier",
        backbone=dict(type="ResNet", depth=18, base_channels=8),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=2, in_channels=64),
    ),
    test_dataloader=dict(
        batch_size=1,
        dataset=dict(
            type="CustomDataset",
            data_root="none",
            metainfo=dict(classes=("cat", "dog")),
            pipeline=[
                dict(type="LoadImageFromFile"),
                dict(type="Resize", scale=(32, 32)),
                dict(type="PackInputs"),
            ],
        ),
    ),
)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_classifier_is_asked_by_the_same_names(backend):
    model = fkit.init_model(fkit.Config(CLASSIFIER), backend=backend)
    sample = fkit.inference_model(model, picture())
    assert isinstance(sample, ClsDataSample) and model.classes == ("cat", "dog")
    label = sample.pred_label
    assert label.score.shape == (2,) and label.label.item() == int(label.score.argmax())

"""Pipelines and datasets of mmdet 2.x, mmseg 0.x, mmcls and mmpose 0.x, in today's vocabulary."""

from typing import Any

import pytest

import fkit
from fkit.config.config import Config, load_string
from fkit.config.dialect import translate
from fkit.tree.error import FkitValueError

DETECTION = """
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
model = dict(type='MaskRCNN')
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='AutoAugment', policies=[
        [dict(type='Resize', img_scale=[(480, 1333), (800, 1333)], multiscale_mode='value', keep_ratio=True)],
        [dict(type='Resize', img_scale=[(400, 1333), (500, 1333)], multiscale_mode='value', keep_ratio=True),
         dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True),
         dict(type='Resize', img_scale=[(480, 1333)], multiscale_mode='value', override=True, keep_ratio=True)]]),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks'])]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(1333, 800), flip=False, transforms=[
        dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'), dict(type='Normalize', **img_norm_cfg),
        dict(type='Pad', size_divisor=32), dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])])]
data = dict(
    samples_per_gpu=2, workers_per_gpu=2,
    train=dict(type='RepeatDataset', times=3, dataset=dict(
        type='CocoDataset', ann_file='data/train.json', img_prefix='data/train/', classes=('cat', 'dog'), pipeline=train_pipeline)),
    val=dict(type='CocoDataset', data_root='data', ann_file='val.json', img_prefix='val/', pipeline=test_pipeline),
    test=dict(type='CocoDataset', data_root='data', ann_file='val.json', img_prefix='val/', pipeline=test_pipeline))
evaluation = dict(interval=1, metric=['bbox', 'segm'])
"""


def test_a_config_of_mmdet_2() -> None:
    cfg, notes = translate(load_string(DETECTION))
    assert notes == () and cfg.default_scope == "mmdet"
    outer = cfg.train_dataloader.dataset
    assert outer.type == "RepeatDataset" and outer.times == 3
    inner = outer.dataset
    assert {key: inner[key] for key in inner if key != "pipeline"} == {
        "type": "CocoDataset", "ann_file": "data/train.json", "data_prefix": {"img": "data/train/"},
        "metainfo": {"classes": ("cat", "dog")}, "filter_cfg": {"filter_empty_gt": True, "min_size": 32},
    }  # fmt: skip
    assert inner.pipeline[2] == {"type": "RandomFlip", "prob": 0.5}
    first, second = inner.pipeline[3].policies
    assert first == [
        {
            "type": "RandomChoiceResize",
            "scales": [(480, 1333), (800, 1333)],
            "resize_type": "Resize",
            "keep_ratio": True,
        }
    ]
    assert second[1]["crop_size"] == (384, 600)  # the least and the greatest side
    assert second[2] == {"type": "Resize", "scale": (480, 1333), "keep_ratio": True}
    assert [step.type for step in inner.pipeline[4:]] == ["Normalize", "OuterPad", "DefaultFormatBundle", "Collect"]
    val = cfg.val_dataloader.dataset
    assert val.test_mode is True and "filter_cfg" not in val and val.data_prefix == {"img": "val/"}
    assert val.pipeline[:3] == [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "scale": (1333, 800), "keep_ratio": True},
        {"type": "RandomFlip", "prob": 0.0},
    ]
    assert [step.type for step in val.pipeline[3:]] == ["Normalize", "OuterPad", "ImageToTensor", "Collect"]
    assert cfg.val_evaluator == {"type": "CocoMetric", "ann_file": "data/val.json", "metric": ["bbox", "segm"]}
    assert cfg.origin("train_dataloader.dataset.dataset.data_prefix") == "<string>.py:25"
    assert translate(cfg) == (cfg, ())


SIZES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"img_scale": (1333, 800)}, {"type": "Resize", "scale": (1333, 800), "keep_ratio": True}),
    ({"img_scale": [(1333, 640), (1333, 800)], "multiscale_mode": "range"}, {"type": "RandomResize", "scale": [(1333, 640), (1333, 800)], "resize_type": "Resize", "keep_ratio": True}),
    ({"img_scale": [(640, 1333), (800, 1333)]}, {"type": "RandomResize", "scale": [(1333, 640), (1333, 800)], "resize_type": "Resize", "keep_ratio": True}),
    ({"img_scale": (1024, 1024), "ratio_range": (0.1, 2.0), "keep_ratio": False}, {"type": "RandomResize", "scale": (1024, 1024), "ratio_range": (0.1, 2.0), "resize_type": "Resize", "keep_ratio": False}),
    ({"img_scale": 640, "bbox_clip_border": False}, {"type": "Resize", "scale": (640, 640), "keep_ratio": True, "clip_object_border": False}),
]  # fmt: skip


def step(old: dict[str, Any], **model: Any) -> Any:
    """A step of an old training pipeline, translated; with the warnings."""
    dataset = {"type": "A", "img_prefix": "x", "pipeline": [old]}
    cfg, notes = translate(Config({"data": {"train": dataset}, "total_epochs": 1, **model}))
    return list(cfg.train_dataloader.dataset.pipeline), notes


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_sizes(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert step({"type": "Resize", **old}) == ([new], ())


STEPS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "RandomFlip"}, {"type": "RandomFlip", "prob": 0.0}),
    ({"type": "RandomFlip", "flip_ratio": [0.3, 0.2], "direction": ["horizontal", "vertical"]}, {"type": "RandomFlip", "prob": [0.3, 0.2], "direction": ["horizontal", "vertical"]}),
    ({"type": "RandomCrop", "crop_size": (10, 20)}, {"type": "RandomCrop", "crop_size": (20, 10)}),
    ({"type": "RandomCrop", "crop_size": (0.3, 0.7), "crop_type": "relative_range"}, {"type": "RandomCrop", "crop_size": (0.3, 0.7), "crop_type": "relative_range"}),
    ({"type": "RandomCenterCropPad", "crop_size": (10, 20)}, {"type": "RandomCenterCropPad", "crop_size": (20, 10)}),
    ({"type": "Pad", "size": (10, 20)}, {"type": "OuterPad", "size": (20, 10)}),
    ({"type": "Mosaic", "img_scale": (480, 640), "pad_val": 114.0}, {"type": "Mosaic", "img_scale": (640, 480), "pad_val": 114.0}),
    ({"type": "RandomShift", "shift_ratio": 0.5, "max_shift_px": 8}, {"type": "RandomShift", "prob": 0.5, "max_shift_px": 8}),
    ({"type": "ColorTransform", "level": 5, "prob": 0.4}, {"type": "Color", "min_mag": 1.0, "max_mag": 1.0, "prob": 0.4}),
    ({"type": "EqualizeTransform", "prob": 0.4}, {"type": "Equalize", "prob": 0.4}),
    ({"type": "Rotate", "level": 10, "prob": 1.0}, {"type": "Rotate", "prob": 1.0, "reversal_prob": 0.5, "min_mag": 30.0, "max_mag": 30.0}),
    ({"type": "Mine", "a": 1}, {"type": "Mine", "a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), STEPS)
def test_steps_of_mmdet(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert step(old) == ([new], ())


def test_a_share_of_shear_is_the_same_shear_as_an_angle() -> None:
    import numpy as np

    new = step({"type": "Shear", "level": 10, "prob": 1.0, "direction": "vertical", "random_negative_prob": 0.0})[0][0]
    assert new["type"] == "ShearY" and new["reversal_prob"] == 0.0
    assert float(np.tan(np.radians(new["max_mag"]))) == pytest.approx(0.3)
    assert fkit.build(new, fkit.registry(), "transforms") is not None


def test_views_of_several_sizes_and_flips() -> None:
    old = {
        "type": "MultiScaleFlipAug", "img_scale": [(8, 8), (4, 4)], "flip": True,
        "flip_direction": ["horizontal", "vertical"],
        "transforms": [{"type": "Resize", "keep_ratio": True}, {"type": "RandomFlip"}, {"type": "Collect", "keys": ["img"]}],
    }  # fmt: skip
    (new,), notes = step(old)
    assert new["type"] == "TestTimeAug"
    assert [one["scale"] for one in new["transforms"][0]] == [(8, 8), (4, 4)]
    assert [one["prob"] for one in new["transforms"][1]] == [0.0, 1.0, 1.0]
    assert new["transforms"][2] == [{"type": "Collect", "keys": ["img"]}]
    assert "6 views of an image" in notes[0]
    ratios = {**old, "img_scale": (8, 4), "img_ratios": [0.5, 1.0], "flip": False}
    assert [one["scale"] for one in step(ratios)[0][0]["transforms"][0]] == [(4, 2), (8, 4)]


SEGMENTATION = """
model = dict(type='EncoderDecoder')
crop_size = (512, 1024)
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='Resize', img_scale=(2048, 1024), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', mean=[0, 0, 0], std=[1, 1, 1]),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
data = dict(
    samples_per_gpu=2, workers_per_gpu=2,
    train=dict(type='ADE20KDataset', data_root='data/ade', img_dir=['a', 'b'], ann_dir=['c', 'd'], split='s.txt', classes=('wall',), palette=[[1, 2, 3]], pipeline=train_pipeline),
    val=dict(type='CustomDataset', img_dir='a', ann_dir='b', classes=('wall',), pipeline=[]))
runner = dict(type='IterBasedRunner', max_iters=80000)
evaluation = dict(interval=8000, metric='mIoU', pre_eval=True)
"""


def test_a_config_of_mmseg_0() -> None:
    cfg, notes = translate(load_string(SEGMENTATION))
    assert cfg.default_scope == "mmseg" and len(notes) == 1 and "pre_eval" in notes[0]
    outer = cfg.train_dataloader.dataset
    assert outer.type == "ConcatDataset"
    one, other = outer.datasets
    assert one.data_prefix == {"img_path": "a", "seg_map_path": "c"} and other.data_prefix.img_path == "b"
    assert one.ann_file == "s.txt" and one.metainfo == {"classes": ("wall",), "palette": [[1, 2, 3]]}
    steps = one.pipeline
    assert steps[2] == {"type": "RandomResize", "scale": (2048, 1024), "ratio_range": (0.5, 2.0), "resize_type": "Resize", "keep_ratio": True}  # fmt: skip
    assert steps[3].crop_size == (512, 1024)
    assert steps[7] == {"type": "OuterPad", "size": (1024, 512), "pad_val": {"img": 0, "seg": 255}}
    assert cfg.train_dataloader.collate_fn == {"type": "pseudo_collate"}
    assert cfg.val_dataloader.dataset.type == "BaseSegDataset" and cfg.val_dataloader.dataset.test_mode is True
    assert cfg.val_evaluator == {"type": "IoUMetric", "iou_metrics": ["mIoU"]}


CLASSIFICATION = """
model = dict(type='ImageClassifier')
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='RandomResizedCrop', size=224, scale=(0.2, 1.0), backend='pillow'),
    dict(type='RandomFlip', flip_prob=0.5, direction='horizontal'),
    dict(type='RandAugment', policies=[dict(type='Solarize', magnitude_key='thr', magnitude_range=(256, 0))], num_policies=2, magnitude_level=9),
    dict(type='Normalize', mean=[0, 0, 0], std=[1, 1, 1], to_rgb=True),
    dict(type='ImageToTensor', keys=['img']), dict(type='ToTensor', keys=['gt_label']), dict(type='Collect', keys=['img', 'gt_label'])]
test_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='Resize', size=(256, -1)), dict(type='CenterCrop', crop_size=224),
    dict(type='Resize', size=(8, 6)), dict(type='CenterCrop', crop_size=300, efficientnet_style=True, interpolation='bicubic')]
data = dict(samples_per_gpu=32, workers_per_gpu=2, train=dict(type='ImageNet', data_prefix='data/train', pipeline=train_pipeline),
    val=dict(type='ImageNet', data_prefix='data/val', ann_file='val.txt', pipeline=test_pipeline))
evaluation = dict(interval=1, metric=['mAP', 'CP', 'OF1'], metric_options=dict(topk=(1,)))
"""


def test_a_config_of_mmcls() -> None:
    cfg, notes = translate(load_string(CLASSIFICATION))
    assert notes == () and cfg.default_scope == "mmpretrain"
    steps = cfg.train_dataloader.dataset.pipeline
    assert steps[1] == {"type": "RandomResizedCrop", "scale": 224, "crop_ratio_range": (0.2, 1.0), "backend": "pillow"}
    assert steps[2] == {"type": "RandomFlip", "prob": 0.5, "direction": "horizontal"}
    assert steps[3].policies == [{"type": "Solarize", "magnitude_range": (256, 0)}]
    assert cfg.val_dataloader.dataset.pipeline[1:] == [
        {"type": "ResizeEdge", "scale": 256, "edge": "short"},
        {"type": "CenterCrop", "crop_size": 224},
        {"type": "Resize", "scale": (6, 8)},
        {"type": "EfficientNetCenterCrop", "crop_size": 300, "interpolation": "bicubic"},
    ]
    assert cfg.val_evaluator == [
        {"type": "AveragePrecision"},
        {"type": "MultiLabelMetric", "items": ["precision"], "average": "macro", "thr": 0.5},
        {"type": "MultiLabelMetric", "items": ["f1-score"], "average": "micro", "thr": 0.5},
    ]


POSE = """
data_cfg = dict(image_size=[192, 256], heatmap_size=[48, 64], use_gt_bbox=False, det_bbox_thr=0.1, bbox_file='data/boxes.json')
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='TopDownGetBboxCenterScale', padding=1.25),
    dict(type='TopDownRandomShiftBboxCenter', shift_factor=0.16, prob=0.3), dict(type='TopDownRandomFlip', flip_prob=0.5),
    dict(type='TopDownHalfBodyTransform', num_joints_half_body=8, prob_half_body=0.3),
    dict(type='TopDownGetRandomScaleRotation', rot_factor=40, scale_factor=0.5), dict(type='TopDownAffine'),
    dict(type='ToTensor'), dict(type='NormalizeTensor', mean=[0.5, 0.4, 0.2], std=[0.2, 0.4, 0.5]),
    dict(type='TopDownGenerateTarget', sigma=2),
    dict(type='Collect', keys=['img', 'target', 'target_weight'], meta_keys=['image_file', 'flip_pairs'])]
data = dict(samples_per_gpu=64, workers_per_gpu=2, val_dataloader=dict(samples_per_gpu=32),
    train=dict(type='TopDownCocoDataset', ann_file='t.json', img_prefix='t/', data_cfg=data_cfg, pipeline=train_pipeline),
    val=dict(type='TopDownCocoDataset', ann_file='v.json', img_prefix='v/', data_cfg=data_cfg, pipeline=[]))
evaluation = dict(interval=10, metric='mAP', save_best='AP')
"""


def test_a_config_of_mmpose_0() -> None:
    cfg, notes = translate(load_string(POSE))
    assert notes == () and cfg.default_scope == "mmpose"
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert (train.type, train.data_mode, train.data_prefix) == ("CocoDataset", "topdown", {"img": "t/"})
    assert "bbox_file" not in train and val.bbox_file == "data/boxes.json" and val.filter_cfg.bbox_score_thr == 0.1
    assert train.pipeline == [
        {"type": "LoadImage"},
        {"type": "GetBBoxCenterScale", "padding": 1.25},
        {"type": "RandomBBoxTransform", "shift_prob": 0.3, "scale_prob": 0.0, "rotate_prob": 0.0, "shift_factor": 0.16},
        {"type": "RandomFlip", "prob": 0.5, "direction": "horizontal"},
        {"type": "RandomHalfBody", "min_total_keypoints": 9, "prob": 0.3},
        {"type": "RandomBBoxTransform", "shift_prob": 0.0, "scale_factor": (0.5, 1.5), "rotate_factor": 80.0, "rotate_prob": 0.6},
        {"type": "TopdownAffine", "input_size": (192, 256)},
        {"type": "Normalize", "mean": [127.5, 102.0, 51.0], "std": [51.0, 102.0, 127.5], "to_rgb": True},
        {"type": "GenerateTarget", "encoder": {"type": "MSRAHeatmap", "input_size": (192, 256), "heatmap_size": (48, 64), "sigma": 2}},
        {"type": "PackPoseInputs"},
    ]  # fmt: skip
    assert cfg.val_evaluator == {"type": "CocoMetric", "ann_file": "v.json"}


BOTTOM_UP = """
data_cfg = dict(image_size=512, base_size=256, heatmap_size=[128], num_joints=17)
normal = [dict(type='ToTensor'), dict(type='NormalizeTensor', mean=[0.5, 0.4, 0.2], std=[0.2, 0.4, 0.5])]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='BottomUpRandomAffine', rot_factor=30, scale_factor=[0.75, 1.5], scale_type='short', trans_factor=40),
    dict(type='BottomUpRandomFlip', flip_prob=0.5), dict(type='ToTensor'), normal[1],
    dict(type='BottomUpGenerateTarget', sigma=2, max_num_people=30), dict(type='Collect', keys=['img', 'joints', 'targets', 'masks'])]
val_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='BottomUpGetImgSize', test_scale_factor=[1]),
    dict(type='BottomUpResizeAlign', transforms=normal), dict(type='Collect', keys=['img'], meta_keys=['image_file'])]
data = dict(samples_per_gpu=24, train=dict(type='BottomUpCocoDataset', ann_file='t.json', img_prefix='t/', data_cfg=data_cfg, pipeline=train_pipeline),
    val=dict(type='BottomUpCocoDataset', ann_file='v.json', img_prefix='v/', data_cfg=data_cfg, pipeline=val_pipeline))
"""


def test_bottom_up_of_mmpose_0() -> None:
    cfg, notes = translate(load_string(BOTTOM_UP))
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert notes == () and train.data_mode == "bottomup"
    normal = {"type": "Normalize", "mean": [127.5, 102.0, 51.0], "std": [51.0, 102.0, 127.5], "to_rgb": True}
    assert train.pipeline[1] == {
        "type": "BottomupRandomAffine", "input_size": (512, 512), "shift_factor": 0.2, "shear_prob": 0.0, "rotate_factor": 30.0,
        "scale_factor": [0.75, 1.5], "scale_type": "short",
    }  # fmt: skip
    assert train.pipeline[4].encoder.heatmap_size == (128, 128)
    assert val.pipeline == [
        {"type": "LoadImage"},
        {"type": "BottomupResize", "input_size": (512, 512), "size_factor": 64, "resize_mode": "expand"},
        normal,
        {"type": "PackPoseInputs"},
    ]


def test_voc_of_2007_is_measured_on_eleven_points() -> None:
    dataset = {"type": "VOCDataset", "ann_file": "a.txt", "img_prefix": "d/VOC2007/", "pipeline": []}
    cfg, _ = translate(Config({"data": {"train": dataset, "val": dataset}, "evaluation": {"metric": "mAP"}}))
    assert cfg.val_evaluator == {"type": "VOCMetric", "metric": "mAP", "eval_mode": "11points"}
    assert cfg.train_dataloader.dataset.data_prefix == {"sub_data_root": "d/VOC2007/"}


def test_what_is_no_pipeline_is_named_with_its_place() -> None:
    old = {"type": "A", "img_prefix": "x", "pipeline": [{"type": "MultiScaleFlipAug", "transforms": 3}]}
    with pytest.raises(FkitValueError, match=r"data\.train is not written as datasets and pipelines of mmcv 1\.x are"):
        translate(Config({"data": {"train": old}}))


def test_what_has_no_counterpart_is_said() -> None:
    mixup = {"type": "MixUp", "img_scale": (8, 4), "skip_filter": False, "min_bbox_size": 5}
    new, notes = step(mixup)
    assert new == [{"type": "MixUp", "img_scale": (4, 8)}] and "min_bbox_size = 5 has no counterpart" in notes[0]


OF_MMCLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "CIFAR10", "data_prefix": "d"}, {"type": "CIFAR10", "data_prefix": "d", "split": "test"}),
    ({"type": "StanfordCars", "data_prefix": "d"}, {"type": "StanfordCars", "data_root": "d", "split": "test"}),
    ({"type": "VOC", "data_prefix": "d/V/", "ann_file": "d/V/Main/t.txt"}, {"type": "VOC", "data_root": "d/V/", "split": "", "image_set_path": "Main/t.txt"}),
    ({"type": "CUB", "ann_file": "d/images.txt", "image_class_labels_file": "d/l.txt", "train_test_split_file": "d/s.txt", "data_prefix": "d/images"}, {"type": "CUB", "data_root": "d", "ann_file": "images.txt", "data_prefix": "images", "split": "test"}),
    ({"type": "ImageNet", "data_prefix": "d", "classes": ["a"]}, {"type": "ImageNet", "data_prefix": "d", "metainfo": {"classes": ["a"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), OF_MMCLS)
def test_datasets_of_mmcls(old: dict[str, Any], new: dict[str, Any]) -> None:
    cfg, notes = translate(Config({"model": {"type": "ImageClassifier"}, "data": {"test": old}}))
    assert cfg.test_dataloader.dataset == {**new, "test_mode": True} and notes == ()


def test_several_files_of_mmdet_are_a_dataset_each() -> None:
    old = {"type": "CocoDataset", "ann_file": ["a.json", "b.json"], "img_prefix": ["a", "b"], "pipeline": []}
    cfg, _ = translate(Config({"data": {"train": [old, {**old, "ann_file": "c.json", "img_prefix": "c"}]}}))
    outer = cfg.train_dataloader.dataset
    assert outer.type == "ConcatDataset" and outer.datasets[1].ann_file == "c.json"
    assert [(one.ann_file, one.data_prefix.img) for one in outer.datasets[0].datasets] == [
        ("a.json", "a"),
        ("b.json", "b"),
    ]


def test_what_moves_boxes_moves_proposals() -> None:
    steps = [
        {"type": "LoadProposals"}, {"type": "Resize", "img_scale": (8, 8)}, {"type": "RandomFlip", "flip_ratio": 0.5},
        {"type": "Pad", "size_divisor": 4}, {"type": "Collect", "keys": ["img", "proposals"]},
    ]  # fmt: skip
    cfg, _ = translate(Config({"data": {"train": {"type": "A", "img_prefix": "x", "pipeline": steps}}}))
    new = cfg.train_dataloader.dataset.pipeline
    assert [one.type for one in new] == ["LoadProposals", "ProposalBroadcaster", "OuterPad", "Collect"]
    assert [one.type for one in new[1].transforms] == ["Resize", "RandomFlip"]


def measured(dataset: str, **evaluation: Any) -> Any:
    old = {
        "type": dataset,
        "ann_file": "a.json",
        "img_prefix": "x",
        "seg_prefix": "s",
        "data_root": "d",
        "pipeline": [],
    }
    return translate(Config({"data": {"val": old}, "total_epochs": 10, "evaluation": evaluation}))


def test_metrics_by_the_dataset_and_intervals_that_change() -> None:
    cfg, notes = measured("LVISV1Dataset", metric="bbox", interval=2, dynamic_intervals=[[8, 1]])
    assert notes == () and cfg.val_evaluator == {"type": "LVISMetric", "ann_file": "d/a.json", "metric": "bbox"}
    assert cfg.train_cfg.dynamic_intervals == [(8, 1)]
    cfg, _ = measured("CocoPanopticDataset", metric=["PQ", "bbox"])
    assert cfg.val_evaluator == [
        {"type": "CocoPanopticMetric", "ann_file": "d/a.json", "seg_prefix": "d/s"},
        {"type": "CocoMetric", "ann_file": "d/a.json", "metric": ["bbox"]},
    ]
    assert "format of its own" in measured("CustomDataset", metric="bbox")[1][0]


@pytest.mark.parametrize("text", [DETECTION, SEGMENTATION, CLASSIFICATION, POSE, BOTTOM_UP])
def test_every_translated_step_and_dataset_can_be_built(text: str) -> None:
    cfg, _ = translate(load_string(text))
    registry = fkit.registry()
    for split in ("train", "val"):
        dataset = cfg[f"{split}_dataloader"].dataset
        for one in dataset.get("datasets", [dataset.get("dataset", dataset)]):
            steps = one.pipeline
            bare = {key: value for key, value in one.items() if key != "pipeline"}
            registry.build("datasets", bare, scope=cfg.default_scope, defaults={"lazy_init": True})
            for step in steps:
                assert registry.build("transforms", step, scope=cfg.default_scope) is not None


LAST = [{"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect", "keys": ["img"]}]
TESTED: list[tuple[dict[str, Any], dict[str, Any], list[Any]]] = [
    ({"type": "EncoderDecoder"}, {"type": "ADE20KDataset"}, [{"type": "LoadAnnotations"}, LAST[0], {**LAST[1], "optional_keys": ["gt_semantic_seg"]}]),
    ({"type": "ImageClassifier"}, {"type": "ImageNet"}, [LAST[0], {**LAST[1], "optional_keys": ["gt_label"]}]),
    ({"type": "FasterRCNN"}, {"type": "VOCDataset", "img_prefix": "a"}, [{"type": "LoadAnnotations", "with_bbox": True}, LAST[0], {**LAST[1], "optional_keys": ["gt_bboxes", "gt_labels"]}]),
    ({"type": "FasterRCNN"}, {"type": "CocoDataset", "img_prefix": "a"}, LAST),
]  # fmt: skip


@pytest.mark.parametrize(("model", "dataset", "last"), TESTED)
def test_what_test_images_are_measured_against_is_loaded(model: Any, dataset: Any, last: Any) -> None:
    cfg, _ = translate(Config({"model": model, "data": {"test": {**dataset, "pipeline": LAST}}}))
    assert cfg.test_dataloader.dataset.pipeline == last
    views = {"type": "MultiScaleFlipAug", "img_scale": [(4, 4), (8, 8)], "transforms": [{"type": "Resize"}, *LAST]}
    cfg, _ = translate(Config({"model": model, "data": {"test": {**dataset, "pipeline": [views]}}}))
    if model["type"] != "ImageClassifier":  # which had no such step
        assert cfg.test_dataloader.dataset.pipeline[0].transforms[1:] == [[one] for one in last]

"""Faster R-CNN tested in three sizes, each also flipped.

Command: fkit test faster_rcnn/faster_rcnn_r50_multi_scale WORK_DIR (of faster_rcnn_r50_fpn_1x_coco: training is the same)
Time: not run
Score: not run
"""

_base_ = "./faster_rcnn_r50_fpn_1x_coco.py"

img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="MultiScaleFlipAug",
        img_scale=[(1333, 640), (1333, 800), (1333, 960)],
        flip=True,
        transforms=[
            dict(type="Resize", keep_ratio=True),
            dict(type="RandomFlip"),
            dict(type="Normalize", **img_norm_cfg),
            dict(type="Pad", size_divisor=32),
            dict(type="ImageToTensor", keys=["img"]),
            dict(type="Collect", keys=["img"]),
        ],
    ),
]
data = dict(val=dict(pipeline=test_pipeline), test=dict(pipeline=test_pipeline))

"""Cell nuclei: 140 pictures to train on, 30 held out, of the 2018 Data Science Bowl; paths are from the project's own folder."""

data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[128.0] * 3,
    std=[64.0] * 3,
    size=(128, 128),
    seg_pad_val=255,
    test_cfg=dict(size_divisor=16),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomCrop", crop_size=(128, 128)),
    dict(type="RandomFlip", prob=[0.25, 0.25, 0.25], direction=["horizontal", "vertical", "diagonal"]),
    dict(type="PhotoMetricDistortion", hue_delta=9),
    dict(type="PackSegInputs"),
]
test_pipeline = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), dict(type="PackSegInputs")]
tta_model = dict(type="SegTTAModel")
tta_pipeline = [  # of `fkit test --tta`: three sizes, each as it is and flipped in three ways
    dict(type="LoadImageFromFile"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="Resize", scale_factor=factor, keep_ratio=True) for factor in (1.0, 0.75, 1.25)],
            [
                dict(type="RandomFlip", prob=0.0),
                *(dict(type="RandomFlip", prob=1.0, direction=word) for word in ("horizontal", "vertical", "diagonal")),
            ],
            [dict(type="LoadAnnotations")],
            [dict(type="PackSegInputs")],
        ],
    ),
]

pictures = dict(
    type="BaseSegDataset", data_root="experiments/nuclei/data", metainfo=dict(classes=("background", "nucleus"))
)
train_dataloader = dict(
    batch_size=16,
    shuffle=True,
    drop_last=True,
    dataset=dict(
        type="RepeatDataset",
        times=4,
        dataset=dict(
            data_prefix=dict(img_path="images/train", seg_map_path="masks/train"), pipeline=train_pipeline, **pictures
        ),
    ),
)
val_dataloader = dict(
    batch_size=1,
    dataset=dict(data_prefix=dict(img_path="images/val", seg_map_path="masks/val"), pipeline=test_pipeline, **pictures),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator

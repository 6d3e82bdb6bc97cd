"""A mouse from the side and from below, 7 points each: 72 frames to train on, 18 held out; paths are from the project's own folder."""

target_codec = dict(type="UDPHeatmap", input_size=(192, 96), heatmap_size=(48, 24), sigma=1.5)
data_preprocessor = dict(type="PoseDataPreprocessor", mean=[128.0] * 3, std=[64.0] * 3)
train_pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomBBoxTransform", shift_factor=0.1, scale_factor=(0.8, 1.2), rotate_factor=20.0),
    dict(type="TopdownAffine", input_size=target_codec["input_size"], use_udp=True),
    dict(type="GenerateTarget", encoder=target_codec),
    dict(type="PackPoseInputs"),
]
test_pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=target_codec["input_size"], use_udp=True),
    dict(type="PackPoseInputs"),
]

points = ("nose", "left_hind_paw", "left_fore_paw", "right_fore_paw", "right_hind_paw", "tail_base", "tail_mid")
bones = (
    ("nose", "left_fore_paw"),
    ("nose", "right_fore_paw"),
    ("left_fore_paw", "tail_base"),
    ("right_fore_paw", "tail_base"),
    ("left_hind_paw", "tail_base"),
    ("right_hind_paw", "tail_base"),
    ("tail_base", "tail_mid"),
)
swapped = dict(
    left_hind_paw="right_hind_paw",
    right_hind_paw="left_hind_paw",
    left_fore_paw="right_fore_paw",
    right_fore_paw="left_fore_paw",
)
metainfo = dict(
    dataset_name="mouse",
    keypoint_info={
        place: dict(name=name, id=place, color=[51, 153, 255], type="", swap=swapped.get(name, ""))
        for place, name in enumerate(points)
    },
    skeleton_info={place: dict(link=bone, id=place, color=[255, 128, 0]) for place, bone in enumerate(bones)},
    joint_weights=[1.0] * len(points),
    sigmas=[0.05] * len(points),
)
mice = dict(
    type="CocoDataset",
    data_root="experiments/mouse/data",
    data_mode="topdown",
    data_prefix=dict(img="images/"),
    metainfo=metainfo,
)
train_dataloader = dict(
    batch_size=16,
    shuffle=True,
    drop_last=True,
    dataset=dict(type="RepeatDataset", times=4, dataset=dict(ann_file="train.json", pipeline=train_pipeline, **mice)),
)
val_dataloader = dict(batch_size=18, dataset=dict(ann_file="val.json", pipeline=test_pipeline, test_mode=True, **mice))
test_dataloader = val_dataloader
val_evaluator = [dict(type="PCKAccuracy", thr=0.1), dict(type="EPE")]
test_evaluator = val_evaluator

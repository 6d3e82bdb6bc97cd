"""The 1,797 real digits (8x8, values 0..16) that ship with the kit; 1,437 to train on, 360 held out.

Augmented by small shifts and turns only: a digit stays the digit it is. Mean and deviation are those of the
training split.
"""

dataset_type = "Digits"
norm_cfg = dict(mean=[0.3054], std=[0.3759])

train_pipeline = [
    dict(type="ToUnit"),
    dict(type="ShiftScaleRotate", shift_limit=0.05, rotate_limit=6),
    dict(type="Normalize", **norm_cfg),
    dict(type="PackInputs"),
]
test_pipeline = [
    # these two do nothing to the shipped digits; they make an image file of any size into one of them
    dict(type="LoadImageFromFile", color_type="grayscale"),
    dict(type="Resize", scale=(8, 8), interpolation="area"),
    dict(type="ToUnit"),
    dict(type="Normalize", **norm_cfg),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type=dataset_type, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=120,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type=dataset_type, split="test", pipeline=test_pipeline),
)
test_dataloader = val_dataloader

val_evaluator = dict(type="Accuracy", topk=(1,))
test_evaluator = val_evaluator

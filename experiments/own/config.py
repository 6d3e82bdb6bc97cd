"""Digits of which 40 % of the training labels are wrong, learned by cross-entropy.

Command: fkit train config.py
Time: about 5 s on one core of a CPU.
Score: accuracy/top1 0.886 to 0.939, brier 0.25 to 0.30, on the 360 held-out digits, whose labels are right (5 seeds).
"""

custom_imports = dict(imports=["own"])
seed = 0

model = dict(type="Net", hidden=128, q=0.0)

train_pipeline = [dict(type="Erase", size=2, prob=0.5), dict(type="ToUnit"), dict(type="PackInputs")]
test_pipeline = [
    # these two do nothing to the dataset's own samples; they make an image file, for `fkit infer`, into one of them
    dict(type="LoadImageFromFile", color_type="grayscale"),
    dict(type="Resize", scale=(8, 8), interpolation="area"),
    dict(type="ToUnit"),
    dict(type="PackInputs"),
]

train_dataloader = dict(
    batch_size=64,
    shuffle=True,
    dataset=dict(type="NoisyDigits", split="train", noise=0.4, pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=120, dataset=dict(type="NoisyDigits", split="test", pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type="Brier"), dict(type="Accuracy")]
test_evaluator = val_evaluator

default_hooks = dict(checkpoint=dict(rule="less"))  # the less of Brier's score, the better the checkpoint
custom_hooks = [dict(type="StopWhenStale", metric="brier", patience=10)]

optim_wrapper = dict(optimizer=dict(type="Adam", lr=0.005))
train_cfg = dict(by_epoch=True, max_epochs=40)
val_cfg = dict()
test_cfg = dict()

"""ResNet-18 with a 3x3 stem and a quarter of the usual channels, on the digits that ship with the kit.

Command: fkit train configs/digits/resnet18.py
Time: about 15 s on one core of a CPU.
Score: accuracy/top1 0.991 to 0.995 on the 360 held-out digits (3 seeds).
"""

_base_ = [
    "../_base_/models/resnet18_quarter.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/adamw_20e.py",
    "../_base_/default_runtime.py",
]

optim_wrapper = dict(optimizer=dict(lr=0.004))

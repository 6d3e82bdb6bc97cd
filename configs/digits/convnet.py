"""A small ConvNet on the digits that ship with the kit; the job of the README.

Command: fkit train configs/digits/convnet.py
Time: about 5 s on one core of a CPU.
Score: accuracy/top1 0.992 to 1.000 on the 360 held-out digits (10 seeds).
"""

_base_ = [
    "../_base_/models/convnet.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/adamw_20e.py",
    "../_base_/default_runtime.py",
]

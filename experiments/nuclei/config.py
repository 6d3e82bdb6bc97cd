"""A small segmenter on pictures of cell nuclei, 140 to train on and 30 held out.

Command: fkit train config.py
"""

_base_ = ["fkit::_base_/datasets/nuclei.py", "fkit::_base_/schedules/adamw_onecycle_12e.py"]

custom_imports = dict(imports=["segmenter"])
default_scope = "mmseg"
seed = 0

model = dict(type="Segmenter", num_classes=2)
train_dataloader = dict(dataset=dict(dataset=dict(data_root="data")))
val_dataloader = dict(dataset=dict(data_root="data"))
test_dataloader = val_dataloader
default_hooks = dict(visualization=dict(type="SegVisualizationHook", draw=True, interval=10))

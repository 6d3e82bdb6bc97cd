"""A small estimator of a mouse's pose, from nothing.

Command: fkit train topdown/res18_mouse (in the project's folder, whose experiments/mouse/data it reads)
Time: about 2 minutes (torch, one core of a CPU).
Score: PCK@0.1 0.944 to 0.951 (torch and JAX; 36 views of 18 held-out frames, seed 0).
"""

_base_ = [
    "../_base_/models/res18_heatmap.py",
    "../_base_/datasets/mouse.py",
    "../_base_/schedules/adamw_onecycle_12e.py",
    "../_base_/default_runtime.py",
]

default_scope = "mmpose"
optim_wrapper = dict(optimizer=dict(lr=0.002))
param_scheduler = dict(eta_max=0.002)
default_hooks = dict(visualization=dict(type="PoseVisualizationHook", enable=True, interval=1))

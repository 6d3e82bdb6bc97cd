"""Faster R-CNN R50-FPN on COCO, as MMDetection 2 has it.

Command: fkit train faster_rcnn/faster_rcnn_r50_fpn_1x_coco
Time: not run
Score: bbox mAP 0.374 of MMDetection
"""

_base_ = [
    "../_base_/models/faster_rcnn_r50_fpn.py",
    "../_base_/datasets/coco_detection.py",
    "../_base_/schedules/schedule_1x.py",
    "../_base_/default_runtime.py",
]

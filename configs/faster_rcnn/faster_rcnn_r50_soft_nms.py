"""Faster R-CNN tested with soft suppression: overlap costs score.

Command: fkit test faster_rcnn/faster_rcnn_r50_soft_nms WORK_DIR (of faster_rcnn_r50_fpn_1x_coco: training is the same)
Time: not run
Score: not run
"""

_base_ = "./faster_rcnn_r50_fpn_1x_coco.py"

model = dict(test_cfg=dict(rcnn=dict(nms=dict(type="soft_nms", iou_threshold=0.5, min_score=0.05))))

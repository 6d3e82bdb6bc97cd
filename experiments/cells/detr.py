"""A small DETR that learns sixteen pictures of blood cells by heart: no anchors, no suppression, fifty queries.

Command: fkit train detr.py
Time: 8 to 15 minutes (one core of a busy CPU).
Score: coco/bbox_mAP 0.928, coco/bbox_mAP_50 0.986 on torch, 0.877 and 0.954 on JAX (the sixteen pictures themselves, seed 0).
"""

_base_ = "config.py"

width = 128
attention = dict(embed_dims=width, num_heads=8, dropout=0.0)
ffn = dict(embed_dims=width, feedforward_channels=256, num_fcs=2, ffn_drop=0.0, act_cfg=dict(type="ReLU"))
model = dict(
    _delete_=True,
    type="DETR",
    num_queries=50,
    backbone=dict(
        type="ResNet",
        depth=18,
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        frozen_stages=-1,
        norm_cfg=dict(type="GN", num_groups=16),
        norm_eval=False,
        zero_init_residual=False,
    ),
    neck=dict(type="ChannelMapper", in_channels=[128], kernel_size=1, out_channels=width, act_cfg=None, num_outs=1),
    encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
    decoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)),
    positional_encoding=dict(num_feats=width // 2, normalize=True),
    bbox_head=dict(type="DETRHead", num_classes=3, embed_dims=width),
    train_cfg=dict(
        assigner=dict(
            type="HungarianAssigner",
            match_costs=[
                dict(type="ClassificationCost", weight=1.0),
                dict(type="BBoxL1Cost", weight=5.0, box_format="xywh"),
                dict(type="IoUCost", iou_mode="giou", weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img=50),
)

small = dict(type="Resize", scale=(160, 120), keep_ratio=True)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    small,
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    small,
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
train_dataloader = dict(batch_size=8, dataset=dict(indices=16, pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(ann_file="train.json", indices=16, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="CocoMetric", metric="bbox")
test_evaluator = val_evaluator

optim_wrapper = dict(
    _delete_=True,
    optimizer=dict(type="AdamW", lr=5e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.5))),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type="MultiStepLR", milestones=[450], gamma=0.1, by_epoch=True),
]
train_cfg = dict(by_epoch=True, max_epochs=600, val_interval=100)

"""The kit's own segmentor on the same pictures: a small HRNet, whose four maps a head of one convolution joins.

Command: fkit train hrnet.py
"""

_base_ = "config.py"
custom_imports = dict(_delete_=True, imports=[])

norm_cfg = dict(type="BN")
model = dict(
    _delete_=True,
    type="EncoderDecoder",
    backbone=dict(
        type="HRNet",
        norm_cfg=norm_cfg,
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block="BOTTLENECK", num_blocks=(1,), num_channels=(16,)),
            stage2=dict(num_modules=1, num_branches=2, block="BASIC", num_blocks=(1, 1), num_channels=(16, 32)),
            stage3=dict(num_modules=1, num_branches=3, block="BASIC", num_blocks=(1, 1, 1), num_channels=(16, 32, 64)),
            stage4=dict(
                num_modules=1, num_branches=4, block="BASIC", num_blocks=(1, 1, 1, 1), num_channels=(16, 32, 64, 128)
            ),
        ),
    ),
    decode_head=dict(
        type="FCNHead",
        in_channels=[16, 32, 64, 128],
        in_index=[0, 1, 2, 3],
        input_transform="resize_concat",
        channels=32,
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=2,
        norm_cfg=norm_cfg,
    ),
    test_cfg=dict(mode="whole"),
)

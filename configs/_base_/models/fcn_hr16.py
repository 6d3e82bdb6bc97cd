"""A small HRNet, whose four maps a head of one convolution joins: classes of pixels."""

bn = dict(type="BN")
model = dict(
    type="EncoderDecoder",
    backbone=dict(
        type="HRNet",
        norm_cfg=bn,
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
        norm_cfg=bn,
    ),
    test_cfg=dict(mode="whole"),
)

"""A ResNet-18 of half the channels and three deconvolutions: a heatmap for each of 7 points."""

codec = dict(type="UDPHeatmap", input_size=(192, 96), heatmap_size=(48, 24), sigma=1.5)
model = dict(
    type="TopdownPoseEstimator",
    backbone=dict(
        type="ResNet", depth=18, base_channels=32, norm_cfg=dict(type="BN"), zero_init_residual=False, out_indices=(3,)
    ),
    head=dict(
        type="HeatmapHead",
        in_channels=256,
        out_channels=7,
        deconv_out_channels=(64, 64, 64),
        deconv_kernel_sizes=(4, 4, 4),
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
        decoder=codec,
    ),
    test_cfg=dict(flip_test=False),
)

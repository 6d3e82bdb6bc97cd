"""The small networks that experiments/record/drawn.py records: family -> name -> (package, config, shape of the inputs)."""

from typing import Any

_RESNET = {
    "type": "ResNet", "depth": 18, "base_channels": 8, "stem_channels": 8, "num_stages": 4, "strides": [1, 2, 2, 2],
    "dilations": [1, 1, 1, 1], "out_indices": [0, 1, 2, 3],
}  # fmt: skip
_STDC = {
    "type": "STDCNet", "stdc_type": "STDCNet1", "in_channels": 3, "channels": [8, 8, 16, 32, 64], "bottleneck_type": "cat",
    "num_convs": 4, "norm_cfg": {"type": "BN"}, "act_cfg": {"type": "ReLU"},
}  # fmt: skip
_TWINS = {
    "embed_dims": [8, 16], "depths": [2, 3], "num_heads": [1, 2], "patch_sizes": [4, 2], "strides": [4, 2],
    "mlp_ratios": [2, 2], "sr_ratios": [2, 1],
}  # fmt: skip
_PICTURE = [2, 3, 64, 64]

REALTIME: dict[str, Any] = {
    "bisenet": ("mmseg", {
        "type": "BiSeNetV1", "backbone_cfg": _RESNET, "spatial_channels": [4, 4, 4, 24], "context_channels": [8, 32, 64],
        "out_channels": 32,
    }, _PICTURE),
    "bisenet of the second version": ("mmseg", {
        "type": "BiSeNetV2", "detail_channels": [4, 4, 8], "semantic_channels": [4, 4, 4, 8], "bga_channels": 8,
        "semantic_expansion_ratio": 2, "out_indices": [0, 2, 4],
    }, _PICTURE),
    "icnet": ("mmseg", {
        "type": "ICNet", "backbone_cfg": {**_RESNET, "type": "ResNetV1c", "strides": [1, 2, 1, 1], "dilations": [1, 1, 2, 4]},
        "layer_channels": [16, 64], "light_branch_middle_channels": 4, "psp_out_channels": 8, "out_channels": [4, 8, 8],
    }, [2, 3, 72, 68]),
    "icnet's neck": ("mmseg", {"type": "ICNeck", "in_channels": [4, 8, 6], "out_channels": 5},
                     [[2, 4, 8, 9], [2, 8, 4, 5], [2, 6, 2, 3]]),
    "stdc": ("mmseg", {
        "type": "STDCContextPathNet", "backbone_cfg": _STDC, "last_in_channels": [64, 32], "out_channels": 8,
        "ffm_cfg": {"in_channels": 24, "out_channels": 16, "scale_factor": 4},
    }, _PICTURE),
    "stdc of the second kind": ("mmseg", {
        **_STDC, "stdc_type": "STDCNet2", "bottleneck_type": "cat", "with_final_conv": True, "num_convs": 3,
    }, _PICTURE),
    "pidnet": ("mmseg", {"type": "PIDNet", "channels": 4, "ppm_channels": 4, "num_stem_blocks": 2, "num_branch_blocks": 2},
               [2, 3, 128, 72]),
    "pidnet, large": ("mmseg", {"type": "PIDNet", "channels": 4, "ppm_channels": 4, "num_stem_blocks": 3,
                                "num_branch_blocks": 3}, [2, 3, 128, 128]),
    "ddrnet": ("mmseg", {"type": "DDRNet", "channels": 4, "ppm_channels": 4}, [2, 3, 128, 72]),
    "cgnet": ("mmseg", {"type": "CGNet", "num_channels": (4, 8, 16), "num_blocks": (2, 3), "reductions": (2, 4)}, [2, 3, 40, 36]),
    "erfnet": ("mmseg", {
        "type": "ERFNet", "enc_downsample_channels": [4, 8, 16], "enc_stage_non_bottlenecks": [1, 2],
        "enc_non_bottleneck_dilations": [2, 4], "enc_non_bottleneck_channels": [8, 16], "dec_upsample_channels": [8, 4],
        "dec_stages_non_bottleneck": [1, 1], "dec_non_bottleneck_channels": [8, 4], "dropout_ratio": 0.0,
    }, [2, 3, 40, 32]),
    "fast scnn": ("mmseg", {
        "type": "FastSCNN", "downsample_dw_channels": [4, 6], "global_in_channels": 8, "global_block_channels": [8, 12, 16],
        "global_out_channels": 16, "higher_in_channels": 8, "lower_in_channels": 16, "fusion_out_channels": 8,
        "out_indices": [0, 1, 2],
    }, _PICTURE),
    "mscan": ("mmseg", {
        "type": "MSCAN", "embed_dims": [4, 8], "mlp_ratios": [2, 2], "depths": [1, 2], "num_stages": 2,
        "norm_cfg": {"type": "BN"},
    }, [2, 3, 40, 36]),
}  # fmt: skip

TWINS: dict[str, Any] = {
    "pcpvt of mmseg": ("mmseg", {"type": "PCPVT", **_TWINS, "out_indices": [0, 1], "norm_after_stage": True, "qkv_bias": True},
                       [2, 3, 40, 36]),
    "svt of mmseg": ("mmseg", {
        "type": "SVT", **_TWINS, "out_indices": [0, 1], "windiow_sizes": [3, 3], "drop_path_rate": 0.0,
    }, [2, 3, 40, 32]),
    "svt of mmseg whose windows fit": ("mmseg", {
        "type": "SVT", **_TWINS, "out_indices": [0, 1], "windiow_sizes": [3, 3], "drop_path_rate": 0.0,
    }, [2, 3, 48, 32]),
    "pcpvt of mmpretrain": ("mmpretrain", {"type": "PCPVT", "arch": _TWINS, "out_indices": [0, 1],
                                           "norm_after_stage": [False, True]}, [2, 3, 40, 36]),
    "svt of mmpretrain": ("mmpretrain", {
        "type": "SVT", "arch": {**_TWINS, "window_sizes": [3, 2]}, "out_indices": [1], "qkv_bias": True,
    }, [2, 3, 44, 28]),
}  # fmt: skip

_HR = {
    "drop_path_rate": 0.0,
    "stage1": {"num_modules": 1, "num_branches": 1, "block": "BOTTLENECK", "num_blocks": [1], "num_channels": [4]},
    **{
        f"stage{n}": {
            "num_modules": 2 if n == 3 else 1,
            "num_branches": n,
            "block": "HRFORMERBLOCK",
            "num_blocks": [1] * n,
            "num_channels": [4 * 2**i for i in range(n)],
            "num_heads": [1, 2, 2, 4][:n],
            "window_sizes": [3] * n,
            "mlp_ratios": [2] * n,
        }
        for n in (2, 3, 4)
    },
}
_LIGHT = {
    "type": "ViPNAS_MobileNetV3",
    "wid": [8, 8, 12, 16],
    "expan": [None, 1, 2, 3],
    "dep": [None, 1, 2, 1],
    "ks": [3, 3, 7, 5],
    "group": [None, 8, 12, 16],
    "att": [None, True, True, False],
    "stride": [2, 1, 2, 2],
    "act": ["HSwish", "ReLU", "ReLU", "HSwish"],
}

POSED: dict[str, Any] = {
    "hourglass of associative embedding": ("mmpose", {
        "type": "HourglassAENet", "downsample_times": 2, "num_stacks": 2, "stage_channels": [8, 12, 16], "feat_channels": 8,
        "out_channels": 5,
    }, [2, 3, 32, 48]),
    "vipnas' resnet": ("mmpose", {"type": "ViPNAS_ResNet", "depth": 50, "num_stages": 2, "strides": [1, 2], "dilations": [1, 1],
                                  "out_indices": [0, 1], "wid": [8, 8, 16], "expan": [None, 1, 2], "dep": [None, 2, 1],
                                  "ks": [7, 3, 5], "group": [None, 4, 8], "att": [None, True, False]}, [2, 3, 40, 36]),
    "vipnas' resnet, frozen, with a deep stem": ("mmpose", {
        "type": "ViPNAS_ResNet", "depth": 50, "num_stages": 2, "strides": [2, 2], "dilations": [1, 1], "frozen_stages": 1,
        "out_indices": [1], "wid": [8, 8, 16], "expan": [None, 2, 1], "dep": [None, 1, 1], "ks": [7, 3, 5], "style": "caffe",
        "group": [None, 4, 8], "att": [None, False, True], "deep_stem": True, "avg_down": True,
    }, [2, 3, 40, 36]),
    "vipnas' mobilenet": ("mmpose", _LIGHT, [2, 3, 40, 36]),
    "shufflenet": ("mmpose", {"type": "ShuffleNetV1", "groups": 2, "widen_factor": 0.2, "out_indices": [0, 2]}, [2, 3, 40, 36]),
    "shufflenet of the second version": ("mmpretrain", {"type": "ShuffleNetV2", "widen_factor": 0.5, "out_indices": [1, 3]},
                                         [2, 3, 40, 36]),
    "hrformer": ("mmpose", {"type": "HRFormer", "extra": _HR}, [2, 3, 64, 64]),
    "tcn": ("mmpose", {"type": "TCN", "in_channels": 6, "stem_channels": 8, "num_blocks": 2, "kernel_sizes": [3, 3, 3],
                       "dropout": 0.0}, [2, 6, 30]),
    "tcn that strides": ("mmpose", {"type": "TCN", "in_channels": 6, "stem_channels": 8, "num_blocks": 2, "dropout": 0.0,
                                    "kernel_sizes": [3, 3, 3], "use_stride_conv": True}, [2, 6, 27]),
    "dstformer": ("mmpose", {"type": "DSTFormer", "in_channels": 3, "feat_size": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 2,
                             "num_keypoints": 5, "seq_len": 6}, [2, 4, 5, 3]),
}  # fmt: skip

_TOKENS = {
    "img_size": [32, 48], "patch_size": 8, "embed_dims": 8, "num_layers": 2, "num_heads": 2, "mlp_ratio": 2,
    "out_indices": [0, 1],
}  # fmt: skip

PLAIN: dict[str, Any] = {
    "beit": ("mmseg", {"type": "BEiT", **_TOKENS, "img_size": (32, 48), "final_norm": True}, [2, 3, 32, 48]),
    "beit without biases": ("mmseg", {"type": "BEiT", **_TOKENS, "img_size": 32, "qv_bias": False, "patch_norm": True,
                                      "out_indices": -1}, [2, 3, 32, 32]),
    "mae": ("mmseg", {"type": "MAE", **_TOKENS, "img_size": (32, 48), "init_values": 1.0}, [2, 3, 32, 48]),
}  # fmt: skip

FAMILIES: dict[str, dict[str, Any]] = {"realtime": REALTIME, "twins": TWINS, "posed": POSED, "plain": PLAIN}

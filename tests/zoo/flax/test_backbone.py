"""Backbones of detectors, the flax ones against their torch twins: the same names, and a training step with the same numbers."""

import numpy as np
import pytest

from fkit.array.room import open as open_room
from fkit.catalog.builtin import registry
from fkit.structures.batch import Batch
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec

_SWIN = {"type": "SwinTransformer", "embed_dims": 4, "depths": (2, 1), "num_heads": (1, 2), "strides": (4, 2),
         "window_size": 3, "out_indices": (1,)}  # fmt: skip
_RESNET = {
    "depth": 50,
    "zero_init_residual": False,
    "base_channels": 8,
    "num_stages": 2,
    "strides": (1, 2),
    "dilations": (1, 2),
    "out_indices": (1,),
}


def _branches(count, block="BASIC", planes=4):
    numbers = {"num_blocks": (1,) * count, "num_channels": tuple(planes * 2**i for i in range(count))}
    return {"num_modules": 1, "num_branches": count, "block": block, **numbers}


_EXTRA = {
    "stage1": _branches(1, "BOTTLENECK"), "stage2": _branches(2), "stage3": _branches(3),
    "stage4": {**_branches(4), "multiscale_output": False},
}  # fmt: skip
# name: (backbone, channels of its last map, shape of the images)
_BACKBONES = {
    "swin": (_SWIN, 8, (2, 3, 38, 27)),
    "swin of the original repository": (
        {"type": "SwinTransformer", "embed_dim": 4, "depths": (1, 2), "num_heads": (2, 2), "strides": (4, 2), "ape": True,
         "use_checkpoint": True, "window_size": 2, "pretrain_img_size": 16, "out_indices": (1,), "drop_path_rate": 0.3,
         "patch_norm": False, "drop_rate": 0.1, "attn_drop_rate": 0.2, "qkv_bias": False},
        8, (3, 3, 16, 24),
    ),
    "resnext": (
        {**_RESNET, "type": "ResNeXt", "groups": 2, "base_width": 4, "contract_dilation": True, "frozen_stages": 0,
         "with_cp": True}, 64, (2, 3, 24, 24),
    ),
    "resnet v1d of mmpretrain": (
        {**_RESNET, "type": "mmpretrain.ResNetV1d", "drop_path_rate": 0.4, "strides": (2, 1), "expansion": 2,
         "multi_grid": (2, 1, 2, 1), "stem_channels": 8}, 32, (3, 3, 32, 32),
    ),
    "resnet with plugins": (
        {**_RESNET, "type": "ResNet", "num_stages": 1, "strides": (1,), "dilations": (1,), "out_indices": (0,), "plugins": [
            {"cfg": {"type": "ContextBlock", "ratio": 0.25}, "position": "after_conv3", "stages": (True,)},
            {"cfg": {"type": "NonLocal2d", "postfix": "_x", "zeros_init": False}, "position": "after_conv2"}]},
        32, (2, 3, 16, 16),
    ),
    "resnet with deformable layers": (
        {**_RESNET, "type": "ResNet", "num_stages": 1, "strides": (1,), "dilations": (1,), "out_indices": (0,),
         "dcn": {"type": "DCNv2", "deform_groups": 2, "fallback_on_stride": False}, "stage_with_dcn": (True,)},
        32, (2, 3, 16, 16),
    ),
    "regnet": (
        {"type": "RegNet", "arch": {"w0": 8, "wa": 8.0, "wm": 2.0, "group_w": 4, "depth": 2, "bot_mul": 1.0},
         "strides": (2, 2), "dilations": (1, 1), "out_indices": (1,), "zero_init_residual": False, "stem_channels": 4},
        16, (2, 3, 32, 32),
    ),
    "hrnet of mmseg": (
        {"type": "mmseg.HRNet", "frozen_stages": 1, "extra": _EXTRA}, 4, (2, 3, 36, 64),
    ),
    "erfnet, drawn once": (
        {"type": "ERFNet", "enc_downsample_channels": (4, 8), "enc_stage_non_bottlenecks": (1,), "dropout_ratio": 0.4,
         "enc_non_bottleneck_dilations": (2,), "enc_non_bottleneck_channels": (8,), "dec_upsample_channels": (4,),
         "dec_stages_non_bottleneck": (1,), "dec_non_bottleneck_channels": (4,)}, 4, (2, 3, 24, 16),
    ),
    "svt, drawn once": (
        {"type": "mmseg.SVT", "embed_dims": (4, 8), "depths": (2, 1), "num_heads": (1, 2), "patch_sizes": (4, 2),
         "strides": (4, 2), "mlp_ratios": (2, 2), "sr_ratios": (2, 1), "windiow_sizes": (2, 3), "drop_rate": 0.2,
         "attn_drop_rate": 0.2, "drop_path_rate": 0.3, "out_indices": (1,)}, 8, (3, 3, 24, 20),
    ),
    "swin frozen": ({**_SWIN, "frozen_stages": 1, "use_abs_pos_embed": True, "pretrain_img_size": (24, 24)}, 8, (2, 3, 24, 24)),
}  # fmt: skip


def programs(backbone, width, shape):
    model = {"type": "ImageClassifier", "backbone": backbone, "neck": {"type": "GlobalAveragePooling"},
             "head": {"type": "LinearClsHead", "num_classes": 5, "in_channels": width}}  # fmt: skip
    reg = registry()
    spec = Spec(
        lambda name: reg.build("models", model, backend=name),
        {"main": Optimizer.of("SGD", {"lr": 0.1})},
        example=lambda: np.zeros(shape, np.float32),
        dtype="float64",
        device="cpu",
    )
    return open_room("torch").program(spec), open_room("jax").program(spec)


@pytest.mark.parametrize("name", _BACKBONES)
def test_twins(name):
    backbone, width, shape = _BACKBONES[name]
    torch, flax = programs(backbone, width, shape)
    assert torch.inventory.entries == flax.inventory.entries
    states = torch.init(3), flax.init(3)
    start, other = torch.collect(states[0]), flax.collect(states[1])
    for path, array in other.items():
        assert np.array_equal(array, start[path]) and array.dtype == start[path].dtype, path
    rng = np.random.default_rng(0)
    batch = Batch(rng.normal(size=shape).astype(np.float32), {"gt_label": rng.integers(0, 5, shape[0])})
    scores = [p.predict(state, batch)["pred_score"] for p, state in zip((torch, flax), states, strict=True)]
    np.testing.assert_allclose(np.asarray(scores[1]), np.asarray(scores[0]), rtol=1e-10, atol=1e-12)
    moved = []
    for program, state in zip((torch, flax), states, strict=True):
        after, _ = program.train_step(state, batch, program.hyperparams())
        moved.append(program.collect(after))
    for path, array in moved[0].items():
        np.testing.assert_allclose(moved[1][path], array, rtol=1e-10, atol=1e-11, err_msg=path)
    trained = {f"params/{entry.name}" for entry in torch.inventory.entries if entry.trainable and not entry.buffer}
    still = {path for path in start if path.startswith("params/") and np.array_equal(moved[0][path], start[path])}
    assert len(still & trained) < len(trained) / 2  # one step reaches most of them
    assert still >= {path for path in start if path.startswith("params/")} - trained

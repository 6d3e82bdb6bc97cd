"""Detectors of two stages, small: torch and JAX agree, and what a batch may lack."""

from typing import Any

import jax
import numpy as np
import pytest

import fkit
from fkit.array.room import open as open_room
from fkit.data.collate import Collate
from fkit.structures.apart import data_samples
from fkit.training.optimizer import Optimizer
from fkit.training.program import Program
from fkit.training.spec import Spec
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError

SIZE, LR = 64, 0.5
RCNN: dict[str, Any] = {
    "assigner": {
        "type": "MaxIoUAssigner",
        "pos_iou_thr": 0.5,
        "neg_iou_thr": 0.5,
        "min_pos_iou": 0.5,
        "match_low_quality": True,
    },
    "sampler": {"type": "RandomSampler", "num": 16, "pos_fraction": 0.5},
    "mask_size": 8,
    "pos_weight": -1,
}
RPN_CFG = {"nms_pre": 40, "max_per_img": 12, "nms": {"type": "nms", "iou_threshold": 0.7}, "min_bbox_size": 0}
EXTRACT = {
    "type": "SingleRoIExtractor", "out_channels": 8, "featmap_strides": [4, 8, 16, 32],
    "roi_layer": {"type": "RoIAlign", "output_size": 4, "sampling_ratio": 2},
}  # fmt: skip
BOX: dict[str, Any] = {
    "type": "Shared2FCBBoxHead", "in_channels": 8, "fc_out_channels": 16, "roi_feat_size": 4, "num_classes": 3,
    "loss_bbox": {"type": "L1Loss"},
}  # fmt: skip
MASK = {"type": "FCNMaskHead", "num_convs": 1, "in_channels": 8, "conv_out_channels": 8, "num_classes": 3}
HEADS: dict[str, dict[str, Any]] = {
    "standard": {"type": "StandardRoIHead", "bbox_head": BOX},
    "mask": {"type": "StandardRoIHead", "bbox_head": BOX, "mask_roi_extractor": EXTRACT, "mask_head": MASK},
    "shared": {"type": "StandardRoIHead", "bbox_head": BOX, "mask_head": {**MASK, "class_agnostic": True}},
    "giou": {
        "type": "StandardRoIHead",
        "bbox_head": {
            **BOX, "type": "Shared4Conv1FCBBoxHead", "conv_out_channels": 8, "reg_decoded_bbox": True,
            "norm_cfg": {"type": "GN", "num_groups": 2}, "loss_bbox": {"type": "GIoULoss"},
        },
    },
    "apart": {
        "type": "StandardRoIHead",
        "bbox_head": {
            **BOX, "type": "ConvFCBBoxHead", "num_cls_convs": 1, "num_reg_fcs": 1, "conv_out_channels": 8,
            "reg_class_agnostic": True, "cls_predictor_cfg": {"type": "NormedLinear", "tempearture": 20},
        },
    },
    "double": {
        "type": "DoubleHeadRoIHead", "reg_roi_scale_factor": 1.3,
        "bbox_head": {
            "type": "DoubleConvFCBBoxHead", "num_convs": 1, "num_fcs": 1, "in_channels": 8, "conv_out_channels": 16,
            "fc_out_channels": 16, "roi_feat_size": 4, "num_classes": 3,
        },
    },
    "layers": {
        "type": "StandardRoIHead", "shared_head": {"type": "ResLayer", "depth": 18, "stage": 1, "style": "caffe"},
        "bbox_roi_extractor": {**EXTRACT, "out_channels": 64, "featmap_strides": [8]},
        "bbox_head": {"type": "BBoxHead", "with_avg_pool": True, "roi_feat_size": 2, "in_channels": 128, "num_classes": 3},
        "mask_head": {**MASK, "num_convs": 0, "in_channels": 128},
    },
    "cascade": {
        "type": "CascadeRoIHead", "num_stages": 2, "stage_loss_weights": [1, 0.5],
        "bbox_head": [{**BOX, "reg_class_agnostic": True}, BOX],
    },
    "cascade_mask": {
        "type": "CascadeRoIHead", "num_stages": 2, "stage_loss_weights": [1, 0.5], "bbox_head": BOX,
        "mask_roi_extractor": EXTRACT, "mask_head": MASK,
    },
    "cascade_hybrid": {
        "type": "HybridTaskCascadeRoIHead", "num_stages": 2, "stage_loss_weights": [1, 0.5], "bbox_head": BOX,
        "mask_roi_extractor": EXTRACT, "mask_head": {**MASK, "type": "HTCMaskHead"},
        "semantic_roi_extractor": {**EXTRACT, "featmap_strides": [8]},
        "semantic_head": {
            "type": "FusedSemanticHead", "num_ins": 5, "fusion_level": 1, "num_convs": 1, "in_channels": 8,
            "conv_out_channels": 8, "num_classes": 3,
        },
    },
}  # fmt: skip


# of one map in place of a pyramid, as C4 models have it
FLAT: dict[str, Any] = {
    "neck": None,
    "backbone": {
        "type": "mmdet.ResNet", "depth": 18, "base_channels": 32, "num_stages": 2, "strides": (1, 2), "dilations": (1, 1),
        "out_indices": (1,),
    },
    "rpn_head": {
        "type": "RPNHead", "in_channels": 64, "feat_channels": 8, "loss_bbox": {"type": "L1Loss"},
        "anchor_generator": {"type": "AnchorGenerator", "scales": [2, 4], "ratios": [1.0], "strides": [8]},
    },
}  # fmt: skip


def model(kind: str, **changes: Any) -> dict[str, Any]:
    head = {"bbox_roi_extractor": EXTRACT, **HEADS[kind]}
    rpn_train = {
        "assigner": {"type": "MaxIoUAssigner", "pos_iou_thr": 0.7, "neg_iou_thr": 0.3, "min_pos_iou": 0.3},
        "sampler": {"type": "RandomSampler", "num": 32, "pos_fraction": 0.5, "add_gt_as_proposals": False},
        "allowed_border": -1,
        "pos_weight": -1,
    }
    rcnn = [RCNN, RCNN] if kind.startswith("cascade") else {**RCNN, "mask_size": 4} if kind == "layers" else RCNN
    changes = {**(FLAT if kind == "layers" else {}), **changes}
    return {
        "type": "FasterRCNN",
        "backbone": {"type": "mmdet.ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4},
        "neck": {"type": "FPN", "in_channels": [4, 8, 16, 32], "out_channels": 8, "num_outs": 5},
        "rpn_head": {
            "type": "RPNHead", "in_channels": 8, "feat_channels": 8,
            "anchor_generator": {"type": "AnchorGenerator", "scales": [2], "ratios": [1.0], "strides": [4, 8, 16, 32, 64]},
            "loss_bbox": {"type": "L1Loss"},
        },
        "roi_head": head,
        "train_cfg": {"rpn": rpn_train, "rpn_proposal": RPN_CFG, "rcnn": rcnn},
        "test_cfg": {
            "rpn": RPN_CFG,
            "rcnn": {"score_thr": 0.05, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 6, "mask_thr_binary": 0.5},
        },
        **changes,
    }  # fmt: skip


def program(cfg: dict[str, Any], backend: str, dtype: str = "float64") -> Program:
    registry = fkit.registry()
    spec = Spec(
        lambda name: fkit.build(cfg, registry, "models", backend=name), {"main": Optimizer.of("SGD", {"lr": LR})},
        dtype=dtype, device="cpu", example=lambda: np.zeros((1, 3, SIZE, SIZE), np.float32),
    )  # fmt: skip
    return open_room(backend).program(spec)


def batch(objects: int = 3, real: int | None = None) -> fkit.Batch:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    corner = rng.uniform(0, 30, (2, objects, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 30, (2, objects, 2))], -1).astype(np.float32)
    masks = np.zeros((2, objects, SIZE, SIZE), np.uint8)
    for n, g in np.ndindex(2, objects):
        x1, y1, x2, y2 = boxes[n, g].astype(int)
        masks[n, g, y1:y2, x1 : (x1 + x2) // 2] = 1
    valid = np.arange(objects)[None] < np.array(
        [[objects if real is None else real], [min(1, objects) if real is None else real]]
    )
    targets = {
        "gt_instances": {"bboxes": boxes, "labels": rng.integers(0, 3, (2, objects)), "masks": masks},
        "img_shape": np.array([[64, 60], [50, 64]]), "scale_factor": np.array([[2.0, 2.0], [1.0, 1.5]]),
        "gt_sem_seg": rng.integers(0, 3, (2, SIZE, SIZE)),
    }  # fmt: skip
    return fkit.Batch(images, targets, {"gt_instances": valid}, ({"ori_shape": (32, 30)}, {"ori_shape": (50, 43)}))


def host(backend: str, tree: Any) -> Any:
    return open_room(backend).host(tree)


@pytest.mark.parametrize("kind", HEADS)
def test_backends_agree(kind: str) -> None:
    seen: dict[str, Any] = {}
    for backend in ("torch", "jax"):
        made = program(model(kind), backend)
        state = made.init(3)
        predicted = host(backend, made.predict(state, batch()))
        state, logs = made.train_step(state, batch(), made.hyperparams())
        arrays = made.collect(state)
        seen[backend] = (predicted, host(backend, logs), arrays)
    (mine, logs, arrays), (other, others, more) = seen.values()
    assert list(arrays) and arrays.keys() == more.keys()
    assert logs.keys() == others.keys()
    for name, value in logs.items():
        assert float(value) == pytest.approx(float(others[name]), rel=1e-7, abs=1e-9), name
    for name, value in arrays.items():
        assert np.allclose(value, more[name], rtol=1e-7, atol=1e-9), name
    real = mine["valid"]["pred_instances"]
    assert np.array_equal(real, other["valid"]["pred_instances"])
    assert real.any()
    for name, value in mine["pred_instances"].items():
        assert np.allclose(value, other["pred_instances"][name], rtol=1e-6, atol=1e-6), name


@pytest.mark.parametrize(
    ("backend", "kind", "objects", "real"),
    [
        ("torch", "mask", 0, 0), ("torch", "cascade_mask", 0, 0), ("torch", "mask", 2, 0), ("torch", "giou", 2, 0),
        ("jax", "cascade_mask", 2, 0),
    ],
)  # fmt: skip
def test_no_objects(backend: str, kind: str, objects: int, real: int) -> None:
    made = program(model(kind), backend, "float32")
    state, logs = made.train_step(made.init(0), batch(objects, real), made.hyperparams())
    values = {name: float(value) for name, value in host(backend, logs).items()}
    assert all(np.isfinite(value) for value in values.values()), values
    assert all(value == 0 for name, value in values.items() if name.endswith(("loss_bbox", "loss_mask")))
    assert all(np.isfinite(array).all() for array in made.collect(state).values())


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_masks_are_as_large_as_the_original_image(backend: str) -> None:
    made = program(model("mask"), backend, "float32")
    samples = data_samples(batch(), host(backend, made.predict(made.init(0), batch())))
    for sample, size in zip(samples, ((32, 30), (50, 43)), strict=True):
        found = sample.pred_instances
        assert found.masks.shape == (len(found.bboxes), *size)
        assert found.masks.dtype == np.bool_


def test_soft_targets_of_masks_are_learned_where_the_settings_ask_for_them() -> None:
    losses: dict[bool, float] = {}
    for soft in (False, True):
        cfg = model("mask")
        cfg["train_cfg"] = {**cfg["train_cfg"], "rcnn": {**RCNN, "soft_mask_target": soft}}
        made = program(cfg, "torch")
        logs = host("torch", made.train_step(made.init(0), batch(), made.hyperparams())[1])
        losses[soft] = float(logs["loss_mask"])
        assert float(logs["loss_cls"]) > 0
    assert losses[False] != losses[True]


def test_a_loss_of_several_parts_says_nothing_of_the_hardest() -> None:
    cfg = model("standard")
    loss = {"type": "SeesawLoss", "p": 0.8, "q": 2.0, "num_classes": 3, "loss_weight": 1.0}
    cfg["roi_head"] = {**cfg["roi_head"], "bbox_head": {**BOX, "loss_cls": loss}}
    made = program(cfg, "torch")
    assert "loss_cls_objectness" in made.train_step(made.init(0), batch(), made.hyperparams())[1]
    hardest = {**RCNN, "sampler": {"type": "OHEMSampler", "num": 16, "pos_fraction": 0.5}}
    cfg["train_cfg"] = {**cfg["train_cfg"], "rcnn": hardest}
    made = program(cfg, "torch")
    with pytest.raises(FkitValueError, match="one loss of classes"):
        made.train_step(made.init(0), batch(), made.hyperparams())


def test_a_loss_that_is_not_of_masks_is_one_clear_error() -> None:
    cfg = model("mask")
    cfg["roi_head"] = {**cfg["roi_head"], "mask_head": {**MASK, "loss_mask": {"type": "DiceLoss"}}}
    made = program(cfg, "torch")
    with pytest.raises(FkitValueError, match="loss_mask is a DiceLoss"):
        made.train_step(made.init(0), batch(), made.hyperparams())


@pytest.mark.parametrize("kind", ["0010", "1111"])
def test_a_backbone_with_attention_inside_of_blocks_learns(kind: str) -> None:
    attention = {
        "type": "GeneralizedAttention",
        "spatial_range": -1,
        "num_heads": 4,
        "attention_type": kind,
        "kv_stride": 2,
    }
    plugin = {"cfg": attention, "stages": (False, False, True, True), "position": "after_conv2"}
    made = program(
        model(
            "standard",
            backbone={
                "type": "mmdet.ResNet",
                "depth": 50,
                "base_channels": 4,
                "plugins": [plugin],
                "zero_init_residual": False,
            },
            neck={"type": "FPN", "in_channels": [16, 32, 64, 128], "out_channels": 8, "num_outs": 5},
        ),
        "torch",
    )
    start = made.init(0)
    name = next(name for name in made.collect(start) if name.endswith("gen_attention_block.gamma"))
    after = made.train_step(start, batch(), made.hyperparams())[0]
    assert not np.array_equal(made.collect(after)[name], made.collect(made.init(0))[name])


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_proposals_that_a_batch_brings(backend: str) -> None:
    made = program(model("standard", type="FastRCNN", rpn_head=None), backend, "float32")
    first = batch()
    boxes = first.targets["gt_instances"]["bboxes"] + 2
    targets = {**first.targets, "proposals": {"bboxes": boxes}}
    with pytest.raises(FkitKeyError, match="proposals"):
        made.predict(made.init(0), first)
    logs = made.train_step(made.init(0), fkit.Batch(first.inputs, targets, first.valid), made.hyperparams())[1]
    assert {name for name in logs if "rpn" in name} == set()
    assert "loss_cls" in logs
    whole = program(model("standard"), backend, "float32")
    logs = whole.train_step(whole.init(0), fkit.Batch(first.inputs, targets, first.valid), whole.hyperparams())[1]
    assert "loss_rpn_cls" in logs


def proposing(kind: str) -> dict[str, Any]:
    """A head of one stage in the RPN's place."""
    towers = {"in_channels": 8, "feat_channels": 8, "stacked_convs": 1}
    if kind == "FCOSHead":
        strides = {"strides": [4, 8, 16, 32, 64], "norm_cfg": {"type": "GN", "num_groups": 2}}
        return {"type": kind, "num_classes": 1, **towers, **strides}
    return {**towers, "type": kind, "anchor_generator": model("standard")["rpn_head"]["anchor_generator"]}


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("kind", ["FCOSHead", "RetinaHead"])
def test_any_head_of_one_stage_proposes(backend: str, kind: str) -> None:
    made = program(model("standard", rpn_head=proposing(kind)), backend, "float32")
    state, seen = made.init(0), batch()
    logs = made.train_step(state, seen, made.hyperparams())[1]
    assert {"rpn_loss_cls", "rpn_loss_bbox", "loss_cls", "loss_bbox"} <= set(logs)
    # what proposes does not know of classes: with other labels its losses are the same
    objects = {**seen.targets["gt_instances"], "labels": 2 - seen.targets["gt_instances"]["labels"]}
    other = fkit.Batch(seen.inputs, {**seen.targets, "gt_instances": objects}, seen.valid, seen.meta)
    again = made.train_step(made.init(0), other, made.hyperparams())[1]
    for name in ("rpn_loss_cls", "rpn_loss_bbox"):
        assert float(again[name]) == float(logs[name]) > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roi_head": None}, "roi_head"),
        ({"roi_head": {**HEADS["mask"], "bbox_roi_extractor": EXTRACT, "mask_head": {**MASK, "upsample_cfg": None}}}, "upsample_cfg=None"),
        ({"roi_head": {**HEADS["standard"], "bbox_roi_extractor": None}}, "bbox_roi_extractor"),
        ({"roi_head": {**HEADS["cascade"], "bbox_roi_extractor": EXTRACT, "num_stages": 3}}, "stage"),
        ({"rpn_head": {"type": "RPNHead", "in_channels": 8, "num_classes": 3}}, "num_classes"),
        ({"train_cfg": {"rpn": {"pos_weight": -1}}}, "assigner"),
        ({"roi_head": {"type": "StandardRoIHead", "bbox_roi_extractor": EXTRACT, "bbox_head": {**BOX, "num_classes": 0}}}, "num_classes"),
        ({"roi_head": {**HEADS["cascade_hybrid"], "bbox_roi_extractor": EXTRACT, "semantic_fusion": ["box"]}}, "semantic_fusion"),
        ({"roi_head": {**HEADS["standard"], "type": "MaskScoringRoIHead", "bbox_roi_extractor": EXTRACT, "mask_iou_head": {"type": "MaskIoUHead"}}}, "mask_head"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_what_is_refused(backend: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FkitError, match=message):
        fkit.build({**model("standard"), **changes}, fkit.registry(), "models", backend=backend)


def test_a_loss_of_proposals_needs_settings() -> None:
    train = {"rpn_proposal": RPN_CFG, "rcnn": RCNN}
    made = program(model("standard", train_cfg=train), "torch", "float32")
    with pytest.raises(FkitError, match="train_cfg"):
        made.train_step(made.init(0), batch(), made.hyperparams())


def test_settings_inside_and_outside_of_a_detector() -> None:
    from fkit.catalog.openmmlab import build_detector

    cfg = model("standard")
    inside = {key: cfg.pop(key) for key in ("train_cfg", "test_cfg")}
    built = build_detector(cfg, fkit.registry(), **inside, backend="torch")
    assert built.roi_head.logic.test_cfg == inside["test_cfg"]["rcnn"]
    with pytest.raises(FkitValueError, match="train_cfg"):
        build_detector(model("standard"), fkit.registry(), **inside, backend="torch")


def _pictures(objects: tuple[int, int], seed: int) -> fkit.Batch:
    """Two pictures of any size up to 64 x 64, with so many objects, as a run collates them: padded to multiples of 32."""
    rng = np.random.default_rng(seed)
    samples: list[dict[str, Any]] = []
    for count in objects:
        height, width = rng.integers(33, SIZE + 1, 2)
        corner = rng.uniform(0, 20, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(4, 13, (count, 2))], 1).astype(np.float32)
        given = {"bboxes": boxes, "labels": rng.integers(0, 3, count)}
        image = rng.normal(size=(3, height, width)).astype(np.float32)
        scale = rng.uniform(0.5, 2, 2).astype(np.float32)
        sizes = {"img_shape": np.array([height, width]), "pad_shape": np.array([64, 64]), "scale_factor": scale}
        samples.append({"inputs": image, "targets": {**sizes, "gt_instances": given}})
    return Collate(pad=True, size_divisor=32)(samples)


def test_pictures_and_objects_of_one_bucket_compile_nothing_again(caplog: pytest.LogCaptureFixture) -> None:
    made = program(model("standard"), "jax", "float32")
    state, numbers = made.init(0), made.hyperparams()
    batches = [_pictures(objects, seed) for seed, objects in enumerate([(3, 4), (1, 3), (4, 0)])]
    assert {one.targets["gt_instances"]["bboxes"].shape for one in batches} == {(2, 4, 4)}
    assert len({tuple(one.targets["img_shape"].ravel().tolist()) for one in batches}) == 3
    losses: list[float] = []
    compiled: list[int] = []
    for one in [*batches, _pictures((5, 1), 9)]:
        caplog.clear()
        with caplog.at_level("WARNING"), jax.log_compiles():
            made.predict(state, one)
            state, logs = made.train_step(state, one, numbers)
        losses.append(float(logs["loss"]))
        compiled.append(sum(row.getMessage().startswith("Finished XLA compilation of jit(") for row in caplog.records))
    assert compiled[1:3] == [0, 0]
    assert compiled[0] >= 2
    assert compiled[3] == 1  # eight objects: another bucket, of a step alone: no prediction reads them
    assert np.isfinite(losses).all()
    assert len(set(losses)) == 4

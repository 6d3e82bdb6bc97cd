"""DETR, small: torch and JAX agree, what a batch may lack, what counts as padding, and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch

import fkit
from fkit.array.ops import Numpy
from fkit.array.random import key
from fkit.array.room import open as open_room
from fkit.detection.assigner import Truth
from fkit.detection.denoise import Denoising, blocked
from fkit.training.optimizer import Optimizer
from fkit.training.program import Program
from fkit.training.spec import Spec
from fkit.tree.error import FkitError

SIZE, LR, WIDTH = 64, 0.5, 16
ATTENTION = {"embed_dims": WIDTH, "num_heads": 2, "dropout": 0.0}
FFN = {"embed_dims": WIDTH, "feedforward_channels": 8}
LAYER = {"self_attn_cfg": ATTENTION, "ffn_cfg": FFN}
COSTS = [
    {"type": "ClassificationCost", "weight": 1.0},
    {"type": "BBoxL1Cost", "weight": 5.0, "box_format": "xywh"},
    {"type": "IoUCost", "iou_mode": "giou", "weight": 2.0},
]
TRAIN = {"assigner": {"type": "HungarianAssigner", "match_costs": COSTS}}
DETR: dict[str, Any] = {
    "type": "DETR",
    "num_queries": 7,
    "backbone": {
        "type": "mmdet.ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4, "num_stages": 2,
        "strides": (1, 2), "dilations": (1, 1), "out_indices": (1,),
    },
    "neck": {"type": "ChannelMapper", "in_channels": [8], "kernel_size": 1, "out_channels": WIDTH, "act_cfg": None},
    "encoder": {"num_layers": 1, "layer_cfg": LAYER},
    "decoder": {"num_layers": 2, "layer_cfg": {**LAYER, "cross_attn_cfg": ATTENTION}},
    "positional_encoding": {"num_feats": WIDTH // 2, "normalize": True},
    "bbox_head": {"type": "DETRHead", "num_classes": 3, "embed_dims": WIDTH},
    "train_cfg": TRAIN,
    "test_cfg": {"max_per_img": 5},
}  # fmt: skip
PLACES = {"embed_dims": WIDTH, "num_heads": 2, "num_levels": 2, "num_points": 2, "dropout": 0.0}
FOCAL = {"assigner": {"type": "HungarianAssigner", "match_costs": [{"type": "FocalLossCost"}, *COSTS[1:]]}}
DEFORMABLE: dict[str, Any] = {
    **DETR,
    "type": "DeformableDETR",
    "num_feature_levels": 2,
    "neck": {**DETR["neck"], "num_outs": 2},
    "encoder": {"num_layers": 1, "layer_cfg": {**LAYER, "self_attn_cfg": PLACES}},
    "decoder": {"num_layers": 2, "layer_cfg": {**LAYER, "cross_attn_cfg": PLACES}, "post_norm_cfg": None},
    "bbox_head": {
        "type": "DeformableDETRHead", "num_classes": 3, "embed_dims": WIDTH,
        "loss_cls": {"type": "FocalLoss", "loss_weight": 2.0},
    },
    "train_cfg": FOCAL,
}  # fmt: skip
DINO: dict[str, Any] = {
    **DEFORMABLE,
    "type": "DINO",
    "with_box_refine": True,
    "as_two_stage": True,
    "bbox_head": {**DEFORMABLE["bbox_head"], "type": "DINOHead"},
    "dn_cfg": {"group_cfg": {"num_dn_queries": 5}},
}
BY_PLACE = {"embed_dims": WIDTH, "num_heads": 2}
CONDITIONAL: dict[str, Any] = {
    **DETR,
    "type": "ConditionalDETR",
    "decoder": {
        "num_layers": 2,
        "layer_cfg": {**LAYER, "self_attn_cfg": BY_PLACE, "cross_attn_cfg": {**BY_PLACE, "cross_attn": True}},
    },
    "bbox_head": {**DEFORMABLE["bbox_head"], "type": "ConditionalDETRHead"},
    "train_cfg": FOCAL,
}
DAB: dict[str, Any] = {
    **CONDITIONAL,
    "type": "DABDETR",
    "num_patterns": 2,
    "bbox_head": {**DEFORMABLE["bbox_head"], "type": "DABDETRHead"},
    "decoder": {**CONDITIONAL["decoder"], "query_scale_type": "cond_scalar"},
}
MODELS: dict[str, dict[str, Any]] = {
    "plain": DETR,
    "dino": DINO,
    "conditional": CONDITIONAL,
    "dab": DAB,
}


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
    counts = [[objects if real is None else real], [min(1, objects) if real is None else real]]
    valid = np.arange(objects)[None] < np.array(counts)
    targets = {
        "gt_instances": {"bboxes": boxes, "labels": rng.integers(0, 3, (2, objects))},
        "img_shape": np.array([[64, 36], [50, 64]]), "scale_factor": np.array([[2.0, 2.0], [1.0, 1.5]]),
    }  # fmt: skip
    return fkit.Batch(images, targets, {"gt_instances": valid}, ({"ori_shape": (32, 18)}, {"ori_shape": (50, 43)}))


def host(backend: str, tree: Any) -> Any:
    return open_room(backend).host(tree)


def shifted(made: Program) -> dict[str, np.ndarray]:
    """Initial weights, moved: at the start attention at a few places reads between pixels, where there are two slopes."""
    rng = np.random.default_rng(5)
    start = made.collect(made.init(3))
    moves = {path: 0.05 * rng.normal(size=start[path].shape) for path in sorted(start) if path.startswith("params/")}
    return {path.partition("/")[2]: start[path] + moves.get(path, 0) for path in start if "/" in path}


@pytest.mark.parametrize("kind", MODELS)
def test_backends_agree(kind: str) -> None:
    seen: dict[str, Any] = {}
    for backend in ("torch", "jax"):
        made = program(MODELS[kind], backend)
        state = made.load(made.init(3), shifted(made))
        predicted = host(backend, made.predict(state, batch()))
        state, logs = made.train_step(state, batch(), made.hyperparams())
        seen[backend] = (predicted, host(backend, logs), made.collect(state))
    (mine, logs, arrays), (other, others, more) = seen.values()
    assert list(logs)[:6] == ["loss_cls", "loss_bbox", "loss_iou", "d0.loss_cls", "d0.loss_bbox", "d0.loss_iou"]
    assert logs.keys() == others.keys()
    assert arrays.keys() == more.keys()
    for name, value in logs.items():
        assert float(value) == pytest.approx(float(others[name]), rel=1e-9, abs=1e-11), name
    for name, value in arrays.items():
        assert np.allclose(value, more[name], rtol=1e-9, atol=1e-9), name
    assert mine["valid"]["pred_instances"].all()
    assert mine["pred_instances"]["bboxes"].shape == (2, 5, 4)
    for name, value in mine["pred_instances"].items():
        assert np.allclose(value, other["pred_instances"][name], rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("kind", ["conditional", "dab"])
def test_boxes_begin_at_their_references(kind: str) -> None:
    """Classes begin rare, and boxes of DAB-DETR where its queries are; the last projection of attention has no bias."""
    made = program(MODELS[kind], "torch")
    start = {path.partition("/")[2]: array for path, array in made.collect(made.init(3)).items()}
    assert np.allclose(start["bbox_head.fc_cls.bias"], -np.log(99))
    assert not start["decoder.layers.1.cross_attn.out_proj.bias"].any()
    assert "decoder.layers.1.cross_attn.qpos_proj.weight" not in start
    if kind == "dab":
        assert not start["bbox_head.fc_reg.layers.2.weight"].any()


def test_attention_without_places_is_one_clear_error() -> None:
    attention = fkit.build({"type": "ConditionalAttention", **BY_PLACE}, fkit.registry(), "models", backend="torch")
    with pytest.raises(FkitError, match="query_pos"):
        attention(torch.ones(1, 3, WIDTH))


@pytest.mark.parametrize(("backend", "objects"), [("torch", 0), ("torch", 2)])
def test_no_objects(backend: str, objects: int) -> None:
    made = program(DETR, backend, "float32")
    state, logs = made.train_step(made.init(0), batch(objects, 0), made.hyperparams())
    values = {name: float(value) for name, value in host(backend, logs).items()}
    assert values["loss_cls"] > 0
    assert all(value == 0 for name, value in values.items() if name.endswith(("loss_bbox", "loss_iou")))
    assert all(np.isfinite(array).all() for array in made.collect(state).values())


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_what_is_padding_says_nothing(backend: str) -> None:
    """A new backbone sees little around a place: what is far beyond an image's edge is told by places of padding alone."""
    made = program(DETR, backend)
    state, first = made.init(1), batch()
    pixels = np.array(first.inputs)
    pixels[1, :, 48:] = 100.0
    moved: list[float] = []
    for height in (32, 64):
        targets = {**first.targets, "img_shape": np.array([[64, 36], [height, 64]])}
        scores = [
            host(backend, made.predict(state, fkit.Batch(one, targets, first.valid, first.meta)))["pred_instances"][
                "scores"
            ]
            for one in (first.inputs, pixels)
        ]
        assert np.array_equal(scores[0][0], scores[1][0])
        moved.append(float(np.abs(scores[0][1] - scores[1][1]).max()))
    assert moved[0] < 1e-12
    assert moved[1] > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positional_encoding": {"num_feats": 4}}, "num_feats = 8"),
        ({"num_queries": 0}, "num_queries=0, but it counts queries, from 1"),
        ({"bbox_head": {**DETR["bbox_head"], "embed_dims": 8}}, "the encoder has 16 channels, but bbox_head 8"),
        ({"decoder": {"num_layers": 1, "layer_cfg": {k: {**v, "embed_dims": 8} for k, v in {**LAYER, "cross_attn_cfg": ATTENTION}.items()}}}, "the encoder has 16 channels, but decoder 8"),
        ({"encoder": {"num_layers": 1, "layer_cfg": {**LAYER, "self_attn_cfg": {**ATTENTION, "num_heads": 3}}}}, "no multiple of 3 heads"),
        ({"encoder": None}, "encoder"),
        ({"decoder": {"num_layers": 0, "layer_cfg": {}}}, "num_layers=0"),
        ({"encoder": {"num_layers": 1, "layer_cfg": {"self_attn_cfg": {**ATTENTION, "batch_first": False}}}}, "batch_first"),
        ({"encoder": {"num_layers": 1, "layer_cfg": {"self_atn_cfg": ATTENTION}}}, "self_attn_cfg"),
        ({"train_cfg": {"sampler": {}}}, "assigner"),
        ({"train_cfg": {**TRAIN, "sampler": {"type": "PseudoSampler"}}}, "sampler"),
        ({"bbox_head": {"type": "DETRHead", "num_classes": 0}}, "num_classes=0"),
        ({**DEFORMABLE, "decoder": {"num_layers": 1, "layer_cfg": {}}}, "post_norm_cfg = None"),
        ({**DEFORMABLE, "bbox_head": {**DEFORMABLE["bbox_head"], "num_pred_layer": 3}}, "num_pred_layer"),
        ({**DINO, "with_box_refine": False}, "as_two_stage = True"),
        ({**DINO, "dn_cfg": {"noise": 1}}, "noise"),
        ({**DINO, "dn_cfg": {"box_noise_scale": 0.0}}, "box_noise_scale"),
        ({**DINO, "dn_cfg": {"group_cfg": {"num_dn_queries": 0}}}, "num_dn_queries"),
        ({"bbox_head": {**DETR["bbox_head"], "loss_cls": {"type": "CrossEntropyLoss", "class_weight": [1.0]}}}, "one number"),
        ({**DAB, "decoder": {**DAB["decoder"], "query_dim": 3}}, "query_dim=3"),
        ({**DAB, "decoder": {**DAB["decoder"], "query_dim": 2}}, "with_modulated_hw_attn = False"),
        ({**DAB, "decoder": {**DAB["decoder"], "query_scale_type": "cond"}}, "cond_scalar"),
        ({**DAB, "with_random_refpoints": True}, "with_random_refpoints = False"),
        ({**DAB, "num_patterns": -1}, "num_patterns=-1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_what_contradicts_itself_is_one_clear_error(backend: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FkitError, match=message):
        fkit.build({**DETR, **changes}, fkit.registry(), "models", backend=backend)


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [({"out_channels": 8}, "neck.out_channels = 16"), ({"in_channels": [9]}, r"the backbone's maps have \(8,\)")],
)
def test_a_neck_of_other_channels(backend: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FkitError, match=message):
        made = program({**DETR, "neck": {**DETR["neck"], **changes}}, backend)
        made.predict(made.init(0), batch())


@pytest.mark.parametrize("kind", ["plain", "dino"])
def test_objects_that_are_many_outside_or_nothing_end_in_a_step(kind: str) -> None:
    """A loss that is not finite is the run's to refuse; nothing waits for a matching that does not come."""
    made = program({**MODELS[kind], "num_queries": 4}, "torch")
    places = np.arange(12, dtype=np.float32)[None, :, None] * np.ones((2, 1, 1), np.float32)
    many = np.concatenate([places, places + 9], -1)[..., [0, 0, 1, 1]]
    for boxes, finite in ((many, True), (many - 500, True), (many * 0 + 5, True), (many * np.nan, False)):
        whole = batch(12)
        truth = {**whole.targets, "gt_instances": {**whole.targets["gt_instances"], "bboxes": boxes}}
        state, logs = made.train_step(
            made.init(0), fkit.Batch(whole.inputs, truth, whole.valid, whole.meta), made.hyperparams()
        )
        assert np.isfinite(float(logs["loss"])) == finite
        assert not finite or all(np.isfinite(one).all() for one in made.collect(state).values())


def test_a_loss_without_an_assigner_is_one_clear_error() -> None:
    made = program({**DETR, "train_cfg": None}, "torch")
    with pytest.raises(FkitError, match="train_cfg"):
        made.train_step(made.init(0), batch(), made.hyperparams())


def drawn(dn: Denoising, counts: tuple[int, ...], width: int) -> Any:
    rng = np.random.default_rng(1)
    corner = rng.uniform(10, 40, (len(counts), width, 2))
    truth = Truth(
        np.concatenate([corner, corner + 20], -1), rng.integers(0, 9, (len(counts), width)),
        np.arange(width)[None] < np.array(counts)[:, None],
    )  # fmt: skip
    unit = np.full((len(counts), 4), 100.0)
    return truth, dn.noise(Numpy(), key(0, "noise"), Numpy().words(0, (len(counts),)), truth, unit)


def test_slots_near_objects() -> None:
    truth, noise = drawn(Denoising(9, 0.5, 1.0, {"num_dn_queries": 40}), (4, 3), 6)
    # 40 // 4 groups of four objects each, near and far: 80 slots, all of them used
    assert noise.group.tolist() == [slot // 8 for slot in range(80)]
    assert noise.object[0].tolist() == [1, 2, 3, 4, 0, 0, 0, 0] * 10
    assert noise.real[1].tolist() == [True, True, True, False] * 20
    assert not noise.box[1][~noise.real[1]].any()
    boxes = 1 / (1 + np.exp(-noise.box))
    corners = np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1) * 100
    place = np.arange(80) % 4
    moves = np.abs(corners[0] - truth.bboxes[0][place]) / 20
    near, turned = noise.object[0] > 0, (boxes[0, :, 2:] < 0.002).any(-1)  # a corner has gone beyond the other
    assert moves[near].max() <= 0.5 + 1e-9
    assert moves[near].max() > 0.45
    far = moves[~near & ~turned]
    assert not (near & turned).any()
    assert 0.5 - 1e-9 <= far.min() < 0.55 < 0.95 < far.max() <= 1 + 1e-9
    kept = noise.label[0] == truth.labels[0][place]
    assert 0.6 < kept.mean() < 0.95  # a quarter is drawn anew, of which one in nine comes out the same


def test_slots_that_no_object_needs_are_seen_by_none() -> None:
    truth, noise = drawn(Denoising(9, 0.5, 1.0, {"num_dn_queries": 7}), (2, 1), 3)
    assert noise.group.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [-1] * 2
    mask = blocked(Numpy(), noise.group, 2)
    assert mask.shape == (16, 16)
    assert mask[:, 12:14].all()
    assert not mask[:, 14:].any()
    assert mask[14:, :14].all()
    assert not mask[4:8, 4:8].any()
    assert mask[4:8, :4].all()
    assert drawn(Denoising(9), (0, 0), 1)[1].group.max() == -1
    assert truth.valid.sum() == 3

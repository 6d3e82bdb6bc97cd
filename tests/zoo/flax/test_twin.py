"""The flax models against their torch twins: the same names, and one training step with the same numbers (float64)."""

from collections.abc import Mapping

import numpy as np
import pytest

from fkit.array.room import open as open_room
from fkit.catalog.builtin import registry
from fkit.structures.batch import Batch
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec
from fkit.tree.error import FkitError, FkitKeyError, FkitValueError


def _model(width, backbone, **head):
    head = {"type": "LinearClsHead", "num_classes": 5, "in_channels": width, **head}
    neck = None if backbone["type"] == "MLP" else {"type": "GlobalAveragePooling"}
    return {"type": "ImageClassifier", "backbone": backbone, "neck": neck, "head": head}


def _program(model, backend, shape, **options):
    reg = registry()
    spec = Spec(
        lambda name: reg.build("models", model, backend=name),
        {"main": Optimizer.of("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01})},
        example=lambda: np.zeros(shape, np.float32),
        **{"dtype": "float64", "device": "cpu", **options},
    )
    return open_room(backend).program(spec)


def _batch(shape, seed=0):
    rng = np.random.default_rng(seed)
    return Batch(rng.normal(size=shape).astype(np.float32), {"gt_label": rng.integers(0, 5, shape[0])})


def _resnet(width, depth=18, **options):
    given = {"type": "ResNet", "depth": depth, "base_channels": 8, "num_stages": 2, "strides": (1, 2)}
    given |= {"dilations": (1, 1), "out_indices": (1,), **options}
    return _model(width, given)


def _plain(rule):
    """Nested values without the kinds of their containers: flax freezes what a module is given in its own."""
    if isinstance(rule, Mapping):
        return {key: _plain(value) for key, value in rule.items()}
    return [_plain(value) for value in rule] if isinstance(rule, (tuple, list)) else rule


_IMAGES = (4, 3, 16, 16)
_MODELS = {
    "convnet": (_model(6, {"type": "ConvNet", "channels": (4, 6)}, cal_acc=True, topk=(1, 3)), (4, 1, 9, 8)),
    "convnet gn": (
        _model(6, {"type": "ConvNet", "channels": (4, 6), "norm_cfg": {"type": "GN", "num_groups": 2, "eps": 1e-3},
                   "init_cfg": {"type": "Normal", "layer": ["Conv2d", "GroupNorm"], "std": 0.5}}),
        (4, 1, 8, 8),
    ),
    "mlp": (
        _model(7, {"type": "MLP", "in_channels": 48, "hidden": (9, 7), "dropout": 0.4},
               loss={"type": "CrossEntropyLoss", "loss_weight": 0.5, "reduction": "sum"}),
        (4, 3, 4, 4),
    ),
    "resnet18 frozen": (_resnet(16, frozen_stages=1, norm_cfg={"type": "BN", "momentum": 0.3}), _IMAGES),
    "resnet18 norm_eval": (_resnet(16, norm_eval=True, norm_cfg={"type": "BN", "requires_grad": False}), _IMAGES),
    "resnet18 recomputed": (_resnet(16, with_cp=True), _IMAGES),
    "resnet18 dilated": (
        _resnet(16, strides=(1, 1), dilations=(1, 2), zero_init_residual=False, stem_channels=4), _IMAGES,
    ),
    "resnet50 deep stem": (_resnet(64, 50, deep_stem=True, avg_down=True, frozen_stages=0), _IMAGES),
    "resnet50 caffe gn": (
        _resnet(64, 50, style="caffe",
            with_cp=True, norm_cfg={"type": "GN", "num_groups": 4}, init_cfg=[
            {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"}]), _IMAGES,
    ),
    "pvt": (
        _model(8, {"type": "PyramidVisionTransformerV2", "embed_dims": 4, "num_stages": 2, "num_layers": [1, 2],
                   "num_heads": [1, 2], "patch_sizes": [7, 3], "strides": [4, 2], "paddings": [3, 1], "sr_ratios": [2, 1],
                   "mlp_ratios": [2, 2], "out_indices": [1], "drop_rate": 0.3, "attn_drop_rate": 0.2,
                   "drop_path_rate": 0.4}), _IMAGES,
    ),
    "resnet cifar": ({**_resnet(16), "backbone": {**_resnet(16)["backbone"], "type": "ResNet_CIFAR"}}, (2, 3, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", _MODELS)
def test_twins_hold_the_same_and_step_alike(name):
    model, shape = _MODELS[name]
    torch, flax = (_program(model, backend, shape) for backend in ("torch", "jax"))
    one, two = torch.inventory, flax.inventory
    assert [entry.name for entry in one.entries] == [entry.name for entry in two.entries]
    for mine, other in zip(one.entries, two.entries, strict=True):
        assert mine == other  # the kind of layer too, which paramwise_cfg goes by
    norms = {entry.name for entry in one.entries if entry.kind == "norm"}
    assert norms == {entry.name for entry in one.entries if not entry.buffer and "Norm" in entry.layer}
    assert _plain(one.rules) == _plain(two.rules)
    states = torch.init(3), flax.init(3)
    start = torch.collect(states[0])
    for path, array in flax.collect(states[1]).items():
        assert np.array_equal(array, start[path]) and array.dtype == start[path].dtype, path
    scores = [p.predict(state, _batch(shape))["pred_score"] for p, state in zip((torch, flax), states, strict=True)]
    np.testing.assert_allclose(np.asarray(scores[1]), np.asarray(scores[0]), rtol=1e-9, atol=1e-12)
    arrays, logs = [], []
    for program, state in zip((torch, flax), states, strict=True):
        for step in range(2):
            state, found = program.train_step(state, _batch(shape, step), program.hyperparams())
        arrays.append(program.collect(state))
        logs.append({key: float(value) for key, value in found.items()})
    assert logs[1] == pytest.approx(logs[0], rel=1e-9)
    assert list(arrays[0]) == list(arrays[1])
    for path, array in arrays[0].items():
        np.testing.assert_allclose(arrays[1][path], array, rtol=1e-8, atol=1e-10, err_msg=path)
    params = [path for path in start if path.startswith("params/")]
    moved = {path for path in params if not np.array_equal(arrays[1][path], start[path])}
    assert moved == {f"params/{entry.name}" for entry in one.entries if entry.trainable and not entry.buffer}


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_every_depth_has_its_twins_names(depth):
    model = _model(512 if depth < 50 else 2048, {"type": "ResNet", "depth": depth, "out_indices": (3,)})
    one, two = (_program(model, backend, (1, 3, 32, 32)).inventory for backend in ("torch", "jax"))
    assert one.entries == two.entries


def test_mmdets_resnet_keeps_norms_in_evaluation_mode():
    reg = registry()
    assert reg.build("models", {"type": "mmdet.ResNet", "depth": 18}, backend="jax").norm_eval
    assert not reg.build("models", {"type": "mmpretrain.ResNet", "depth": 18}, backend="jax").norm_eval


def test_a_classifier_without_a_head_gives_maps_channels_first():
    backbone = {"type": "ResNet", "depth": 18, "base_channels": 8, "out_indices": (0, 3)}
    program = _program({"type": "ImageClassifier", "backbone": backbone}, "jax", (1, 3, 32, 32))
    outputs = program.predict(program.init(0), _batch((2, 3, 32, 32)))
    assert [output.shape for output in outputs] == [(2, 8, 8, 8), (2, 64, 1, 1)]
    with pytest.raises(FkitValueError, match="without a head has no loss"):
        program.loss(program.init(0), _batch((2, 3, 32, 32)), (0, 0))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"depth": 19}, "depth=19"),
        ({"strides": (1, 2, 2)}, "3 strides and 2 dilations for 2 stages"),
        ({"out_indices": (2,)}, "but there are 2 stages"),
        ({"style": "pytorhc"}, "Did you mean 'pytorch'"),
        ({"dcn": {"type": "DCN"}, "stage_with_dcn": (False, True)}, "dcn stands in bottlenecks"),
        ({"norm_cfg": {"type": "QN"}}, "norm_cfg.type='QN' is unknown"),
        ({"in_channels": 1}, "in_channels=1, but the inputs have 3"),
    ],
)
def test_resnet_tells_what_it_does_not_take(changes, told):
    with pytest.raises(FkitError, match=told):
        _program(_resnet(16, **changes), "jax", _IMAGES)


def test_a_head_tells_widths_and_labels():
    with pytest.raises(FkitValueError, match="in_channels=17, but the features have 16"):
        _program(_resnet(17), "jax", _IMAGES)
    program = _program(_MODELS["mlp"][0], "jax", (4, 3, 4, 4))
    with pytest.raises(FkitKeyError, match=r"no targets\['gt_label'\]"):
        program.loss(program.init(0), Batch(np.zeros((4, 3, 4, 4), np.float32)), (0, 0))


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_labels_that_are_ignored_take_no_part_in_the_loss(reduction, backend):
    """The loss and the step of the samples that are left: by hand, and of the twin."""
    loss = {"type": "CrossEntropyLoss", "reduction": reduction, "loss_weight": 0.5}
    model = _model(7, {"type": "MLP", "in_channels": 48, "hidden": (7,)}, ignore_index=-100, loss=loss)
    whole, shape = _batch((6, 3, 4, 4)), (6, 3, 4, 4)
    labels = np.array(whole.targets["gt_label"])
    labels[[1, 4]] = -100
    kept = labels >= 0
    program = _program(model, backend, shape, donate=False)
    state = program.init(0)
    ignoring, logs = program.train_step(state, Batch(whole.inputs, {"gt_label": labels}), program.hyperparams())
    rest, want = program.train_step(state, Batch(whole.inputs[kept], {"gt_label": labels[kept]}), program.hyperparams())
    assert float(logs["loss"]) == pytest.approx(float(want["loss"]), rel=1e-12)
    for name, value in rest.params.items():
        np.testing.assert_allclose(ignoring.params[name], value, rtol=1e-12)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int16])
def test_labels_are_whole_numbers_of_any_width_in_both_rooms(kind):
    model = _model(7, {"type": "MLP", "in_channels": 48, "hidden": (7,)})
    whole = _batch((6, 3, 4, 4))
    labels = np.array(whole.targets["gt_label"]) % 2
    batches = [Batch(whole.inputs, {"gt_label": some}) for some in (labels.astype(np.int64), labels.astype(kind))]
    for backend in ("torch", "jax"):
        program = _program(model, backend, (6, 3, 4, 4))
        one, other = (float(program.loss(program.init(0), batch, (0, 1))[0]["loss"]) for batch in batches)
        assert one == other


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_labels_outside_of_the_classes_are_told_before_the_step(backend):
    model = _model(7, {"type": "MLP", "in_channels": 48, "hidden": (7,)})
    program = _program(model, backend, (4, 3, 4, 4))
    state = program.init(0)
    for label, told in ((5, r"label 5 is none of 5 classes \(0 to 4\)"), (-100, "label -100 is none of 5 classes")):
        batch = Batch(np.zeros((2, 3, 4, 4), np.float32), {"gt_label": np.array([0, label])})
        for call in (
            lambda batch=batch: program.train_step(state, batch, program.hyperparams()),
            lambda batch=batch: program.loss(state, batch, (0, 1)),
        ):
            with pytest.raises(FkitValueError, match=f"gt_label: {told}"):
                call()
        assert not state.consumed

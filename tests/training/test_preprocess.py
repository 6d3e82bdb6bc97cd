"""Data preprocessors: the reference's formulae, the same numbers on both backends, from a config to a step."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fkit
from fkit.array.ops import Numpy
from fkit.array.random import key
from fkit.array.room import open as open_room
from fkit.data.collate import Collate, collate
from fkit.structures.batch import Batch, Samples
from fkit.training.mix import CutMix, Mixup, augments_of, mixed
from fkit.training.preprocess import (
    ClsDataPreprocessor,
    DetDataPreprocessor,
    ImgDataPreprocessor,
    PoseDataPreprocessor,
    SegDataPreProcessor,
)
from fkit.training.resize import BatchSyncRandomResize, resized
from fkit.tree.error import FkitError

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (3, *size), np.uint8) for size in ((7, 10), (9, 5))]
SMALL: dict[str, Any] = {
    "model": {
        "type": "ImageClassifier",
        "backbone": {"type": "ConvNet", "in_channels": 3, "channels": (4, 8)},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 4, "in_channels": 8},
    },
    "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
    "dtype": "float64",
    "device": "cpu",
    "seed": 0,
}


def by_torch(images: list[Any], divisor: int, pad: float, swap: bool) -> np.ndarray:
    """What mmengine's class computes, written with torch: swap, normalise, then pad bottom and right."""
    mean, std = (torch.tensor(numbers).view(-1, 1, 1) for numbers in (MEAN, STD))
    ready = [((torch.from_numpy(x)[[2, 1, 0]] if swap else torch.from_numpy(x)).float() - mean) / std for x in images]
    height, width = (-(-max(x.shape[axis] for x in ready) // divisor) * divisor for axis in (1, 2))
    return torch.stack([F.pad(x, (0, width - x.shape[2], 0, height - x.shape[1]), value=pad) for x in ready]).numpy()


def ready(pre: Any, samples: list[Any], train: bool = True) -> Any:
    batch = pre.collate(train)([{"inputs": image} for image in samples])
    return pre(Numpy(), batch.inputs.astype(np.float32), batch.samples, None, train)[0]


@pytest.mark.parametrize(
    ("pre", "swap", "pad"),
    [
        (ImgDataPreprocessor(MEAN, STD, 4, 0.5, bgr_to_rgb=True), True, 0.5),
        (ImgDataPreprocessor(MEAN, STD, 4), False, 0),
        (DetDataPreprocessor(MEAN, STD, 4, bgr_to_rgb=True, pad_mask=True), True, 0),
        (PoseDataPreprocessor(MEAN, STD, 4, rgb_to_bgr=True), True, 0),
        (ClsDataPreprocessor(MEAN, STD, 4, to_rgb=True, num_classes=3), True, 0),
        (SegDataPreProcessor(MEAN, STD, size_divisor=4, pad_val=2, bgr_to_rgb=True), True, 2),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "collate") else "",
)
def test_numbers_are_those_of_the_formula(pre: Any, swap: bool, pad: float):
    assert np.abs(ready(pre, IMAGES) - by_torch(IMAGES, 4, pad, swap)).max() < 1e-5


def test_a_batch_that_was_stacked_by_others_is_padded_here():
    pre = ImgDataPreprocessor(MEAN, STD, 4, 0.5, bgr_to_rgb=True)
    one = pre(Numpy(), IMAGES[0][None].astype(np.float32), Samples())[0]
    assert np.allclose(one, by_torch(IMAGES[:1], 4, 0.5, True), atol=1e-5)


def test_grey_images_and_nothing_to_do():
    grey = np.full((1, 1, 4, 4), 9.0)
    assert (ImgDataPreprocessor([1], [2], bgr_to_rgb=True)(Numpy(), grey, Samples())[0] == 4).all()
    image = np.full((1, 3, 4, 4), 9.0)
    assert ImgDataPreprocessor()(Numpy(), image, Samples())[0] is image


def test_segmentation_pads_a_test_as_its_test_cfg_says():
    pre = SegDataPreProcessor(size=(16, 16), test_cfg={"size_divisor": 8})
    seg = {"gt_sem_seg": np.ones((7, 10), np.int64)}
    train, test = (pre.collate(train)([{"inputs": IMAGES[0], "targets": seg}]) for train in (True, False))
    assert train.inputs.shape[-2:] == (16, 16) == train.targets["gt_sem_seg"].shape[-2:]
    assert (train.targets["gt_sem_seg"] == 255).sum() == 16 * 16 - 70 and test.inputs.shape[-2:] == (8, 16)
    with pytest.raises(FkitError, match="differ in the shape of inputs"):
        SegDataPreProcessor().collate(False)([{"inputs": image} for image in IMAGES])


def test_detection_pads_to_a_fixed_size_in_training():
    pads = [{"type": "BatchFixedSizePad", "size": (32, 64), "img_pad_value": 0, "pad_mask": True}]
    pre = DetDataPreprocessor(pad_size_divisor=8, mask_pad_value=3, batch_augments=pads)
    sample = {"inputs": IMAGES[0], "targets": {"gt_instances": {"masks": np.ones((2, 7, 10), np.uint8)}}}
    train, test = (pre.collate(train)([sample]) for train in (True, False))
    assert train.inputs.shape[-2:] == (32, 64) and test.inputs.shape[-2:] == (8, 16)
    assert train.targets["gt_instances"]["masks"][0, 0, 31, 63] == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ImgDataPreprocessor(MEAN), "mean and std belong together"),
        (lambda: ImgDataPreprocessor(MEAN, [1, 0, 1]), "no std is 0"),
        (lambda: ImgDataPreprocessor(bgr_to_rgb=True, rgb_to_bgr=True), "exclude each other"),
        (lambda: ImgDataPreprocessor(pad_size_divisor=0), "at least 1"),
        (lambda: SegDataPreProcessor(size=(3, 3), size_divisor=3), "size and size_divisor exclude"),
        (lambda: SegDataPreProcessor(test_cfg={"sise": 3}), "(?s)test_cfg.sise is unknown.*size"),
        (lambda: ImgDataPreprocessor(MEAN, STD)(Numpy(), np.zeros((1, 2, 4, 4)), Samples()), "mean has 3 numbers, and the images have 2"),
        (lambda: ImgDataPreprocessor(MEAN, STD)(Numpy(), np.zeros((1, 4)), Samples()), r"takes images \(N, C, H, W\)"),
        (lambda: ClsDataPreprocessor(batch_augments={"augments": {"type": "MixUp", "alpha": 1.0}}), "(?s)MixUp.*Mixup"),
        (lambda: ClsDataPreprocessor(batch_augments={"augments": [Mixup(1.0)], "probs": [1.5]}), "at most 1 together"),
        (lambda: ClsDataPreprocessor(to_onehot=True)(Numpy(), np.zeros((1, 3, 2, 2)), Samples({"gt_label": np.zeros(1)})), "need num_classes"),
        (lambda: DetDataPreprocessor(batch_augments=[{"type": "BatchFixedSizePad", "size": (3, 3), "img_pad_value": 7}]), "one border has one value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(make: Any, said: str):
    with pytest.raises(FkitError, match=said):
        make()


def drawn(backend: str, augments: Any, words: Any = None, count: int = 6) -> tuple[Any, Any]:
    room = open_room(backend)
    if backend == "jax":
        import jax

        with jax.enable_x64(True):
            return drawn_in(room, augments, words, count)
    return drawn_in(room, augments, words, count)


def drawn_in(room: Any, augments: Any, words: Any, count: int) -> tuple[Any, Any]:
    images = np.random.default_rng(1).normal(size=(count, 2, 8, 6))
    scores = np.eye(count)
    inputs, scores = room.asarray(images), room.asarray(scores)
    out = mixed(room.ops, augments, inputs, scores, words or key(0, "mix"))
    return room.numpy(out[0]), room.numpy(out[1])


@pytest.mark.parametrize(
    "of",
    [
        {"augments": [Mixup(0.2)]},
        {"augments": [CutMix(1.0)]},
        {"augments": CutMix(1.0, (0.2, 0.8))},
        {"augments": [Mixup(2.5), CutMix(0.7)], "probs": [0.3, 0.4]},
    ],
)
def test_mixing_is_the_same_on_both_backends(of: Any):
    augments = augments_of(of, "batch_augments")
    for number in range(8):
        one, two = (drawn(backend, augments, key(number, "mix")) for backend in ("torch", "jax"))
        assert np.abs(one[0] - two[0]).max() < 1e-9 and np.abs(one[1] - two[1]).max() < 1e-9
        assert np.allclose(one[1].sum(1), 1)


def test_mixup_mixes_images_as_it_mixes_scores():
    images, scores = drawn("torch", augments_of({"augments": Mixup(0.8)}, ""))
    plain = np.random.default_rng(1).normal(size=(6, 2, 8, 6))
    assert np.allclose(np.einsum("nk,kchw->nchw", scores, plain), images)


def test_cutmix_takes_a_box_of_another_image_and_its_part_of_the_scores():
    cut = 0
    for number in range(20):
        images, scores = drawn("torch", augments_of({"augments": CutMix(1.0)}, ""), key(number, "cut"))
        plain = np.random.default_rng(1).normal(size=(6, 2, 8, 6))
        for at in range(6):
            other = next((k for k in range(6) if k != at and scores[at, k] > 0), None)
            if other is None:
                continue
            same, theirs = ((images[at] == plain[k]).all(0) for k in (at, other))
            assert (same ^ theirs).all() and np.isclose(theirs.mean(), scores[at, other])
            rows, columns = theirs.any(1), theirs.any(0)
            assert theirs.sum() == rows.sum() * columns.sum()
            cut += 1
    assert cut > 20


@pytest.mark.parametrize(("alpha", "least"), [(0.2, 0.05), (1.0, 0.05), (3.0, 0.05)])
def test_lam_is_of_the_beta_distribution(alpha: float, least: float):
    """By its mean and variance, 1/2 and 1 / (4 (2 alpha + 1)), over 800 draws."""
    augments = augments_of({"augments": Mixup(alpha)}, "")
    lams = []
    for number in range(800):
        room = open_room("torch")
        inputs, scores = torch.zeros((2, 1, 1, 1), dtype=torch.float64), torch.tensor([[0.0], [1.0]]).double()
        lam = float(mixed(room.ops, augments, inputs, scores, key(number, "lam"))[1][1, 0])
        lams.append(lam)
    kept = np.array([lam for lam in lams if lam != 1])  # where the order swaps the two
    assert len(kept) > 300
    assert abs(kept.mean() - 0.5) < least and abs(kept.var() - 1 / (4 * (2 * alpha + 1))) < 0.02


def small(**changes: Any) -> Any:
    return fkit.Config(SMALL).merge(changes)


def batch_of(count: int = 4) -> Batch:
    images = np.random.default_rng(2).integers(0, 256, (count, 3, 8, 8), np.uint8)
    return Batch(images, {"gt_label": np.arange(count) % 4})


def steps(cfg: Any, backend: str, count: int = 3) -> tuple[Any, Any, Any]:
    program = fkit.program(cfg, backend=backend, example=np.zeros((1, 3, 8, 8), np.float32))
    room, state, losses = open_room(backend), program.init(0), []
    for _ in range(count):
        state, logs = program.train_step(state, batch_of(), program.hyperparams())
        losses.append(float(room.numpy(logs["loss"])))
    said = program.loss(state, batch_of(), (3, 4), train=True)[0]["loss"]
    return losses, room.numpy(program.predict(state, batch_of())["pred_score"]), float(room.numpy(said))


AUGMENTS = {"augments": [{"type": "Mixup", "alpha": 0.8}, {"type": "CutMix", "alpha": 1.0}]}


@pytest.mark.parametrize("more", [{}, {"batch_augments": AUGMENTS}], ids=["plain", "mixed"])
def test_a_step_has_the_same_numbers_on_both_backends(more: Any):
    pre = {"num_classes": 4, "mean": MEAN, "std": STD, "to_rgb": True, "pad_size_divisor": 1, **more}
    one, two = (steps(small(data_preprocessor=pre), backend) for backend in ("torch", "jax"))
    for a, b in zip(one, two, strict=True):
        assert np.abs(np.array(a) - np.array(b)).max() < 1e-9
    plain = steps(small(), "torch")
    assert abs(one[0][0] - plain[0][0]) > 1e-6


def test_inside_the_model_is_the_same_and_goes_first():
    pre = {"type": "ClsDataPreprocessor", "mean": MEAN, "std": STD}
    top = steps(small(data_preprocessor=pre), "torch", 1)
    inside = steps(
        small(**{"model.data_preprocessor": pre, "data_preprocessor": {"mean": [0.0], "std": [9.0]}}), "torch", 1
    )
    assert top[0] == inside[0] and (top[1] == inside[1]).all()


def test_it_is_what_the_pipeline_would_have_done():
    """Normalised by hand and given to a program without one: the same losses."""
    pre = {"mean": MEAN, "std": STD, "to_rgb": True}
    done = steps(small(data_preprocessor=pre), "torch", 1)
    program = fkit.program(small(), backend="torch")
    batch = batch_of()
    mean, std = (np.array(numbers).reshape(1, 3, 1, 1) for numbers in (MEAN, STD))
    byhand = Batch((batch.inputs[:, ::-1] - mean) / std, batch.targets)
    _, logs = program.train_step(program.init(0), byhand, program.hyperparams())
    assert abs(float(logs["loss"]) - done[0][0]) < 1e-9


def test_train_cfg_of_mmpretrain_is_its_augments():
    pre = {"num_classes": 4, "mean": MEAN, "std": STD}
    one = steps(small(data_preprocessor={**pre, "batch_augments": AUGMENTS}), "torch")
    two = steps(small(**{"data_preprocessor": pre, "model.train_cfg": AUGMENTS}), "torch")
    assert one[0] == two[0]


def test_mmcls_0_has_classes_and_probabilities_in_the_augmentation():
    old = {"augments": [{"type": "BatchMixup", "alpha": 0.8, "num_classes": 4, "prob": 0.5}]}
    new = {"augments": [{"type": "Mixup", "alpha": 0.8}], "probs": [0.5]}
    one = steps(small(**{"model.train_cfg": old}), "torch")
    two = steps(small(data_preprocessor={"num_classes": 4, "batch_augments": new}), "torch")
    assert one[0] == two[0] != steps(small(), "torch")[0]


def test_what_is_no_preprocessor_is_refused():
    with pytest.raises(FkitError, match=r"data_preprocessor is .*no data preprocessor"):
        registry = fkit.registry().register("models", Nothing, name="Nothing")
        fkit.program(small(data_preprocessor={"type": "Nothing"}), registry, backend="torch")
    with pytest.raises(FkitError, match=r"(?s)data_preprocessor.*DetDataPreprocesor.*DetDataPreprocessor"):
        fkit.program(small(data_preprocessor={"type": "DetDataPreprocesor"}), backend="torch")


def test_the_host_pads_as_it_asks():
    cfg = small(
        data_preprocessor={"type": "ImgDataPreprocessor", "pad_size_divisor": 16},
        train_dataloader={"batch_size": 2, "dataset": {"type": "Two", "pipeline": [{"type": "PackInputs"}]}},
    )
    registry = fkit.registry().register("datasets", Two, name="Two")
    plan = fkit.plan(cfg.merge({"train_cfg": {"max_epochs": 1}}), registry, backend="torch")
    batch = next(iter(fkit.open_data(plan)["train"].batches(0)))
    assert batch.inputs.shape == (2, 3, 16, 16) and sorted(batch.targets["input_shape"][:, 0].tolist()) == [5, 8]


class Nothing:
    """No preprocessor."""


class Two(fkit.Dataset):
    """Two images of different heights."""

    def load(self) -> Any:
        return [{"img": np.zeros((h, 6, 3), np.uint8), "gt_label": 1} for h in (5, 8)]


def test_jax_learns_its_shapes_whatever_the_order_of_the_data_asks_of_a_batch():
    cfg = small(
        train_dataloader={
            "batch_size": 2,
            "batch_sampler": {"type": "AspectRatioBatchSampler", "batch_size": 2},
            "dataset": {"type": "Two", "pipeline": [{"type": "PackInputs"}]},
        }
    )
    registry = fkit.registry().register("datasets", Two, name="Two")
    assert fkit.program(cfg, registry, backend="jax").inventory.entries


def test_the_collate_function_that_pads_keeps_its_bucket():
    dataset = {"type": "Two", "pipeline": [{"type": "PackInputs"}]}
    cfg = small(
        data_preprocessor={"type": "ImgDataPreprocessor", "pad_size_divisor": 16},
        train_dataloader={"collate_fn": {"type": "pseudo_collate", "bucket": 4}, "dataset": dataset},
        val_dataloader={"collate_fn": {"type": "default_collate"}, "dataset": dataset},
        val_evaluator={"type": "Accuracy"},
    )
    registry = fkit.registry().register("datasets", Two, name="Two")
    data = fkit.open_data(
        fkit.plan(cfg.merge({"train_cfg": {"max_epochs": 1}, "val_cfg": {}}), registry, backend="torch")
    )
    assert data["train"].collate == Collate(pad=True, size_divisor=16, bucket=4) and data["val"].collate is collate


def test_bilinear_sizes_are_the_same_on_all_libraries():
    images = np.random.default_rng(3).normal(size=(2, 3, 7, 10))
    for size in ((14, 5), (3, 20), (7, 10)):
        want = Numpy().resized(images, size)
        plain = F.interpolate(torch.from_numpy(images), size=size, mode="bilinear", align_corners=False).numpy()
        assert np.abs(want - plain).max() < 1e-12
        with jax.enable_x64(True):
            there = np.asarray(open_room("jax").ops.resized(open_room("jax").asarray(images), size))
        assert np.abs(want - there).max() < 1e-12


def test_a_batch_of_another_size_takes_its_boxes_and_points_along():
    boxes = np.float64([[[1, 2, 3, 4], [0, 0, 8, 8]]])
    points = np.float64([[[[2, 4]]]])
    targets = {
        "gt_instances": {"bboxes": boxes, "labels": np.array([[1, 2]])},
        "gt_instance_labels": {"keypoints": points, "areas": np.float64([[5]])},
        "img_shape": np.array([[7, 8]]),
    }
    images, samples = resized(Numpy(), np.zeros((1, 3, 8, 8)), Samples(targets), (16, 24))
    group = samples.targets["gt_instances"]
    assert images.shape == (1, 3, 16, 24) and group["bboxes"].tolist() == [[[3, 4, 9, 8], [0, 0, 24, 16]]]
    assert group["labels"] is targets["gt_instances"]["labels"]
    assert samples.targets["img_shape"].tolist() == [[14, 24]] and samples.targets["img_shape"].dtype == np.int64
    labels = samples.targets["gt_instance_labels"]
    assert labels["keypoints"].tolist() == [[[[6, 8]]]] and labels["areas"].tolist() == [[30]]


def test_sizes_change_with_the_run_the_same_on_both_backends():
    resize = BatchSyncRandomResize((8, 40), interval=2, size_divisor=8)
    sizes = [resize.size((5, 6), number, (8, 8)) for number in range(60)]
    assert sizes[:2] == [(8, 8)] * 2 and set(sizes) == {(8 * n, 8 * n) for n in range(1, 6)}
    assert all(sizes[at] == sizes[at + 1] for at in range(0, 60, 2))
    augments = [{"type": "BatchSyncRandomResize", "random_size_range": (8, 40), "interval": 2, "size_divisor": 8}]
    pre = {"type": "PoseDataPreprocessor", "mean": MEAN, "std": STD, "batch_augments": augments}
    one, two = (steps(small(data_preprocessor=pre), backend, 7) for backend in ("torch", "jax"))
    for a, b in zip(one, two, strict=True):
        assert np.abs(np.array(a) - np.array(b)).max() < 1e-9
    plain = steps(small(data_preprocessor={**pre, "batch_augments": None}), "torch", 7)
    assert one[0][:2] == plain[0][:2] and one[0][3:] != plain[0][3:]
    for wrong in ({"interval": 0}, {"random_size_range": (40, 8)}, {"random_size_range": 3}, {"intervall": 3}):
        with pytest.raises(FkitError, match=r"BatchSyncRandomResize|intervall"):
            DetDataPreprocessor(batch_augments=[{**augments[0], **wrong}])

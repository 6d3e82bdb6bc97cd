"""Collate: samples to one batch, and the way back."""

from typing import Any

import jax
import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from fkit.backend.jax.border import take_off
from fkit.backend.torch.feed import Feed
from fkit.data.collate import Collate, collate
from fkit.structures import DetDataSample, data_samples
from fkit.tree.error import FkitError


def packed(number: int, shape: tuple[int, ...] = (1, 4, 4), **targets: Any) -> dict[str, Any]:
    return {
        "inputs": np.full(shape, number, np.float32),
        "targets": {"gt_label": number, **targets},
        "meta": {"sample_idx": number, "img_path": f"{number}.png"},
    }


def test_a_batch_is_what_the_samples_are_in_order():
    batch = collate([packed(3, weight=0.5, box=np.ones(4)), packed(1, weight=1.5, box=np.zeros(4))])
    assert batch.inputs.shape == (2, 1, 4, 4) and batch.inputs.dtype == np.float32
    assert batch.inputs[:, 0, 0, 0].tolist() == [3, 1] == batch.targets["gt_label"].tolist()
    assert batch.targets["gt_label"].dtype == np.int64 and batch.targets["weight"].dtype == np.float32
    assert batch.targets["box"].shape == (2, 4) and batch.targets["box"].dtype == np.float64
    assert [meta["img_path"] for meta in batch.meta] == ["3.png", "1.png"] and len(batch) == 2


def test_integer_images_stay_integer():
    samples = [{"inputs": np.full((1, 2, 2), value, np.uint8)} for value in (1, 2)]
    assert collate(samples).inputs.dtype == np.uint8


def test_inputs_may_be_a_mapping_and_samples_pairs():
    both = collate([{"inputs": {"a": np.zeros(2), "b": np.ones(3)}}] * 2).inputs
    assert both["a"].shape == (2, 2) and both["b"].shape == (2, 3)
    pairs = collate([(np.zeros(2), 4), (np.zeros(2), 5)])
    assert pairs.targets["gt_label"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([], "a batch of no samples"),
        ([packed(1), packed(2, (1, 4, 5))], r"shape of inputs: \(1, 4, 4\) and \(1, 4, 5\) \(sample 2.png\)"),
        (
            [packed(1), packed(2, box=1)],
            r"differ in targets: \['box', 'gt_label'\] and \['gt_label'\] \(sample 2.png\)",
        ),
        (
            [{"inputs": (np.zeros(2), np.zeros(side)), "meta": {}} for side in (3, 4)],
            r"shape of inputs\[1\]: \(3,\) and \(4,\).\n  Let the transforms of a view end in one size",
        ),
        ([{"img": 1}], "a sample has no 'inputs'.\n  It has: img\n  End the pipeline with"),
        ([3], "a sample is 3; expected a mapping"),
        ([packed(1, name="cat")], "targets.name = 'cat' is no number"),
    ],
)
def test_what_cannot_be_joined_is_named(samples: list[Any], said: str):
    with pytest.raises(FkitError, match=said):
        collate(samples)


def objects(count: int, height: int = 6, width: int = 6, **more: Any) -> dict[str, Any]:
    boxes = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    masks = np.ones((count, height, width), np.uint8)
    group = {"bboxes": boxes, "labels": np.arange(1, count + 1), "masks": masks}
    seg = np.ones((height, width), np.int64)
    targets = {"gt_instances": group, "ignored_instances": {"bboxes": boxes[:0]}, "gt_sem_seg": seg, **more}
    return {"inputs": np.full((3, height, width), 9, np.uint8), "targets": targets, "meta": {"img_id": count}}


@pytest.mark.parametrize(("count", "rows", "of"), [(0, 1, None), (3, 4, None), (4, 4, None), (5, 8, None), (5, 6, 3), (5, 20, [4, 20])])  # fmt: skip
def test_objects_are_padded_to_a_bucket(count: int, rows: int, of: Any):
    batch = Collate(bucket=of)([objects(count), objects(0)])
    group, real = batch.targets["gt_instances"], batch.valid["gt_instances"]
    assert {key: value.shape for key, value in group.items()} == {
        "bboxes": (2, rows, 4), "labels": (2, rows), "masks": (2, rows, 6, 6),
    }  # fmt: skip
    assert real.dtype == bool and real.sum(1).tolist() == [count, 0] and real[0, :count].all()
    assert group["labels"][0].tolist() == [*range(1, count + 1)] + [0] * (rows - count)
    assert not batch.valid["ignored_instances"].any()
    assert np.array_equal(group["bboxes"][0][real[0]], objects(count)["targets"]["gt_instances"]["bboxes"])


def test_images_of_several_sizes_are_padded_bottom_and_right():
    batch = Collate(pad=True, size_divisor=4, pad_value=7)([objects(1, 6, 5), objects(2, 3, 10)])
    assert batch.inputs.shape == (2, 3, 8, 12) and batch.inputs.dtype == np.uint8
    assert batch.targets["input_shape"].tolist() == [[6, 5], [3, 10]]
    seg, masks = batch.targets["gt_sem_seg"], batch.targets["gt_instances"]["masks"]
    for at, (height, width) in enumerate([(6, 5), (3, 10)]):
        inside = np.zeros((8, 12), bool)
        inside[:height, :width] = True
        assert (batch.inputs[at] == np.where(inside, 9, 7)).all()
        assert (seg[at] == np.where(inside, 1, 255)).all() and (masks[at, : at + 1] == inside).all()
    assert Collate(pad=True, size=(9, 9))([objects(1, 6, 5)]).inputs.shape == (1, 3, 9, 9)
    with pytest.raises(FkitError, match=r"(?s)shape of inputs.*pseudo_collate"):
        collate([objects(1, 6, 5), objects(2, 3, 10)])


def test_maps_of_the_original_size_are_padded_among_themselves():
    """A test loads its maps after Resize: they are as the files are."""
    samples = [objects(1, gt_sem_seg=np.zeros((20, 9))), objects(1, gt_sem_seg=np.zeros((7, 30)))]
    assert Collate(pad=True)(samples).targets["gt_sem_seg"].shape == (2, 20, 30)


def test_a_config_names_the_two():
    reg = fkit.registry()
    assert reg.build("functions", {"type": "default_collate"}) is collate
    pad = reg.build("functions", {"type": "pseudo_collate", "bucket": 16})
    assert pad([objects(1, 6, 5), objects(2, 3, 10)]).targets["gt_instances"]["bboxes"].shape == (2, 16, 4)
    for wrong in ({"bucket": 0}, {"bucket": "x"}, {"size": 3}, {"size_divisor": 0}):
        with pytest.raises(FkitError, match=next(iter(wrong))):
            Collate(**wrong)
    broken = objects(2)
    broken["targets"]["gt_instances"]["labels"] = np.zeros(3)
    with pytest.raises(FkitError, match=r"targets.gt_instances of one sample differ in number: .*'labels': 3"):
        collate([broken])


def test_the_way_back():
    batch = Collate(pad=True)([objects(1, 6, 5), objects(3, 3, 10)])
    outputs = {
        "pred_instances": {"bboxes": np.zeros((2, 5, 4)), "scores": np.ones((2, 5))},
        "pred_sem_seg": np.zeros((2, 6, 10), np.int64),
        "valid": {"pred_instances": np.arange(5) < np.array([[2], [5]])},
    }
    one, two = data_samples(batch, outputs, DetDataSample)
    assert (one.img_id, len(one.gt_instances), len(one.pred_instances)) == (1, 1, 2)
    assert (two.img_id, len(two.gt_instances), len(two.pred_instances), len(two.ignored_instances)) == (3, 3, 5, 0)
    assert one.gt_instances.masks.shape == (1, 6, 5) and one.gt_sem_seg.sem_seg.shape == (1, 6, 5)
    assert two.gt_sem_seg.shape == (3, 10) and two.pred_sem_seg.shape == (6, 10)
    several = [{"pred_instances": {"scores": np.ones(n)}} for n in (1, 4)]
    assert [len(sample.pred_instances) for sample in data_samples(batch, several)] == [1, 4]
    with pytest.raises(FkitError, match="the batch has 2 samples, and the outputs are of 1"):
        data_samples(batch, several[:1])


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_nested_targets_reach_the_model(backend: str):
    """Objects, their validity and what is nested deeper pass the border of a backend."""
    room = open_room(backend)
    batch = collate([objects(3), objects(1)])
    if backend == "torch":
        inputs, samples = Feed(torch.device("cpu"), torch.float32)(batch)
        targets, valid = samples.targets, samples.valid
    else:
        inputs, targets, valid, _ = take_off(batch)
        inputs, targets, valid = jax.jit(lambda *tree: tree)(inputs, targets, valid)
    assert room.numpy(inputs).shape == (2, 3, 6, 6)
    assert np.array_equal(room.numpy(targets["gt_instances"]["masks"]), batch.targets["gt_instances"]["masks"])
    assert np.array_equal(room.numpy(valid["gt_instances"]), batch.valid["gt_instances"])

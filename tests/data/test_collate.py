"""Collate: samples of one shape to one batch."""

from typing import Any

import numpy as np
import pytest

from fkit.data.collate import collate
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
        ([{"img": 1}], "a sample has no 'inputs'.\n  It has: img\n  End the pipeline with"),
        ([3], "a sample is 3; expected a mapping"),
        ([packed(1, name="cat")], "targets.name = 'cat' is no number"),
    ],
)
def test_what_cannot_be_joined_is_named(samples: list[Any], said: str):
    with pytest.raises(FkitError, match=said):
        collate(samples)

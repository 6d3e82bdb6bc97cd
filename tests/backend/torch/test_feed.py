"""Batches on their way to the device: types and layouts."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

import fkit
from fkit.array.room import open as open_room
from fkit.backend.torch.feed import Feed
from fkit.backend.torch.model import channels_last
from fkit.structures import InstanceData
from fkit.training.inventory import Entry, Inventory
from fkit.training.optimizer import Optimizer
from fkit.training.spec import Spec
from fkit.tree.error import FkitValueError


def test_a_batch_takes_the_run_s_types() -> None:
    feed = Feed(torch.device("cpu"), torch.float64, torch.bfloat16)
    given = fkit.Batch(
        {"image": np.ones((2, 3), np.uint8), "text": np.ones((2, 3), np.int32)},
        {"weight": np.ones(2, np.float32), "gt_label": np.ones(2, np.int64), "list": [np.ones(1), "name"]},
        {"boxes": np.ones((2, 4), bool)},
    )
    inputs, samples = feed(given)
    assert (inputs["image"].dtype, inputs["text"].dtype) == (torch.bfloat16, torch.int32)
    assert (samples.targets["weight"].dtype, samples.targets["gt_label"].dtype) == (torch.float64, torch.int64)
    assert samples.valid["boxes"].dtype == torch.bool
    assert samples.targets["list"][0].dtype == torch.float64 and samples.targets["list"][1] == "name"


def test_structures_among_the_targets_are_walked() -> None:
    boxes = InstanceData(bboxes=np.ones((2, 4), np.float32), labels=np.zeros(2, np.int64))
    _, samples = Feed(torch.device("cpu"), torch.float64)(fkit.Batch(np.ones((1, 1)), {"gt": boxes}))
    found = samples.targets["gt"]
    assert isinstance(found, InstanceData) and found.bboxes.dtype == torch.float64
    leaves, tree = pytree.tree_flatten(found)
    assert len(leaves) == 2 and pytree.tree_unflatten(leaves, tree).labels is found.labels


MODEL = {
    "type": "ImageClassifier",
    "backbone": {"type": "ResNet_CIFAR", "depth": 18, "base_channels": 4},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 4, "in_channels": 32},
}


def spec(type: str = "SGD", **changes: Any) -> Spec:
    registry = fkit.registry()
    options = {"lr": 0.05, "momentum": 0.9} if type == "SGD" else {"lr": 0.01}
    return Spec(
        lambda backend: fkit.build(MODEL, registry, "models", backend=backend),
        {"main": Optimizer.of(type, options)},
        device="cpu",
        **changes,
    )


def batch(seed: int) -> fkit.Batch:
    rng = np.random.default_rng(seed)
    return fkit.Batch(rng.integers(0, 255, (6, 3, 16, 16), np.uint8), {"gt_label": rng.integers(0, 4, 6)})


@pytest.mark.parametrize("type", ["SGD", "Adam", "RMSprop"])
def test_the_memory_format_changes_rounding_alone(type: str) -> None:
    """States, slots and images are laid out channels last in memory; checkpoints are torch's layout either way."""
    ends = []
    for memory_format in ("contiguous", "channels_last"):
        made = open_room("torch").program(spec(type, dtype="float64", memory_format=memory_format))
        state = made.init(0)
        for step in range(3):
            state, _ = made.train_step(state, batch(step), made.hyperparams())
        kernel = state.params["backbone.layer1.0.conv1.weight"]
        last = memory_format == "channels_last"
        assert kernel.is_contiguous(memory_format=torch.channels_last) is last
        for tensors in state.opt["main"].values():
            slot = tensors["backbone.layer1.0.conv1.weight"]
            assert slot.dim() == 0 or slot.is_contiguous(memory_format=torch.channels_last) is last
        arrays = made.collect(state)
        assert all(array.flags.c_contiguous for array in arrays.values())
        one, _ = made.train_step(made.restore(arrays), batch(9), made.hyperparams())
        two, _ = made.train_step(state, batch(9), made.hyperparams())
        one, two = made.collect(one), made.collect(two)
        assert all(one[path].tobytes() == two[path].tobytes() for path in two)
        ends.append(two)
    for path, array in ends[0].items():
        np.testing.assert_allclose(ends[1][path], array, rtol=1e-7, atol=1e-9, err_msg=path)
    assert any(ends[1][path].tobytes() != array.tobytes() for path, array in ends[0].items())


def test_images_are_laid_out_with_their_kernels() -> None:
    feed = Feed(torch.device("cpu"), torch.float32, torch.bfloat16, channels_last=True)
    inputs, samples = feed(
        fkit.Batch({"image": batch(0).inputs, "ids": np.ones((2, 3, 4, 5), np.int64)}, {"map": np.ones((2, 3, 4, 5))})
    )
    assert inputs["image"].is_contiguous(memory_format=torch.channels_last) and inputs["image"].dtype == torch.bfloat16
    assert inputs["ids"].is_contiguous() and samples.targets["map"].is_contiguous()
    assert torch.equal(inputs["image"], torch.from_numpy(batch(0).inputs).bfloat16())


def test_auto_is_for_convolutions_in_half_precision_on_cuda() -> None:
    conv = Inventory((Entry("conv.weight", (2, 2, 3, 3), "float32", "Conv2d"),))
    assert not channels_last(spec(dtype="bfloat16"), conv) and not channels_last(spec(), conv)
    assert channels_last(spec(memory_format="channels_last"), Inventory(()))
    with pytest.raises(FkitValueError, match=r"memory_format = 'nhwc' is unknown.\n.*auto, contiguous, channels_last"):
        open_room("torch").program(spec(memory_format="nhwc"))


def test_the_room_gives_batches_as_they_are_on_the_cpu() -> None:
    room, batches = open_room("torch"), [batch(0), batch(1)]
    assert list(room.feed(iter(batches), room.program(spec()))) == batches

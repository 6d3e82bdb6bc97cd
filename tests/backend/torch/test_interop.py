"""The room's border: arrays in and out, pytrees, devices."""

import numpy as np
import pytest
import torch
from frozendict import frozendict
from torch.utils import _pytree as pytree

import fkit
from fkit.array.room import open as open_room
from fkit.backend.torch.interop import Feed, device_of, tensor_of, to_numpy
from fkit.structures import InstanceData
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


def test_states_and_batches_are_pytrees() -> None:
    batch = fkit.Batch(torch.ones(2), frozendict(a=torch.zeros(2)), meta=({"i": 1},))
    moved = pytree.tree_map(lambda x: x + 1, batch)
    assert moved.inputs.tolist() == [2, 2] and moved.targets["a"].tolist() == [1, 1] and moved.meta == ()
    state = fkit.TrainState(
        frozendict(w=torch.ones(1)),
        frozendict(),
        frozendict(),
        frozendict(),
        torch.tensor(1),
        torch.tensor(1),
        torch.ones(2),
    )
    assert len(pytree.tree_leaves(state)) == 4
    assert isinstance(pytree.tree_map(lambda x: x, state), fkit.TrainState)


def test_arrays_in_and_out() -> None:
    read_only = np.arange(4)[::-1]
    read_only.flags.writeable = False
    assert tensor_of(read_only).tolist() == [3, 2, 1, 0]
    tensor = torch.ones(2, 3, requires_grad=True).T
    assert to_numpy(tensor).flags.c_contiguous and to_numpy(tensor).shape == (3, 2)
    assert to_numpy(torch.ones(1, dtype=torch.bfloat16)).dtype == np.float32
    backend = open_room("torch")
    assert backend.fetch([torch.tensor(1.5), torch.tensor(2)]) == [1.5, 2.0] and backend.fetch([]) == []
    assert backend.to_device(np.ones(2), "cpu").device.type == "cpu"
    assert backend.asarray(np.ones(2)).dtype == torch.float64 and backend.ops.name == backend.name == "torch"
    assert backend.environment()["PyTorch"] == torch.__version__


def test_devices() -> None:
    assert device_of(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(FkitValueError, match=r"device='cuda:63'.*\n.*Devices here: cpu"):
        device_of("cuda:63")

"""The room's border: arrays in and out, pytrees, devices."""

import numpy as np
import pytest
import torch
from frozendict import frozendict
from torch.utils import _pytree as pytree

import fkit
from fkit.array.room import open as open_room
from fkit.backend.torch.interop import device_of, tensor_of, to_numpy
from fkit.structures import InstanceData
from fkit.tree.error import FkitValueError


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


def test_outputs_come_to_the_host_at_any_depth() -> None:
    boxes = InstanceData(bboxes=torch.ones(2, 4), names=["a", "b"])
    shared = torch.ones(3)
    outputs = {"scores": [torch.ones(2).bfloat16(), (shared.requires_grad_(),)], "boxes": boxes, "count": 3}
    found = open_room("torch").host(outputs)
    assert found["scores"][0].dtype == np.float32 and found["count"] == 3
    assert isinstance(found["boxes"].bboxes, np.ndarray) and found["boxes"].names == ["a", "b"]
    found["scores"][1][0][:] = 0
    assert shared.tolist() == [1, 1, 1]


def test_devices() -> None:
    assert device_of(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(FkitValueError, match=r"device='cuda:63'.*\n.*Devices here: cpu"):
        device_of("cuda:63")

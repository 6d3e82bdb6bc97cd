"""mmcv's functions on checkpoints, with plain torch modules."""

from pathlib import Path

import numpy as np
import pytest
import torch

import fkit
from fkit.compat import (
    CheckpointLoader,
    find_latest_checkpoint,
    get_state_dict,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    weights_to_cpu,
)
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

DATA = Path(__file__).parents[1] / "golden/data/openmmlab"


def net(width=3):
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width))


class Told:
    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(text)


def test_what_is_saved_is_loaded(tmp_path):
    one, other = net(), net()
    one.CLASSES = ["a", "b"]
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9)
    one(torch.rand(4, 2)).sum().backward()
    optimizer.step()
    save_checkpoint(one, tmp_path / "a.pth", optimizer, {"epoch": 3})
    whole = load_checkpoint(other, tmp_path / "a.pth", strict=True)
    assert whole["meta"]["epoch"] == 3 and whole["meta"]["CLASSES"] == ("a", "b") and whole["meta"]["time"]
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    read = torch.load(tmp_path / "a.pth", weights_only=True)
    assert torch.equal(
        read["optimizer"]["state"][0]["momentum_buffer"], optimizer.state_dict()["state"][0]["momentum_buffer"]
    )
    save_checkpoint(one, tmp_path / "b.pth", {"g": optimizer, "d": optimizer})
    assert sorted(CheckpointLoader.load_checkpoint(tmp_path / "b.pth")["optimizer"]) == ["d", "g"]


def test_what_does_not_fit_is_the_answer():
    told = Told()
    weights = {"0.weight": np.ones((3, 2), np.float32), "0.bias": torch.zeros(5), "2.x": torch.zeros(1)}
    model = net()
    report = load_state_dict(model, weights, logger=told)
    assert report == (
        "missing (4): 1.weight, 1.bias, 1.running_mean, 1.running_var\n  unexpected (1): 2.x\n"
        "  of another shape (1): 0.bias: model (3,), file (5,)"
    )
    assert told.lines == [report] and torch.equal(model[0].weight, torch.ones(3, 2))
    with pytest.raises(FkitValueError, match=r"do not fit the module.\n  missing \(4\)"):
        load_state_dict(model, weights, strict=True)


def test_names_are_revised_and_a_prefix_is_taken(tmp_path):
    torch.save({f"module.backbone.{name}": value for name, value in net().state_dict().items()}, tmp_path / "a.pth")
    load_checkpoint(net(), tmp_path / "a.pth", strict=True, prefix="backbone")
    load_checkpoint(net(), tmp_path / "a.pth", strict=True, revise_keys=[(r"^module\.backbone\.", "")])
    with pytest.raises(FkitValueError, match="no name of its weights begins with 'neck'"):
        load_checkpoint(net(), tmp_path / "a.pth", prefix="neck")


def test_wrapped_modules_and_the_cpu():
    model = net()
    assert list(get_state_dict(torch.nn.DataParallel(model))) == list(model.state_dict())
    assert all(value.is_cpu for value in weights_to_cpu(get_state_dict(model)).values())


def test_the_latest_of_a_folder(tmp_path):
    assert find_latest_checkpoint(tmp_path) is None
    (tmp_path / "last_checkpoint").write_text("/w/epoch_3.pth")
    assert find_latest_checkpoint(tmp_path) == "/w/epoch_3.pth"


def test_schemes_are_registered_in_a_registry():
    with pytest.raises(FkitTypeError, match="checkpoint_schemes"):
        CheckpointLoader.register_scheme("mine://", print)
    reg = fkit.registry().register("checkpoint_schemes", lambda name: DATA / name, name="mine")
    assert CheckpointLoader.load_checkpoint("mine://mmengine_epoch_2.pth", reg)["meta"]["epoch"] == 2


@pytest.mark.parametrize("odd", [None, 3, "x", []])
def test_wrong_arguments(odd, tmp_path):
    for call in (
        lambda: load_checkpoint(odd, DATA / "mmengine_epoch_2.pth"),
        lambda: load_state_dict(odd, {}),
        lambda: load_state_dict(net(), odd),
        lambda: get_state_dict(odd),
        lambda: weights_to_cpu(odd),
        lambda: save_checkpoint(odd, tmp_path / "a.pth"),
        lambda: save_checkpoint(net(), tmp_path / "a.pth", optimizer=odd if odd is not None else 3),
    ):
        with pytest.raises(FkitError):
            call()

"""Initial weights: by name and scheme, whatever the order of the entries."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.array.random import key
from fkit.training.initialise import initial
from fkit.training.inventory import Entry, Inventory
from fkit.tree.error import FkitError, FkitFileNotFoundError, FkitKeyError, FkitTypeError, FkitValueError

CONV = Entry("stem.conv.weight", (64, 32, 3, 3), "float32", "Conv2d")
NORM = (
    Entry("stem.bn.weight", (64,), "float32", "BatchNorm2d"),
    Entry("stem.bn.bias", (64,), "float32", "BatchNorm2d"),
    Entry("stem.bn.running_mean", (64,), "float32", "BatchNorm2d", True, False),
    Entry("stem.bn.running_var", (64,), "float32", "BatchNorm2d", True, False),
    Entry("stem.bn.num_batches_tracked", (), "int64", "BatchNorm2d", True, False),
)
FC = (Entry("fc.weight", (100, 64), "float32", "Linear"), Entry("fc.bias", (100,), "float32", "Linear"))
ALL = (CONV, *NORM, *FC)


def nothing(seed: int) -> Mapping[str, Any]:
    raise AssertionError("no layer is unknown")


def weights(*rules: tuple[str, Any], entries: tuple[Entry, ...] = ALL, seed: int = 0) -> dict[str, np.ndarray]:
    return initial(Inventory(entries, rules), nothing, seed)


def test_layers_follow_torch_s_documented_schemes() -> None:
    made = weights()
    bound = 1 / np.sqrt(32 * 9)
    conv = made["params/stem.conv.weight"]
    assert np.abs(conv).max() <= bound and np.abs(conv).max() > 0.99 * bound
    assert conv.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert np.abs(made["params/fc.bias"]).max() <= 1 / 8
    assert np.abs(made["params/fc.bias"]).max() > 1 / 10
    assert (made["params/stem.bn.weight"] == 1).all() and not made["params/stem.bn.bias"].any()
    assert not made["buffers/stem.bn.running_mean"].any() and (made["buffers/stem.bn.running_var"] == 1).all()
    assert made["buffers/stem.bn.num_batches_tracked"] == 0
    assert made["buffers/stem.bn.num_batches_tracked"].dtype == np.int64
    embedding = weights(entries=(Entry("e.weight", (500, 20), "float32", "Embedding"),))["params/e.weight"]
    assert embedding.std() == pytest.approx(1, rel=0.05) and abs(embedding.mean()) < 0.05


def test_counters_and_key() -> None:
    made = weights(seed=5)
    assert made["iteration"] == 0 and made["iteration"].dtype == np.int64 and made["updates"].shape == ()
    assert made["key"].tolist() == list(key(5, "train")) and made["key"].dtype == np.uint32


@given(st.permutations(ALL), st.integers(0, 2**40))
def test_order_does_not_count(entries: list[Entry], seed: int) -> None:
    small = tuple(entry._replace(shape=(2, 3, 1, 1) if entry is CONV else entry.shape) for entry in entries)
    usual = tuple(entry._replace(shape=(2, 3, 1, 1) if entry is CONV else entry.shape) for entry in ALL)
    one, other = weights(entries=small, seed=seed), weights(entries=usual, seed=seed)
    assert set(one) == set(other)
    assert all((one[path] == other[path]).all() for path in one)


def test_float64_starts_from_the_float32_values() -> None:
    wide = tuple(entry._replace(dtype="float64") if entry.dtype == "float32" else entry for entry in ALL)
    one, other = weights(), weights(entries=wide)
    assert other["params/fc.weight"].dtype == np.float64
    assert all((one[path] == other[path]).all() for path in one)


def test_seeds_and_names_part_the_values() -> None:
    assert (weights(seed=1)["params/fc.weight"] != weights(seed=2)["params/fc.weight"]).mean() > 0.99
    twins = (FC[0], FC[0]._replace(name="other.weight"))
    made = weights(entries=twins)
    assert (made["params/fc.weight"] != made["params/other.weight"]).mean() > 0.99


def test_a_rule_acts_on_its_layers_and_a_child_s_goes_over_its_parent_s() -> None:
    kaiming = {"type": "Kaiming", "layer": "Conv2d"}
    norms = {"type": "Constant", "val": 2, "bias": 3, "layer": ["_BatchNorm", "GroupNorm"]}
    made = weights(("", [kaiming, norms]), ("fc", {"type": "Normal", "std": 0.01, "layer": "Linear"}))
    assert made["params/stem.conv.weight"].std() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.02)
    assert (made["params/stem.bn.weight"] == 2).all() and (made["params/stem.bn.bias"] == 3).all()
    assert made["params/fc.weight"].std() == pytest.approx(0.01, rel=0.05)
    assert not made["params/fc.bias"].any()
    over = weights(
        ("", {"type": "Constant", "val": 1, "layer": "Linear"}),
        ("fc", {"type": "Constant", "val": 7, "layer": "Linear"}),
    )
    assert (over["params/fc.weight"] == 7).all()


@pytest.mark.parametrize(
    ("rule", "std", "bound"),
    [
        ({"type": "Uniform", "a": -0.5, "b": 0.5}, 1 / np.sqrt(12), 0.5),
        ({"type": "TruncNormal", "std": 1.0, "a": -1, "b": 1}, 0.5396, 1.0),
        ({"type": "Xavier"}, np.sqrt(2 / (96 * 9)), None),
        ({"type": "Xavier", "distribution": "uniform", "gain": 2}, 2 * np.sqrt(2 / (96 * 9)), np.sqrt(3) * 2 * np.sqrt(2 / (96 * 9))),
        ({"type": "Kaiming", "mode": "fan_in", "distribution": "uniform"}, np.sqrt(2 / 288), np.sqrt(6 / 288)),
        ({"type": "Kaiming", "a": 1, "nonlinearity": "leaky_relu"}, np.sqrt(1 / 576), None),
        ({"type": "Caffe2Xavier"}, np.sqrt(1 / 288), np.sqrt(3 / 288)),
        ({"type": "NormalInit", "std": 0.3}, 0.3, None),
    ],
)  # fmt: skip
def test_initialisers(rule: dict[str, Any], std: float, bound: float | None) -> None:
    made = weights(("", {**rule, "layer": "Conv2d"}))["params/stem.conv.weight"]
    assert made.std() == pytest.approx(std, rel=0.03) and abs(made.mean()) < 0.05 * std
    assert bound is None or np.abs(made).max() <= bound


def test_override_names_a_module_and_takes_the_rule_or_its_own() -> None:
    made = weights(("", {"type": "Constant", "val": 5, "override": {"name": "fc"}}))
    assert (made["params/fc.weight"] == 5).all() and (made["params/stem.bn.weight"] == 1).all()
    rule = {
        "type": "Constant",
        "val": 5,
        "layer": "Linear",
        "override": [{"name": "stem.bn", "type": "Constant", "val": 0, "bias_prob": 0.01}],
    }
    made = weights(("", rule))
    assert not made["params/stem.bn.weight"].any()
    assert made["params/stem.bn.bias"][0] == pytest.approx(-np.log(99))
    # as in mmengine: neither layers nor overrides, nothing happens
    assert (weights(("", {"type": "Constant", "val": 5}))["params/stem.bn.weight"] == 1).all()


@pytest.mark.parametrize(
    ("rule", "error", "text"),
    [
        ({"type": "Normall", "layer": "Linear"}, FkitKeyError, "Did you mean 'Normal'?"),
        ({"type": "Normal", "layer": "Linear", "sdt": 1}, FkitTypeError, "Did you mean 'std'?"),
        ({"type": "Constant", "layer": "Linear"}, FkitTypeError, "needs 'val'"),
        ({"type": "Pretrained", "checkpoint": "x.pth"}, FkitFileNotFoundError, "x.pth: is not there"),
        ({"type": "Kaiming", "layer": "BatchNorm2d"}, FkitValueError, "two axes or more"),
        ({"type": "Kaiming", "mode": "fan", "layer": "Linear"}, FkitValueError, "Allowed: fan_in, fan_out"),
        ({"type": "Kaiming", "nonlinearity": "reluu", "layer": "Linear"}, FkitValueError, "Did you mean 'relu'?"),
        ({"type": "TruncNormal", "a": 9, "b": 10, "layer": "Linear"}, FkitValueError, "no mass"),
        ({"type": "Normal", "override": {"name": "cf"}}, FkitValueError, "Modules: fc, stem"),
        ({"type": "Normal", "override": {"name": "fc", "std": 1}}, FkitValueError, "needs 'type'"),
        ({"type": "Normal", "override": {"std": 1}}, FkitValueError, "needs 'name'"),
        ("Normal", FkitTypeError, "must be a dict"),
    ],
)
def test_errors(rule: Any, error: type[FkitError], text: str) -> None:
    with pytest.raises(error, match=text.replace("?", r"\?")):
        weights(("", [rule]))


def test_unknown_layers_take_the_module_s_own_values_under_the_run_s_seed() -> None:
    entries = (Entry("table", (3,), "float32", ""), Entry("count", (), "int64", "", True, False))
    made = initial(Inventory(entries), lambda seed: {"params/table": np.full(3, seed), "buffers/count": np.array(4)}, 9)
    assert made["params/table"].tolist() == [9, 9, 9] and made["params/table"].dtype == np.float32
    assert made["buffers/count"] == 4
    with pytest.raises(FkitValueError, match="'table' has no initial value"):
        initial(Inventory(entries), lambda seed: {}, 0)
    with pytest.raises(FkitValueError, match=r"own value is \(2,\), not \(3,\)"):
        initial(Inventory(entries[:1]), lambda seed: {"params/table": np.zeros(2)}, 0)

"""Optimizers as values: groups, hyperparameters, slots."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.training.optimizer import Optimizer
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

NAMES = ("conv.weight", "conv.bias", "bn.weight", "bn.bias", "fc.weight", "fc.bias")


def test_a_twin_s_defaults_are_torch_s() -> None:
    numbers = {name: values.tolist() for name, values in Optimizer.of("AdamW", {}).hyperparams().items()}
    assert numbers == {"lr": [1e-3], "beta1": [0.9], "beta2": [0.999], "eps": [1e-8], "weight_decay": [1e-2]}
    assert Optimizer.of("SGD", {"lr": 1}).fixed() == {"nesterov": False}


def test_a_name_goes_to_the_first_group_that_matches() -> None:
    groups = [{"params": ["^bn", "bias$"], "weight_decay": 0.0}, {"params": "conv", "lr": 0.5}]
    made = Optimizer.of("SGD", {"lr": 0.1, "weight_decay": 1e-4}, groups)
    assert made.assign(NAMES) == (("conv.bias", "bn.weight", "bn.bias", "fc.bias"), ("conv.weight",), ("fc.weight",))
    assert made.hyperparams()["lr"].tolist() == [0.1, 0.5, 0.1]
    assert made.hyperparams()["weight_decay"].tolist() == [0.0, 1e-4, 1e-4]
    assert made.hyperparams()["lr"].dtype == "float64"


@given(st.lists(st.sampled_from(NAMES), unique=True, min_size=1), st.sampled_from(["bias", "weight", "^bn", "."]))
def test_assignment_is_a_partition(names: list[str], pattern: str) -> None:
    made = Optimizer.of("Adam", {}, [{"params": pattern}])
    try:
        groups = made.assign(names)
    except FkitValueError:
        assert not any(pattern.strip("^") in name for name in names)
        return
    assert sorted(name for group in groups for name in group) == sorted(names)


@pytest.mark.parametrize(
    ("type", "options", "slots"),
    [
        ("SGD", {}, ()),
        ("SGD", {"momentum": 0.9}, ("momentum_buffer",)),
        ("Adam", {}, ("step", "exp_avg", "exp_avg_sq")),
        ("AdamW", {"amsgrad": True}, ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")),
    ],
)
def test_slots_are_torch_s(type: str, options: dict[str, Any], slots: tuple[str, ...]) -> None:
    assert Optimizer.of(type, options).slots() == slots


def test_momentum_of_one_group_gives_all_a_buffer() -> None:
    made = Optimizer.of("SGD", {}, [{"params": "bias", "momentum": 0.5}])
    assert made.slots() == ("momentum_buffer",)


def test_another_optimizer_keeps_its_options_as_they_are() -> None:
    made = Optimizer.of("Rprop", {"lr": 0.01, "etas": (0.5, 1.2), "foreach": False})
    assert not made.twin and set(made.hyperparams()) == {"lr"}
    assert made.fixed() == {"etas": (0.5, 1.2), "foreach": False}


@pytest.mark.parametrize(
    ("options", "groups", "error", "text"),
    [
        ({"momentun": 0.9}, (), FkitTypeError, "Did you mean 'momentum'"),
        ({}, [{"lr": 1.0}], FkitTypeError, "a parameter group: params = None is not a pattern"),
        ({}, [{"params": "x", "lrr": 1.0}], FkitTypeError, "lrr is unknown.\n  Did you mean 'lr'"),
        ({}, [{"params": 3}], FkitTypeError, "params = 3 is not a pattern over parameter names or a list"),
        ({}, [{"params": []}], FkitValueError, r"params = \[\] is empty"),
        ({}, [{"params": "("}], FkitValueError, r"params = '\(' is no regular expression"),
        ({}, [{"params": "x", "lr": -1}], FkitValueError, "lr = -1 is not a number of at least 0"),
        ({"lr": -1e-3}, (), FkitValueError, "optimizer SGD: lr = -0.001 is not a number of at least 0"),
        ({"lr": float("nan")}, (), FkitValueError, "lr = nan is not a number"),
        ({"momentum": 2}, (), FkitValueError, "momentum = 2 is not a number of at least 0, at most 1"),
        ({"weight_decay": -1}, (), FkitValueError, "weight_decay = -1 is not"),
        ({"nesterov": True}, (), FkitValueError, "nesterov=True needs a momentum above 0"),
        ({"nesterov": True}, [{"params": "x", "momentum": 0.9}], FkitValueError, "nesterov=True needs a momentum"),
        ({"nesterov": 1}, (), FkitTypeError, "nesterov = 1 is not True or False"),
    ],
)
def test_errors(options: dict[str, Any], groups: Any, error: type[FkitError], text: str) -> None:
    with pytest.raises(error, match=text):
        Optimizer.of("SGD", options, groups)


def test_a_group_without_parameters_is_an_error() -> None:
    with pytest.raises(FkitValueError, match=r"params=\['gamma'\] matches no trainable parameter"):
        Optimizer.of("SGD", {}, [{"params": "gamma"}]).assign(NAMES)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"lr": -1}, "lr = -1 is not"),
        ({"learning_rate": "x"}, "learning_rate = 'x' is text"),
        ({"momentum": 2}, "momentum = 2"),
    ],
)
def test_numbers_of_other_optimizers_are_in_their_bounds(options: dict[str, Any], text: str) -> None:
    with pytest.raises(FkitError, match=f"optimizer Rprop: {text}"):
        Optimizer.of("Rprop", options)

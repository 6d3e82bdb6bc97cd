"""Parameter groups of a run: ``paramwise_cfg`` and ``constructor`` of both vocabularies, ``auto_scale_lr``, what is said of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.training.group import groups, table
from fkit.training.inventory import Inventory
from tests.run.small import config, registry

BACKENDS = ("torch", "jax")
HEAD = {"custom_keys": {"head": {"lr_mult": 10.0, "decay_mult": 0.5}}, "norm_decay_mult": 0.0}


def program(cfg: fkit.Config, reg: Any = None, backend: str = "torch") -> Any:
    return fkit.program(cfg, reg or registry(), backend=backend, example=np.zeros((1, 1, 8, 8), np.float32))


def settings(made: Any) -> dict[str, Mapping[str, float]]:
    """{parameter: its hyperparameters}."""
    return {name: row.numbers for row in groups(made) for name in row.names}


@pytest.mark.parametrize("backend", BACKENDS)
def test_paramwise_cfg_makes_few_groups(backend: str) -> None:
    made = program(config(**{"optim_wrapper.paramwise_cfg": HEAD}), backend=backend)
    assert [(row.place, dict(row.numbers)) for row in groups(made)] == [
        (0, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}),
        (1, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}),
        (2, {"lr": 1.0, "momentum": 0.9, "weight_decay": 5e-4}),
    ]
    rows = {row.place: set(row.names) for row in groups(made)}
    assert rows[2] == {"head.fc.weight", "head.fc.bias"} and all("bn" in name for name in rows[1])
    assert made.hyperparams()["lr"].tolist() == [0.1, 0.1, 1.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_moves_each_parameter_by_its_group(backend: str) -> None:
    """lr_mult=0 leaves the backbone as it was; the head moves as without."""
    still = {"custom_keys": {"backbone": {"lr_mult": 0.0, "decay_mult": 0.0}}}
    ends = []
    for changes in ({"optim_wrapper.paramwise_cfg": still}, {}):
        plan = fkit.plan(config(**changes).merge({"train_cfg.max_epochs": 1}), registry(), backend=backend)
        run = start = fkit.begin(plan)
        before = plan.program.collect(start.train)
        for run, _ in fkit.train(plan, run, fkit.open_data(plan)):
            pass
        after = plan.program.collect(run.train)
        moved = {
            name for name in before if name.startswith("params/") and not np.array_equal(before[name], after[name])
        }
        ends.append({name.split("/")[1] for name in moved})
    assert ends[0] == {"head.fc.weight", "head.fc.bias"} and ends[0] < ends[1]


OLD = {
    "model": config()["model"],
    "total_epochs": 1,
    "data": {"samples_per_gpu": 2},
    "optimizer": {
        "type": "SGD", "lr": 0.1, "weight_decay": 0.01,
        "paramwise_cfg": {"bias_decay_mult": 0.0, "flat_decay_mult": 0.5, "custom_keys": {"head": {"momentum": 0.5}}},
    },
}  # fmt: skip


def test_a_config_of_mmcv_1_has_the_rules_of_mmcv_1() -> None:
    """There ``bias_decay_mult`` leaves the biases of norms alone, and ``flat_decay_mult`` is no key at all; mmengine's differ."""
    old = settings(program(fkit.Config(OLD)))
    optimizer = {key: value for key, value in OLD["optimizer"].items() if key != "paramwise_cfg"}
    wrapper = {"optimizer": optimizer, "paramwise_cfg": OLD["optimizer"]["paramwise_cfg"]}
    new = settings(program(fkit.Config({"model": OLD["model"], "optim_wrapper": wrapper})))
    assert old["backbone.bn1.bias"]["weight_decay"] == 0.01 and new["backbone.bn1.bias"]["weight_decay"] == 0.0
    assert old["backbone.bn1.weight"]["weight_decay"] == 0.01 and new["backbone.bn1.weight"]["weight_decay"] == 0.005
    assert old["head.fc.bias"]["momentum"] == 0.0 and new["head.fc.bias"]["momentum"] == 0.5


def test_what_changes_nothing_is_said() -> None:
    cfg = config(
        **{"optim_wrapper.paramwise_cfg": {"flat_decay_mult": 0.1, "custom_keys": {"bakbone": {"lr_mult": 2.0}}},
           "optim_wrapper.constructor": "DefaultOptimizerConstructor"}
    )  # fmt: skip
    notes = "\n".join(fkit.plan(cfg, registry()).settings.notes)
    assert "flat_decay_mult changes nothing under DefaultOptimizerConstructor" in notes
    assert "no parameter's name contains 'bakbone'; it changes nothing" in notes


def halves(inventory: Inventory, options: Mapping[str, Any], paramwise_cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A constructor of one's own: kernels by their size."""
    small = [
        entry.name for entry in inventory.entries if not entry.buffer and np.prod(entry.shape) < paramwise_cfg["size"]
    ]
    return [{"params": small, "lr": options["lr"] / 2}]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_constructor_of_ones_own_is_one_registration(backend: str) -> None:
    reg = registry().register("optim_wrapper_constructors", halves, name="Halves")
    changes = {"optim_wrapper.constructor": "Halves", "optim_wrapper.paramwise_cfg": {"size": 10}}
    made = settings(program(config(**changes), reg, backend))
    assert {name for name, row in made.items() if row["lr"] == 0.05} == {
        "backbone.bn1.weight", "backbone.bn1.bias", "backbone.bn2.weight", "backbone.bn2.bias",
    }  # fmt: skip


def constructor(rows: Any) -> Any:
    def make(inventory: Any, options: Any, paramwise_cfg: Any) -> Any:
        if isinstance(rows, Exception):
            raise rows
        return rows

    return registry().register("optim_wrapper_constructors", make, name="Mine")


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (None, "optim_wrapper.constructor: constructor Mine gives a list of groups"),
        ([3], "a parameter group: the value = 3 is not a mapping with 'params'"),
        ([{"lr": 1.0}], "params = None is not"),
        ([{"params": "head.fc.wait"}], "no parameter of the model(.|\n)*Did you mean 'head.fc.weight'"),
        ([{"params": "head.fc.bias"}, {"params": ["head.fc.bias"]}], "parameter 'head.fc.bias' is in two groups"),
        ([{"params": "head.fc.bias", "momentun": 0.1}], "momentun is unknown(.|\n)*Did you mean 'momentum'"),
        (RuntimeError("no"), "optim_wrapper.constructor: constructor Mine raised RuntimeError: no"),
    ],
)
def test_what_a_constructor_may_not_give(rows: Any, text: str) -> None:
    with pytest.raises(fkit.FkitError, match=text):
        program(config(**{"optim_wrapper.constructor": "Mine"}), constructor(rows))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"paramwise_cfg": {"norm_decay_mul": 0.0}}, "optim_wrapper.paramwise_cfg.norm_decay_mul is unknown"),
        ({"paramwise_cfg": [1]}, "optim_wrapper.paramwise_cfg = .* is not a mapping"),
        ({"constructor": "DefaultConstructor"}, "optim_wrapper.constructor = 'DefaultConstructor' is not in the registry"),
        ({"constructor": "mmdet.LearningRateDecayOptimizerConstructor"}, "optim_wrapper.paramwise_cfg.num_layers is missing"),
        ({"param_groups": [{"params": "bias", "initial_lr": -1}]}, r"param_groups\[0\].initial_lr = -1 is not a number of at"),
        ({"param_groups": [{"params": "bias"}], "paramwise_cfg": HEAD}, "both say what the groups are"),
    ],
)  # fmt: skip
def test_what_a_config_may_not_say(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(fkit.FkitError, match=text):
        program(config(**{f"optim_wrapper.{key}": value for key, value in changes.items()}))


@pytest.mark.parametrize("key", ["batch_size", "global_batch_size"])
def test_auto_scale_lr_scales_every_group_before_schedules(key: str) -> None:
    """16 samples a batch for a rate that is for 64: a quarter; a schedule's end value stays (the book ``schedules``)."""
    changes = {
        "auto_scale_lr": {"enable": True, "base_batch_size": 64}, "optim_wrapper.paramwise_cfg": HEAD,
        "param_scheduler": {"type": "CosineAnnealingLR", "by_epoch": False, "eta_min": 1e-3},
        "train_dataloader.batch_size": None, f"train_dataloader.{key}": 16,
    }  # fmt: skip
    plan = fkit.plan(config(**changes), registry())
    numbers = plan.program.hyperparams()
    assert numbers["lr"].tolist() == [0.025, 0.025, 0.25] and numbers["weight_decay"].tolist() == [1e-3, 0.0, 5e-4]
    run = fkit.begin(plan)
    for run, _ in fkit.train(plan, run, fkit.open_data(plan)):
        pass
    share = (1 + np.cos(np.pi * 11 / 12)) / 2  # of the last of 12 iterations
    np.testing.assert_allclose(run.hyperparams["lr"], 1e-3 + (numbers["lr"] - 1e-3) * share, rtol=1e-9)
    off = config(**{**changes, "auto_scale_lr": {"enable": False, "base_batch_size": 64}})
    assert fkit.plan(off, registry()).program.hyperparams()["lr"].tolist() == [0.1, 0.1, 1.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_may_say_what_its_rate_was_before_any_schedule(backend: str) -> None:
    """As a group of a checkpoint does: a cosine begins at the rate in force, and ends at a part of ``initial_lr`` (the book
    ``schedules``); it is no argument of a step."""
    changes = {
        "optim_wrapper.param_groups": [{"params": "bias", "lr": 0.05, "initial_lr": 0.2}],
        "param_scheduler": {"type": "CosineAnnealingLR", "by_epoch": False, "eta_min_ratio": 0.1},
    }  # fmt: skip
    plan = fkit.plan(config(**changes), registry(), backend=backend)
    numbers = plan.program.hyperparams()
    assert numbers["lr"].tolist() == [0.05, 0.1] and "initial_lr" not in numbers
    run = fkit.begin(plan)
    for run, _ in fkit.train(plan, run, fkit.open_data(plan)):
        pass
    least, share = np.array([0.02, 0.01]), (1 + np.cos(np.pi * 11 / 12)) / 2  # of the last of 12 iterations
    np.testing.assert_allclose(run.hyperparams["lr"], least + (numbers["lr"] - least) * share, rtol=1e-9)


def test_the_groups_as_text() -> None:
    text = table(program(config(**{"optim_wrapper.paramwise_cfg": HEAD})))
    assert "group 2: lr 1, momentum 0.9, weight_decay 0.0005; 2 parameters, 90 numbers\n    head.fc.weight\n" in text
    with pytest.raises(fkit.FkitError, match="`program` is a program"):
        table(3)  # type: ignore[arg-type]

"""Schedules against mmengine's recorded values, for every case of the book that uses the policies there are."""

import json
from pathlib import Path

import numpy as np
import pytest

from fkit.training import schedule
from fkit.training.schedule import Time, chain
from fkit.tree.error import FkitValueError

BOOK = json.loads((Path(__file__).parents[1] / "golden" / "books" / "schedules.json").read_text())
KINDS = ("LinearLR", "ConstantLR", "CosineAnnealingLR", "StepLR", "MultiStepLR")


def policies(case):
    found = case["param_scheduler"]
    return found if isinstance(found, list) else [found]


CASES = [
    case
    for case in BOOK["cases"]
    if case["ref"] == "mmengine"
    and "error" not in case
    and case["policy"] not in ("auto_scale_lr", "initial_lr")
    and all(policy["type"] in KINDS for policy in policies(case))
]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_schedule_matches_the_reference(case):
    cfg, length = case["train_cfg"], case["epoch_length"]
    epochs = cfg["max_epochs"] if cfg["by_epoch"] else 1
    total = cfg.get("max_iters", epochs * length)
    made = []
    for policy in policies(case):
        given = {name: value for name, value in policy.items() if name not in ("type", "convert_to_iter_based")}
        given.setdefault("end", epochs if given.get("by_epoch", True) else total)
        one = getattr(schedule, policy["type"])(**given)
        made.append(one.in_iterations(length) if policy.get("convert_to_iter_based") else one)
    groups = case.get("param_groups") or [{}]
    base = {"lr": np.array([group.get("lr", case["optimizer"]["lr"]) for group in groups])}
    states = tuple(policy.init() for policy in made)
    for iteration in range(case["n_iters"]):
        at = Time(iteration, iteration // length if cfg["by_epoch"] else 0)
        states, values = chain(tuple(made), states, at, base)
        want = [group[iteration] for group in case["lr"]]
        np.testing.assert_allclose(values["lr"], want, rtol=1e-9, atol=1e-12)


def test_a_range_of_nothing_is_refused():
    with pytest.raises(FkitValueError, match="begin=5 and end=5 make no range"):
        schedule.LinearLR(begin=5, end=5)


def test_a_schedule_of_what_the_optimizer_lacks_names_what_it_has():
    with pytest.raises(FkitValueError, match=r"acts on 'momentum'.*\n.*lr"):
        chain((schedule.ConstantLR(end=2, param="momentum"),), ((),), Time(0, 0), {"lr": np.array([0.1])})


def test_a_momentum_schedule_acts_on_adams_first_beta():
    values = {"lr": np.array([0.1]), "beta1": np.array([0.8])}
    policy = schedule.ConstantLR(factor=0.5, end=9, param="momentum")
    assert chain((policy,), ((),), Time(0, 0), values)[1]["beta1"].tolist() == [0.4]

"""Schedules against mmengine's recorded values, for every case of the book that uses the policies there are."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("StepLR", "MultiStepLR")])
def test_a_policy_needs_no_end(kind):
    policy = getattr(schedule, kind)(by_epoch=False)
    assert policy.end == schedule.INF
    values = [policy.step((), Time(i, 0), np.array([1.0]))[1][0] for i in (0, 10**6)]
    assert values[0] != 1.0 or kind == "CosineAnnealingLR"
    if kind == "ConstantLR":
        assert values == [1 / 3, 1 / 3]


def test_a_policy_without_end_has_none_in_iterations_either():
    assert schedule.ConstantLR().in_iterations(7).end == schedule.INF
    assert schedule.ConstantLR(end=3).in_iterations(7).end == 21


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: schedule.StepLR(step_size=0), "StepLR: step_size = 0: at least 1"),
        (lambda: schedule.CosineAnnealingLR(T_max=0), "CosineAnnealingLR: T_max = 0: at least 1"),
    ],
)
def test_a_length_of_nothing_is_refused(make, text):
    with pytest.raises(FkitValueError, match=text):
        make()


@dataclass(frozen=True)
class Twice:
    """A closed policy of one's own: no more than the protocol asks for."""

    closed: ClassVar[bool] = True
    param: str = "lr"

    def init(self):
        return ()

    def step(self, state, at, value):
        return state, value * (2 if at.iteration % 3 else 1) * (at.epoch + 1)


def ranged(make):
    """A policy of any range, made by ``make(begin, end, by_epoch)``."""
    return st.builds(
        lambda begin, span, by_epoch: make(begin, begin + span, by_epoch),
        st.integers(0, 9),
        st.integers(1, 40),
        st.booleans(),
    )


def options(begin, end, by_epoch):
    return {"begin": begin, "end": end, "by_epoch": by_epoch}


POLICIES = (
    st.just(Twice())
    | ranged(lambda *range: schedule.ConstantLR(**options(*range)))
    | ranged(lambda *range: schedule.LinearLR(**options(*range)))
    | ranged(lambda *range: schedule.StepLR(step_size=3, **options(*range)))
    | ranged(lambda *range: schedule.MultiStepLR(milestones=(2, 5, 5, 30), **options(*range)))
    | ranged(lambda *range: schedule.CosineAnnealingLR(eta_min=0.01, **options(*range)))
    | ranged(lambda *range: schedule.CosineAnnealingLR(T_max=7, eta_min_ratio=0.1, **options(*range)))
)


@given(st.lists(POLICIES, min_size=1, max_size=3), st.integers(0, 60), st.integers(0, 9), st.integers(1, 70))
def test_what_is_computed_ahead_is_what_each_iteration_gives_to_the_bit(made, iteration, epoch, count):
    base = {"lr": np.array([0.1, 0.037]), "momentum": np.array([0.9, 0.9])}
    states = tuple(policy.init() for policy in made)
    rows = schedule.ahead(tuple(made), Time(iteration, epoch), count, base)
    assert rows.keys() == {"lr"}
    for i in range(count):
        want = chain(tuple(made), states, Time(iteration + i, epoch), base)[1]["lr"]
        assert rows["lr"][i].tolist() == want.tolist()


@given(POLICIES.filter(lambda policy: hasattr(policy, "change")), st.integers(0, 60))
def test_a_policy_gives_the_same_until_it_says_that_it_may_change(policy, now):
    def value(t):
        return policy.step((), Time(t, t), np.array([0.1]))[1].tolist()

    change = policy.change(Time(now, now))
    assert change is None or change > now
    for t in range(now, 120 if change is None else change):
        assert value(t) == value(now)

"""Schedules by value: closed forms and chains of them. The recorded values are the book ``schedules``."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkit.training.schedule.anneal import (
    CosineAnnealingLR,
    CosineAnnealingWeightDecay,
    PolyLR,
    PolyLRRatio,
    QuadraticWarmupLR,
)
from fkit.training.schedule.chain import ahead, arrange, chain
from fkit.training.schedule.cycle import CosineRestartLR, OneCycleLR
from fkit.training.schedule.factor import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, StepLR
from fkit.training.schedule.plateau import ReduceOnPlateauLR
from fkit.training.schedule.policy import INF, Extent, Time
from fkit.training.schedule.recursion import Recursion
from fkit.training.schedule.twin import CosineAnnealingParamScheduler
from fkit.training.schedule.updater import CosineAnnealingCooldownLrUpdater
from fkit.tree.error import FkitValueError


def test_a_range_of_nothing_is_refused():
    with pytest.raises(FkitValueError, match="begin=5 and end=5 make no range"):
        LinearLR(begin=5, end=5)


def test_a_schedule_of_what_the_optimizer_lacks_names_what_it_has():
    with pytest.raises(FkitValueError, match=r"acts on 'momentum'.*\n.*lr"):
        arrange((ConstantLR(end=2, param="momentum"),), {"lr": np.array([0.1])})


def test_a_momentum_schedule_acts_on_adams_first_beta():
    values = {"lr": np.array([0.1]), "beta1": np.array([0.8])}
    policy = ConstantLR(factor=0.5, end=9, param="momentum")
    assert chain(arrange((policy,), values), ((),), Time(0, 0), values)[1]["beta1"].tolist() == [0.4]


@pytest.mark.parametrize("kind", [LinearLR, ConstantLR, CosineAnnealingLR])
def test_a_policy_needs_no_end(kind):
    policy = kind(by_epoch=False)
    assert policy.end == INF
    values = [policy.step((), Time(i, 0), np.array([1.0]))[1][0] for i in (0, 10**6)]
    assert values[0] != 1.0 or kind is CosineAnnealingLR
    if kind is ConstantLR:
        assert values == [1 / 3, 1 / 3]


def test_a_policy_without_end_has_none_in_iterations_either():
    assert ConstantLR().in_iterations(7).end == INF
    assert ConstantLR(end=3).in_iterations(7).end == 21


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: StepLR(step_size=0), "StepLR: step_size = 0: at least 1"),
        (lambda: CosineAnnealingLR(T_max=0), "CosineAnnealingLR: T_max = 0: at least 1"),
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
    | ranged(lambda *range: ConstantLR(**options(*range)))
    | ranged(lambda *range: LinearLR(**options(*range)))
    | ranged(lambda *range: StepLR(step_size=3, **options(*range)))
    | ranged(lambda *range: MultiStepLR(milestones=(2, 5, 5, 30), **options(*range)))
    | ranged(lambda *range: CosineAnnealingLR(eta_min=0.01, **options(*range)))
    | ranged(lambda *range: CosineAnnealingLR(T_max=7, eta_min_ratio=0.1, **options(*range)))
)
SCHEDULERS = (
    ranged(lambda *range: ConstantLR(**options(*range)))
    | ranged(lambda *range: LinearLR(**options(*range)))
    | ranged(lambda *range: StepLR(step_size=3, gamma=0.7, **options(*range)))
    | ranged(lambda *range: ExponentialLR(gamma=0.97, **options(*range)))
    | ranged(lambda *range: MultiStepLR(milestones=(0, 2, 5, 5, 30), gamma=0.9, **options(*range)))
    | ranged(lambda *range: CosineAnnealingLR(eta_min=0.01, **options(*range)))
    | ranged(lambda *range: CosineAnnealingLR(T_max=41, **options(*range)))
    | ranged(lambda *range: CosineAnnealingLR(T_max=7, eta_min_ratio=0.1, **options(*range)))
    | ranged(lambda *range: PolyLR(power=0.9, eta_min=0.01, **options(*range)))
    | ranged(lambda *range: PolyLR(power=2.0, **options(*range)))
    | ranged(lambda *range: QuadraticWarmupLR(**options(*range)))
    | ranged(lambda *range: OneCycleLR(eta_max=(0.1, 0.2), total_steps=200, **options(*range)))
    | ranged(lambda *range: CosineRestartLR(periods=(4, 9), restart_weights=(1, 0.5), eta_min=0.01, **options(*range)))
)


@given(st.lists(POLICIES, min_size=1, max_size=3), st.integers(0, 60), st.integers(0, 9), st.integers(1, 70))
def test_what_is_computed_ahead_is_what_each_iteration_gives_to_the_bit(made, iteration, epoch, count):
    base = {"lr": np.array([0.1, 0.037]), "momentum": np.array([0.9, 0.9])}
    links = [link for link in arrange(made, base, Extent(True, 50, 7)) if not isinstance(link.policy, Recursion)]
    states = tuple(link.policy.init() for link in links)
    rows = ahead(tuple(links), Time(iteration, epoch), count, base)
    assert rows.keys() <= {"lr"}
    for i in range(count if rows else 0):
        want = chain(tuple(links), states, Time(iteration + i, epoch), base)[1]["lr"]
        assert rows["lr"][i].tolist() == want.tolist()


def walk(links, base, epochs, length):
    """What a chain gives in each iteration of a run of epochs, step by step."""
    states, rows = tuple(link.policy.init() for link in links), []
    for iteration in range(epochs * length):
        states, values = chain(links, states, Time(iteration, iteration // length), base)
        rows.append(values["lr"])
    return np.array(rows)


@given(st.lists(SCHEDULERS, min_size=1, max_size=4), st.integers(1, 9))
def test_closed_forms_are_what_mmengines_recursion_gives(made, length):
    base = {"lr": np.array([0.1, 0.037]), "initial_lr": np.array([0.2, 0.037])}
    links = arrange(made, base, Extent(True, 12, length))
    recursion = arrange([ReduceOnPlateauLR(), *made], base, Extent(True, 12, length))
    assert [type(link.policy) for link in recursion] == [Recursion]
    np.testing.assert_allclose(walk(links, base, 12, length), walk(recursion, base, 12, length), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("made", "closed"),
    [
        ([LinearLR(by_epoch=False, end=9), MultiStepLR(milestones=(1, 2), end=9)], True),
        ([LinearLR(by_epoch=False, end=9), CosineAnnealingLR(eta_min=0.01, begin=2, end=9)], True),
        ([CosineAnnealingLR(eta_min=0.01, begin=2, end=9), LinearLR(by_epoch=False, end=9)], True),
        ([LinearLR(by_epoch=False, end=99), CosineAnnealingLR(eta_min=0.01, begin=2, end=9)], False),
        ([LinearLR(by_epoch=False, end=99), CosineAnnealingLR(begin=2, end=9)], True),
        ([LinearLR(end=9), CosineAnnealingLR(T_max=3, end=9)], False),
        ([LinearLR(end=9), OneCycleLR(eta_max=0.1, end=9)], False),
        ([LinearLR(end=9), ReduceOnPlateauLR()], False),
    ],
)
def test_a_chain_whose_members_commute_is_closed(made, closed):
    links = arrange(made, {"lr": np.array([0.1])}, Extent(True, 9, 6))
    assert all(getattr(link.policy, "closed", False) for link in links) is closed


def test_of_several_optimizers_each_has_the_policy_of_a_bare_name():
    base = {"gen.lr": np.array([0.1]), "disc.lr": np.array([0.2, 0.3]), "disc.momentum": np.array([0.9])}
    links = arrange([StepLR(step_size=1, end=9), StepLR(step_size=1, gamma=0.5, end=9, param="disc.lr")], base)
    values = chain(links, tuple(link.policy.init() for link in links), Time(9, 1), base)[1]
    np.testing.assert_allclose(values["gen.lr"], [0.01])
    np.testing.assert_allclose(values["disc.lr"], [0.01, 0.015])


@given(POLICIES.filter(lambda policy: hasattr(policy, "change")), st.integers(0, 60))
def test_a_policy_gives_the_same_until_it_says_that_it_may_change(policy, now):
    def value(t):
        return policy.step((), Time(t, t), np.array([0.1]))[1].tolist()

    change = policy.change(Time(now, now))
    assert change is None or change > now
    for t in range(now, 120 if change is None else change):
        assert value(t) == value(now)


def test_a_scheduler_of_any_hyperparameter_is_told_its_name():
    base = {"lr": np.array([0.1]), "weight_decay": np.array([0.0, 0.1])}
    for policy in (
        CosineAnnealingParamScheduler(param_name="weight_decay", eta_min=0.2, end=5),
        CosineAnnealingWeightDecay(eta_min=0.2, end=5),
    ):
        [link] = arrange([policy], base, Extent(True, 5, 2))
        values = chain((link,), ((),), Time(8, 4), base)[1]
        low = 0.0 if isinstance(policy, CosineAnnealingWeightDecay) else 0.2 * (1 - (1 + np.cos(0.8 * np.pi)) / 2)
        assert link.name == "weight_decay" and values["lr"].tolist() == [0.1]
        np.testing.assert_allclose(values["weight_decay"], [low, 0.2 - 0.1 * (1 + np.cos(0.8 * np.pi)) / 2])


def test_quadratic_warmup_is_mmdets_sum():
    policy = QuadraticWarmupLR(end=6, by_epoch=False)
    value, rows = 0.0, []
    for t in range(6):  # X_t = X_{t-1} + (2 t + 1) / T ** 2 * X_base
        value += (2 * t + 1) / 36 * 0.1
        rows.append(value)
    base = {"lr": np.array([0.1])}
    np.testing.assert_allclose(ahead(arrange([policy], base), Time(0, 0), 8, base)["lr"][:, 0], [*rows, 0.1, 0.1])


def test_polys_lowest_value_may_be_a_ratio():
    base = {"lr": np.array([0.1, 0.02])}
    links = arrange([PolyLRRatio(eta_min_ratio=0.1, power=2.0, end=5, by_epoch=False)], base)
    np.testing.assert_allclose(ahead(links, Time(4, 0), 1, base)["lr"], [[0.01, 0.002]])
    np.testing.assert_allclose(ahead(links, Time(2, 0), 1, base)["lr"], [[0.01 + 0.09 / 4, 0.002 + 0.018 / 4]])


def test_mmclss_cooldown_is_a_tenth_of_the_end():
    base = {"lr": np.array([0.1])}
    links = arrange([CosineAnnealingCooldownLrUpdater(min_lr=0.01, cool_down_time=2)], base, Extent(True, 6, 3))
    rates = [chain(links, ((),), Time(0, epoch), base)[1]["lr"][0] for epoch in range(6)]
    np.testing.assert_allclose(rates, [*(0.01 + 0.045 * (1 + np.cos(np.pi * t / 4)) for t in range(5)), 0.001])

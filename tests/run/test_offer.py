"""Hooks name what they need of a plan, and may wrap its program; no plan asks a hook for its class."""

from dataclasses import dataclass, replace

import pytest

import fkit
from fkit.run.course import Course, Validation
from fkit.run.effect import WriteScalars
from fkit.run.hook.hook import Hook
from fkit.tree.error import FkitTypeError
from tests.run.small import config, registry


@dataclass(frozen=True)
class Curious(Hook):
    """Keeps all that it is offered."""

    seen: tuple = ()

    def bind(self, offer):
        return replace(self, seen=(offer.course, offer.hyperparams(), offer.schedules()))


def test_a_hook_gets_what_the_plan_offers():
    plan = fkit.plan(config(custom_hooks=[{"type": "Curious"}]), registry().register("hooks", Curious))
    course, hyperparams, schedules = dict(plan.hooks)["custom_hooks.0"].seen
    assert course == Course(True, 3, validation=Validation())
    assert {name: value.tolist() for name, value in hyperparams.items()} == {
        "lr": [0.1],
        "momentum": [0.9],
        "weight_decay": [1e-3],
    }
    assert [type(policy).__name__ for policy in schedules] == ["CosineAnnealingLR"]


def test_the_schedules_hook_has_the_configs_policies_under_any_name():
    hooks = {"default_hooks": {"param_scheduler": None}, "custom_hooks": [{"type": "ParamSchedulerHook"}]}
    [policy] = dict(fkit.plan(config(**hooks), registry()).hooks)["custom_hooks.0"].policies
    assert type(policy).__name__ == "CosineAnnealingLR"


def test_what_is_no_hook_is_refused_by_its_place():
    reg = registry().register("hooks", dict, name="Table")
    with pytest.raises(FkitTypeError, match=r"custom_hooks\[0\]: \{\} is no hook: it is not derived from fkit.Hook"):
        fkit.plan(config(custom_hooks=[{"type": "Table"}]), reg)


@dataclass(frozen=True)
class Louder(Hook):
    """Adds a loss of 1000 to what is logged."""

    def wrap(self, program):
        def step(state, batch, hyperparams):
            state, logs = program.train_step(state, batch, hyperparams)
            return state, {**logs, "loss_louder": 1000.0}

        return program._replace(train_step=step)


def test_a_hook_may_wrap_the_program():
    plan = fkit.plan(config(custom_hooks=[{"type": "Louder"}]), registry().register("hooks", Louder))
    rows = [
        effect.scalars
        for _, effects in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan))
        for effect in effects
        if isinstance(effect, WriteScalars) and effect.mode == "train"
    ]
    assert len(rows) == 12 and all(row["loss_louder"] == 1000.0 and row["loss"] < 1000 for row in rows)

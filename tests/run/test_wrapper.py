"""Optimizer wrappers in a run: what their keys make of the plan, what is logged, what fails."""

import math
from typing import Any

import numpy as np
import pytest

import fkit
from fkit.run.effect import Fail, WriteScalars
from fkit.run.event import Event
from fkit.run.hook.gradient import FiniteGradientHook
from fkit.run.state import Memory
from tests.run.small import config, registry

BACKENDS = ("torch", "jax")


def _plan(backend: str = "torch", **changes: Any) -> Any:
    return fkit.plan(config(**changes), registry(), backend=backend)


def _run(plan: Any) -> tuple[Any, list[Any]]:
    """The run's end, and all effects."""
    run, seen = fkit.begin(plan), []
    for run, effects in fkit.train(plan, run, fkit.open_data(plan)):
        seen += effects
    return run, seen


def _rows(effects: list[Any]) -> list[Any]:
    return [one for one in effects if isinstance(one, WriteScalars) and one.mode == "train"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_last_iterations_of_a_run_are_averaged_among_themselves(backend: str) -> None:
    """12 iterations by fives: moved after 5, 10 and 12; the norm is logged where the parameters move."""
    wrapper = {"optim_wrapper.accumulative_counts": 5, "optim_wrapper.clip_grad": {"max_norm": 0.1}}
    plan = _plan(backend, **wrapper)
    run, effects = _run(plan)
    assert plan.program.spec.total == 12 and int(run.train.updates) == 3
    assert [row.step for row in _rows(effects) if "grad_norm" in row.scalars] == [5, 10, 12]
    assert all(row.scalars["grad_norm"] > 0.1 for row in _rows(effects) if "grad_norm" in row.scalars)


def test_by_value_the_greatest_magnitude_is_logged() -> None:
    _, effects = _run(_plan(**{"optim_wrapper.clip_grad": {"type": "value", "clip_value": 1e-3}}))
    rows = _rows(effects)
    assert len(rows) == 12 and all(row.scalars["grad_value"] > 1e-3 for row in rows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_norm_that_is_not_finite_fails_at_once_where_it_is_asked_to(backend: str) -> None:
    """The rate is far too high: torch's clipping would raise at the very step; its parameters have not moved."""
    clip = {"optim_wrapper.clip_grad": {"max_norm": math.inf, "error_if_nonfinite": True}}
    cfg = config(**clip).merge({"optim_wrapper.optimizer.lr": 1e30, "default_hooks.logger.interval": 100})
    plan = fkit.plan(cfg, registry(), backend=backend)
    assert ("finite_gradient", FiniteGradientHook()) in plan.hooks
    with pytest.raises(fkit.FkitError, match=r"grad_norm = (nan|inf) at iteration \d is not finite, and clip_grad has"):
        _run(plan)


def test_the_check_by_value() -> None:
    hook, memory = FiniteGradientHook(), Memory()
    good = Event("after_train_iter", iteration=1, logs={"grad_norm": 2.0})
    assert hook.after_train_iter(memory, None, good) == (memory, ())  # type: ignore[arg-type]
    assert hook.after_train_iter(memory, None, Event("after_train_iter")) == (memory, ())  # type: ignore[arg-type]
    bad = Event("after_train_iter", iteration=2, logs={"grad_norm": math.nan})
    (effect,) = hook.after_train_iter(memory, None, bad)[1]  # type: ignore[arg-type]
    assert isinstance(effect, Fail) and "iteration 2" in effect.what


def test_a_run_without_clipping_has_no_hook_for_it_and_no_length_to_know() -> None:
    plan = _plan()
    assert "finite_gradient" not in dict(plan.hooks) and plan.program.spec.total is None


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ({"max_norm": 1.0, "foreach": False}, "clip_grad.foreach = False"),
        ({"clip_value": 1.0, "error_if_nonfinite": True}, "either max_norm"),
    ],
)
def test_what_a_clip_cannot_do_is_refused(clip: dict[str, Any], words: str) -> None:
    with pytest.raises(fkit.FkitError, match=words):
        _plan(**{"optim_wrapper.clip_grad": clip})


@pytest.mark.parametrize("backend", BACKENDS)
def test_frozen_parameters_keep_their_bits(backend: str) -> None:
    """What no phase trains: no decay, no momentum, no clipping reaches it."""
    plan = _plan(backend)
    state = plan.program.init(0)
    trained = {name for name in state.params if name.startswith("head.")}
    spec = plan.program.spec
    phases = tuple(phase._replace(params="^head") for phase in spec.phases)
    program = plan.room.program(spec.__class__(**{**spec.__dict__, "phases": phases, "donate": False}))
    before = program.collect(state)
    batch = next(iter(fkit.open_data(plan)["train"].batches(0, 0)))
    state, _ = program.train_step(state, batch, program.hyperparams())
    after = program.collect(state)
    for path, array in after.items():
        if path.startswith("params/"):
            assert np.array_equal(array, before[path]) == (path.removeprefix("params/") not in trained), path

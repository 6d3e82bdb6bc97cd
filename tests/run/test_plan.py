"""From a config to a program: what happens to gradients, and who set what is wrong."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import fkit
from tests.run.counting import config, epochs

CFG = fkit.load_config(Path(__file__).parents[2] / "configs/digits/mlp.py").merge(
    {
        "optim_wrapper.optimizer": {"_delete_": True, "type": "SGD", "lr": 0.5},
        "model.backbone.dropout": 0.0,
        "dtype": "float64",
        "train_dataloader.batch_size": 8,
    }
)


def batches(count):
    stream = fkit.open_data(fkit.plan(CFG))["train"].batches(0, 0)
    return [next(stream) for _ in range(count)]


def moved(changes, count, backend="torch"):
    """How far each parameter is from its start after each step, and the updates that counted."""
    program = fkit.program(CFG.merge(changes), backend=backend, donate=False)
    state, steps = program.init(0), []
    start = program.collect(state)
    names = [name for name in start if name.startswith("params/")]
    for batch in batches(count):
        state, _ = program.train_step(state, batch, program.hyperparams())
        now = program.collect(state)
        steps.append(({name: now[name] - start[name] for name in names}, int(now["updates"])))
    return steps


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_gradients_are_clipped_by_norm(backend):
    [(plain, _)] = moved({}, 1, backend)
    norm = float(np.sqrt(sum((delta**2).sum() for delta in plain.values()))) / 0.5
    [(clipped, _)] = moved({"optim_wrapper.clip_grad": {"max_norm": norm / 4}}, 1, backend)
    for name, delta in plain.items():
        assert np.allclose(clipped[name], delta * (norm / 4) / (norm + 1e-6), rtol=0, atol=1e-12)


def test_gradients_are_clipped_by_value():
    [(plain, _)] = moved({}, 1)
    limit = max(float(abs(delta).max()) for delta in plain.values()) / 3
    [(clipped, _)] = moved({"optim_wrapper.clip_grad": {"type": "value", "clip_value": limit / 0.5}}, 1)
    for name, delta in plain.items():
        assert np.allclose(clipped[name], delta.clip(-limit, limit), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_gradients_of_several_steps_are_averaged_for_one_update(backend):
    (first, none), (second, one) = moved({"optim_wrapper.accumulative_counts": 2}, 2, backend)
    assert (none, one) == (0, 1) and all(not delta.any() for delta in first.values())
    program = fkit.program(CFG, backend=backend, donate=False)
    start = program.init(0)
    before = program.collect(start)
    alone = [program.collect(program.train_step(start, batch, program.hyperparams())[0]) for batch in batches(2)]
    for name, delta in second.items():
        mean = (alone[0][name] + alone[1][name]) / 2 - before[name]
        assert np.allclose(delta, mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("text", ["interval=0", "intervall=3", "interval='3'"])
def test_an_error_in_a_default_hook_names_the_line_that_changed_it(text, tmp_path):
    (tmp_path / "base.py").write_text(CFG.text("python"))
    (tmp_path / "a.py").write_text(f"_base_ = ['base.py']\n\ndefault_hooks = dict(logger=dict({text}))\n")
    with pytest.raises(fkit.FkitError, match=r"^\S*a\.py:3: default_hooks\.logger"):
        fkit.plan(fkit.load_config(tmp_path / "a.py"))


def test_data_that_the_workflow_asks_for_is_asked_for_before_the_first_step():
    plan = fkit.plan(CFG.merge({"workflow": [("train", 1), ("val", 1)]}))
    with pytest.raises(fkit.FkitError, match="`data` has no source 'val'"):
        next(fkit.train(plan, fkit.begin(plan), {"train": fkit.open_data(plan)["train"]}))


def _broken(*_):
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(
    ("methods", "text"),
    [
        ({"wrap": lambda self, program: None}, "what hook 'custom_hooks.0' gives in wrap is a program"),
        ({"wrap": _broken}, "hook 'custom_hooks.0' raised in wrap: ZeroDivisionError"),
        ({"bind": lambda self, offer: None}, r"custom_hooks\[0\]: what it gives in bind is a hook, not None"),
        ({"bind": _broken}, "hook 'custom_hooks.0' raised in bind: ZeroDivisionError"),
        ({"answers": _broken}, "hook 'custom_hooks.0' raised in answers: ZeroDivisionError"),
        ({"memory": _broken}, r"hook 'custom_hooks.0' raised in memory\(\): ZeroDivisionError"),
        ({"memory": lambda self: {"best": 0}}, r"hook 'custom_hooks.0': memory\(\) gives a Memory, not \{'best': 0\}"),
        (
            {"after_train_itre": lambda self, *_: None},
            r"method 'after_train_itre', .*\n.*Did you mean 'after_train_iter'",
        ),
    ],
)
def test_a_hook_that_breaks_its_contract_is_named(methods, text):
    mine = dataclasses.dataclass(frozen=True)(type("Mine", (fkit.Hook,), methods))
    registry = fkit.registry().register("hooks", mine, name="Mine")
    with pytest.raises(fkit.FkitError, match=text):
        fkit.begin(fkit.plan(config({**epochs(1), "custom_hooks": [{"type": "Mine"}]}), registry))


def test_fields_are_no_handlers():
    fields = {
        "before_lunch": True,
        "__annotations__": {"before_lunch": bool},
    }
    mine = dataclasses.dataclass(frozen=True)(type("Mine", (fkit.Hook,), fields))
    registry = fkit.registry().register("hooks", mine, name="Mine")
    plan = fkit.plan(config({**epochs(1), "custom_hooks": [{"type": "Mine"}]}), registry)
    assert all(name != "custom_hooks.0" for rows in plan.handlers.values() for name, _ in rows)

"""Runs that train together in one process: each is an ordinary run, and none knows of the others."""

import json

import numpy as np
import pytest

import fkit
from fkit.edge.group import likeness, run_group
from fkit.edge.journal import read_rows
from fkit.edge.work import Outcome, screened

BACKENDS = ("torch", "jax")
BASE = fkit.load_config("digits/mlp", "train_cfg.max_epochs=2", "dtype=float64", "seed=0")


def trained(configs, registry=None, **options):
    with screened() as screen:
        return run_group(configs, fkit.registry() if registry is None else registry, screen, **options)


def seeds(folder, backend, count):
    return [
        BASE.merge(
            {"seed": seed, "backend": backend, "work_dir": str(folder / f"together{seed}")}
            | {"optim_wrapper.optimizer.lr": 1e-3 * (seed + 1)}
        )
        for seed in range(count)
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_runs_that_train_together_are_the_separate_ones(backend, tmp_path):
    configs = seeds(tmp_path, backend, 3)
    done = trained(configs)
    assert "vmapped" in done.form
    for cfg, outcome in zip(configs, done.outcomes, strict=True):
        assert isinstance(outcome, Outcome) and outcome.run.status == "finished"
        alone = tmp_path / f"alone{cfg.seed}"
        run = fkit.run_config(cfg.merge({"work_dir": str(alone)}))
        assert run.metrics == outcome.run.metrics
        mine, other = (read_rows(place / "metrics.jsonl") for place in (outcome.folder, alone))
        assert [row["step"] for row in mine] == [row["step"] for row in other] and len(mine) > 4
        for row, theirs in zip(mine, other, strict=True):
            if "loss" in theirs:
                np.testing.assert_allclose(row["loss"], theirs["loss"], rtol=1e-9)
        record = json.loads((outcome.folder / "run.json").read_text())
        assert record["together"] == 3 and record["seed"] == cfg.seed
        assert record["fingerprint"] == json.loads((alone / "run.json").read_text())["fingerprint"]


def test_a_run_that_fails_ends_no_other(tmp_path):
    configs = seeds(tmp_path, "torch", 3)
    configs[1] = configs[1].merge({"optim_wrapper.optimizer.lr": 1e200})  # its loss is soon no number
    first, second, third = trained(configs).outcomes
    assert isinstance(second, fkit.FkitError) and "not finite" in str(second)
    assert isinstance(first, Outcome) and isinstance(third, Outcome)
    assert first.run.iteration == third.run.iteration == 46
    assert json.loads((tmp_path / "together1/run.json").read_text())["status"] == "failed"


def test_runs_go_on_together(tmp_path):
    configs = seeds(tmp_path, "torch", 2)
    trained(configs)
    longer = [cfg.merge({"train_cfg.max_epochs": 3}) for cfg in configs]
    done = trained(longer, resume=[True, True])
    assert [outcome.run.iteration for outcome in done.outcomes] == [69, 69]


def test_what_runs_that_train_together_share():
    one = BASE.merge({"param_scheduler.0.end": 5, "optim_wrapper.optimizer.weight_decay": 0.3})
    assert likeness(one) == likeness(BASE) == likeness(BASE.merge({"optim_wrapper.optimizer.betas": (0.8, 0.99)}))
    for change in (
        {"model.backbone.dropout": 0.2},
        {"optim_wrapper.optimizer.type": "Adam"},
        {"optim_wrapper.optimizer.etas": (0.5, 1.2)},  # no argument of a step, as betas are
        {"train_cfg.max_epochs": 9},
    ):
        assert likeness(BASE.merge(change)) != likeness(BASE)

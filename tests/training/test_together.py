"""Several runs as one step: the numbers of separate steps, on either backend."""

import itertools

import numpy as np
import pytest

import fkit

BACKENDS = ("torch", "jax")
RUNS, STEPS = 3, 6
PLAIN = fkit.load_config("digits/mlp", "seed=0", "dtype=float64")
CASES = {
    "dropout": PLAIN.merge({"model.backbone.dropout": 0.3}),
    "clipped": PLAIN.merge({"optim_wrapper.clip_grad": {"max_norm": 0.1}}),
    "momentum": PLAIN.merge(
        {"optim_wrapper.optimizer": {"_delete_": True, "type": "SGD", "lr": 0.05, "momentum": 0.9, "nesterov": True}}
    ),
}


def batches(cfg, backend, seed):
    data = fkit.open_data(fkit.plan(cfg.merge({"seed": seed}), backend=backend))
    return list(itertools.islice(data["train"].batches(0), STEPS))


def own(program, place):
    """The hyperparameters of a run: each has another learning rate."""
    return {name: value * (1 + place) if name == "lr" else value for name, value in program.hyperparams().items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_joined_steps_are_the_separate_ones(backend, name):
    program = fkit.plan(CASES[name], backend=backend).program
    together, why = program.train_step.together()
    assert together is not None and why == "" and "vmapped" in together.form
    given = [batches(CASES[name], backend, seed) for seed in range(RUNS)]
    numbers = [own(program, place) for place in range(RUNS)]
    joined, told = together.join([program.init(seed) for seed in range(RUNS)]), []
    for step in range(STEPS):
        joined, logs = together.step(joined, [given[run][step] for run in range(RUNS)], numbers)
        told.append([float(one["loss"]) for one in logs])
    for run in range(RUNS):
        state, losses = program.init(run), []
        for batch in given[run]:
            state, logs = program.train_step(state, batch, numbers[run])
            losses.append(float(logs["loss"]))
        np.testing.assert_allclose([row[run] for row in told], losses, rtol=1e-12)
        want, found = program.collect(state), program.collect(together.part(joined, run))
        assert want.keys() == found.keys()
        for path, array in want.items():
            np.testing.assert_allclose(found[path], array, rtol=1e-9, atol=1e-12, err_msg=path)
        # what was cut out goes on by itself
        state, logs = program.train_step(state, given[run][0], numbers[run])
        _, mine = program.train_step(together.part(joined, run), given[run][0], numbers[run])
        np.testing.assert_allclose(float(mine["loss"]), float(logs["loss"]), rtol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_momentum_that_only_another_run_has_is_its_own(backend):
    still = CASES["momentum"].merge(
        {"optim_wrapper.optimizer.momentum": 0.0, "optim_wrapper.optimizer.nesterov": False}
    )
    program, seeds = fkit.plan(still, backend=backend).program, (0, 1)
    together, _ = program.train_step.together()
    numbers = [{**program.hyperparams(), "momentum": np.array([momentum])} for momentum in (0.0, 0.9)]
    given = [batches(still, backend, seed) for seed in seeds]
    joined = together.join([program.init(seed) for seed in seeds])
    for step in range(STEPS):
        joined, _ = together.step(joined, [given[run][step] for run in seeds], numbers)
    for run in seeds:
        state = program.init(run)
        for batch in given[run]:
            state, _ = program.train_step(state, batch, numbers[run])
        found = program.collect(together.part(joined, run))
        for path, array in program.collect(state).items():
            if path.startswith("params/"):
                np.testing.assert_allclose(found[path], array, rtol=1e-9, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_convolutions_on_a_cpu_step_apart(backend):
    together, why = fkit.plan(fkit.load_config("digits/convnet"), backend=backend).program.train_step.together()
    assert together is None and "convolutions" in why

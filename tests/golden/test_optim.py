"""The book ``optim``: training paths of a small network, with clipping and accumulation, on both backends."""

from typing import Any

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import fkit
from fkit.backend.jax.layers import Linear
from fkit.structures.batch import Batch
from tests.golden.decoding import untagged

BOOK = "optim"

_NAMES = dict(w1="fc1.weight", b1="fc1.bias", w2="fc2.weight", b2="fc2.bias")
# what the comparison allows: the book's own words
_FLOAT64 = dict(rtol=1e-9, atol=1e-12)
_FLOAT32 = dict(rtol=1e-5, atol=1e-6)


class TorchNet(torch.nn.Module):
    """y = tanh(x w1^T + b1) w2^T + b2, with the mean square error."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = torch.nn.Linear(3, 4), torch.nn.Linear(4, 1)

    def forward(self, inputs, samples=None, mode="tensor"):
        y = self.fc2(torch.tanh(self.fc1(inputs)))
        return {"loss": ((y - samples.targets["t"]) ** 2).mean()} if mode == "loss" else y


class FlaxNet(linen.Module):
    """The same."""

    def example_inputs(self):
        return np.zeros((2, 3), np.float32)

    @linen.compact
    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        y = Linear(1, name="fc2")(jnp.tanh(Linear(4, name="fc1")(inputs)))
        return {"loss": ((y - samples.targets["t"]) ** 2).mean()} if mode == "loss" else y


def cases(book: dict[str, Any]) -> list[dict[str, Any]]:
    """Each path on each backend, with what all of them share."""
    common = {"path_init": book["path_init"], "path_batches": book["path_batches"]}
    return [
        {**common, **case, "backend": backend, "id": f"{case['id']}/{backend}"}
        for case in book["path_cases"]
        for backend in ("torch", "jax")
    ]


def config(case: dict[str, Any]) -> fkit.Config:
    """The run of a case, in the vocabulary of its package."""
    case = untagged({key: value for key, value in case.items() if not key.startswith("path_")})
    model = dict(model=dict(type="Net"), seed=0, device="cpu", dtype=case["dtype"])
    data = dict(type="Digits", pipeline=[])
    if case["ref"] == "mmcv1":
        old = dict(optimizer=case["optimizer"], optimizer_config=case["optimizer_config"],
                   runner=dict(type="IterBasedRunner", max_iters=case["max_iters"]),
                   data=dict(samples_per_gpu=2, workers_per_gpu=0, train=data))  # fmt: skip
        return fkit.Config({**model, **old})
    wrapper = dict(optimizer=case["optimizer"], accumulative_counts=case["accumulative_counts"])
    if "clip_grad" in case:
        wrapper["clip_grad"] = case["clip_grad"]
    if "param_groups" in case:  # one that is named with no setting of its own is what is left over
        named = [
            {**group, "params": [f"^{_NAMES[name]}$" for name in group["params"]]} for group in case["param_groups"]
        ]
        wrapper["param_groups"] = named
    status = case["initialize_count_status"] or {"max_counts": len(case["steps"])}
    loop = dict(by_epoch=False, max_iters=status["max_counts"])
    loader = dict(batch_size=2, dataset=data)
    return fkit.Config({**model, "optim_wrapper": wrapper, "train_cfg": loop, "train_dataloader": loader})


def _program(case: dict[str, Any]) -> Any:
    registry = fkit.registry().register("models", TorchNet, name="Net", backend="torch")
    registry = registry.register("models", FlaxNet, name="Net", backend="jax")
    known = case["ref"] == "mmcv1" or case["initialize_count_status"] is not None
    if known:
        return fkit.plan(config(case), registry, backend=case["backend"]).program
    # by itself a program does not know how long a run is: what mmengine's wrapper does when nobody has told it
    return fkit.program(config(case), registry, backend=case["backend"])


def test_case(case: dict[str, Any]) -> None:
    program = _program(case)
    wide = case["dtype"] == "float64"
    tolerance: Any = _FLOAT64 if wide else _FLOAT32
    weights = {_NAMES[name]: np.array(value, case["dtype"]) for name, value in case["path_init"].items()}
    arrays = program.collect(program.load(program.init(0), weights))
    state = program.restore({**arrays, "iteration": np.int64(case["steps"][0]["iter"])})
    numbers, moved = program.hyperparams(), 0
    for place, step in enumerate(case["steps"]):
        batch = case["path_batches"][step["iter"]]
        inputs, target = np.array(batch["x"], case["dtype"]), np.array(batch["t"], case["dtype"])
        if "lr_per_iter" in case:
            numbers = {**numbers, "lr": np.full_like(numbers["lr"], case["lr_per_iter"][place])}
        state, logs = program.train_step(state, Batch(inputs, {"t": target}), numbers)
        moved += step["stepped"]
        after = program.collect(state)
        assert int(after["updates"]) == moved, step["iter"]
        np.testing.assert_allclose(float(logs["loss"]), step["loss"], **tolerance)
        assert ("grad_norm" in logs) == ("grad_norm" in step), step["iter"]
        if "grad_norm" in step:
            np.testing.assert_allclose(float(logs["grad_norm"]), step["grad_norm"], **tolerance)
        for name, value in step["params"].items():
            np.testing.assert_allclose(after[f"params/{_NAMES[name]}"], value, err_msg=f"{step['iter']}", **tolerance)


def test_every_path_is_tried_on_both_backends(book: dict[str, Any]) -> None:
    names = [case["id"] for case in cases(book)]
    assert len(names) == 2 * len(book["path_cases"]) == 66 and len(set(names)) == 66


@pytest.mark.parametrize("count", [3, 7])
def test_a_run_that_has_become_longer_goes_on_as_one_that_was_resumed(book: dict[str, Any], count: int) -> None:
    """Beyond the end that the transform knew, gradients are shared out as before it: mmengine's rule for each turn."""
    from fkit.training.transform import accumulate

    due = accumulate(count).due
    assert due is not None
    assert [turn for turn in range(24) if due(turn, 20)] == sorted({*range(count - 1, 24, count), 19})

"""Mixed precision on a device: near float32, an overflow skips its step, exact resume, and the fused kernels do it."""

import numpy as np
import pytest
import torch

import fkit
from fkit.array.room import open as open_room
from tests.cuda.digits import DEVICE, batches, config, curve, on_torch

AMP = {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.dtype": "float16"}
# of a loss in half precision against float32, over 22 steps of the ConvNet: eight bits of bfloat16, eleven of float16
TOLERANCE = {"float16": 1e-2, "bfloat16": 5e-2}


def _plan(**changes):
    return fkit.plan(config(device=DEVICE, param_scheduler=None, **changes), backend="torch")


def _loud(batch, factor):
    return fkit.Batch(np.asarray(batch.inputs) * np.float32(factor), batch.targets)


def _arrays(program, state, *heads):
    return {path: array for path, array in program.collect(state).items() if path.startswith(heads)}


@on_torch
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_loss_follows_float32(dtype):
    whole, half = _plan(), _plan(**{**AMP, "optim_wrapper.dtype": dtype})
    items = batches(whole, 22)
    want, _ = curve(whole.program, items)
    got, _ = curve(half.program, items)
    assert not np.array_equal(want, got)
    np.testing.assert_allclose(got, want, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@on_torch
def test_by_default_it_is_float16_on_cuda_and_bfloat16_elsewhere():
    """What autocast computes in, seen in a layer's output."""
    plan = _plan(**{"optim_wrapper.type": "AmpOptimWrapper", "val_cfg": {"fp16": True}})
    outputs = plan.program.predict(plan.program.init(0), batches(plan, 1)[0])
    kinds = {value.dtype for value in outputs.values() if torch.is_tensor(value) and value.is_floating_point()}
    assert plan.program.spec.dtype == "half"
    assert kinds & {torch.float16 if DEVICE.startswith("cuda") else torch.bfloat16, torch.float32}


@on_torch
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW"])
def test_an_overflow_skips_its_step_and_halves_the_scale(optimizer):
    options = {"type": optimizer, "lr": 0.01, **({"momentum": 0.9} if optimizer == "SGD" else {})}
    cfg = config(device=DEVICE, param_scheduler=None, **AMP).merge(
        {"optim_wrapper.optimizer": {"_delete_": True, **options}}
    )
    plan = fkit.plan(cfg, backend="torch")
    program, items = plan.program, batches(plan, 4)
    state, numbers = program.init(0), program.hyperparams()
    for step, (batch, factor) in enumerate(zip(items, (1, 1, 1e9, 1), strict=True)):
        before = _arrays(program, state, "params", "opt")
        state, logs = program.train_step(state, _loud(batch, factor), numbers)
        after = _arrays(program, state, "params", "opt")
        skipped = factor > 1
        assert all(np.array_equal(before[path], array) for path, array in after.items()) == skipped, step
        assert float(logs["grad_scale"]) == (2.0**15 if step == 3 else 2.0**16)
    arrays = program.collect(state)
    assert int(arrays["updates"]) == 3 and float(arrays["slots/loss_scale/scale"]) == 2.0**15


@on_torch
def test_with_scaler_accumulation_and_clipping_a_state_goes_on_to_the_bit():
    changes = {**AMP, "optim_wrapper.accumulative_counts": 3, "optim_wrapper.clip_grad": {"max_norm": 0.1}}
    changes["optim_wrapper.loss_scale"] = {"growth_interval": 2}
    room = open_room("torch")
    room.repeat(DEVICE, True)
    plan = _plan(**changes)
    items = [_loud(batch, 1e9 if step == 4 else 1) for step, batch in enumerate(batches(plan, 12))]
    _, state = curve(plan.program, items)
    want = plan.program.collect(state)
    first, second = _plan(**changes).program, _plan(**changes).program
    _, state = curve(first, items[:7])
    _, state = curve(second, items[7:], second.restore(first.collect(state)))
    got = second.collect(state)
    assert got.keys() == want.keys() and all(got[path].tobytes() == array.tobytes() for path, array in want.items())
    assert int(want["updates"]) == 3

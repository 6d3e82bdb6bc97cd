"""A step on CUDA: it waits for nothing, what feeds it changes no number, and its layout is the fast one."""

import dataclasses

import numpy as np
import pytest
import torch

import fkit
from fkit.training.scale import loss_scale
from fkit.training.spec import Phase
from fkit.training.transform import accumulate, clip_norm
from tests.cuda.digits import DEVICE, batches, config, curve, each_backend, losses, on_gpu, on_torch


@on_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dtype": "bfloat16"},
        {"dtype": "float16"},
        {"model.backbone.dropout": 0.5},
        {"randomness": {"masks": "backend"}},
    ],
    ids=("float32", "bfloat16", "float16", "dropout", "masks of the backend"),
)
@pytest.mark.parametrize(
    "transforms",
    [(), (accumulate(2), clip_norm(0.1)), (accumulate(2), loss_scale(), clip_norm(0.1))],
    ids=("plain", "accumulate and clip", "accumulate, scale and clip"),
)
def test_no_step_waits_for_the_device(changes, transforms):
    plan = fkit.plan(config(device=DEVICE, **changes), backend="torch")
    program = plan.room.program(dataclasses.replace(plan.program.spec, phases=(Phase(transforms=transforms),)))
    items = batches(plan, 8)
    _, state = curve(program, items[:4])  # what is made once may wait
    numbers = program.hyperparams()
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        for batch in items[4:]:
            state, _ = program.train_step(state, batch, numbers)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@each_backend
@pytest.mark.parametrize("workers", [0, 2])
def test_what_feeds_a_step_changes_no_number(backend, workers):
    """A run, whose batches are copied beside the step before, and a plain loop over the same batches."""
    cfg = config(dtype="float64", device=DEVICE, **{"train_dataloader.num_workers": workers, "param_scheduler": None})
    plan = fkit.plan(cfg, backend=backend)
    fed = losses(cfg, backend, 20)
    state = fkit.begin(plan).train
    plain, _ = curve(plan.program, batches(plan, 20), state)
    np.testing.assert_allclose(fed, plain, rtol=1e-12)


@on_torch
def test_a_batch_may_be_written_over_once_its_step_returned():
    """Copies that run beside the step read the caller's arrays before it gets them back. (JAX reads numpy's when it comes
    to it, as it documents.)"""
    plan = fkit.plan(config(dtype="float64", device=DEVICE), backend="torch")
    items = batches(plan, 6)
    want, _ = curve(plan.program, items)
    inputs, labels = np.array(items[0].inputs), np.array(items[0].targets["gt_label"])
    state, numbers, lazy = plan.program.init(0), plan.program.hyperparams(), []
    for item in items:
        inputs[...], labels[...] = item.inputs, item.targets["gt_label"]
        state, logs = plan.program.train_step(state, fkit.Batch(inputs, {"gt_label": labels}), numbers)
        inputs[...], labels[...] = np.nan, 0
        lazy.append(logs["loss"])
    np.testing.assert_allclose([float(loss) for loss in lazy], want, rtol=1e-9)


@on_gpu
@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"dtype": "bfloat16"}, True),
        ({"dtype": "bfloat16", "memory_format": "contiguous"}, False),
        ({"dtype": "float32"}, False),
        ({"dtype": "float32", "memory_format": "channels_last"}, True),
    ],
    ids=("bfloat16", "bfloat16 contiguous", "float32", "float32 channels_last"),
)
def test_kernels_lie_channels_last_where_that_is_fast(changes, last):
    plan = fkit.plan(config(device=DEVICE, **changes), backend="torch")
    program = plan.program
    _, state = curve(program, batches(plan, 2))
    kernels = [tensor for tensor in state.params.values() if tensor.dim() == 4 and min(tensor.shape[1:]) > 1]
    assert kernels and all(k.is_contiguous(memory_format=torch.channels_last) is last for k in kernels)
    arrays = program.collect(state)
    again = program.collect(program.restore(arrays))
    assert all(np.array_equal(again[path], array) and array.flags.c_contiguous for path, array in arrays.items())

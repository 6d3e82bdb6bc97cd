"""The same numbers on CUDA as on the CPU, on torch and on JAX."""

import dataclasses

import numpy as np
import pytest

import fkit
from fkit.training.spec import Phase
from fkit.training.transform import Transform, accumulate, clip_norm, clip_value
from tests.cuda.digits import DEVICE, batches, config, curve, each_backend, losses, on_jax, on_torch

STEPS = 60
WIDE = {"dtype": "float64"}
NAMED = ("Adagrad", "Adadelta", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop")


def programs(backend="torch", devices=("cpu", DEVICE), **changes):
    """The same program on two devices, and batches of its data."""
    cfg = config(**WIDE, **changes)
    plans = [fkit.plan(cfg.merge({"device": device}), backend=backend) for device in devices]
    return [plan.program for plan in plans], batches(plans[0], 12)


@on_torch
@on_jax
def test_the_digits_train_alike_on_cuda_on_the_cpu_and_on_jax():
    """In float64: batch norm, dropout, augmentation, warm-up and AdamW as configs/digits/convnet.py has them."""
    cpu = losses(config(**WIDE, device="cpu"), "torch", STEPS)
    assert len(cpu) == STEPS and cpu[-1] < cpu[0] / 2
    for backend in ("torch", "jax"):
        np.testing.assert_allclose(losses(config(**WIDE, device=DEVICE), backend, STEPS), cpu, rtol=1e-9)


@each_backend
def test_dropout_drops_the_same_on_either_device(backend):
    (cpu, cuda), items = programs(backend, **{"model.backbone.dropout": 0.5})
    for batch in items[:3]:
        pair = [program.loss(program.init(0), batch, (3, 5), train=True)[0]["loss"] for program in (cpu, cuda)]
        other = float(cpu.loss(cpu.init(0), batch, (3, 6), train=True)[0]["loss"])
        assert float(pair[1]) == pytest.approx(float(pair[0]), rel=1e-12)
        assert abs(other - float(pair[0])) > 1e-6  # another key, another mask


@each_backend
def test_predictions_are_the_cpus(backend):
    (cpu, cuda), items = programs(backend)
    room = fkit.plan(config(device="cpu"), backend=backend).room
    one, two = (program.predict(program.init(0), items[0]) for program in (cpu, cuda))
    np.testing.assert_allclose(room.numpy(two["pred_score"]), room.numpy(one["pred_score"]), rtol=1e-10)
    assert np.array_equal(room.numpy(two["pred_label"]), room.numpy(one["pred_label"]))


@on_torch
@pytest.mark.parametrize("name", NAMED)
def test_an_optimizer_by_name_moves_alike(name):
    wrapper = {"type": "OptimWrapper", "optimizer": {"type": name, "lr": 0.01}}
    (cpu, cuda), items = programs(optim_wrapper={"_delete_": True, **wrapper})
    np.testing.assert_allclose(curve(cuda, items)[0], curve(cpu, items)[0], rtol=1e-9)


@each_backend
@pytest.mark.parametrize(
    ("transform", "updates"),
    [(clip_norm(0.1), 12), (clip_value(0.01), 12), (accumulate(3), 4)],
    ids=lambda given: given.name if isinstance(given, Transform) else "",
)
def test_what_stands_between_gradient_and_update_is_the_cpus(backend, transform, updates):
    plain, items = programs(backend)
    room = fkit.plan(config(device="cpu"), backend=backend).room
    phases = (Phase(transforms=(transform,)),)
    cpu, cuda = (room.program(dataclasses.replace(program.spec, phases=phases)) for program in plain)
    (one, end), (two, other) = curve(cpu, items), curve(cuda, items)
    np.testing.assert_allclose(two, one, rtol=1e-9)
    assert not np.allclose(one, curve(plain[0], items)[0], rtol=1e-6)
    assert int(other.updates) == int(end.updates) == updates


@each_backend
def test_a_state_goes_from_the_cpu_to_cuda_and_on(backend):
    """Saved on one device, restored on the other: the rest of the curve is the same."""
    (cpu, cuda), items = programs(backend)
    whole, _ = curve(cpu, items)
    start, state = curve(cpu, items[:6])
    arrays = cpu.collect(state)
    moved = cuda.restore(arrays)
    assert all(np.array_equal(array, arrays[path]) for path, array in cuda.collect(moved).items())
    np.testing.assert_allclose(start + curve(cuda, items[6:], moved)[0], whole, rtol=1e-9)


@each_backend
def test_a_label_outside_the_classes_is_the_cpus_sentence(backend):
    (cpu, cuda), items = programs(backend)
    labels = np.array(items[0].targets["gt_label"])
    labels[0] = 10
    wrong = fkit.Batch(items[0].inputs, {"gt_label": labels})
    texts = []
    for program in (cpu, cuda):
        with pytest.raises(fkit.FkitError) as caught:
            program.train_step(program.init(0), wrong, program.hyperparams())
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    curve(cuda, items[:1])  # the device is none the worse for it


@each_backend
def test_many_numbers_are_read_as_one_by_one(backend):
    plan = fkit.plan(config(device=DEVICE), backend=backend)
    state, numbers, lazy = plan.program.init(0), plan.program.hyperparams(), []
    for batch in batches(plan, 5):
        state, logs = plan.program.train_step(state, batch, numbers)
        lazy.append(logs["loss"])
    assert plan.room.fetch(lazy) == [float(value) for value in lazy]

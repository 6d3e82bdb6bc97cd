"""Runs that go on from mmengine's own files, to the weights that mmengine itself came to; and mmcv's counters."""

from pathlib import Path

import numpy as np
import pytest
import torch

import fkit
from fkit.fileio.weights import read_content
from fkit.run.resume import counters, resumed
from fkit.tree.error import FkitError, FkitValueError

DATA = Path(__file__).parents[1] / "golden/data/openmmlab"
BACKENDS = ("torch", "jax")


class Recorded:
    """The data that mmengine trained on, in its order."""

    def __init__(self):
        with np.load(DATA / "mmengine_data.npz") as file:
            self.inputs, self.labels = file["inputs"], file["labels"]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {"inputs": self.inputs[index], "targets": {"gt_label": np.int64(self.labels[index])}}


def config(**more):
    return fkit.Config(
        dict(
            model=dict(
                type="ImageClassifier",
                backbone=dict(type="ConvNet", in_channels=1, channels=(4,), dropout=0.0),
                neck=dict(type="GlobalAveragePooling"),
                head=dict(type="LinearClsHead", num_classes=3, in_channels=4),
            ),
            train_dataloader=dict(
                batch_size=4, sampler=dict(type="DefaultSampler", shuffle=False), dataset=dict(type="Recorded")
            ),
            seed=3,
            default_hooks=dict(checkpoint=None, logger=None),
            **more,
        )
    )


def epochs(**more):
    return config(
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9)),
        param_scheduler=[
            dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=3),
            dict(type="MultiStepLR", milestones=[2], by_epoch=True),
        ],
        **more,
    )


def iterations(**more):
    return config(
        train_cfg=dict(by_epoch=False, max_iters=5),
        optim_wrapper=dict(
            optimizer=dict(type="AdamW", lr=0.01, weight_decay=0.05), paramwise_cfg=dict(norm_decay_mult=0.0)
        ),
        param_scheduler=dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=0, end=5, by_epoch=False),
        **more,
    )


EMA = [dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.1)]


def opened(cfg, file, backend="torch"):
    plan = fkit.plan(cfg, fkit.registry().register("datasets", Recorded), backend=backend)
    data = fkit.open_data(plan)
    return plan, data, resumed(plan, read_content(DATA / file if isinstance(file, str) else file), data["train"].length)


def finished(plan, data, run):
    for step, _ in fkit.train(plan, run, data, iter(())):
        run = step
    return run, plan.program.collect(run.train)


def theirs(file, key=None):
    content = torch.load(DATA / file)
    return {name.removeprefix("module."): value.numpy() for name, value in (content[key] if key else content).items()}


def close(arrays, want, kinds=("params", "buffers")):
    for name, value in want.items():
        for kind in kinds:
            if f"{kind}/{name}" in arrays:
                np.testing.assert_allclose(arrays[f"{kind}/{name}"], value, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_epoch_based_run_goes_on_as_mmengine_did(backend):
    plan, data, (run, said) = opened(epochs(), "mmengine_epoch_2.pth", backend)
    assert run.position[:4] == ("begin", 4, 2, 0) and run.restored
    np.testing.assert_allclose(run.hyperparams["lr"], 0.01)
    assert any("the history of 4 logged values stays in the file" in text for text in said)
    run, arrays = finished(plan, data, run)
    assert (run.iteration, run.epoch) == (6, 3)
    close(arrays, theirs("mmengine_epoch_3_weights.pth"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_iteration_based_run_with_a_moving_average(backend):
    plan, data, (run, _) = opened(iterations(custom_hooks=EMA), "mmengine_iter_3_ema.pth", backend)
    assert run.position[:3] == ("iterate", 3, 0)
    np.testing.assert_allclose(run.hyperparams["lr"], 0.002943028428617662, rtol=1e-12)
    run, arrays = finished(plan, data, run)
    assert run.iteration == 5 and int(arrays["updates"]) == 5
    close(arrays, theirs("mmengine_iter_5_weights.pth", "ema_state_dict"))
    average = {
        f"params/{path.removeprefix('slots/ema/')}": a for path, a in arrays.items() if path.startswith("slots/ema/")
    }
    close(average, theirs("mmengine_iter_5_weights.pth", "state_dict"), ("params",))


def test_without_the_hook_the_average_is_left_out_and_said():
    _, _, (run, said) = opened(iterations(), "mmengine_iter_3_ema.pth")
    assert any("its moving average is left out" in text for text in said)
    content = read_content(DATA / "mmengine_iter_3_ema.pth")
    assert np.array_equal(run.train.params["head.fc.bias"], content.weights["head.fc.bias"])


def test_what_cannot_go_on(tmp_path):
    with pytest.raises(FkitValueError, match="the weights do not fit the model"):
        opened(epochs().merge({"model.head.num_classes": 4}), "mmengine_epoch_2.pth")
    torch.save(theirs_as_tensors(), tmp_path / "a.pth")
    with pytest.raises(FkitValueError, match=r"says neither epoch nor iter.*\n.*load_from takes its weights alone"):
        opened(epochs(), tmp_path / "a.pth")
    meta, odd = {"epoch": 2, "iter": 4}, {"state": {}, "param_groups": [{"params": [0, 1]}]}
    torch.save({"state_dict": theirs_as_tensors(), "meta": meta, "optimizer": odd}, tmp_path / "b.pth")
    with pytest.raises(FkitValueError, match="its optimizer has 2 parameters, and the model 5"):
        opened(epochs(), tmp_path / "b.pth")
    torch.save({"state_dict": theirs_as_tensors(), "meta": meta}, tmp_path / "c.pth")
    assert any("it holds no optimizer" in text for text in opened(epochs(), tmp_path / "c.pth")[2].said)


def theirs_as_tensors():
    return torch.load(DATA / "mmengine_epoch_3_weights.pth")


def test_counters():
    ours, older = {"mmengine_version": "0.10.7"}, {"mmcv_version": "1.7.2"}
    assert counters({"epoch": 2, "iter": 4, **ours}, True) == (4, 2)
    assert counters({"epoch": 0, "iter": 3, **ours}, False) == (3, 0)
    assert counters({"epoch": 2, "iter": 4, **older}, True) == (4, 2)
    assert counters({"epoch": 1, "iter": 99, **older}, False) == (100, 0)  # iter_100.pth
    for odd in ({}, {"epoch": 1}, {"epoch": "1", "iter": 2}, {"epoch": -1, "iter": 0}, None):
        with pytest.raises(FkitError):
            counters(odd, True)


def test_mid_epoch_and_other_lengths(tmp_path):
    def at(**meta):
        torch.save({"state_dict": theirs_as_tensors(), "meta": meta}, tmp_path / "a.pth")
        return opened(epochs(), tmp_path / "a.pth")[2]

    assert at(epoch=1, iter=3).run.position[:4] == ("iterate", 3, 1, 1)
    answer = at(epoch=1, iter=10)
    assert answer.run.position[:4] == ("begin", 10, 1, 0) and any(
        "the next epoch begins" in text for text in answer.said
    )


def test_processes_of_mmcv_count_as_iterations(tmp_path):
    for config_text, iteration in (("gpu_ids = range(0, 4)", 8), ("a = 1\ngpu_ids = [0, 1]", 4), ("gpu_ids = [0]", 2)):
        meta = {"epoch": 1, "iter": 2, "mmcv_version": "1.7.2", "config": config_text}
        torch.save({"state_dict": theirs_as_tensors(), "meta": meta}, tmp_path / "a.pth")
        assert opened(epochs(), tmp_path / "a.pth")[2].run.iteration == iteration

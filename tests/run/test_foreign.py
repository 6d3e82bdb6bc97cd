"""Runs that go on from mmengine's own files, to the weights that mmengine itself came to; and mmcv's counters."""

from pathlib import Path

import numpy as np
import pytest
import torch
from frozendict import frozendict

import fkit
from fkit.fileio.weights import read_content
from fkit.run.event import Event
from fkit.run.hook.schedule import ParamSchedulerHook
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


def with_more(file="mmengine_epoch_2.pth", **more):
    content = read_content(DATA / file)
    return content._replace(whole=frozendict({**content.whole, **more}))


PLATEAU = dict(type="ReduceOnPlateauLR", monitor="loss", factor=0.5, patience=1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_schedule_that_looks_at_validation_goes_on(backend):
    """mmengine's state of it: after a reduction from 0.1 to 0.05, and one more validation that was no better than 0.7."""
    cfg = epochs().merge({"param_scheduler": [dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=3), PLATEAU]})
    linear = read_content(DATA / "mmengine_epoch_2.pth").whole["param_schedulers"][0]
    state = dict(best=0.7, num_bad_epochs=1, cooldown_counter=0, param_name="lr", _last_value=(0.05,), _global_step=2)
    plan = fkit.plan(cfg, fkit.registry().register("datasets", Recorded), backend=backend)
    run, said = resumed(plan, with_more(param_schedulers=(linear, state)), 2)
    np.testing.assert_allclose(run.hyperparams["lr"], 0.05, rtol=1e-12)
    assert not any("begins to look here" in text for text in said)
    name, hook = next((name, hook) for name, hook in plan.hooks if isinstance(hook, ParamSchedulerHook))
    for loss, rate in ((0.9, 0.025), (0.5, 0.05)):
        event = Event("after_val_epoch", iteration=4, epoch=2, metrics={"loss": loss})
        effects = hook.after_val_epoch(run.memory[name], run, event)[1]
        np.testing.assert_allclose(effects[0].values["lr"] if effects else run.hyperparams["lr"], rate, rtol=1e-12)
    run, said = resumed(plan, read_content(DATA / "mmengine_epoch_2.pth"), 2)
    assert any("begins to look here" in text for text in said) and run.hyperparams["lr"].tolist() == [0.1]


def test_each_group_has_the_value_that_it_had_come_to():
    """AdamW's file has a group for each of its parameters; those of norms have no decay, and are a setting here."""
    cfg = iterations().merge({"param_scheduler": [PLATEAU]})
    state = dict(best=0.7, num_bad_epochs=0, cooldown_counter=1, _last_value=(0.1, 0.2, 0.2, 0.1, 0.1, 0.1))
    plan = fkit.plan(cfg, fkit.registry().register("datasets", Recorded), backend="torch")
    content = with_more("mmengine_iter_3_ema.pth", param_schedulers=(state,))
    run, _ = resumed(plan, content, 2)
    decay = plan.program.hyperparams()["weight_decay"]
    np.testing.assert_allclose(run.hyperparams["lr"], np.where(decay == 0, 0.2, 0.1), rtol=1e-12)


@pytest.mark.parametrize("where", ["mmengine", "mmcv"])
def test_the_loss_scale_goes_on(where):
    scaler = dict(scale=1024.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, _growth_tracker=7)
    whole = read_content(DATA / "mmengine_epoch_2.pth").whole
    more = {"optimizer": {**whole["optimizer"], "loss_scaler": scaler}}
    if where == "mmcv":
        more = {"meta": {**whole["meta"], "fp16": {"loss_scaler": scaler}}}
    amp = {
        "optim_wrapper.type": "AmpOptimWrapper",
        "optim_wrapper.loss_scale": "dynamic",
        "optim_wrapper.dtype": "float16",
    }
    plan = fkit.plan(epochs().merge(amp), fkit.registry().register("datasets", Recorded), backend="torch")
    arrays = plan.program.collect(resumed(plan, with_more(**more), 2).run.train)
    assert (float(arrays["slots/loss_scale/scale"]), int(arrays["slots/loss_scale/growth_tracker"])) == (1024.0, 7)
    _, said = resumed(plan, with_more(), 2)
    assert any("it holds no loss scale" in text for text in said)
    plain = fkit.plan(epochs(), fkit.registry().register("datasets", Recorded), backend="torch")
    assert any("its loss scale is left out" in text for text in resumed(plain, with_more(**more), 2).said)


def test_the_average_that_mmcv_keeps_among_the_weights(tmp_path):
    """By iterations the buffers are the average. By epochs its hook exchanges the two before a later hook saves them."""
    weights = theirs_as_tensors()
    kept = {f"ema_{name.replace('.', '_')}": value + 1 for name, value in weights.items() if "running" not in name}
    meta = {"epoch": 1, "iter": 2, "mmcv_version": "1.7.2"}
    torch.save({"state_dict": {**weights, **kept}, "meta": meta}, tmp_path / "a.pth")
    hook = [dict(type="mmcv.EMAHook")]
    run = opened(iterations(custom_hooks=hook), tmp_path / "a.pth")[2].run
    bias = weights["head.fc.bias"].numpy()
    assert np.array_equal(run.train.params["head.fc.bias"], bias)
    assert np.array_equal(run.train.slots["ema"]["head.fc.bias"], bias + 1)
    saving = {"default_hooks.checkpoint": dict(_delete_=True, type="CheckpointHook")}
    run, said = opened(epochs(custom_hooks=hook).merge(saving), tmp_path / "a.pth")[2]
    assert np.array_equal(run.train.params["head.fc.bias"], bias + 1)
    assert np.array_equal(run.train.slots["ema"]["head.fc.bias"], bias)
    assert any("exchanges them before it is saved" in text for text in said)
    run, said = opened(iterations(), tmp_path / "a.pth")[2]
    assert any("its moving average is left out" in text for text in said) and "ema" not in run.train.slots


def test_lines_average_on_from_what_the_log_had():
    _, _, (run, said) = opened(
        epochs().merge({"default_hooks.logger": dict(_delete_=True, type="LoggerHook")}), "mmengine_epoch_2.pth"
    )
    told = run.memory["logger"].observed
    tracks = {name: newest for name, newest, *_ in told.tracks}
    np.testing.assert_allclose(tracks["loss"], [1.41160393, 1.36317539, 1.30331099, 1.10446286], rtol=1e-7)
    assert (told.times.steps, tracks["lr"][-1]) == (4, 0.1) and 0.8 < told.times.total < 0.9
    assert any("lines average on from the history of 4 logged values" in text for text in said)

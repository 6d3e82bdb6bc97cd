"""The runner configs of people's notes, on a small stand-in model: every key is accounted for, and what is in force at each
step and for each parameter is what the reference's rules give."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import fkit
from fkit.config.config import load_config
from fkit.data.source import Source
from fkit.training.group import groups

SEEDS = sorted((Path(__file__).parents[1] / "config/seeds").glob("*.txt"))
FENCE = re.compile(r"^( *)``` *python[ ]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
EPOCH = 20  # iterations of an epoch


class StandIn(nn.Module):
    """Parameters with the names that Swin's paramwise_cfg speaks of."""

    def __init__(self):
        super().__init__()
        self.absolute_pos_embed = nn.Parameter(torch.zeros(4))
        self.relative_position_bias_table = nn.Parameter(torch.zeros(4))
        self.norm1 = nn.LayerNorm(4)
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs, samples=None, mode="tensor"):
        features = self.bn(self.conv(inputs)).mean((2, 3))
        features = self.norm1(features) + self.absolute_pos_embed + self.relative_position_bias_table
        logits = self.head(features)
        if mode == "loss":
            return {"loss_cls": nn.functional.cross_entropy(logits, samples.targets["gt_label"])}
        return {"pred_score": logits.softmax(1)} if mode == "predict" else logits


def batches(count=EPOCH):
    rng = np.random.default_rng(0)
    return [
        fkit.Batch(rng.standard_normal((4, 1, 8, 8), np.float32), {"gt_label": rng.integers(0, 2, 4)})
        for _ in range(count)
    ]


def block(number, word):
    """The block of a note that has a word, without its indent."""
    texts = FENCE.findall(SEEDS[number].read_text(encoding="utf-8"))
    indent, text = next((indent, text) for indent, text in texts if word in text)
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


SCHEDULE = """
optimizer = dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001)
optimizer_config = dict(grad_clip=None)
lr_config = dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.001, step=[8, 11])
runner = dict(type='EpochBasedRunner', max_epochs=12)
"""
RUNTIME = """
checkpoint_config = dict(interval=1)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook')])
custom_hooks = [dict(type='NumClassCheckHook')]
dist_params = dict(backend='nccl')
log_level = 'INFO'
load_from = None
resume_from = None
workflow = [('train', 1)]
opencv_num_threads = 0
mp_start_method = 'fork'
auto_scale_lr = dict(enable=False, base_batch_size=16)
"""
STAND_IN = {"model": {"type": "StandIn"}, "data": {"train": {"type": "None_"}}, "seed": 0}


def prepared(cfg):
    """The plan of a config on the stand-in; its data are given when it runs."""
    reg = fkit.registry().register("models", StandIn, backend="torch")
    reg = reg.register("datasets", lambda **_: batches(), name="None_")
    others = {name: value for name, value in cfg.items() if name not in STAND_IN}
    return fkit.plan(fkit.Config({**others, **STAND_IN}), reg, backend="torch")


def rates(plan):
    """(iterations,) the learning rate of the first group at each step, and the run at its end."""
    values = []
    for run, _ in fkit.train(plan, fkit.begin(plan), {"train": Source.of(batches())}):
        if run.iteration > len(values):
            values.append({name: array.tolist() for name, array in run.hyperparams.items()})
    return values, run


def decays(plan):
    """{parameter: its weight decay}."""
    return {name: group.numbers["weight_decay"] for group in groups(plan.program) for name in group.names}


def stepped(iteration, base, steps, gamma=0.1, warmup=500, ratio=0.001):
    """mmcv's step policy by epoch with a linear warm-up: base * gamma^(steps passed) * (1 - (1 - i/W) (1 - ratio))."""
    rate = base * gamma ** sum(iteration // EPOCH >= step for step in steps)
    return rate * (1 - (1 - iteration / warmup) * (1 - ratio)) if iteration < warmup else rate


def swin(tmp_path):
    """The first note's Swin Mask R-CNN of mmdet 2.x over its bases."""
    for name, text in (
        ("models/mask_rcnn_swin_fpn", "model = dict(type='MaskRCNN', backbone=dict(embed_dim=1))"),
        ("datasets/coco_instance", "data = dict(samples_per_gpu=2, workers_per_gpu=2)"),
        ("schedules/schedule_1x", SCHEDULE),
        ("default_runtime", RUNTIME),
    ):
        file = tmp_path / "_base_" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "swin.py").write_text(block(0, "DistOptimizerHook"))
    return load_config(tmp_path / "swin.py")


def test_swin(tmp_path):
    plan = prepared(swin(tmp_path))
    values, run = rates(plan)
    assert run.status == "finished" and len(values) == 36 * EPOCH
    want = [stepped(i, 1e-4, [27, 33]) for i in range(36 * EPOCH)]
    np.testing.assert_allclose([value["lr"] for value in values], np.array(want)[:, None] * np.ones(2), rtol=1e-9)
    # custom_keys: what has one of the words in its name decays not at all; mmcv's rule leaves biases alone
    free = ("absolute_pos_embed", "relative_position_bias_table", "norm")
    assert decays(plan) == {name: 0.0 if any(word in name for word in free) else 0.05 for name in decays(plan)}
    assert decays(plan)["bn.weight"] == 0.05 and decays(plan)["norm1.bias"] == 0.0
    # DistOptimizerHook(use_fp16=True) and EpochBasedRunnerAmp: mixed precision
    assert plan.settings.tree.optim_wrapper.type == "AmpOptimWrapper"
    # what two keys of it were for, between processes, is told
    assert [re.search(r"(\w+) = \S+ is for several processes", note)[1] for note in plan.settings.notes] == [
        "coalesce",
        "bucket_size_mb",
    ]


def test_schedule_1x_and_default_runtime(tmp_path):
    (tmp_path / "a.py").write_text(SCHEDULE + RUNTIME)
    plan = prepared(load_config(tmp_path / "a.py"))
    values, _ = rates(plan)
    want = [stepped(i, 0.02, [8, 11], warmup=500) for i in range(12 * EPOCH)]
    np.testing.assert_allclose([value["lr"][0] for value in values], want, rtol=1e-9)
    assert {tuple(value["momentum"]) for value in values} == {(0.9,)}
    assert set(decays(plan).values()) == {1e-4} and plan.settings.notes == ()


def test_the_hooks_of_the_fourth_note(tmp_path):
    """``lr_config`` and ``checkpoint_config`` of a run by iterations, as mmsegmentation has them."""
    text = block(3, "checkpoint_config = dict(by_epoch=False")
    (tmp_path / "a.py").write_text(f"{SCHEDULE}{text}\nrunner = dict(type='IterBasedRunner', max_iters=30)\n")
    plan = prepared(load_config(tmp_path / "a.py"))
    values, _ = rates(plan)
    want = [0.02 * 0.1 ** sum(i >= step for step in (16, 22)) * (1 - (1 - i / 500) * (1 - 0.001)) for i in range(30)]
    np.testing.assert_allclose([value["lr"][0] for value in values], want, rtol=1e-9)
    hook = dict(plan.hooks)["checkpoint"]
    assert (hook.by_epoch, hook.interval) == (False, 16000)


def test_the_mmengine_example_of_the_third_note(tmp_path):
    """``optim_wrapper`` and ``param_scheduler`` of the note (its slip `tpye` is repaired), with a run that is long enough."""
    (tmp_path / "a.py").write_text(
        "train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)\nval_cfg = dict(type='ValLoop')\n"
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))\n"
        "param_scheduler = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=30)\n"
        "auto_scale_lr = dict(enable=False, base_batch_size=16)\n"
        "log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)\nlog_level = 'INFO'\n"
    )
    cfg = load_config(tmp_path / "a.py").merge(
        {"model": {"type": "StandIn"}, "train_dataloader": {"batch_size": 4, "dataset": {"type": "None_"}}, "seed": 0}
    )
    reg = fkit.registry().register("models", StandIn, backend="torch")
    plan = fkit.plan(cfg, reg.register("datasets", lambda **_: batches(), name="None_"))
    values, _ = rates(plan)
    # mmengine's LinearLR spans end - begin - 1 updates: start + (1 - start) i / 29, then 1
    want = [0.01 * (0.001 + 0.999 * min(i, 29) / 29) for i in range(2 * EPOCH)]
    np.testing.assert_allclose([value["lr"][0] for value in values], want, rtol=1e-9)
    assert plan.settings.notes == ()


def test_a_slip_of_the_note_is_told():
    text = block(2, "tpye")
    assert "tpye='SGD'" in text
    cfg = fkit.Config({"optim_wrapper": {"optimizer": {"tpye": "SGD", "lr": 0.01}}, "model": {"type": "MLP"}})
    with pytest.raises(
        fkit.FkitError, match=r"optim_wrapper\.optimizer has no key 'type'.*\n.*'tpye' meant to be 'type'"
    ):
        fkit.program(cfg)

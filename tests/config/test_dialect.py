"""mmcv 1.x's keys, translated or named."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fkit
from fkit.config.config import Config, load_string
from fkit.config.dialect import translate
from fkit.config.dialect.hook import training_hooks
from fkit.tree.error import FkitError, FkitTypeError, FkitValueError

OLD = """
model = dict(type='FasterRCNN', backbone=dict(type='ResNet'))
train_cfg = dict(rpn=dict(debug=False))
test_cfg = dict(rcnn=dict(score_thr=0.05))
optimizer = dict(type='SGD', lr=0.02, momentum=0.9, paramwise_cfg=dict(norm_decay_mult=0.))
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.001, step=[8, 11])
runner = dict(type='EpochBasedRunner', max_epochs=12)
checkpoint_config = dict(interval=2, max_keep_ckpts=3)
log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook'), dict(type='TensorboardLoggerHook')])
custom_hooks = [dict(type='NumClassCheckHook')]
dist_params = dict(backend='nccl')
opencv_num_threads = 0
mp_start_method = 'fork'
log_level = 'INFO'
load_from = None
resume_from = 'a.pth'
workflow = [('train', 1)]
fp16 = dict(loss_scale='dynamic')
data = dict(
    samples_per_gpu=2, workers_per_gpu=4,
    train=dict(type='CocoDataset', ann_file='a'),
    val=dict(type='CocoDataset', ann_file='b'),
    test=dict(type='CocoDataset', ann_file='b'))
evaluation = dict(interval=3, metric=['bbox', 'segm'], save_best='auto')
"""


def test_a_whole_config_of_mmdet_2() -> None:
    cfg, notes = translate(load_string(OLD))
    assert notes == ()
    assert cfg == {
        "model": {
            "type": "FasterRCNN", "backbone": {"type": "ResNet"},
            "train_cfg": {"rpn": {"debug": False}}, "test_cfg": {"rcnn": {"score_thr": 0.05}},
        },
        "custom_hooks": [{"type": "NumClassCheckHook", "priority": "NORMAL"}],
        "log_level": "INFO", "load_from": None, "workflow": [("train", 1)],
        "train_cfg": {"by_epoch": True, "max_epochs": 12, "val_interval": 3}, "val_cfg": {}, "test_cfg": {},
        "optim_wrapper": {
            "type": "AmpOptimWrapper", "optimizer": {"type": "SGD", "lr": 0.02, "momentum": 0.9},
            "paramwise_cfg": {"norm_decay_mult": 0.0}, "constructor": "DefaultOptimizerConstructor", "clip_grad": {"max_norm": 35, "norm_type": 2}, "loss_scale": "dynamic",
        },
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 501},
            {"type": "MultiStepLR", "milestones": [8, 11], "gamma": 0.1, "by_epoch": True},
        ],
        "train_dataloader": {
            "batch_size": 2, "num_workers": 4, "sampler": {"type": "DefaultSampler", "shuffle": True},
            "dataset": {"type": "CocoDataset", "ann_file": "a"},
        },
        **{
            f"{split}_dataloader": {
                "batch_size": 1, "num_workers": 4, "sampler": {"type": "DefaultSampler", "shuffle": False},
                "dataset": {"type": "CocoDataset", "ann_file": "b", "test_mode": True},
            }
            for split in ("val", "test")
        },
        **{f"{split}_evaluator": {"type": "CocoMetric", "ann_file": "b", "metric": ["bbox", "segm"]} for split in ("val", "test")},
        "default_hooks": {
            "checkpoint": {
                "type": "CheckpointHook", "interval": 2, "by_epoch": True, "max_keep_ckpts": 3, "save_best": "auto", "priority": "NORMAL",
            },
            "logger": {"type": "TextLoggerHook", "interval": 50, "priority": "VERY_LOW"},
            "param_scheduler": {"priority": "VERY_HIGH"}, "timer": {"priority": "LOW"},
        },
        "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}],
        "visualizer": {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]},
        "env_cfg": {"dist_cfg": {"backend": "nccl"}, "mp_cfg": {"opencv_num_threads": 0, "mp_start_method": "fork"}},
        "resume": "a.pth",
    }  # fmt: skip


def test_origins_follow_and_translating_twice_is_translating_once() -> None:
    cfg, _ = translate(load_string(OLD))
    assert cfg.origin("train_cfg.max_epochs") == "<string>.py:8"
    assert cfg.origin("optim_wrapper.optimizer.lr") == "<string>.py:5"
    assert cfg.origin("train_dataloader.dataset.ann_file") == "<string>.py:22"
    again, notes = translate(cfg)
    assert again is cfg and notes == ()


def test_a_config_of_mmengines_vocabulary_comes_back_itself() -> None:
    cfg = Config(
        {"model": {"type": "A"}, "optim_wrapper": {"optimizer": {"type": "SGD"}}, "optimizer": {"type": "mine"}}
    )
    assert translate(cfg)[0] is cfg
    stray = cfg.merge({"lr_config": {"policy": "step"}})
    same, notes = translate(stray)
    assert same is stray and "'lr_config' is a key of mmcv 1.x" in notes[0]
    plain = Config({"model": {"type": "A"}, "my_variable": 3})
    assert translate(plain) == (plain, ())


def rates(lr_config: dict[str, Any], **more: Any) -> Any:
    return translate(Config({"optimizer": {"type": "SGD"}, "lr_config": lr_config, **more}))[0].get(
        ("param_scheduler",)
    )


ITERS: dict[str, Any] = {"runner": {"type": "IterBasedRunner", "max_iters": 100}}
EPOCHS: dict[str, Any] = {"total_epochs": 10}


def test_policies() -> None:
    assert rates({"policy": "fixed"}, **EPOCHS) == []
    assert rates({"policy": "poly", "power": 0.9, "min_lr": 1e-4, "by_epoch": False}, **ITERS) == [
        {"type": "PolyLR", "power": 0.9, "eta_min": 1e-4, "by_epoch": False, "begin": 0, "end": 101}
    ]
    assert rates({"policy": "CosineAnnealing", "min_lr_ratio": 0.01}, **EPOCHS) == [
        {"type": "CosineAnnealingLR", "T_max": 10, "eta_min_ratio": 0.01, "by_epoch": True, "begin": 0, "end": 10}
    ]
    assert rates({"policy": "step", "step": 3, "gamma": 0.5}, **EPOCHS) == [
        {"type": "StepLR", "step_size": 3, "gamma": 0.5, "by_epoch": True}
    ]
    assert rates({"policy": "exp", "gamma": 0.9}, **EPOCHS) == [
        {"type": "ExponentialLR", "gamma": 0.9, "by_epoch": True}
    ]


WARM: dict[str, Any] = {"warmup": "linear", "warmup_iters": 5}
LINEAR = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 6}
OURS = [
    ({"policy": "step", "step": [2, 3], "min_lr": 0.1}, EPOCHS, [{"type": "StepLrUpdater", "milestones": [2, 3], "gamma": 0.1, "min_lr": 0.1, "by_epoch": True}]),
    ({"policy": "step", "step": [9, 4]}, EPOCHS, [{"type": "MultiStepLR", "milestones": [9, 9], "gamma": 0.1, "by_epoch": True}]),
    ({"policy": "cyclic"}, EPOCHS, [{"type": "CyclicLrUpdater", "by_epoch": False}]),
    ({"policy": "inv", "gamma": 0.5}, EPOCHS, [{"type": "InvLrUpdater", "gamma": 0.5, "by_epoch": True}]),
    ({"policy": "poly", "min_lr": 1e-4, **WARM}, ITERS, [{"type": "PolyLrUpdater", "min_lr": 1e-4, "by_epoch": False}, LINEAR]),
    ({"policy": "poly", **WARM}, ITERS, [LINEAR, {"type": "PolyLR", "power": 1.0, "eta_min": 0.0, "by_epoch": False, "begin": 0, "end": 101}]),
    ({"policy": "poly", "by_epoch": False}, EPOCHS, [{"type": "PolyLrUpdater", "by_epoch": False}]),
    ({"policy": "CosineAnnealing", "min_lr": 0.01, **WARM}, EPOCHS, [{"type": "CosineAnnealingLrUpdater", "min_lr": 0.01, "by_epoch": True}, LINEAR]),
    ({"policy": "CosineAnnealing", "min_lr": 0, "by_epoch": False}, EPOCHS, [{"type": "CosineAnnealingLR", "eta_min": 0, "by_epoch": True, "begin": 0, "convert_to_iter_based": True, "end": 10}]),
    ({"policy": "LinearAnnealing", "min_lr_ratio": 0.1}, EPOCHS, [{"type": "LinearLR", "start_factor": 1.0, "end_factor": 0.1, "by_epoch": True, "begin": 0, "end": 11}]),
    ({"policy": "FlatCosineAnnealing", "min_lr": 0.1, "start_percent": 0.5}, EPOCHS, [{"type": "FlatCosineAnnealingLrUpdater", "start_percent": 0.5, "min_lr": 0.1, "by_epoch": True}]),
    ({"policy": "OneCycle", "max_lr": 0.1, "three_phase": True}, EPOCHS, [{"type": "OneCycleLrUpdater", "max_lr": 0.1, "three_phase": True, "by_epoch": False}]),
    ({"policy": "CosineAnnealingCooldown", "min_lr": 0.1, "cool_down_time": 2}, EPOCHS, [{"type": "CosineAnnealingCooldownLrUpdater", "cool_down_time": 2, "min_lr": 0.1, "by_epoch": True}]),
    ({"policy": "fixed", "warmup": "exp", "warmup_iters": 5}, EPOCHS, [{"type": "WarmupLR", "warmup": "exp", "warmup_iters": 5, "warmup_ratio": 0.1}]),
    ({"policy": "fixed", **WARM, "warmup_by_epoch": True}, EPOCHS, [{"type": "WarmupLR", "warmup": "linear", "warmup_iters": 5, "warmup_ratio": 0.1, "warmup_by_epoch": True}]),
]  # fmt: skip


@pytest.mark.parametrize(("lr_config", "run", "want"), OURS)
def test_a_policy_is_mmengines_where_the_numbers_are_the_same_and_else_the_kits_own(
    lr_config: dict[str, Any], run: dict[str, Any], want: list[dict[str, Any]]
) -> None:
    assert rates(lr_config, **run) == want


def test_momentum_policies_come_after_those_of_the_rate_and_their_warmup_divides() -> None:
    table = {"policy": "CosineAnnealing", "min_momentum": 0.5, "warmup": "constant", "warmup_iters": 5}
    assert rates({"policy": "fixed"}, momentum_config=table, **EPOCHS) == [
        {"type": "CosineAnnealingMomentumUpdater", "min_momentum": 0.5, "by_epoch": True},
        {"type": "WarmupMomentum", "warmup": "constant", "warmup_iters": 5, "warmup_ratio": 0.9},
    ]


def test_a_policy_by_epochs_in_a_run_of_iterations_is_never_applied_and_that_is_said() -> None:
    cfg = Config({"optimizer": {"type": "SGD"}, "momentum_config": {"policy": "step", "step": 3}, **ITERS})
    new, notes = translate(cfg)
    assert "param_scheduler" not in new and any("mmcv never applies it" in note for note in notes)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"optimizer_config": {"grad_clip": None, "bucket_size_mb": 5}}, "optimizer_config.bucket_size_mb = 5"),
        ({"checkpoint_config": {"interval": 1, "symlink": True}}, "checkpoint_config.symlink"),
        ({"log_config": {"interval": 1, "hooks": [{"type": "MyLoggerHook"}]}}, "'MyLoggerHook'"),
        ({"log_config": {"hooks": [{"type": "TextLoggerHook", "colour": 1}]}}, "colour = 1"),
        ({"log_config": {"hooks": [{"type": "PaviLoggerHook", "add_graph": True}]}}, "add_graph = True"),
        (
            {"log_config": {"hooks": [{"type": "MlflowLoggerHook", "interval": 3}]}},
            "interval = 3: a writer takes the lines of the logger, whose interval is 10",
        ),
        ({"log_config": {"hooks": [{"type": "SegmindLoggerHook", "ignore_last": False}]}}, "ignore_last = False"),
        ({"gpu_ids": [0, 1]}, "gpu_ids"),
        ({"data": {"samples_per_gpu": 1, "train": {"type": "A"}, "extra": 3}}, "data.extra = 3"),
        ({"evaluation": {"interval": 1, "metric": "FID"}, "data": {"val": {"type": "A"}}}, "evaluation.metric = 'FID'"),
        ({"lr_config": {"policy": "step", "step": [1], "foo": 1}}, "lr_config.foo = 1"),
        ({"runner": {"type": "EpochBasedRunner", "max_epochs": 2, "max_keep": 3}}, "runner.max_keep = 3"),
        ({"fp16": {"loss_scale": 512.0, "x": 1}}, "fp16.x = 1"),
    ],
)
def test_no_key_is_dropped_in_silence(extra: dict[str, Any], message: str) -> None:
    _, notes = translate(Config({"optimizer": {"type": "SGD"}, "total_epochs": 3, **extra}))
    assert any(message in note for note in notes), notes


def test_the_text_logger_keeps_all_its_arguments() -> None:
    said = dict(
        interval=7, by_epoch=False, ignore_last=False, reset_flag=True, interval_exp_name=100, out_dir="a",
        out_suffix=(".log",), keep_local=False, file_client_args={"backend": "disk"},
    )  # fmt: skip
    log = {"interval": 50, "hooks": [{"type": "TextLoggerHook", **said}]}
    new, notes = translate(Config({"optimizer": {"type": "SGD"}, "total_epochs": 3, "log_config": log}))
    assert new.default_hooks.logger == {"type": "TextLoggerHook", "priority": "VERY_LOW", **said} and not notes
    hook = fkit.build({"type": "TextLoggerHook", **said}, fkit.registry(), "hooks")
    assert {name: getattr(hook, name) for name in said} == said


def test_loggers_of_a_run_of_iterations_count_them() -> None:
    log = {"hooks": [{"type": "TextLoggerHook"}, {"type": "TensorboardLoggerHook", "by_epoch": False}]}
    new, notes = translate(Config({"optimizer": {"type": "SGD"}, "total_iters": 3, "log_config": log}))
    assert new.default_hooks.logger.by_epoch is False and not notes


@pytest.mark.parametrize(
    ("hook", "writer"),
    [
        ({"type": "TensorboardLoggerHook", "log_dir": "a"}, {"type": "TensorboardVisBackend", "save_dir": "a"}),
        (
            {"type": "WandbLoggerHook", "init_kwargs": {"project": "p"}, "commit": False, "define_metric_cfg": {"a": "max"}},
            {"type": "WandbVisBackend", "init_kwargs": {"project": "p"}, "commit": False, "define_metric_cfg": {"a": "max"}},
        ),
        (
            {"type": "MlflowLoggerHook", "exp_name": "e", "tags": {"a": "b"}, "params": {"c": 1}},
            {"type": "MLflowVisBackend", "exp_name": "e", "tags": {"a": "b"}, "params": {"c": 1}},
        ),
        (
            {"type": "NeptuneLoggerHook", "init_kwargs": {"project": "p"}, "with_step": False},
            {"type": "NeptuneVisBackend", "init_kwargs": {"project": "p"}, "with_step": False},
        ),
        ({"type": "DvcliveLoggerHook", "model_file": "m.pth"}, {"type": "DVCLiveVisBackend", "model_file": "m.pth"}),
        ({"type": "ClearMLLoggerHook", "init_kwargs": {}}, {"type": "ClearMLVisBackend", "init_kwargs": {}}),
        ({"type": "PaviLoggerHook", "init_kwargs": {}}, {"type": "PaviVisBackend", "init_kwargs": {}}),
        ({"type": "SegmindLoggerHook", "interval": 10, "reset_flag": False}, {"type": "SegmindVisBackend"}),
    ],
)  # fmt: skip
def test_every_logger_of_mmcvs_is_a_writer(hook: dict[str, Any], writer: dict[str, Any]) -> None:
    cfg = Config({"optimizer": {"type": "SGD"}, "total_epochs": 3, "log_config": {"hooks": [hook]}})
    new, notes = translate(cfg)
    assert new.vis_backends == [{"type": "LocalVisBackend"}, writer] and not notes
    assert type(fkit.build(new.vis_backends[1], fkit.registry(), "vis_backends")).__name__ == writer["type"]


def test_a_runner_of_ones_own_keeps_its_arguments() -> None:
    cfg = load_string("optimizer = dict(type='SGD')\nrunner = dict(type='MyRunner', max_epochs=3, every=2)")
    new, notes = translate(cfg)
    assert new.runner_type == {"type": "MyRunner", "every": 2} and not notes
    assert new.train_cfg == {"by_epoch": True, "max_epochs": 3}


def test_what_cannot_be_translated_is_an_error_with_its_place() -> None:
    cfg = load_string("optimizer = dict(type='SGD')\nrunner = dict(type='EpochBasedRunner')")
    with pytest.raises(FkitValueError, match=r"<string>\.py:2: The runner has neither max_epochs nor max_iters"):
        translate(cfg)


def test_what_is_left_out_is_named_with_its_place() -> None:
    cfg = load_string(
        "optimizer = dict(type='SGD')\ntotal_epochs = 3\ncheckpoint_config = dict(\n    interval=1,\n    symlink=True)\n"
        "log_config = dict(hooks=[dict(type='MyLoggerHook')])\ngpu_ids = [0]\n"
    )
    _, notes = translate(cfg)
    assert [note.partition(": ")[0] for note in notes] == ["<string>.py:5", "<string>.py:6", "<string>.py:7"]


KEYS = ("runner", "optimizer", "optimizer_config", "lr_config", "momentum_config", "data", "evaluation", "checkpoint_config", "log_config", "total_epochs", "total_iters", "fp16", "dist_params", "resume_from")  # fmt: skip
INNER = ("policy", "step", "type", "gamma", "warmup", "warmup_iters", "hooks", "train", "val_dataloader", "metric", "max_epochs", "periods", "start_percent")  # fmt: skip
SHAPES = st.recursive(
    st.none() | st.integers(0, 3) | st.floats() | st.sampled_from(["x", "step", "exp", "linear", "FlatCosineAnnealing", "CosineRestart", "IterBasedRunner", "SGD", "mAP"]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(INNER), below, max_size=4),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), SHAPES, max_size=5))
def test_any_values_are_translated_or_refused_clearly(table: dict[str, Any]) -> None:
    cfg = Config({**table, "model": {"type": "A"}})
    try:
        new, _ = translate(cfg)
    except FkitError as error:
        assert "Config(" not in str(error)
    else:
        assert translate(new)[0] == new


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"lr_config": 3}, "lr_config = 3 is no mapping"),
        ({"lr_config": {"policy": "exp"}}, "lr_config has no gamma"),
        ({"lr_config": {"policy": "step"}}, "lr_config has no step"),
        ({"runner": {"max_epochs": "12"}}, r"runner.max_epochs = '12' is no whole number"),
        ({"lr_config": {"policy": "fixed", "warmup": "linear", "warmup_iters": 0.5}}, "warmup_iters = 0.5 is no whole"),
        ({"data": {"val_dataloader": [1]}, "total_epochs": 1}, r"data.val_dataloader = \[1\] is no mapping"),
        ({"log_config": {"hooks": [3]}}, "log_config.hooks = 3 is no mapping"),
    ],
)
def test_values_of_the_wrong_kind_are_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(FkitValueError, match=message):
        translate(Config(table))


@pytest.mark.parametrize("wrong", [None, 3, "x", [], {}])
def test_what_is_no_config_is_refused(wrong: Any) -> None:
    with pytest.raises(FkitTypeError, match="is a config"):
        translate(wrong)


def test_hooks_fire_in_the_order_that_mmcv_registers_them_in() -> None:
    old = {
        "optimizer": {"type": "SGD"}, "lr_config": {"policy": "poly"}, "log_config": {"hooks": [{"type": "TextLoggerHook"}]},
        "checkpoint_config": {"interval": 1}, "timer_config": {"type": "IterTimerHook"}, "profiler_config": {"by_epoch": True},
        "runner": {"type": "EpochBasedRunner", "max_epochs": 3},
        "custom_hooks": [{"type": "A"}, {"type": "B", "priority": "LOWEST"}],
    }  # fmt: skip
    cfg, notes = translate(Config(old))
    assert notes == ()
    assert {name: hook["priority"] for name, hook in cfg.default_hooks.items()} == {
        "param_scheduler": "VERY_HIGH", "checkpoint": "NORMAL", "timer": "LOW", "logger": "VERY_LOW",
    }  # fmt: skip
    assert [(hook["type"], hook["priority"]) for hook in cfg.custom_hooks] == [
        ("A", "NORMAL"), ("B", "LOWEST"), ("ProfilerHook", "NORMAL"),
    ]  # fmt: skip
    rows = training_hooks(old)
    assert [(row.name, row.priority) for row in rows] == [
        ("PolyLrUpdaterHook", "VERY_HIGH"), ("CheckpointHook", "NORMAL"), ("IterTimerHook", "LOW"),
        ("TextLoggerHook", "VERY_LOW"), ("A", "NORMAL"), ("B", "LOWEST"), ("ProfilerHook", "NORMAL"),
    ]  # fmt: skip


def test_a_runner_of_iterations_has_its_hooks_count_them() -> None:
    configs = {
        "lr_config": {"policy": "step"}, "momentum_config": {"policy": "Step"}, "checkpoint_config": {},
        "log_config": {"hooks": [{"type": "TextLoggerHook"}, {"type": "B", "by_epoch": True}]}, "optimizer_config": {},
    }  # fmt: skip
    assert [(row.name, row.by_epoch) for row in training_hooks(configs, by_epoch=False)] == [
        ("StepLrUpdaterHook", False), ("StepMomentumUpdaterHook", True), ("OptimizerHook", None), ("CheckpointHook", False),
        ("IterTimerHook", None), ("TextLoggerHook", False), ("B", True),
    ]  # fmt: skip
    assert [row.by_epoch for row in training_hooks({"lr_config": {"policy": "cyclic"}, "timer_config": None})] == [
        False
    ]
    assert [row.name for row in training_hooks({"lr_config": {"type": "Mine"}})] == ["Mine", "IterTimerHook"]


SWIN: dict[str, Any] = {
    "runner": {"type": "EpochBasedRunnerAmp", "max_epochs": 36},
    "optimizer_config": {
        "type": "DistOptimizerHook", "update_interval": 2, "grad_clip": None, "coalesce": True, "bucket_size_mb": -1,
        "use_fp16": True,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "want"),
    [
        ({"optimizer_config": {}}, {"type": "OptimWrapper"}),
        (
            {"optimizer_config": {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4}},
            {"type": "OptimWrapper", "accumulative_counts": 4},
        ),
        ({"fp16": {}}, {"type": "AmpOptimWrapper", "loss_scale": 512.0}),
        ({"fp16": {"loss_scale": 128.0}}, {"type": "AmpOptimWrapper", "loss_scale": 128.0}),
        (
            {"fp16": {"loss_scale": {"init_scale": 512.0, "growth_interval": 10}}},
            {"type": "AmpOptimWrapper", "loss_scale": {"init_scale": 512.0, "growth_interval": 10}},
        ),
        (
            {"optimizer_config": {"type": "Fp16OptimizerHook", "grad_clip": {"max_norm": 1.0}}},
            {"type": "AmpOptimWrapper", "loss_scale": 512.0, "clip_grad": {"max_norm": 1.0}},
        ),
        (
            {"optimizer_config": {"type": "GradientCumulativeFp16OptimizerHook", "cumulative_iters": 3, "loss_scale": "dynamic"}},
            {"type": "AmpOptimWrapper", "loss_scale": "dynamic", "accumulative_counts": 3},
        ),
        (SWIN, {"type": "AmpOptimWrapper", "loss_scale": "dynamic", "accumulative_counts": 2}),
        (
            {**SWIN, "optimizer_config": {"type": "DistOptimizerHook", "use_fp16": False}},
            {"type": "OptimWrapper"},
        ),
        ({"runner": {"type": "EpochBasedRunnerAmp", "max_epochs": 3}}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}),
    ],
)  # fmt: skip
def test_optimizer_hooks_become_a_wrapper(old: dict[str, Any], want: dict[str, Any]) -> None:
    new, _ = translate(Config({"optimizer": {"type": "SGD", "lr": 0.1}, "total_epochs": 3, **old}))
    assert new.optim_wrapper == Config({"optimizer": {"type": "SGD", "lr": 0.1}, **want})
    marked = "fp16" in old or "Fp16" in str(old.get("optimizer_config", {}).get("type"))
    assert (new.get("val_cfg.fp16"), new.get("test_cfg.fp16")) == ((True, True) if marked else (None, None))


def test_several_optimizers_keep_their_names_and_share_the_hook() -> None:
    several = {
        "generator": {"type": "Adam", "lr": 1e-4, "paramwise_cfg": {"norm_decay_mult": 0.0}},
        "critic": {"type": "SGD"},
    }
    cfg = Config({"optimizer": several, "optimizer_config": {"grad_clip": {"max_norm": 2.0}}, "total_epochs": 3})
    wrapper = translate(cfg)[0].optim_wrapper
    assert list(wrapper) == ["generator", "critic"]
    assert wrapper.generator.optimizer == Config({"type": "Adam", "lr": 1e-4})
    assert wrapper.generator.paramwise_cfg.norm_decay_mult == 0.0
    assert all(one.clip_grad.max_norm == 2.0 for one in wrapper.values())


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ({"type": "MyOptimizerHook"}, "The optimizer hook 'MyOptimizerHook' is not known"),
        ({"detect_anomalous_params": True}, "detect_anomalous_params = True: mmcv lists"),
    ],
)
def test_an_optimizer_hook_that_cannot_be_translated_is_an_error(hook: dict[str, Any], message: str) -> None:
    with pytest.raises(FkitValueError, match=message):
        translate(Config({"optimizer": {"type": "SGD"}, "optimizer_config": hook, "total_epochs": 3}))

"""Every value of a run is checked where it is read: one error at the start, with its key, its place and what fits."""

from dataclasses import replace
from pathlib import Path

import pytest

import fkit
from fkit.config.change.override import apply_words
from fkit.config.schema import rows
from fkit.recipe.key import KEYS
from fkit.recipe.settings import read

CONFIGS = Path(__file__).parents[2] / "configs/digits"
CONVNET = str(CONFIGS / "convnet.py")
TEXT = "is text, not"
PART = "is not a mapping with 'type'"

WRONG = [
    ("optim_wrapper=dict(optimizer=dict(lr='1e-3'))", f"optim_wrapper.optimizer.lr = '1e-3' {TEXT} a number of at least 0"),
    ("optim_wrapper=dict(optimizer=dict(lr=-1))", "optim_wrapper.optimizer.lr = -1 is not a number of at least 0"),
    ("optim_wrapper=dict(optimizer=dict(lr=float('nan')))", "optim_wrapper.optimizer.lr = nan is not a number"),
    ("optim_wrapper=dict(optimizer=dict(eps=None))", "optim_wrapper.optimizer.eps = None is not a number"),
    ("optim_wrapper=dict(optimizer=dict(lr=True))", "optim_wrapper.optimizer.lr = True is not a number"),
    ("optim_wrapper=dict(optimizer=dict(betas=0.9))", "optim_wrapper.optimizer.betas = 0.9 is not a pair of numbers"),
    ("optim_wrapper=dict(optimizer=dict(betas=(0.9,)))", "optim_wrapper.optimizer.betas = (0.9,) is not a pair of numbers"),
    ("optim_wrapper=dict(optimizer=dict(betas=(0.9, 1)))", "optim_wrapper.optimizer.betas[1] = 1 is not a number of at l"),
    ("optim_wrapper=dict(optimizer=dict(amsgrad=1))", "optim_wrapper.optimizer.amsgrad = 1 is not True or False"),
    ("optim_wrapper=dict(optimizer=dict(weight_decay=-1))", "weight_decay = -1 is not a number of at least 0"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, type='SGD', momentum=2))", "optimizer.momentum = 2 is not a number"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, type='SGD', lr=0.1, eps=1))", "optimizer.eps is unknown"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, lr=0.1))", "optim_wrapper.optimizer.type = None names no optimizer"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, type=3))", "optim_wrapper.optimizer.type = 3 names no optimizer"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, type='RMSprop', lr=-1))", "optim_wrapper.optimizer.lr = -1 is not"),
    ("optim_wrapper=dict(optimizer='SGD')", f"optim_wrapper.optimizer = 'SGD' {PART}"),
    ("optim_wrapper=dict(_delete_=True)", "optim_wrapper.optimizer is missing"),
    ("optim_wrapper=dict(param_groups=[dict(params='weight', lr=-1)])", "optim_wrapper.param_groups[0].lr = -1 is not"),
    ("optim_wrapper=dict(param_groups=[dict(lr=1)])", "optim_wrapper.param_groups[0].params = None is not a pattern"),
    ("optim_wrapper=dict(param_groups=['weight'])", "optim_wrapper.param_groups[0] = 'weight' is not a mapping"),
    ("optim_wrapper=dict(clip_grad=35)", "optim_wrapper.clip_grad = 35 is not a mapping"),
    ("optim_wrapper=dict(clip_grad=dict(max_norm=-1))", "optim_wrapper.clip_grad.max_norm = -1 is not a number above 0"),
    ("optim_wrapper=dict(clip_grad=dict(max_norm=1, clip_value=1))", "either max_norm (and norm_type), or clip_value"),
    ("optim_wrapper=dict(clip_grad=dict(norm_type=2))", "either max_norm (and norm_type), or clip_value"),
    ("optim_wrapper=dict(clip_grad=dict(norm=2))", "optim_wrapper.clip_grad.norm is unknown"),
    ("optim_wrapper=dict(clip_grad=dict(max_norm=1, foreach=False))", "clip_grad.foreach = False"),
    ("train_dataloader=dict(batch_sampler=dict(type='A'))", "'A' is not in the registry 'data_samplers'"),
    ("optim_wrapper=dict(accumulative_counts=0)", "optim_wrapper.accumulative_counts = 0 is not a whole number of at least 1"),
    ("train_cfg=dict(max_epochs='5')", f"train_cfg.max_epochs = '5' {TEXT} a whole number"),
    ("train_cfg=dict(max_epochs=5.5)", "train_cfg.max_epochs = 5.5 is not a whole number of at least 1"),
    ("train_cfg=dict(val_interval=0)", "train_cfg.val_interval = 0 is not a whole number of at least 1"),
    ("train_cfg=dict(by_epoch=False)", "train_cfg.max_epochs = 20, and this run counts iterations: train_cfg.by_epoch = False says so, and max_iters is missing"),
    ("train_cfg=dict(type='MyLoop')", "train_cfg.type = 'MyLoop' is not in the registry 'loops'"),
    ("train_cfg=None", "training needs train_cfg"),
    ("val_cfg=dict(type='MyLoop')", "val_cfg.type = 'MyLoop' is not in the registry 'loops'"),
    ("train_dataloader=dict(batch_size='32')", f"train_dataloader.batch_size = '32' {TEXT} a whole number of at least 1"),
    ("train_dataloader=dict(batch_size=0)", "train_dataloader.batch_size = 0 is not a whole number of at least 1"),
    ("val_dataloader=dict(num_workers=-1)", "val_dataloader.num_workers = -1 is not a whole number of at least 0"),
    ("val_dataloader=dict(global_batch_size=3)", "val_dataloader: batch_size and global_batch_size exclude each other"),
    ("train_dataloader=dict(dataset=3)", "train_dataloader.dataset = 3 is not a mapping with 'type' or an object with"),
    ("train_dataloader=dict(dataset='Digits')", f"train_dataloader.dataset = 'Digits' {PART}"),
    ("train_dataloader=dict(sampler=3)", f"train_dataloader.sampler = 3 {PART}"),
    ("train_dataloader=None", "training needs train_dataloader"),
    ("train_dataloader=3", "train_dataloader = 3 is not a mapping"),
    ("param_scheduler=[dict(type='LinearLR', begin='0', end=3)]", f"begin = '0' {TEXT} a whole number"),
    ("param_scheduler=[dict(type='LinearLR', start_factor='0.1', end=3)]", f"start_factor = '0.1' {TEXT} a number"),
    ("param_scheduler=[dict(type='LinearLR', by_epoch=1, end=3)]", "param_scheduler[0].by_epoch = 1 is not True or False"),
    ("param_scheduler=[dict(type='MultiStepLR', milestones=['3'], end=9)]", f"milestones = '3' {TEXT} a whole number"),
    ("param_scheduler=[dict(type='MultiStepLR', milestones=3, end=9)]", "milestones is a list of numbers, not the int"),
    ("param_scheduler=[dict(type='MultiStepLR', milestones=[-3], end=9)]", "milestones = [-3]: at least 0"),
    ("param_scheduler=[dict(type='MultiStepLR', milestones=[3], gamma='x', end=9)]", f"gamma = 'x' {TEXT} a number"),
    ("param_scheduler=[dict(type='StepLR', step_size=0, end=9)]", "StepLR: step_size = 0: at least 1"),
    ("param_scheduler=[dict(type='StepLR', step_size=1, gamma=float('nan'))]", "StepLR: gamma = nan is not a finite number"),
    ("param_scheduler=[dict(type='CosineAnnealingLR', T_max='5', end=5)]", f"T_max = '5' {TEXT} a number"),
    ("param_scheduler=[dict(type='CosineAnnealingLR', T_max=0, end=5)]", "CosineAnnealingLR: T_max = 0: at least 1"),
    ("param_scheduler=[dict(type='LinearLR', param='depth')]", "a schedule acts on 'depth', which the optimizer does not have"),
    ("param_scheduler=['StepLR']", f"param_scheduler[0] = 'StepLR' {PART}"),
    ("param_scheduler='StepLR'", f"param_scheduler = 'StepLR' {PART}"),
    ("custom_hooks=['EMAHook']", f"custom_hooks[0] = 'EMAHook' {PART}"),
    ("custom_hooks='EMAHook'", "custom_hooks = 'EMAHook' is not a list of mappings with 'type'"),
    ("custom_hooks=[dict(type='LoggerHook', priority='SOON')]", "custom_hooks[0]: priority = 'SOON' is unknown"),
    ("default_hooks=dict(logger='LoggerHook')", f"default_hooks.logger = 'LoggerHook' {PART}"),
    ("default_hooks=dict(logger=5)", f"default_hooks.logger = 5 {PART}"),
    ("default_hooks=dict(checkpoint=dict(interval='1'))", f"interval = '1' {TEXT} a whole number"),
    ("default_hooks=dict(checkpoint=dict(max_keep_ckpts=2.0))", "max_keep_ckpts = 2.0 is not a whole number"),
    ("default_hooks=dict(checkpoint=dict(by_epoch='no'))", "by_epoch is True or False, not the str 'no'"),
    ("default_hooks=dict(logger=dict(interval='1'))", f"interval = '1' {TEXT} a whole number"),
    ("val_evaluator=3", f"val_evaluator = 3 {PART} or a list of them"),
    ("val_evaluator=['Accuracy']", f"val_evaluator[0] = 'Accuracy' {PART}"),
    ("workflow=['train']", "workflow[0] = 'train' is not a pair of 'train' or 'val' and a count"),
    ("workflow=[('train', '1')]", f"workflow[0][1] = '1' {TEXT} a whole number of at least 1"),
    ("workflow=[('test', 1)]", "workflow[0][0] = 'test' is unknown"),
    ("workflow=[('val', 1)]", "workflow = [('val', 1)] never trains"),
    ("workflow=[]", "workflow = [] is empty: a list of pairs"),
    ("work_dir=20240101", "work_dir = 20240101 is not text.\n  Write it in quotes: '20240101'"),
    ("work_dir=''", "work_dir = '' is empty: text is needed"),
    ("resume=3", "resume = 3 is not True or False or text"),
    ("load_from=['a']", "load_from = ['a'] is not text"),
    ("dtype='float8'", "dtype = 'float8' is unknown"),
    ("memory_format='nhwc'", "memory_format = 'nhwc' is unknown"),
    ("device='gpu'", "device: device='gpu' is no device"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, type='SGDD', lr=1))", "optim_wrapper.optimizer: optimizer 'SGDD' is not in"),
    ("optim_wrapper=dict(optimizer=dict(_delete_=True, type='Adadelta', rho=-1))", "optimizer Adadelta: Invalid rho value: -1"),
    ("backend='caffe'", "backend = 'caffe' is unknown"),
    ("randomness=dict(seed=1.5)\nseed=None", "randomness.seed = 1.5 is not a whole number"),
    ("randomness=dict(deterministic='no')", "randomness.deterministic = 'no' is not True or False"),
    ("strategy=dict(type='DeepSpeedStrategy')", "strategy.type = 'DeepSpeedStrategy' is not supported"),
    ("model_wrapper_cfg=dict(type='MMDistributedDataParallel', bucket_cap=1)", "model_wrapper_cfg.bucket_cap = 1 is not supported"),
    ("model_wrapper_cfg=dict(type='MMFullyShardedDataParallel', auto_wrap_policy='mine.policy')", "FSDP2 asks no function at each module"),
    ("strategy=dict(type='FSDPStrategy', model_wrapper=dict(auto_wrap_policy=dict(type='ModuleWrapPolicy', module_classes='A')))",
     "strategy.model_wrapper.auto_wrap_policy.module_classes = 'A': names of classes, in a list"),
    ("auto_scale_lr=dict(enable=True)", "auto_scale_lr.enable=True needs auto_scale_lr.base_batch_size"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "want"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_value_is_refused_at_the_start(text, want, tmp_path):
    (tmp_path / "cfg.py").write_text(f"_base_ = [{CONVNET!r}]\n{text}\n")
    with pytest.raises(fkit.FkitError) as caught:
        fkit.plan(fkit.load_config(tmp_path / "cfg.py"))
    assert want in str(caught.value)
    assert issubclass(caught.type, TypeError | ValueError | KeyError)
    assert want.startswith("training needs") or str(caught.value).startswith(
        (f"{tmp_path}/cfg.py:2: ", str(CONFIGS.parent))
    )


ODD = (None, 3, "x", [], {}, ["x"], True, float("nan"), -1, "")
MLP = fkit.load_config(CONFIGS / "mlp.py")


@pytest.mark.parametrize("path", [path for path, _ in rows(KEYS)])
def test_an_odd_value_of_any_key_answers_or_is_an_error_that_names_the_key(path):
    for value in ODD:
        if path == "compile" and value is True:
            continue  # what a user may well ask for; torch then imports what warns
        cfg = apply_words(MLP, [f"{path}:={value!r}" if value == value else f"{path}:=float('nan')"])
        try:
            plan = fkit.plan(cfg)
        except fkit.FkitError as error:
            assert path.split(".")[-1] in str(error) and path.split(".")[0] in str(error), (value, str(error))
        else:
            assert plan.settings == replace(read(cfg), notes=plan.settings.notes)  # a plan may have more to say


def test_numpy_numbers_are_numbers():
    import numpy as np

    cfg = fkit.load_config(CONVNET).merge({"optim_wrapper.optimizer.lr": 1})
    assert fkit.plan(cfg).program.hyperparams()["lr"].tolist() == [1.0]
    assert fkit.build({"type": "LinearLR", "end": np.int64(3)}, fkit.registry(), "param_schedulers").end == 3

"""Every number of a run is checked for its type where it is read; every table of parts holds parts."""

from pathlib import Path

import pytest

import fkit

CONVNET = str(Path(__file__).parents[2] / "configs/digits/convnet.py")
TEXT = "is text, not"

WRONG = [
    ("optim_wrapper=dict(optimizer=dict(lr='1e-3'))", f"lr = '1e-3' {TEXT} a number"),
    ("optim_wrapper=dict(optimizer=dict(eps=None))", "eps = None is not a number"),
    ("optim_wrapper=dict(optimizer=dict(lr=True))", "lr = True is not a number"),
    ("optim_wrapper=dict(optimizer=dict(betas=0.9))", "betas is a pair of numbers, not the float 0.9"),
    ("optim_wrapper=dict(optimizer=dict(betas=(0.9,)))", "betas is a pair of numbers, not 1 of them"),
    ("optim_wrapper=dict(optimizer=dict(amsgrad=1))", "amsgrad is True or False, not the int 1"),
    ("optim_wrapper=dict(optimizer='SGD')", "optim_wrapper needs optimizer=dict(type=...)"),
    ("train_cfg=dict(max_epochs='5')", f"train_cfg.max_epochs = '5' {TEXT} a whole number"),
    ("train_cfg=dict(max_epochs=5.0)", "train_cfg.max_epochs = 5.0 is not a whole number"),
    ("train_cfg=dict(val_interval=0)", "train_cfg.val_interval = 0: at least 1"),
    ("train_dataloader=dict(batch_size='32')", "batch_size = '32'"),
    ("train_dataloader=dict(dataset=3)", "dataset = 3 is neither a config nor an object"),
    ("train_dataloader=dict(sampler=3)", "sampler = 3 is neither a config nor an object"),
    ("train_dataloader=None", "training needs train_dataloader"),
    ("param_scheduler=[dict(type='LinearLR', begin='0', end=3)]", f"begin = '0' {TEXT} a whole number"),
    ("param_scheduler=[dict(type='LinearLR', start_factor='0.1', end=3)]", f"start_factor = '0.1' {TEXT} a number"),
    ("param_scheduler=[dict(type='MultiStepLR', milestones=['3'], end=9)]", f"milestones = '3' {TEXT} a whole number"),
    ("param_scheduler=[dict(type='MultiStepLR', milestones=3, end=9)]", "milestones is a list of numbers, not the int"),
    ("param_scheduler=[dict(type='CosineAnnealingLR', T_max='5', end=5)]", f"T_max = '5' {TEXT} a whole number"),
    ("param_scheduler=['StepLR']", "param_scheduler[0] = 'StepLR' is no mapping"),
    ("custom_hooks=['EMAHook']", "custom_hooks[0] = 'EMAHook' is no mapping"),
    ("default_hooks=dict(logger='LoggerHook')", "default_hooks.logger = 'LoggerHook' is no mapping"),
    ("default_hooks=dict(checkpoint=dict(interval='1'))", f"interval = '1' {TEXT} a whole number"),
    ("default_hooks=dict(checkpoint=dict(max_keep_ckpts=2.0))", "max_keep_ckpts = 2.0 is not a whole number"),
    ("default_hooks=dict(logger=dict(interval='1'))", f"interval = '1' {TEXT} a whole number"),
    ("workflow=['train']", "workflow = ['train']: pairs of"),
    ("workflow=[('train', '1')]", "workflow = [('train', '1')]: pairs of"),
    ("randomness=dict(seed=1.5)\nseed=None", "randomness.seed = 1.5 is not a whole number"),
]


@pytest.mark.parametrize(("text", "want"), WRONG, ids=[text for text, _ in WRONG])
def test_a_value_of_the_wrong_type_is_refused_at_the_start(text, want, tmp_path):
    (tmp_path / "cfg.py").write_text(f"_base_ = [{CONVNET!r}]\n{text}\n")
    with pytest.raises(fkit.FkitError) as caught:
        fkit.plan(fkit.load_config(tmp_path / "cfg.py"))
    assert want in str(caught.value)
    assert issubclass(caught.type, TypeError | ValueError | KeyError)


def test_numpy_numbers_are_numbers():
    import numpy as np

    cfg = fkit.load_config(CONVNET).merge({"optim_wrapper.optimizer.lr": 1})
    assert fkit.plan(cfg).program.hyperparams()["lr"].tolist() == [1.0]
    assert fkit.build({"type": "LinearLR", "end": np.int64(3)}, fkit.registry(), "param_schedulers").end == 3

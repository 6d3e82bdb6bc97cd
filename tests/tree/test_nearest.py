"""The nearest name: of what people mistype, the one that is meant; of other words, none."""

import time

import pytest

from fkit.tree.error import FkitError, nearest, slips

NAMES = (
    "model", "backbone", "neck", "head", "train_cfg", "val_cfg", "test_cfg", "train_dataloader", "val_dataloader",
    "optim_wrapper", "optimizer", "param_scheduler", "max_epochs", "max_iters", "val_interval", "batch_size", "num_workers",
    "work_dir", "load_from", "resume", "seed", "depth", "ResNet", "ConvNet", "MLP", "SGD", "Adam", "AdamW",
    "CosineAnnealingLR", "MultiStepLR", "LinearLR", "CrossEntropyLoss", "RandomFlip", "Accuracy", "CheckpointHook", "type",
    "lr", "after_train_iter", "after_train_epoch", "clip_grad", "randomness",
)  # fmt: skip


@pytest.mark.parametrize(
    ("word", "want"),
    [
        ("modle", "model"), ("backbon", "backbone"), ("bakcbone", "backbone"), ("train_cgf", "train_cfg"),
        ("traincfg", "train_cfg"), ("train-cfg", "train_cfg"), ("train_dataloder", "train_dataloader"),
        ("val_dataloaders", "val_dataloader"), ("optim_wraper", "optim_wrapper"), ("optimzer", "optimizer"),
        ("optimiser", "optimizer"), ("param_schedular", "param_scheduler"), ("max_epoch", "max_epochs"),
        ("epochs", "max_epochs"), ("MAX_ITERS", "max_iters"), ("batchsize", "batch_size"), ("num_worker", "num_workers"),
        ("workdir", "work_dir"), ("loadfrom", "load_from"), ("reusme", "resume"), ("sede", "seed"), ("detph", "depth"),
        ("resnet", "ResNet"), ("ResNeet", "ResNet"), ("ResNet50", "ResNet"), ("ConvNett", "ConvNet"), ("SDG", "SGD"),
        ("Adm", "Adam"), ("adamw", "AdamW"), ("CosineLR", "CosineAnnealingLR"), ("CosineAnnealing", "CosineAnnealingLR"),
        ("MultiStep", "MultiStepLR"), ("LinerLR", "LinearLR"), ("CrossEntropy", "CrossEntropyLoss"),
        ("RandomFilp", "RandomFlip"), ("Acuracy", "Accuracy"), ("CheckpontHook", "CheckpointHook"), ("tpye", "type"),
        ("LR", "lr"), ("after_train_itr", "after_train_iter"), ("aftr_train_epoch", "after_train_epoch"),
        ("clipgrad", "clip_grad"), ("optim", "optimizer"), ("rand", "randomness"), ("randomnes", "randomness"),
    ],
)  # fmt: skip
def test_a_slip_is_near(word, want):
    assert nearest(word, NAMES) == want


@pytest.mark.parametrize(
    "word",
    [
        "width", "height", "bogus", "xyzzy", "loss", "rl", "a", "", "lrs0", "cfg", "dir", "net", "momentum", "learning_rate",
        "img_scale", "data_root", "gpu_ids", "weights", "Hook", "Loss", "VisionTransformer", "YOLOX", "FasterRCNN",
        "pipeline", "launcher", "samples_per_gpu", "训练", "0", "after", "step", "best",
    ],
)  # fmt: skip
def test_another_word_has_no_nearest(word):
    assert nearest(word, NAMES) is None


def test_the_nearest_of_several_is_the_one_with_the_fewest_slips():
    assert nearest("adamw", ["Adam", "AdamW"]) == "AdamW" and nearest("adma", ["AdamW", "Adam"]) == "Adam"
    assert nearest("val_cgf", ["train_cfg", "test_cfg", "val_cfg"]) == "val_cfg"
    assert nearest("epochs", ["max_epochs", "epoch"]) == "epoch"
    assert nearest("ResNet", ["ResNet", "resnet"]) == "ResNet"


def test_slips_are_counted_as_people_make_them():
    for word, other, count in (("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("abcd", "acbd", 1), ("ca", "abc", 3)):
        assert slips(word, other) == slips(other, word) == count


def test_many_and_long_names_are_quickly_compared():
    names = [f"Name{i}OfAPartWithALongName{i % 7}" for i in range(2000)]
    start = time.perf_counter()
    str(FkitError("no such name.", value="Naem77OfAPartWithALongName0" * 4, choices=names))
    nearest("Naem77OfAPartWithALongName0", names)
    assert time.perf_counter() - start < 5

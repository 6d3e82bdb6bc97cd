"""Words that reach nothing of a run are errors; the same with `:=`, and words that reach something, are none."""

import pytest

from fkit.config.change.override import apply_words
from fkit.config.config import Config
from fkit.recipe.settings import read
from fkit.tree.error import FkitKeyError

CFG = Config.fromstring("""
norm = dict(type='BN', eps=1e-5)
epochs_all = 3
sizes = [1, 2]
model = dict(type='Net', norm_cfg=norm, sizes=sizes)
train_cfg = dict(max_epochs=epochs_all)
""")


@pytest.mark.parametrize(
    ("word", "want"),
    [
        ("norm.eps=1e-3", "write model.norm_cfg.eps=1e-3"),
        ("norm.type=GN", "write model.norm_cfg.type=GN"),
        ("sizes=[3]", r"write model.sizes=\[3\]"),
        ("epochs_all=5", "epochs_all:=5 changes the variable alone"),
        ("norm.momentum=0.1", "norm.momentum is in no file"),
        ("eps=0.1", "Did you mean model.norm_cfg.eps=0.1"),
        ("checkpoint.interval=2", "Did you mean default_hooks.checkpoint.interval=2"),
    ],
)
def test_a_word_that_reaches_nothing(word, want):
    cfg = apply_words(CFG, [word])
    with pytest.raises(FkitKeyError, match=want):
        read(cfg)
    read(apply_words(CFG, [word.replace("=", ":=", 1)]))


def test_several_words_name_the_places_of_the_file_as_it_was():
    cfg = apply_words(CFG, ["norm.eps=1e-3", "norm.type=GN", "train_cfg.max_epochs=4"])
    with pytest.raises(FkitKeyError, match=r"write model\.norm_cfg"):
        read(cfg)


@pytest.mark.parametrize("word", ["train_cfg.max_epochs=4", "model.sizes=[3]", "model.depth=3", "seed=3", "work_dir=a"])
def test_a_word_that_reaches_something(word):
    read(apply_words(CFG, [word]))

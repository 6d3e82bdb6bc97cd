"""The run's keys: what is nearly a key, what a table does not take, what a command-line word may declare."""

import re
from pathlib import Path

import pytest

import fkit
from fkit.config.change.override import apply_words
from fkit.config.schema import Key, rows
from fkit.recipe.key import KEYS
from fkit.recipe.manual import annotated, table_text
from fkit.recipe.settings import read
from fkit.tree.error import FkitValueError
from fkit.tree.path import parse

ROOT = Path(__file__).parents[2]
BASE = fkit.Config(
    {
        "model": {"type": "MLP", "in_channels": 4},
        "train_cfg": {"by_epoch": True, "max_epochs": 3},
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": 5}},
        "train_dataloader": {"dataset": {"type": "Digits"}},
        "my_variable": {"a": 1},
    }
)


def tree_of(cfg):
    return read(cfg).tree


def test_defaults_are_filled_in_and_the_users_own_variables_kept():
    settled = tree_of(BASE)
    assert settled.backend == "torch" and settled.dtype == "float32" and settled.workflow == (("train", 1),)
    assert settled.my_variable.a == 1
    assert settled.default_hooks.logger.interval == 5 and settled.default_hooks.checkpoint.type == "CheckpointHook"
    assert tree_of(settled) == settled


def test_a_default_hook_without_its_type_changes_the_default_one():
    settled = tree_of(BASE.merge({"default_hooks.checkpoint": {"interval": 7}}))
    assert dict(settled.default_hooks.checkpoint) == {"type": "CheckpointHook", "interval": 7}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("modle", "model"),
        ("optim_wraper", "optim_wrapper"),
        ("train_cgf", "train_cfg"),
        ("seeds", "seed"),
        ("ssed", "seed"),
    ],
)
def test_nearly_a_key_is_an_error(name, meant):
    with pytest.raises(fkit.FkitError, match=f"'{name}' is no key of a run.*\n.*Did you mean '{meant}'"):
        tree_of(BASE.merge({name: 1}))


@pytest.mark.parametrize("name", ["models_dir", "my_model", "cfg", "data_root"])
def test_a_users_own_variable_is_none(name):
    assert tree_of(BASE.merge({name: 1}))[name] == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"train_cfg": {"max_epoch": 3}}, "train_cfg.max_epoch is unknown"),
        ({"randomness": {"sed": 3}}, "randomness.sed is unknown"),
        ({"seed": "seven"}, "seed = 'seven' is text, not a whole number"),
        ({"seed": True}, "seed = True is not a whole number"),
        ({"dtype": "float61"}, "dtype = 'float61' is unknown.\n  Did you mean"),
        ({"seed": 1, "randomness": {"seed": 2}}, "are one value"),
        ({"workflow": 3}, "workflow = 3 is not a list of pairs"),
        (
            {"train_cfg": {"max_iters": 9}},
            "train_cfg.max_iters = 9, and this run counts epochs: train_cfg.by_epoch = True says so.",
        ),
        (
            {"train_cfg": {"by_epoch": False, "max_iters": 9}},
            "train_cfg.max_epochs = 3, and this run counts iterations: train_cfg.by_epoch = False says so.",
        ),
    ],
)
def test_a_wrong_value_is_an_error_that_names_it(change, text):
    with pytest.raises(fkit.FkitError, match=text):
        tree_of(BASE.merge(change))


def test_one_seed_under_either_name():
    assert tree_of(BASE.merge({"randomness": {"seed": 9}})).seed == 9


@pytest.mark.parametrize(
    "word",
    ["seed=3", "model.hidden=[3,4]", "train_cfg.val_interval=2", "anything:=3", "my_variable.b:=2",
     "default_hooks.checkpoint.interval=3", "train_dataloader.batch_size=3"],
)  # fmt: skip
def test_a_word_may_set_what_something_takes(word):
    tree_of(apply_words(BASE, [word]))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("anything=3", "'anything=3': anything is in no file"),
        ("my_variable.bb=2", r"my_variable.bb is in no file .*\n.*Did you mean 'a'|Keys: a"),
        ("train_cfg.max_epohcs=2", "Did you mean 'max_epochs'"),
    ],
)
def test_a_word_that_nothing_takes_is_an_error(word, text):
    with pytest.raises(fkit.FkitError, match=text):
        tree_of(apply_words(BASE, [word]))


def test_the_readme_has_the_table_of_keys():
    assert f"\n\n{table_text()}\n\n" in (ROOT / "README.md").read_text(), (
        "python -c 'from fkit.recipe.manual import table_text; print(table_text())'"
    )


@pytest.mark.parametrize("name", ["convnet", "mlp", "resnet18"])
def test_a_config_is_shown_with_a_line_on_each_key_and_reads_back(name):
    tree = tree_of(fkit.load_config(ROOT / f"configs/digits/{name}.py"))
    text = annotated(tree)
    assert fkit.Config.fromstring(text) == tree and tree_of(fkit.Config.fromstring(text)) == tree
    for key in KEYS:
        assert re.search(rf"^(# )?{key.name} = ", text, re.MULTILINE), key.name


def test_settings_are_typed_and_hold_parts_with_their_places():
    settings = read(
        fkit.load_config(ROOT / "configs/digits/mlp.py").merge(
            {"optim_wrapper.clip_grad": {"max_norm": 3}, "randomness": {"deterministic": False}, "work_dir": "a"}
        )
    )
    assert settings.train[1:] == (True, 20) and settings.workflow == (("train", 1),)
    assert settings.wrappers["main"].clip == ("norm", 3, 2.0, False)
    assert settings.randomness == (False, "counter") and settings.memory_format == "auto"
    assert (settings.work_dir, settings.resume, settings.load_from, settings.seed) == ("a", False, None, 0)
    assert [part.path for part in settings.schedules] == ["param_scheduler[0]", "param_scheduler[1]"]
    assert settings.loaders.keys() == {"train", "val", "test"} and settings.loaders["val"].path == "val_dataloader"
    assert settings.hooks[-1] == ("default_hooks.checkpoint", fkit.Config({"type": "CheckpointHook"}), "checkpoint")


def test_a_config_without_keys_has_the_defaults():
    tree = read(fkit.Config({})).tree
    assert tree.keys() == {key.name for key in KEYS if key.default is not None}
    for path, key in rows(KEYS):
        if "." not in path and key.default is not None and not key.shape.keys:
            assert tree[path] == fkit.Config({"x": key.default}).x


def test_no_key_of_a_run_changes_nothing():
    """Each acts, or is an error: there is no word for a third."""
    assert "inert" not in Key._fields


def test_the_environment_as_every_openmmlab_config_has_it():
    usual = {
        "cudnn_benchmark": False, "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
        "dist_cfg": {"backend": "nccl"}, "resource_limit": 4096,
    }  # fmt: skip
    settings = read(
        fkit.Config({"env_cfg": usual, "find_unused_parameters": True, "randomness": {"diff_rank_seed": True}})
    )
    assert settings.environment == (False, "forkserver", 0, 4096, "nccl", None) and settings.notes == ()
    assert settings.tree.find_unused_parameters and settings.tree.env_cfg.dist_cfg == {"backend": "nccl"}
    assert read(fkit.Config({})).environment == (False, "forkserver", None, None, None, None)
    spawned = {"env_cfg": {"mp_cfg": {"mp_start_method": "spawn"}, "cudnn_benchmark": True}}
    assert read(fkit.Config(spawned)).environment == (True, "spawn", None, None, None, None)


@pytest.mark.parametrize(
    ("key", "count", "text"),
    [
        ("val_begin", 3, None),
        ("val_begin", 4, "train_cfg.val_begin = 4 is beyond the run's 3 epochs: nothing is validated."),
        ("val_interval", 4, "train_cfg.val_interval = 4 is beyond the run's 3 epochs: validated once, at the end."),
    ],
)
def test_validation_that_a_run_is_too_short_for_is_said(key, count, text):
    held_out = {"val_dataloader": {"dataset": {"type": "Digits"}}, "val_evaluator": {"type": "Accuracy"}}
    cfg = BASE.merge({"train_cfg": {key: count}})
    assert read(cfg.merge(held_out)).notes == (() if text is None else (text,))
    assert read(cfg.merge({"val_dataloader": None})).notes == ()


def test_a_config_without_such_keys_has_no_notes():
    assert read(BASE.merge({"randomness": {"deterministic": False}, "log_level": "INFO"})).notes == ()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "model",
        "model.norm_cfg",
        "train_cfg",
        "optim_wrapper.optimizer",
        "param_scheduler[0]",
        "train_dataloader.dataset",
    ],
)
def test_a_word_of_merging_that_nothing_merged_says_what_to_do(path):
    tree = {
        "model": {"norm_cfg": {"type": "BN"}},
        "mine": {"_delete_": True},
    }  # a variable of the user's own may hold it
    leaf = {"_delete_": True}
    for key in reversed(parse(path) if path else ()):
        leaf = [leaf] if key == 0 else {key: leaf}
    with pytest.raises(FkitValueError, match=re.escape(f"{path + '.' if path else ''}_delete_ reached a build")):
        tree_of(fkit.Config({**tree, **leaf}))
    tree_of(fkit.Config(tree))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"type": "StepLR", "step_size": 3}, ["param_scheduler[0] counts epochs in a run of iterations"]),
        ({"type": "StepLR", "step_size": 3, "by_epoch": False}, []),
        ({"type": "LinearLR", "convert_to_iter_based": True}, []),
        ({"type": "ReduceOnPlateauLR"}, []),
        ({"type": "StepLR", "step_size": 3, "by_epoch": False, "verbose": True}, ["param_scheduler[0].verbose"]),
    ],
)
def test_a_schedule_that_never_moves_is_told(policy, words):
    notes = read(fkit.Config({"train_cfg": {"by_epoch": False, "max_iters": 9}, "param_scheduler": [policy]})).notes
    assert [note for note in notes if "param_scheduler" in note] == [
        note for note in notes if any(w in note for w in words)
    ]
    assert len([note for note in notes if "param_scheduler" in note]) == len(words)

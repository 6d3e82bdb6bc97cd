"""A config in one call: trained in its work folder, tested, validated; what the commands do, for scripts."""

import json
from pathlib import Path

import pytest

import fkit
from fkit.tree.error import FkitError

ROOT = Path(__file__).parents[2]


def config(**changes):
    short = {"train_cfg.max_epochs": 1, "param_scheduler": None, "device": "cpu", "work_dir": "work"}
    return fkit.load_config(ROOT / "configs/digits/mlp.py").merge(short | changes)


def test_one_call_trains_and_another_scores(here):
    run = fkit.run_config(config())
    assert (run.status, run.signal, run.epoch) == ("finished", "", 1) and run.metrics["accuracy/top1"] > 0.7
    record = json.loads(Path("work/run.json").read_text())
    assert record["status"] == "finished" and Path("work/checkpoints/latest").exists()
    assert fkit.test_config(config(), "work") == fkit.validate_config(config(), "work") == run.metrics
    table = Path("work/log.txt").read_text()
    assert "after_train_iter:\n  (" in table and "CheckpointHook  checkpoint" in table


def test_a_run_goes_on_and_one_that_is_finished_is_given_back(here):
    first = fkit.run_config(config())
    again = fkit.run_config(config(resume=True))
    assert (again.status, again.iteration, dict(again.metrics)) == ("finished", first.iteration, dict(first.metrics))
    longer = fkit.run_config(config(resume=True, **{"train_cfg.max_epochs": 2}))
    assert longer.epoch == 2 and longer.iteration == 2 * first.iteration
    with pytest.raises(FkitError, match="holds a run already"):
        fkit.run_config(config())


def test_the_work_folder_is_named_by_the_config_or_by_its_file(here):
    fkit.run_config(config(work_dir=None))
    assert Path("work_dirs/mlp/run.json").exists()
    fkit.run_config(config(work_dir=None), name="mine")
    assert Path("work_dirs/mine/run.json").exists()
    with pytest.raises(FkitError, match="names no work folder, and was read from no file"):
        fkit.run_config(fkit.Config(dict(config(work_dir=None))))


def test_parts_of_ones_own_come_with_the_registry(here):
    told = []

    def note(memory, run, event):
        told.append(event.name)
        return memory, ()

    hook = type(
        "Note", (fkit.Hook,), {"after_train": lambda self, *a: note(*a), "after_test": lambda self, *a: note(*a)}
    )
    registry = fkit.registry().register("hooks", hook, name="Note")
    cfg = config(custom_hooks=[{"type": "Note"}])
    fkit.run_config(cfg, registry)
    fkit.test_config(cfg, "work", registry)
    assert told == ["after_train", "after_test"]


def test_wrong_input_leaves_no_folder(here):
    with pytest.raises(FkitError, match="'Nothing' is not in the registry 'models'"):
        fkit.run_config(config(**{"model.type": "Nothing"}))
    with pytest.raises(FkitError, match="`cfg` is a Config"):
        fkit.run_config("configs/digits/mlp.py")
    assert list(here.iterdir()) == []

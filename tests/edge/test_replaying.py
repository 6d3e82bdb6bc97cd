"""Runs of a work folder executed again: planted faults are found, and nothing is written there."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

import fkit
from fkit.cli.bisect import report as bisected
from fkit.cli.replay import report
from fkit.edge.checkpoint import write_checkpoint
from fkit.edge.files import Files
from fkit.edge.past import read_past
from fkit.run.effect import RenewStatistics
from fkit.tree.error import FkitError
from tests.run import fault


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A sound run of 200 steps, and four others: of one changed weight, a swapped batch, an operation, and another seed."""
    root = tmp_path_factory.mktemp("runs")
    fault.train(root / "a")
    fault.train(root / "nudge", nudge=137)
    fault.train(root / "swap", swap=137)
    fault.train(root / "version", version=2)
    fault.train(root / "seed", seed=4)
    return root


@pytest.fixture(scope="module")
def apart():
    """The first step after which the two versions of the operation leave other states: every step is compared."""
    states = []
    for version in (1, 2):
        plan = fkit.plan(fault.config(version=version), fault.registry())
        seen = {}
        for run, _ in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
            if run.iteration not in seen:
                arrays = plan.program.collect(run.train)
                seen[run.iteration] = b"".join(arrays[name].tobytes() for name in sorted(arrays))
        states.append(seen)
    return next(step for step in sorted(states[0]) if states[0][step] != states[1][step])


def following(folder, step):
    """The step of the first checkpoint from a step on."""
    return next(one for one in read_past(folder).steps if one >= step)


@pytest.fixture
def copied(runs, tmp_path):
    shutil.copytree(runs / "a", tmp_path / "a")
    return tmp_path / "a"


def changed(kind, name, maker, **where):
    """The registry, as code that was changed since has it."""
    return fault.registry().register(kind, maker, name=name, replace=True, **where)


def test_a_run_is_replayed_to_the_bit_and_nothing_is_written(runs):
    before = fault.files(runs)
    done = fkit.replay(runs / "a", fault.registry())
    assert done.equal and done.verdict[:4] == (0, 200, 24, (40, 50, 80, 100, 120, 150, 160, 200)) and done.notes == ()
    assert fkit.bisect(runs / "a", runs / "swap", fault.registry()).step == 137
    assert fault.files(runs) == before


def test_it_begins_at_a_checkpoint_and_ends_where_it_is_told(runs):
    done = fkit.replay(runs / "a", fault.registry(), start=120, to=165)
    assert done.equal and done.verdict[:4] == (120, 165, 5, (150, 160))
    assert "the record ends at step 200" in fkit.replay(runs / "a", fault.registry(), start=160, to=999).notes


def test_a_weight_that_changed_is_found_in_a_replay(runs):
    reg = changed("hooks", "Nudge", lambda at, by: fault.Nudge(at=137, by=1e-3))
    done = fkit.replay(runs / "a", reg)
    found = done.verdict
    assert (found.first, found.known, found.row.step, found.step) == (140, 130, 140, 150)
    assert done.strayed == (0, 0) and "it is not the data's order" in report(done)
    assert found.differences[0].name == "params/head.fc.weight" and found.row.changes[0].name == "loss"
    exact = fkit.replay(runs / "a", reg, to=130)
    assert exact.equal and exact.verdict.end == 130


def test_a_batch_that_was_swapped_is_found_in_a_replay(runs):
    reg = changed("data_samplers", "Swapping", lambda at: fault.Swapping(at=137))
    done = fkit.replay(runs / "a", reg)
    assert (done.verdict.first, done.verdict.known, done.verdict.step) == (140, 130, 150)
    assert done.strayed == (137, 137) and "step 137 takes other samples than then: so it is the data's order" in report(
        done
    )
    assert fkit.replay(runs / "a", reg, to=130).strayed is None  # nothing differs


def test_another_version_of_an_operation_is_found_in_a_replay(runs, apart):
    reg = changed("models", "Net", lambda version: fault.Net(version=2), backend="torch")
    found = fkit.replay(runs / "a", reg).verdict
    assert found.step == following(runs / "a", apart) and found.differences[0].name.startswith("params/")


def test_a_weight_that_changed_is_bisected(runs):
    found = fkit.bisect(runs / "a", runs / "nudge", fault.registry())
    assert (found.step, found.known, found.between, found.batch, found.logs) == (137, 136, (120, 150), (), ())
    [weight] = found.differences
    assert weight.name == "params/head.fc.weight" and weight.words == "1 of 160 numbers"
    assert found.replays <= 2 + 2 * 5 + 2  # log2(30) is below 5
    assert any("the configs differ" in note for note in found.notes) and not found.equal


def test_a_batch_that_was_swapped_is_bisected_as_one(runs):
    found = fkit.bisect(runs / "a", runs / "swap", fault.registry())
    assert (found.step, found.after) == (137, False)
    assert {row.name for row in found.batch} == {"batch/inputs", "batch/targets/gt_label"}
    order = fault.Swapping(at=137).indices(13, fault.SIZE, 3)
    mine, other = found.samples
    assert other == tuple(map(str, order[30:35])) and mine == tuple(map(str, order[35:40]))
    assert [change.name for change in found.logs] == ["loss"]


def test_an_operation_is_bisected_to_the_step_that_comparing_every_step_finds(runs, apart):
    found = fkit.bisect(runs / "a", runs / "version", fault.registry())
    assert (found.step, found.known, found.batch) == (apart, apart - 1, ()) and found.differences
    below = [step for step in (0, *read_past(runs / "a").steps) if step < apart]
    assert found.between == (below[-1], following(runs / "a", apart))


def test_what_is_tolerated_is_no_difference(runs):
    found = fkit.bisect(runs / "a", runs / "nudge", fault.registry(), tolerance=2e-6)
    assert found.step is None or found.step > 137  # the change is of 1e-6, and may grow later
    found = fkit.bisect(runs / "a", runs / "swap", fault.registry(), tolerance=1e-6)
    assert found.step == 137 and all(row.largest > 1e-6 for row in found.differences)
    with pytest.raises(FkitError, match="tolerance = -1: at least 0"):
        fkit.bisect(runs / "a", runs / "swap", fault.registry(), tolerance=-1)


def test_runs_of_other_seeds_are_apart_from_the_start(runs):
    found = fkit.bisect(runs / "a", runs / "seed", fault.registry())
    assert (found.step, found.replays) == (0, 0)
    assert {"params/head.fc.weight", "key"} <= {row.name for row in found.differences}


def test_another_learning_rate_parts_at_the_first_step(runs, tmp_path):
    fault.train(tmp_path / "lr", **{"optim_wrapper.optimizer.lr": 0.04, "steps": 40})
    found = fkit.bisect(runs / "a", tmp_path / "lr", fault.registry())
    assert (found.step, found.batch) == (1, ()) and "hyperparams/lr" in {row.name for row in found.differences}


def test_gradients_that_are_clipped_part_after_the_losses(runs, tmp_path):
    fault.train(tmp_path / "clip", **{"optim_wrapper.clip_grad": {"max_norm": 0.01}, "steps": 10})
    found = fkit.bisect(runs / "a", tmp_path / "clip", fault.registry())
    assert (found.step, [change.name for change in found.logs]) == (1, ["grad_norm"])
    assert "so it is what follows the losses" in bisected(found)


def test_equal_runs_are_equal_and_a_shorter_one_as_far_as_it_goes(runs, tmp_path):
    found = fkit.bisect(runs / "a", runs / "a", fault.registry())
    assert found.equal and (found.end, found.replays) == (200, 0)
    fault.train(tmp_path / "short", steps=90, param_scheduler=None)
    fault.train(tmp_path / "long", steps=130, param_scheduler=None)
    found = fkit.bisect(tmp_path / "short", tmp_path / "long", fault.registry())
    assert found.equal and (found.known, found.end, found.replays) == (90, 90, 2)  # from the checkpoint of step 80


def harm(folder, step, change, **more):
    """Write a checkpoint again with other contents, as sound as it was."""
    found = read_past(folder).found(step)
    meta = more | {
        key: value
        for key, value in found.meta.items()
        if key not in ("checksum", "checksums", "record", "format", *more)
    }
    write_checkpoint(folder / "checkpoints", step, change(found.saved), meta, Files())


def nudged(saved):
    weight = saved.arrays["params/head.fc.bias"] + 1
    return saved._replace(arrays={**saved.arrays, "params/head.fc.bias": weight})


def test_a_run_that_does_not_reproduce_itself_is_told_from_two_that_part(runs, copied):
    for step in (80, 100, 120, 150, 160, 200):
        harm(copied, step, nudged)
    found = fkit.bisect(runs / "a", copied, fault.registry())
    [astray] = found.astray
    assert found.step is None and not found.equal and astray.folder == copied and found.between == (50, 80)
    assert astray.verdict.step == 80 and [row.name for row in astray.verdict.differences] == ["params/head.fc.bias"]


@dataclass(frozen=True)
class Renewing(fkit.Hook):
    """Renews the statistics of batch norm where the run validates: what no step does."""

    samples: int = 0

    def after_val_epoch(self, memory, run, event):
        return memory, (RenewStatistics(self.samples),)


def test_what_follows_a_step_is_told_from_the_step(tmp_path):
    reg = fault.registry().register("hooks", Renewing)
    for samples in (10, 20):
        hooks = [{"type": "Renewing", "samples": samples}]
        fault.train(tmp_path / str(samples), reg, steps=60, custom_hooks=hooks)
    found = fkit.bisect(tmp_path / "10", tmp_path / "20", reg)
    assert (found.step, found.after, found.between) == (50, True, (40, 50)) and not found.equal
    assert {row.name for row in found.differences} == {
        "buffers/backbone.norm.running_mean",
        "buffers/backbone.norm.running_var",
    }


def test_what_does_not_verify_is_passed_over_and_said(runs, copied):
    (copied / "checkpoints/step_00000120/state.safetensors").write_bytes(b"half")
    done = fkit.replay(copied, fault.registry())
    assert done.equal and 120 not in done.verdict.checkpoints
    assert done.notes == ("passed over the checkpoint of step 120: it does not verify",)
    found = fkit.bisect(copied, runs / "nudge", fault.registry())
    assert found.step == 137 and found.between == (100, 150)
    assert any("step 120, which does not verify" in note for note in found.notes)


def test_a_line_that_was_changed_is_found(copied):
    fault.rewrite(copied, lambda row: {**row, "loss": row["loss"] + 1e-7} if row["step"] == 70 else None)
    found = fkit.replay(copied, fault.registry()).verdict
    assert (found.first, found.step, found.checkpoints) == (70, None, (40, 50, 80))


def test_what_the_bits_depend_on_is_compared_and_said(runs, copied):
    record = json.loads((copied / "run.json").read_text())
    record["versions"]["PyTorch"] = "2.0.0"
    record["data"]["train"]["digest"] = "0" * 32
    (copied / "run.json").write_text(json.dumps(record))
    done = fkit.replay(copied, fault.registry(), start=160)
    assert done.equal and [note.partition(", ")[0] for note in done.notes] == [
        "environment: PyTorch: 2.0.0 then",
        "data: train the samples are others",
    ]
    found = fkit.bisect(copied, runs / "a", fault.registry())
    assert found.equal and any(note.startswith("environment: PyTorch: 2.0.0 in") for note in found.notes)


def test_a_checkpoint_of_other_threads_or_of_another_backend_is_said(copied):
    for step, more in ((150, {"backend": "jax"}), (160, {"threads": {"count": 64}})):
        harm(copied, step, lambda saved: saved, **more)
    done = fkit.replay(copied, fault.registry(), start=120)
    assert done.equal and done.notes[0] == "the checkpoint of step 150 was written on jax"
    assert done.notes[1].startswith(
        "the checkpoint of step 160 was written on 64 threads, and this replay computes on "
    )


def test_a_run_that_began_with_the_weights_of_another(runs, tmp_path):
    fault.train(tmp_path / "a", steps=20, load_from=str(runs / "a/checkpoints/step_00000040"))
    done = fkit.replay(tmp_path / "a", fault.registry())
    assert done.equal and done.verdict[:4] == (0, 20, 3, (20,))
    other = fkit.bisect(runs / "a", tmp_path / "a", fault.registry())
    assert other.step == 0 and "params/head.fc.weight" in {row.name for row in other.differences}


def test_a_run_that_went_on_from_the_checkpoint_of_another(runs, tmp_path):
    fault.train(tmp_path / "a", steps=60, param_scheduler=None, resume=str(runs / "a/checkpoints/step_00000040"))
    done = fkit.replay(tmp_path / "a", fault.registry())
    assert done.equal and done.verdict[:2] == (40, 60) and done.verdict.checkpoints == (50, 60)


def test_a_run_on_jax_is_replayed_and_parts_from_torch_at_the_first_step(tmp_path):
    changes = {"train_cfg.max_epochs": 1, "param_scheduler": None, "device": "cpu"}
    cfg = fkit.load_config(Path(__file__).parents[2] / "configs/digits/mlp.py").merge(changes)
    for backend in ("torch", "jax"):
        fkit.run_config(cfg.merge({"backend": backend, "work_dir": str(tmp_path / backend)}))
    done = fkit.replay(tmp_path / "jax")
    assert done.equal and done.verdict[:2] == (0, 23) and done.verdict.checkpoints == (23,)
    found = fkit.bisect(tmp_path / "torch", tmp_path / "jax")
    assert (found.step, found.batch) == (1, ()) and all(row.largest < 1e-3 for row in found.differences)
    assert fkit.bisect(tmp_path / "torch", tmp_path / "jax", tolerance=0.01).equal


def test_a_resumed_run_that_grew_longer_is_replayed_whole(tmp_path):
    fault.train(tmp_path / "a", steps=45, param_scheduler=None)
    fault.train(tmp_path / "a", steps=60, param_scheduler=None, resume=True)
    done = fkit.replay(tmp_path / "a", fault.registry())
    assert done.equal and done.verdict[:2] == (0, 60) and done.verdict.checkpoints == (40, 45, 50, 60)
    order = read_past(tmp_path / "a").found(60).meta["order"]
    assert [order[name] for name in ("from", "since", "every")] == [45, 50, 1]
    done = fkit.replay(tmp_path / "a", changed("data_samplers", "Swapping", lambda at: fault.Swapping(at=47)))
    assert done.strayed == (47, 47) and done.verdict.first == 50


def test_a_run_whose_checkpoints_do_not_say_what_it_took(copied):
    for folder in (copied / "checkpoints").glob("step_*"):
        if folder.name != "step_00000200":
            shutil.rmtree(folder)
    swapped = changed("data_samplers", "Swapping", lambda at: fault.Swapping(at=137))
    assert fkit.replay(copied, swapped).strayed == (
        1,
        160,
    )  # of what lies before the last checkpoint but one, the whole
    harm(copied, 200, lambda saved: saved, order=None)
    assert fkit.replay(copied, swapped).strayed is None


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"start": 121}, "has no checkpoint of step 121"),
        ({"start": 200}, "nothing to compare from step 200"),
        ({"to": 0}, "nothing to compare from step 0 to step 0"),
        ({"to": "x"}, "to = 'x' is text"),
        ({"start": -1}, "nothing to compare from step -1"),
    ],
)
def test_wrong_input_is_refused(runs, options, what):
    with pytest.raises(FkitError, match=what):
        fkit.replay(runs / "a", fault.registry(), **options)


def test_what_is_no_run_is_refused(runs, tmp_path):
    with pytest.raises(FkitError, match="is not there"):
        fkit.replay(tmp_path / "nothing")
    with pytest.raises(FkitError, match=r"there is no run\.json"):
        fkit.bisect(runs / "a", tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(FkitError, match="is no JSON"):
        fkit.replay(tmp_path)
    assert os.listdir(tmp_path) == ["run.json"]
    with pytest.raises(FkitError, match="'Net' is not in the registry"):
        fkit.replay(runs / "a")
    assert Path(runs / "a/run.json").exists()

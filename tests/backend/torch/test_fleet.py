"""Two processes of gloo under torchrun, against one: losses, scores, files, resuming, and what happens when one dies."""

import copy
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from torch import nn
from torch.distributed.fsdp.wrap import _recursive_wrap, size_based_auto_wrap_policy

import fkit
from fkit.backend.torch.fsdp import sized
from fkit.edge.checkpoint import newest
from fkit.edge.predictions import UNNUMBERED, Gathering, Target
from fkit.metric.kept import read_rows, row_line
from fkit.run.effect import WritePredictions
from fkit.run.plan import open_data, plan
from fkit.training.fleet import Fleet
from fkit.tree.error import FkitError, FkitValueError
from tests.backend.torch.fleet import CASES, detector, go
from tests.run.small import registry

ROOT = Path(__file__).parents[3]


def torchrun(folder, *cases, count=2, seconds=480):
    """The cases in so many processes; (exit code, standard error)."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count), "--standalone"]
    command += ["-m", "tests.backend.torch.fleet", str(folder), "pytorch", *cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    return done.returncode, done.stderr


def rows(folder, case, mode="train"):
    lines = [json.loads(line) for line in (folder / case / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["mode"] == mode]


def arrays(folder, case):
    return newest(folder / case / "checkpoints").saved.arrays


def said(folder, rank):
    lines = (folder / f"process_{rank}.txt").read_text().splitlines()
    return dict(line.split("\t") for line in lines)


SAME = ("ddp", "options", "sync", "clip", "sums", "compiled", "shards", "parts", "lars", "lamb", "phases")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes did."""
    folder = tmp_path_factory.mktemp("two")
    code, text = torchrun(
        folder,
        *SAME,
        "own",
        "term",
        "term+",
        "other",
        "idle",
        "shift",
        "shift+",
        "steady",
        "rest",
        "rest+",
        "fewer",
        "names",
        "detector",
        "reductions",
    )
    assert code == 0, text
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """What one does, uncompiled."""
    folder = tmp_path_factory.mktemp("one")
    for case in SAME:
        go(folder, case, compile=False)
    return folder


@pytest.mark.parametrize("case", SAME)
def test_losses_are_those_of_one_process(case, one, two):
    ours, theirs = rows(two, case), rows(one, case)
    assert len(ours) == len(theirs) == 9
    names = [name for name in theirs[0] if name.endswith("loss")]
    assert names
    for name in names:
        np.testing.assert_allclose([row[name] for row in ours], [row[name] for row in theirs], rtol=1e-5)
    if case == "clip":  # at every second step
        norms = [[row["grad_norm"] for row in lines if "grad_norm" in row] for lines in (ours, theirs)]
        assert len(norms[0]) > 3
        np.testing.assert_allclose(*norms, rtol=1e-4)
    for path, array in arrays(one, case).items():
        np.testing.assert_allclose(arrays(two, case)[path], array, rtol=1e-3, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("case", SAME)
def test_scores_are_those_of_one_process(case, one, two):
    assert [row["accuracy/top1"] for row in rows(two, case, "val")] == [
        row["accuracy/top1"] for row in rows(one, case, "val")
    ]


def test_every_process_holds_the_same_state(two):
    first, second = said(two, 0), said(two, 1)
    cases = ("ddp", "options", "sync", "clip", "sums", "compiled", "own", "term+", "rest+")
    assert {case: first[case] for case in cases} == {case: second[case] for case in cases}
    assert first["shards"] != second["shards"]  # a part each
    assert first["own"] != first["sync"]  # batch norm of each process's own samples is another


def test_one_process_writes(one, two):
    for case in SAME:
        ours, theirs = (
            {str(path.relative_to(place / case)) for path in (place / case).rglob("*")} for place in (two, one)
        )
        assert ours == theirs
    assert json.loads((two / "ddp" / "run.json").read_text())["processes"] == 2
    assert fkit.load_config(two / "ddp" / "config.py")["devices"] == 2  # without a launcher it starts as many


def test_a_signal_to_one_process_stops_all_and_the_run_goes_on_to_the_same_bits(two):
    steps = sorted(path.name for path in (two / "other" / "checkpoints").iterdir() if path.is_dir())
    assert steps[-1] == "step_00000006"  # the one after the step in which it came
    ours, whole = arrays(two, "term"), arrays(two, "ddp")
    assert int(ours["iteration"]) == 9
    assert all(ours[path].tobytes() == whole[path].tobytes() for path in whole)


def test_a_run_of_parts_goes_on_to_the_same_bits(two):
    ours, whole = arrays(two, "shift"), arrays(two, "steady")
    assert all(ours[path].tobytes() == whole[path].tobytes() for path in whole)
    np.testing.assert_allclose(
        [row["loss"] for row in rows(two, "steady")], [row["loss"] for row in rows(two, "clip")], rtol=1e-5
    )


def test_a_run_goes_on_on_another_number_of_processes(two):
    go(two, "other", resume=True)
    ours, whole = rows(two, "other"), rows(two, "ddp")
    np.testing.assert_allclose([row["loss"] for row in ours], [row["loss"] for row in whole], rtol=1e-5)
    assert "this run began on 2 devices and goes on on 1" in (two / "other" / "log.txt").read_text()


def test_gradients_that_are_added_up_are_reduced_when_the_parameters_move(two):
    counts = json.loads(said(two, 0)["reductions"])
    assert counts[2] > 0 and counts == [0, 0, counts[2]] * 2 == json.loads(said(two, 1)["reductions"])


def test_a_run_that_stops_between_goes_on_to_the_same_bits(two):
    stopped = load_file(two / "rest" / "checkpoints" / "step_00000006" / "state.safetensors")
    own = [stopped[f"slots/accumulate@{rank}/backbone.fc1.weight"] for rank in (0, 1)]
    assert np.abs(own[0] - own[1]).max() > 1e-3
    np.testing.assert_allclose(stopped["slots/accumulate/backbone.fc1.weight"], (own[0] + own[1]) / 2)
    ours, whole = arrays(two, "rest"), arrays(two, "sums")
    assert ours.keys() == whole.keys()
    assert all(ours[path].tobytes() == whole[path].tobytes() for path in whole)


def test_a_run_that_stops_between_goes_on_on_another_number_of_processes(two):
    go(two, "fewer", resume=True)
    ours, whole = rows(two, "fewer"), rows(two, "sums")
    np.testing.assert_allclose([row["loss"] for row in ours], [row["loss"] for row in whole], rtol=1e-5)


def test_parameters_that_no_loss_reaches_are_told(two):
    assert "the loss does not reach idle.weight, idle.bias" in said(two, 0)["idle"]


def test_a_detector_draws_and_weighs_as_one_process_does(two):
    """Samplers draw by an image's place in the whole batch; losses are divided by what the whole batch has."""
    ours, theirs = json.loads(said(two, 0)["detector"]), json.loads(detector())
    assert len(ours) == 3 and ours[0].keys() == theirs[0].keys() >= {"loss_rpn_cls", "loss_bbox", "loss_mask"}
    for one, other in zip(ours, theirs, strict=True):
        for name in other:
            assert one[name] == pytest.approx(other[name], rel=1e-5), name


def test_mmengine_s_functions(two):
    first, second = (json.loads(said(two, rank)["names"]) for rank in (0, 1))
    assert first["info"] == [2, True, "gloo", True, True] and second["info"][1] is False
    rows = {"sum": [3, 8], "mean": [1.5, 4], "product": [2, 16], "min": [1, 4], "max": [2, 4]}
    for told in (first, second):
        assert {op: told[op] for op in rows} == rows
        assert told["dict"] == {"b": [1.5, 4], "a": 1} and told["params"] == [[3, 8], [1], [3, 8]]
        assert told["all_gather"] == [[1, 4], [2, 4]] and told["broadcast"] == [[2, 4], [1, "x"]]
        assert told["objects"][0] == [{"rank": 0}, {"rank": 1}] and told["seed"] == 1
    assert (first["gather"], second["gather"]) == ([[1, 4], [2, 4]], [])
    assert (first["objects"][1], second["objects"][1]) == ([0, 1], None)
    assert (first["results"], second["results"]) == ([0, 1, 10, 11, 20], None)
    assert (first["master"], second["master"]) == ("said", None)


@pytest.mark.parametrize(
    ("case", "words"),
    [("raise", "raised at after_train_iter, iteration 5: KeyError"), ("kill", "process 1 ended without a word")],
)
def test_a_process_that_dies_ends_the_run_with_its_message(case, words, tmp_path):
    code, _ = torchrun(tmp_path, case)  # which ends, or raises
    assert code != 0 or case == "raise"
    assert words in said(tmp_path, 0)[case]
    assert json.loads((tmp_path / case / "run.json").read_text())["status"] == "failed"


def command(*words):
    done = subprocess.run(
        [sys.executable, "-m", "fkit", *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_devices_of_the_command_line_are_processes(tmp_path):
    folder, record = str(tmp_path / "run"), tmp_path / "run" / "run.json"
    batch = ("threads=1", "seed=1", "train_dataloader.batch_size=None", "train_dataloader.global_batch_size=64")
    words = [
        "configs/digits/mlp.py",
        "--devices",
        "2",
        "--device",
        "cpu",
        "--work-dir",
        folder,
        "--cfg-options",
        *batch,
    ]
    shown = command("train", *words, "train_cfg.max_epochs=1")
    assert shown.count("iterations; accuracy/top1") == 1 and json.loads(record.read_text())["processes"] == 2
    kept = fkit.load_config(f"{folder}/config.py")
    assert (kept["devices"], kept.get("launcher", "none")) == (2, "none")
    for count, more in ((2, ()), (1, ("--devices", "1"))):  # what the run was; and another number
        words = [f"{folder}/config.py", "--resume", *more, "--cfg-options", f"train_cfg.max_epochs={4 - count}"]
        command("train", *words)
        assert json.loads(record.read_text())["processes"] == count
    rows, scores = [], []
    for count in ("1", "2"):
        file, words = tmp_path / f"{count}.jsonl", ("--cfg-options", "val_dataloader.batch_size=49")
        place = () if count == "1" else ("--devices", count)
        scores.append(command("test", f"{folder}/config.py", folder, *place, "--predictions", str(file), *words))
        rows.append(list(read_rows(file)))
    assert scores[0] == scores[1] != ""
    one, both = rows
    assert [row["sample_idx"] for row in both] == [row["sample_idx"] for row in one] == list(range(360))
    for ours, theirs in zip(both, one, strict=True):
        np.testing.assert_allclose(ours["pred_score"], theirs["pred_score"], rtol=1e-5)


def test_predictions_are_written_batch_by_batch_and_repeats_of_padding_once(tmp_path):
    others = iter([1, [(2, row_line({"sample_idx": 2})), (3, row_line({"sample_idx": 3}))], []])  # of process 1
    fleet, source = (
        Fleet(0, 2, gather=lambda value: [value, next(others)]),
        fkit.Source.of([fkit.Batch(np.zeros((1, 1)))]),
    )
    with Target(tmp_path / "a.jsonl", source) as target, Gathering(fleet, target) as kept:
        for batch in ((0, 1), (4, 0)):
            kept.perform(WritePredictions(tuple({"sample_idx": number} for number in batch)))
    assert [row["sample_idx"] for row in read_rows(tmp_path / "a.jsonl")] == [0, 1, 2, 3, 4]


def test_samples_without_a_number_are_refused():
    words = "the samples have no `sample_idx`"
    with Gathering(Fleet(1, 2, gather=lambda value: [value]), None) as kept, pytest.raises(FkitValueError, match=words):
        kept.perform(WritePredictions(({"sample_idx": UNNUMBERED, "pred_label": 3},)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Muon", "does not go with the optimizer Muon, which looks at whole matrices"),
        ("LAMB", "'LAMB' is not in torch.optim"),
    ],
)
def test_optimizers_that_know_no_parts_are_refused(kind, words):
    cfg = CASES["shards"]().merge({"optim_wrapper": dict(optimizer=dict(_delete_=True, type=kind, lr=0.1))})
    with pytest.raises(FkitError, match=words):
        plan(cfg, registry(), fleet=Fleet(0, 4))


def test_parts_of_a_size_are_gathered_by_themselves():
    """Those that torch's own policy names."""

    class Wrapped(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

    def block():
        return nn.Sequential(nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 4))

    attention = nn.MultiheadAttention(20, 2)
    module = nn.Sequential(
        block(), nn.ModuleList([block(), nn.Linear(4, 30)]), attention, nn.Linear(20, 2), nn.Linear(2, 300)
    )
    paths = {id(part): path for path, part in module.named_modules()}
    for least in (1, 100, 400, 500, 700, 10_000):
        ours = [paths[id(part)] for part in sized(module, least)]
        copied = copy.deepcopy(module)
        policy = partial(size_based_auto_wrap_policy, min_num_params=least)
        _recursive_wrap(copied, policy, Wrapped, set(), set(), only_wrap_children=True)
        theirs = [path.replace("inner.", "") for path, part in copied.named_modules() if isinstance(part, Wrapped)]
        assert sorted(ours) == sorted(path.replace(".inner", "") for path in theirs), least


def test_buckets_too_small_to_compile_are_refused():
    cfg = CASES["compiled"]().merge({"model_wrapper_cfg": dict(type="MMDistributedDataParallel", bucket_cap_mb=0.5)})
    with pytest.raises(FkitValueError, match=r"bucket_cap_mb = 0.5 with compile = True: torch's compiler cuts"):
        plan(cfg, registry(), fleet=Fleet(0, 4))


def test_unequal_shares_are_refused():
    cfg = CASES["ddp"]().merge({"train_dataloader": {"batch_size": 16, "global_batch_size": None, "drop_last": False}})
    cfg = cfg.merge({"train_dataloader.sampler.round_up": False})
    with pytest.raises(FkitValueError, match=r"round_up = False, and 4 processes get unequal shares of the last batch"):
        open_data(plan(cfg, registry(), fleet=Fleet(0, 4)))

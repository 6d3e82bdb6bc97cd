"""A run's checkpoint as a .pth for OpenMMLab: torch reads it as data, a run goes on from it, and weights are published."""

import hashlib
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

import fkit
from fkit.cli.main import main
from fkit.edge.checkpoint import newest, read_checkpoint
from fkit.edge.pth import publish, write_pth
from fkit.fileio.weights import read_content, weights_of
from fkit.run.resume import resumed
from fkit.run.start import save
from fkit.tree.error import FkitError, FkitValueError

DIGITS = Path(__file__).parents[2] / "configs/digits/convnet.py"
SMALL = "train_cfg.max_epochs=2 train_dataloader.batch_size=256 model.backbone.channels=(4,) model.head.in_channels=4"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two epochs, with a moving average, groups of parameters and a checkpoint of each epoch."""
    place = tmp_path_factory.mktemp("run") / "a"
    words = (
        f"train {DIGITS} --work-dir {place} --seed 3 --cfg-options {SMALL} optim_wrapper.paramwise_cfg.norm_decay_mult:=0 "
        "custom_hooks:=[{'type':'EMAHook','momentum':0.1}] default_hooks.checkpoint.interval=1"
    )
    assert main(shlex.split(words)) == 0
    return place


def opened(folder):
    plan = fkit.plan(fkit.load_config(str(folder / "config.py")))
    return plan, newest(folder / "checkpoints")


def test_torch_reads_it_as_data(folder, tmp_path):
    plan, found = opened(folder)
    whole = torch.load(write_pth(plan, found.saved, tmp_path / "a.pth", classes=("0", "1")), weights_only=True)
    assert sorted(whole) == ["ema_state_dict", "message_hub", "meta", "optimizer", "param_schedulers", "state_dict"]
    assert (whole["meta"]["epoch"], whole["meta"]["iter"], whole["meta"]["CLASSES"]) == (
        2,
        found.meta["step"],
        ("0", "1"),
    )
    assert fkit.Config.fromstring(whole["meta"]["cfg"]) == plan.settings.tree
    model = fkit.build(plan.config.model, plan.registry, "models", backend="torch")
    model.load_state_dict(whole["state_dict"])
    model.load_state_dict({n.removeprefix("module."): t for n, t in whole["ema_state_dict"].items() if n != "steps"})
    assert np.array_equal(
        model.state_dict()["backbone.conv1.weight"], found.saved.arrays["params/backbone.conv1.weight"]
    )


def test_torchs_own_optimizer_takes_its_state(folder, tmp_path):
    plan, found = opened(folder)
    whole = torch.load(write_pth(plan, found.saved, tmp_path / "a.pth"), weights_only=True)
    model = fkit.build(plan.config.model, plan.registry, "models", backend="torch")
    names = [name for name, _ in model.named_parameters()]
    optimizer = torch.optim.AdamW([{"params": [p]} for p in model.parameters()])
    optimizer.load_state_dict(whole["optimizer"])
    decays = dict(zip(names, [group["weight_decay"] for group in optimizer.param_groups], strict=True))
    assert decays["backbone.bn1.weight"] == 0 != decays["backbone.conv1.weight"]
    for name, param in model.named_parameters():
        state, slots = (
            optimizer.state[param],
            {slot: found.saved.arrays[f"opt/main/{slot}/{name}"] for slot in ("step", "exp_avg")},
        )
        assert all(np.array_equal(state[slot], array) for slot, array in slots.items())
    optimizer.zero_grad()
    optimizer.step()


def test_a_run_goes_on_from_it_to_the_same_bits(folder, tmp_path):
    """The same state as from the kit's own checkpoint, after both have gone one epoch further."""
    cfg = fkit.load_config(str(folder / "config.py")).merge({"train_cfg.max_epochs": 3})
    plan = fkit.plan(cfg)
    data = fkit.open_data(plan)
    saved = read_checkpoint(folder / "checkpoints/step_00000006").saved
    mine = fkit.restore(plan, saved)
    content = read_content(write_pth(plan, saved, tmp_path / "a.pth"))
    other = resumed(plan, content, data["train"].length).run
    first, second = save(plan, mine).arrays, save(plan, other).arrays
    assert set(first) == set(second)
    differ = [path for path in first if not np.array_equal(first[path], second[path])]
    assert differ == [], differ


class TestPublish:
    def test_weights_alone_with_a_checksum_in_the_name(self, folder, tmp_path):
        content = read_content(folder)
        for name in ("net.pth", "net.safetensors"):
            place = publish(content, tmp_path / name)
            word = re.fullmatch(r"net-([0-9a-f]{8})\.\w+", place.name)[1]
            assert hashlib.sha256(place.read_bytes()).hexdigest().startswith(word)
            again = weights_of(read_content(place))
            assert set(again) == set(weights_of(content))
            assert all(np.array_equal(again[key], value) for key, value in weights_of(content).items())
        own = read_content(publish(content, tmp_path / "own.pth", "own"))
        assert np.array_equal(own.weights["head.fc.bias"], content.weights["head.fc.bias"])

    def test_a_file_of_openmmlabs(self, tmp_path):
        data = Path(__file__).parents[1] / "golden/data/openmmlab/mmengine_epoch_2.pth"
        whole = torch.load(publish(read_content(data), tmp_path / "a.pth"), weights_only=True)
        assert sorted(whole) == ["meta", "state_dict"] and whole["meta"]["epoch"] == 2
        with pytest.raises(FkitValueError, match=r"is to end with \.pth or \.safetensors"):
            publish(read_content(data), tmp_path / "a.bin")
        for odd in (None, 3, "x"):
            with pytest.raises(FkitError):
                publish(odd, tmp_path / "a.pth")
            with pytest.raises(FkitError):
                write_pth(odd, odd, tmp_path / "a.pth")


class TestCommand:
    def test_show(self, folder, capsys):
        assert main(["checkpoint", "show", str(folder)]) == 0
        out = capsys.readouterr().out
        assert "written by: fkit\n" in out and "moving average: yes\n" in out and "epoch: 2\n" in out
        assert main(["checkpoint", "show", str(folder), "--names"]) == 0
        assert "backbone.conv1.weight (4, 1, 3, 3) float32\n" in capsys.readouterr().out

    def test_show_a_file_of_mmengines(self, capsys):
        data = Path(__file__).parents[1] / "golden/data/openmmlab/mmengine_iter_3_ema.pth"
        assert main(["checkpoint", "show", str(data)]) == 0
        out = capsys.readouterr().out
        assert "written by: torch\n" in out and "meta.iter: 3\n" in out and "also: message_hub, optimizer" in out

    def test_to_pth_and_publish(self, folder, here, capsys):
        assert main(["checkpoint", "to-pth", str(folder), "a.pth"]) == 0
        assert read_content("a.pth").whole["meta"]["epoch"] == 2
        capsys.readouterr()
        assert main(["checkpoint", "publish", "a.pth", "b.pth"]) == 0
        assert Path(capsys.readouterr().out.strip()).name.startswith("b-")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk here")
    def test_a_full_disk_is_a_run_that_failed(self, folder, here, capsys):
        Path("a.pth").symlink_to("/dev/full")
        assert main(["checkpoint", "to-pth", str(folder), "a.pth"]) == 1
        said = capsys.readouterr()
        assert said.err.startswith("fkit: ") and "No space left on device" in said.err and not said.out

    def test_training_goes_on_from_it(self, folder, here, capsys):
        assert main(["checkpoint", "to-pth", str(folder), "a.pth"]) == 0
        words = f"train {folder}/config.py --work-dir b --resume a.pth --cfg-options train_cfg.max_epochs=3"
        assert main(shlex.split(words)) == 0
        assert read_checkpoint("b/checkpoints/step_00000018").meta["step"] == 18
        assert "going on from a.pth" in Path("b/log.txt").read_text()

    def test_weights_of_it_are_begun_with(self, folder, here, capsys):
        assert main(["checkpoint", "publish", str(folder), "a.safetensors"]) == 0
        name = Path(capsys.readouterr().out.strip()).name
        assert main(shlex.split(f"train {folder}/config.py --work-dir b --load-from {name}")) == 0

    def test_resume_beside_load_from_goes_on_from_that(self, folder, here):
        """As mmengine has it: resume=True and load_from=PATH in the config."""
        assert main(["checkpoint", "to-pth", str(folder), "a.pth"]) == 0
        Path("c.py").write_text(
            f"_base_ = {str(folder / 'config.py')!r}\nresume = True\nload_from = 'a.pth'\ntrain_cfg = dict(max_epochs=3)\n"
        )
        assert main(["train", "c.py", "--work-dir", "b"]) == 0
        assert "going on from a.pth" in Path("b/log.txt").read_text()
        assert read_checkpoint("b/checkpoints/step_00000018").meta["step"] == 18

    @pytest.mark.parametrize("form", ["a.pth", "a.safetensors"])
    def test_test_takes_any_of_them(self, folder, here, capsys, form):
        """The average: what the run validated with, what mmengine's files mean by weights, what is published."""
        assert main(["test", f"{folder}/config.py", str(folder)]) == 0
        scores = capsys.readouterr().out
        verb = "to-pth" if form == "a.pth" else "publish"
        assert main(["checkpoint", verb, str(folder), form]) == 0
        name = Path(capsys.readouterr().out.strip()).name
        assert main(["test", f"{folder}/config.py", name]) == 0
        assert capsys.readouterr().out == scores
        assert main(["test", str(DIGITS), name]) == 2
        assert "the weights do not fit the model" in capsys.readouterr().err


POLICIES = (
    "[{'type':'LinearLR','start_factor':0.1,'by_epoch':False,'begin':0,'end':4},"
    "{'type':'MultiStepLR','by_epoch':True,'begin':1,'end':9,'milestones':[1],'gamma':0.5},"
    "{'type':'StepLR','by_epoch':True,'begin':5,'end':9,'step_size':2},"
    "{'type':'ReduceOnPlateauLR','monitor':'accuracy/top1','rule':'greater','threshold':9.0,'patience':0,'factor':0.7,'end':9}]"
)


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    place = tmp_path_factory.mktemp("handover")
    words = (
        f"train {DIGITS} --work-dir {place}/a --seed 3 --cfg-options {SMALL} optim_wrapper.dtype=float16 "
        "optim_wrapper.type=AmpOptimWrapper \"optim_wrapper.loss_scale:={'init_scale':64.0,'growth_interval':5}\" "
        f'optim_wrapper.paramwise_cfg.bias_lr_mult:=2 "param_scheduler:={POLICIES}" device=cpu'
    )
    assert main(shlex.split(words)) == 0
    plan, found = opened(place / "a")
    return found, torch.load(write_pth(plan, found.saved, place / "a.pth"), weights_only=True)


class TestHandover:
    """What mmengine's wrapper and schedulers have in their own files, by its rules: a step more than what is begun, none before."""

    def test_schedulers(self, handed):
        found, whole = handed
        steps = found.meta["step"]
        rows = whole["param_schedulers"]
        assert [(row["last_step"], row["_global_step"]) for row in rows] == [(3, steps), (1, 2), (-1, 2), (1, 2)]
        assert rows[3]["num_bad_epochs"] == 0 and rows[3]["cooldown_counter"] == 0
        first = next(iter(found.saved.record["exact"]["param_scheduler"]))[4][0]
        assert rows[3]["best"] == first[0] > 0
        # warm-up is over, one milestone is passed, and the second validation was no better
        groups = whole["optimizer"]["param_groups"]
        assert sorted({group["lr"] / 0.01 for group in groups}) == pytest.approx([0.35, 0.7])
        assert {group["initial_lr"] for group in groups} == {0.01, 0.02}
        base = whole["optimizer"]["base_param_settings"]
        assert base["lr"] == pytest.approx(0.0035) and base["initial_lr"] == 0.01 and base["params"].tolist() == [0.0]
        assert all(row["_last_value"] == [*(group["lr"] for group in groups), base["lr"]] for row in rows)

    def test_torchs_scaler_takes_the_loss_scale(self, handed):
        found, whole = handed
        scaler = torch.amp.GradScaler("cpu")
        scaler.load_state_dict(dict(whole["optimizer"]["loss_scaler"]))
        assert scaler.get_scale() == found.saved.arrays["slots/loss_scale/scale"] >= 64
        assert scaler.get_growth_interval() == 5
        assert scaler.state_dict()["_growth_tracker"] == found.saved.arrays["slots/loss_scale/growth_tracker"]

    def test_message_hub(self, handed):
        found, whole = handed
        hub = whole["message_hub"]
        assert hub["runtime_info"]["best_score"] == found.saved.record["exact"]["checkpoint"][0][1]
        assert (hub["runtime_info"]["epoch"], hub["runtime_info"]["max_epochs"]) == (2, 2)
        assert hub["log_scalars"] == {} and all(hub["resumed_keys"].values())

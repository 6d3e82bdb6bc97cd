"""What checkpoints are kept on disk: three and the best, and none goes before its successor verifies."""

import hashlib
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import fkit
from fkit.edge.checkpoint import locate, newest, read_checkpoint, steps
from fkit.edge.folder import open_folder
from fkit.edge.follow import follow
from fkit.edge.perform import Edge
from fkit.run.effect import DeleteCheckpoint, SaveCheckpoint, WriteConfig
from fkit.training.ema import averages
from fkit.tree.error import FkitValueError, RunError
from tests.run.small import DyingFiles, config, fingerprint, go, registry


def many(**changes):
    hooks = dict(logger=dict(interval=1), checkpoint=dict(by_epoch=True, **changes))
    return config(train_cfg=dict(by_epoch=True, max_epochs=8), default_hooks=hooks, param_scheduler=())


def test_a_run_keeps_its_last_three_checkpoints_and_its_best_and_so_does_one_that_goes_on(tmp_path):
    plan = fkit.plan(many(interval=1), registry())
    go(plan, tmp_path / "whole")
    kept = steps(tmp_path / "whole/checkpoints")
    name, value, best = newest(tmp_path / "whole/checkpoints").meta["record"]["exact"]["checkpoint"][0]
    assert name == "accuracy/top1" and set(kept) == {24, 28, 32, best} and kept[0] == 32
    read_checkpoint(tmp_path / f"whole/checkpoints/step_{best:08d}")
    go(plan, tmp_path / "two", stop_after=13)
    go(plan, tmp_path / "two", resume=True)
    assert set(steps(tmp_path / "two/checkpoints")) == set(kept)
    assert newest(tmp_path / "two/checkpoints").meta["record"]["exact"]["checkpoint"] == [[name, value, best]]


@pytest.mark.parametrize("harm", ["truncated", "missing"])
def test_a_checkpoint_stays_where_its_successor_does_not_verify(harm, tmp_path):
    plan = fkit.plan(config(), registry())
    edge, run = Edge(tmp_path, plan), fkit.begin(plan)
    for effect in (WriteConfig(), SaveCheckpoint(1), SaveCheckpoint(2)):
        edge.perform(effect, run)
    state = tmp_path / "checkpoints/step_00000002/state.safetensors"
    state.write_bytes(state.read_bytes()[:-1]) if harm == "truncated" else state.unlink()
    edge.perform(DeleteCheckpoint(1), run)
    assert steps(tmp_path / "checkpoints") == (2, 1)
    assert "the checkpoint of step 1 stays, though it is old" in (tmp_path / "log.txt").read_text()
    assert newest(tmp_path / "checkpoints").folder.name == "step_00000001"
    edge.perform(SaveCheckpoint(3), run)
    for step in (1, 3):
        edge.perform(DeleteCheckpoint(step), run)
    assert steps(tmp_path / "checkpoints") == (3, 2)
    edge.close()


def test_without_a_best_one_the_newest_are_kept(tmp_path):
    plan = fkit.plan(many(interval=1, save_best=None, max_keep_ckpts=2), registry())
    follow(Edge(tmp_path, plan), fkit.begin(plan), fkit.open_data(plan))
    assert steps(tmp_path / "checkpoints") == (32, 28)


def names(folder):
    """{name: folder that it names} of the text files beside the checkpoints."""
    files = [file for file in (folder / "checkpoints").iterdir() if file.is_file()]
    return {file.name: file.read_text() for file in files if file.name[0] != "." and file.suffix != ".safetensors"}


def test_the_best_and_those_of_a_template_are_found_by_their_names(tmp_path):
    changes = dict(
        interval=1, max_keep_ckpts=2, save_best=["accuracy/top1", "accuracy/top5"], filename_tmpl="epoch_{}.pth"
    )
    cfg = many(**changes).merge({"val_evaluator.topk": (1, 5)})
    plan = fkit.plan(cfg, registry())
    go(plan, tmp_path)
    folder = tmp_path / "checkpoints"
    bests = {f"best_{name.replace('/', '_')}": f"step_{step:08d}"
             for name, _, step in newest(folder).meta["record"]["exact"]["checkpoint"]}  # fmt: skip
    assert len(bests) == 2
    kept = {f"epoch_{step // 4}.pth": f"step_{step:08d}" for step in steps(folder)}
    assert names(tmp_path) == {"latest": "step_00000032", **bests, **kept}
    for name, want in names(tmp_path).items():
        assert locate(folder / name) == folder / want
    (folder / "notes.txt").write_text("step by step")
    with pytest.raises(FkitValueError, match="is there, and is no checkpoint"):
        locate(folder / "notes.txt")


class FullFiles(DyingFiles):
    """A disk that is full from the n-th operation on; that write leaves half of its bytes."""

    def _count(self, half=None):
        self.done += 1
        if self.deadly and self.done >= self.deadly:
            if half is not None and self.done == self.deadly:
                path, data = half
                with open(path, "ab") as file:
                    file.write(data[: len(data) // 2])
            raise RunError("No space left on device")


def test_a_disk_that_fills_at_any_moment_of_keeping_leaves_the_last_and_the_best_whole(tmp_path):
    cfg = many(interval=1, max_keep_ckpts=1, filename_tmpl="e{}").merge({"train_cfg.max_epochs": 4})
    plan = fkit.plan(cfg, registry())
    operations = go(plan, tmp_path / "whole", FullFiles(0))
    want, kept = fingerprint(tmp_path / "whole"), steps(tmp_path / "whole/checkpoints")
    named = names(tmp_path / "whole")
    assert any(name.startswith("best_") for name in named) and len(kept) <= 2
    first = operations // 4
    for n in (2, first // 2, *range(first, operations + 1, 3)):
        folder = tmp_path / f"full_at_{n}"
        with pytest.raises(RunError, match="No space left"):
            go(plan, folder, FullFiles(n))
        checkpoints = folder / "checkpoints"
        for step in steps(checkpoints):
            read_checkpoint(checkpoints / f"step_{step:08d}")  # whole, or not there by that name
        for name in names(folder) if checkpoints.exists() else ():
            if name == "latest" or name.startswith("best_"):
                assert read_checkpoint(locate(checkpoints / name)), (n, name)
        go(plan, folder, resume=True)
        assert fingerprint(folder) == want, n
        assert steps(checkpoints) == kept and names(folder) == named, n


def test_checkpoints_may_lie_elsewhere(tmp_path):
    far, work = tmp_path / "far", tmp_path / "work"
    plan = fkit.plan(many(interval=1, out_dir=str(far)), registry())
    go(plan, work, stop_after=13)
    assert (work / "checkpoints").is_symlink() and steps(far / "work/checkpoints") == steps(work / "checkpoints") != ()
    go(plan, work, resume=True)
    go(fkit.plan(many(interval=1), registry()), tmp_path / "near")
    assert fingerprint(work) == fingerprint(tmp_path / "near")
    assert locate(work).parent == work / "checkpoints"
    with pytest.raises(RunError, match=r"holds checkpoints already, and .* is to be a link to it"):
        go(plan, tmp_path / "other/work", stop_after=5)


def test_weights_alone_are_less_and_no_run_goes_on_from_them(tmp_path):
    cfg = many(interval=1, save_optimizer=False).merge({"custom_hooks": [dict(type="EMAHook", momentum=0.1)]})
    plan = fkit.plan(cfg, registry())
    go(plan, tmp_path / "a")
    found = newest(tmp_path / "a/checkpoints")
    kinds = {path.partition("/")[0] for path in found.saved.arrays}
    assert kinds == {"params", "buffers", "slots", "iteration", "updates", "key"} and averages(found.saved.arrays)
    with pytest.raises(FkitValueError, match=r"holds weights alone \(save_optimizer=False\)") as caught:
        open_folder(tmp_path / "a", plan.config.merge({"train_cfg.max_epochs": 9}), True)
    assert "--load-from" in str(caught.value)
    with pytest.raises(FkitValueError, match="holds weights alone"):
        open_folder(tmp_path / "b", plan.config, str(tmp_path / "a"))


def test_weights_are_published_by_their_names_with_what_is_known_of_them(tmp_path):
    cfg = many(interval=1, save_best=None, published_keys=["meta", "state_dict"], meta=dict(team="a"))
    cfg = cfg.merge({"custom_hooks": [dict(type="EMAHook", momentum=0.1, update_buffers=True)]})
    go(fkit.plan(cfg, registry()), tmp_path)
    [file] = (tmp_path / "checkpoints").glob("*.safetensors")
    assert file.name == f"step_00000032-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.safetensors"
    found, weights = newest(tmp_path / "checkpoints"), load_file(file)
    arrays = found.saved.arrays
    want = {path.partition("/")[2]: a for path, a in arrays.items() if path.startswith(("params/", "buffers/"))}
    want |= averages(arrays)
    assert weights.keys() == want.keys()
    for name, array in want.items():
        np.testing.assert_array_equal(weights[name], array)
    assert not np.array_equal(weights["head.fc.weight"], arrays["params/head.fc.weight"])
    with safe_open(file, "np") as opened:
        meta = json.loads(opened.metadata()["meta"])
    assert (
        meta["step"] == 32 and meta["meta"] == {"team": "a"} and "ConvNet" in meta["cfg"] and meta["versions"]["numpy"]
    )
    (tmp_path / "config.py").write_text(found.meta["cfg"])
    assert fkit.load_config(str(tmp_path / "config.py")) == cfg


def test_what_a_checkpoint_says_of_itself(tmp_path):
    go(fkit.plan(many(interval=4, meta={"team": "a"}), registry()), tmp_path)
    meta = newest(tmp_path / "checkpoints").meta
    assert meta["meta"] == {"team": "a"} and meta["seed"] == 3 and meta["time"].endswith("+00:00")
    assert meta["config"] == many(interval=4, meta={"team": "a"}).fingerprint

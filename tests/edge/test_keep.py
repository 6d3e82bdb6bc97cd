"""What checkpoints are kept on disk: three and the best, and none goes before its successor verifies."""

import pytest

import fkit
from fkit.edge.checkpoint import newest, read_checkpoint, steps
from fkit.edge.follow import follow
from fkit.edge.perform import Edge
from fkit.run.effect import DeleteCheckpoint, SaveCheckpoint, WriteConfig
from tests.run.small import config, go, registry


def many(**changes):
    hooks = dict(logger=dict(interval=1), checkpoint=dict(by_epoch=True, **changes))
    return config(train_cfg=dict(by_epoch=True, max_epochs=8), default_hooks=hooks, param_scheduler=())


def test_a_run_keeps_its_last_three_checkpoints_and_its_best_and_so_does_one_that_goes_on(tmp_path):
    plan = fkit.plan(many(interval=1), registry())
    go(plan, tmp_path / "whole")
    kept = steps(tmp_path / "whole/checkpoints")
    name, value, best = newest(tmp_path / "whole/checkpoints").meta["record"]["exact"]["checkpoint"]
    assert name == "accuracy/top1" and set(kept) == {24, 28, 32, best} and kept[0] == 32
    read_checkpoint(tmp_path / f"whole/checkpoints/step_{best:08d}")
    go(plan, tmp_path / "two", stop_after=13)
    go(plan, tmp_path / "two", resume=True)
    assert set(steps(tmp_path / "two/checkpoints")) == set(kept)
    assert newest(tmp_path / "two/checkpoints").meta["record"]["exact"]["checkpoint"] == [name, value, best]


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
    for step in (1, 3):  # `latest` names 3
        edge.perform(DeleteCheckpoint(step), run)
    assert steps(tmp_path / "checkpoints") == (3, 2)
    edge.close()


def test_without_a_best_one_the_newest_are_kept(tmp_path):
    plan = fkit.plan(many(interval=1, save_best=None, max_keep_ckpts=2), registry())
    follow(Edge(tmp_path, plan), fkit.begin(plan), fkit.open_data(plan))
    assert steps(tmp_path / "checkpoints") == (32, 28)

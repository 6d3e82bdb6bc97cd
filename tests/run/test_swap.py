"""A run begun on one backend goes on on the other, and stays on its curve."""

import pytest

import fkit
from fkit.edge.journal import read_rows
from tests.run.small import config, go, registry


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize(("first", "second"), [("torch", "jax"), ("jax", "torch")])
def test_a_run_swaps_its_backend_half_way(optimizer, first, second, tmp_path):
    cfg = config("iter", optimizer, dtype="float64")
    whole = fkit.plan(cfg, registry(), backend="torch")
    go(whole, tmp_path / "whole")
    go(fkit.plan(cfg, registry(), backend=first), tmp_path / "run", stop_after=7)
    go(fkit.plan(cfg, registry(), backend=second), tmp_path / "run", resume=True)
    want, got = (read_rows(tmp_path / name / "metrics.jsonl") for name in ("whole", "run"))
    assert len(want) == len(got)
    for row, other in zip(want, got, strict=True):
        assert row.keys() == other.keys() and row["step"] == other["step"]
        if "loss" in row:
            assert other["loss"] == pytest.approx(row["loss"], rel=1e-9)


def test_an_optimizer_without_a_twin_is_a_clear_error(tmp_path):
    cfg = config().merge({"optim_wrapper.optimizer": {"_delete_": True, "type": "Rprop", "lr": 0.01}})
    go(fkit.plan(cfg, registry(), backend="torch"), tmp_path / "run", stop_after=5)
    with pytest.raises(fkit.FkitError, match="Rprop"):
        go(fkit.plan(cfg, registry(), backend="jax"), tmp_path / "run", resume=True)

"""The worked example of several optimizers: it trains on both backends alike, goes on to the bit, and learns."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parents[2] / "experiments" / "gan"


def _fkit(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fkit", *words], cwd=HERE, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def _train(folder: Path, *words: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of a run's metrics.jsonl."""
    every = {"default_hooks.logger.interval": 1, "device": "cpu", **options}
    texts = [f"{key}:={value}" if key.startswith("+") else f"{key}={value}" for key, value in every.items()]
    _fkit("train", "config.py", "--work-dir", str(folder), *words, "--cfg-options", *texts)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_both_backends_give_the_same_losses(tmp_path: Path) -> None:
    curves = []
    for backend in ("torch", "jax"):
        options = {"train_cfg.max_epochs": 1, "dtype": "float64"}
        rows = [row for row in _train(tmp_path / backend, "--backend", backend, **options) if row["mode"] == "train"]
        names = sorted(name for name in rows[0] if name.startswith(("generator/", "discriminator/")))
        assert names == [
            "discriminator/loss", "discriminator/loss_fake", "discriminator/loss_real", "discriminator/right",
            "generator/grad_norm", "generator/loss",
        ]  # fmt: skip
        assert rows[0]["generator.lr"] == 2e-3 and rows[0]["discriminator.lr"] == 5e-4
        curves.append(np.array([[row[name] for name in names] for row in rows]))
    np.testing.assert_allclose(*curves, rtol=1e-9)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_with_scaler_accumulation_and_two_optimizers_it_goes_on_to_the_bit(tmp_path: Path, backend: str) -> None:
    """The generator moves at every third step, and not at those in which the run was stopped."""
    options = {
        "train_cfg.max_epochs": 3,
        "optim_wrapper.generator.accumulative_counts": 3,
        "optim_wrapper.discriminator.every": 2,
    }
    words = ("--backend", backend, "--amp")
    _train(tmp_path / "whole", *words, **options)
    half = sorted((tmp_path / "whole" / "checkpoints").glob("step_*"))[0]
    assert half.name == "step_00000022"
    _train(tmp_path / "rest", *words, "--resume", str(half), **options)
    ends = [_fkit("fingerprint", str(tmp_path / name)) for name in ("whole", "rest")]
    assert ends[0] == ends[1]


def test_it_learns_to_make_digits(tmp_path: Path) -> None:
    """Grey noise lies at 0.33 from the nearest digit; the two halves keep each other busy."""
    rows = _train(tmp_path / "run", **{"train_cfg.max_epochs": 40, "default_hooks.logger.interval": 20})
    scores = [row["nearest"] for row in rows if row["mode"] == "val"]
    assert len(scores) == 2 and scores[-1] < 0.27
    last = [row for row in rows if row["mode"] == "train"][-1]
    assert 0.5 < last["discriminator/right"] < 0.99 and 0.3 < last["generator/loss"] < 4.0

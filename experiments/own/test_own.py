"""The five parts, tested by calling them with values: no mocks, no files."""

from pathlib import Path

import numpy as np
import pytest

import fkit
from own import Brier, Erase, NoisyDigits, StopWhenStale

HERE = Path(__file__).parent


def labels(dataset):
    return np.array([sample["gt_label"] for sample in dataset])


def test_the_dataset_has_as_many_wrong_labels_as_it_says():
    clean, noisy = NoisyDigits("train"), NoisyDigits("train", noise=0.4)
    assert len(clean) == len(noisy) == 1437 and noisy[3]["img"].shape == (8, 8, 1)
    assert abs((labels(clean) != labels(noisy)).mean() - 0.4) < 0.03
    assert (labels(noisy) == labels(NoisyDigits("train", noise=0.4))).all()
    assert (labels(noisy) != labels(NoisyDigits("train", noise=0.4, seed=1))).any()


def test_the_transform_does_what_was_drawn():
    sample = {"img": np.ones((8, 8, 1)), "gt_label": 3}
    after = Erase(size=2).apply(sample, (0, 6))
    assert after["img"].sum() == 60 and not after["img"][:2, 6:].any() and sample["img"].all()
    assert Erase().apply(sample, None) is sample
    drawn = [Erase(size=2, prob=1).draw(sample, np.random.default_rng(n), None) for n in range(200)]
    assert {top for top, _ in drawn} == set(range(7)) == {left for _, left in drawn}


def test_the_metric_counts_each_sample_once_in_any_order():
    metric = Brier()
    scores, truth = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), np.array([0, 0, 0])

    def seen(*ids):
        at = np.array(ids)
        return metric.observe(metric.empty(), {"pred_score": scores[at]}, {"gt_label": truth[at]}, at)

    whole = metric.compute(seen(0, 1, 2))
    assert whole == {"brier": pytest.approx((0 + 0.5 + 2) / 3)}
    assert metric.compute(metric.merge(seen(2, 1), seen(0, 1))) == whole


def test_the_hook_stops_when_the_number_no_longer_falls():
    hook, asked = StopWhenStale(patience=2), []
    memory = hook.memory()
    for number in (0.5, 0.4, 0.45, 0.3, 0.31, 0.3):
        event = fkit.Event("after_val_epoch", mode="val", metrics={"brier": number})
        memory, effects = hook.after_val_epoch(memory, None, event)
        asked.append(bool(effects))
    assert asked == [False] * 5 + [True] and memory == fkit.Memory(exact=(0.3, 2))


@pytest.mark.parametrize("file", ["config.py", "robust.py"])
def test_the_twins_are_equal(file):
    pytest.importorskip("flax")
    cfg = fkit.load_config(HERE / file).merge({"dtype": "float64"})
    batch = next(fkit.open_data(fkit.plan(cfg, allow="own"))["train"].batches(epoch=0, start=0))
    losses = []
    for backend in ("torch", "jax"):
        program = fkit.program(cfg, backend=backend, allow="own")
        state = program.init(seed=0)
        for _ in range(3):
            state, logs = program.train_step(state, batch, program.hyperparams())
            losses.append(float(logs["loss"]))
    assert losses[:3] == pytest.approx(losses[3:], rel=1e-9) and losses[0] > losses[2]


def test_a_run_learns():
    cfg = fkit.load_config(HERE / "robust.py", "train_cfg.max_epochs=6")
    plan = fkit.plan(cfg, allow="own")
    for run, _ in fkit.train(plan, fkit.begin(plan), fkit.open_data(plan)):
        pass
    assert run.status == "finished" and run.metrics["accuracy/top1"] > 0.8

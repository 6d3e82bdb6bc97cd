"""A loop of one's own on the pure parts: two networks that choose each other's samples (co-teaching, Han et al., 2018).

Of the training labels 40 % are wrong. Each network predicts a batch, and the other learns from the part that it finds
most likely: wrong labels are left out, for a network learns them last.

Command: python experiments/script/loop.py
Time: about 10 s on one core of a CPU.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fkit

CONFIG = Path(__file__).parents[2] / "configs/digits/mlp.py"


def noisy(batch: fkit.Batch, wrong: np.ndarray) -> fkit.Batch:
    """The batch with the labels that each of its samples was given once and for all."""
    ids = np.array([meta["sample_idx"] for meta in batch.meta])
    return fkit.Batch(batch.inputs, {"gt_label": wrong[ids]}, meta=batch.meta)


def likely(program, state, batch: fkit.Batch, part: float) -> fkit.Batch:
    """The part of a batch whose labels a network finds most likely."""
    scores = np.asarray(program.predict(state, batch)["pred_score"])
    label = batch.targets["gt_label"]
    best = np.argsort(-scores[np.arange(len(label)), label], kind="stable")[: int(part * len(label))]
    return fkit.Batch(batch.inputs[best], {"gt_label": label[best]})


def accuracy(program, state, data: fkit.Source) -> float:
    pairs = [
        (np.asarray(program.predict(state, b)["pred_score"]).argmax(1), b.targets["gt_label"]) for b in data.batches(0)
    ]
    return float(np.mean(np.concatenate([truth == guess for guess, truth in pairs])))


def train(epochs: int, teach: bool) -> Iterator[tuple[int, float]]:
    """(epoch, accuracy of the first network) after each epoch."""
    plan = fkit.plan(fkit.load_config(CONFIG).merge({"device": "cpu"}))
    program, data, rng = plan.program, fkit.open_data(plan), np.random.default_rng(0)
    wrong = np.array(
        [sample["gt_label"] for sample in fkit.build(dict(type="Digits", split="train"), plan.registry, "datasets")]
    )
    flip = rng.random(len(wrong)) < 0.4
    wrong[flip] = (wrong[flip] + rng.integers(1, 10, flip.sum())) % 10
    hyperparams, (one, two) = program.hyperparams(), (program.init(0), program.init(1))
    for epoch in range(epochs):
        part = 1 - 0.4 * min(1, epoch / 5) if teach else 1.0  # all at first, for nobody knows anything
        for batch in data["train"].batches(epoch):
            batch = noisy(batch, wrong)
            for_one, for_two = likely(program, two, batch, part), likely(program, one, batch, part)
            one, _ = program.train_step(one, for_one, hyperparams)
            two, _ = program.train_step(two, for_two, hyperparams)
        yield epoch + 1, accuracy(program, one, data["val"])


if __name__ == "__main__":
    for teach in (False, True):
        *_, (epoch, score) = train(30, teach)
        print(f"{'co-teaching' if teach else 'all labels'}: accuracy {score:.3f} after {epoch} epochs")

"""An experiment of one's own: can a classifier learn from labels of which many are wrong?

The five parts that it needs beside those of the kit: a dataset, a transform, a metric, a hook and a model. config.py names
them by their classes' names, for it imports this module, which pyproject.toml allows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

import fkit
from fkit.data.dataset import Digits


@dataclass(frozen=True)
class NoisyDigits(fkit.Dataset):
    """The digits that ship with the kit, a part of them under a wrong label.

    Args:
        split: "train" (1,437 samples) or "test" (360).
        noise: the part whose label is wrong, from 0 to 1; the wrong one is any of the other nine.
        seed: decides which.

    A sample: ``img`` (8, 8, 1) uint8 from 0 to 16, ``img_max`` 16, ``gt_label`` int 0..9. ``pipeline`` and ``metainfo`` come
    from the base.
    """

    split: str = "train"
    noise: float = 0.0
    seed: int = 0

    classes = tuple("0123456789")

    def load(self):
        """All samples, in order. For what does not fit into memory write `__len__(self)` and `sample(self, index)`."""
        rng = np.random.default_rng(self.seed)
        for digit in Digits(self.split):
            wrong, shift = rng.random() < self.noise, int(rng.integers(1, 10))
            yield {**digit, "gt_label": (digit["gt_label"] + wrong * shift) % 10}


@dataclass(frozen=True)
class Erase(fkit.Transform):
    """Black out a square of ``img`` (H, W, C) at a random place; the idea is Cutout's (DeVries and Taylor, 2017).

    Args:
        size: of its sides, in pixels.
        prob: of doing anything.
    """

    size: int = 2
    prob: float = 0.5

    def draw(self, sample, rng, fetch):
        """Decides: (top, left), or None. What is random is drawn from ``rng``, and so is the same in every run."""
        do, top, left = rng.random(3)
        height, width = sample["img"].shape[:2]
        if do >= self.prob:
            return None
        return int(top * (height - self.size + 1)), int(left * (width - self.size + 1))

    def apply(self, sample, params):
        """Does what was decided: a new sample, with a new image."""
        if params is None:
            return sample
        top, left = params
        img = sample["img"].copy()
        img[top : top + self.size, left : left + self.size] = 0
        return {**sample, "img": img}


@dataclass(frozen=True)
class Brier(fkit.Metric):
    """The squared distance between the scores and the truth (Brier, 1950): 0 where the model is sure, and right."""

    def values(self, outputs, targets):
        """(N,): a number for each sample, of which the metric is the mean."""
        truth = np.eye(outputs["pred_score"].shape[1])[targets["gt_label"]]
        return ((outputs["pred_score"] - truth) ** 2).sum(axis=1)


@dataclass(frozen=True)
class StopWhenStale(fkit.Hook):
    """End training when a number has not fallen for some validations.

    Args:
        metric: its name.
        patience: of how many validations.
    """

    metric: str = "brier"
    patience: int = 10

    def memory(self):
        """Before the first event: the least number so far, and how many validations ago that was."""
        return fkit.Memory(exact=(float("inf"), 0))

    def after_val_epoch(self, memory, run, event):
        """The memory from now on, and what is asked of the run: here to stop, or nothing."""
        best, stale = memory.exact
        number = event.metrics[self.metric]
        best, stale = (number, 0) if number < best else (best, stale + 1)
        stop = (fkit.effect.Stop(f"{self.metric} is stale"),) if stale >= self.patience else ()
        return fkit.Memory(exact=(best, stale)), stop


@fkit.component("models", name="Net", backend="torch")
class Net(nn.Module):
    """Two linear layers, and a loss that may distrust the labels; own_flax.py has its twin.

    Args:
        hidden: width between them.
        q: 0 for cross-entropy; up to 1 for the loss (1 - p**q) / q of the labelled class's probability p, which cares less
            for labels that the model finds unlikely (Zhang and Sabuncu, 2018, equation 6).

    ``forward(inputs, samples, mode)`` with inputs (N, 1, 8, 8): "tensor" gives logits (N, 10); "loss" a mapping of losses;
    "predict" ``pred_score`` (N, 10) and ``pred_label`` (N,).
    """

    def __init__(self, hidden=128, q=0.0):
        super().__init__()
        self.q = q
        self.fc1 = nn.Linear(64, hidden)
        self.fc2 = nn.Linear(hidden, 10)

    def forward(self, inputs, samples=None, mode="tensor"):
        logits = self.fc2(torch.relu(self.fc1(inputs.flatten(1))))
        if mode == "tensor":
            return logits
        log_p = logits.log_softmax(1)
        if mode == "predict":
            return {"pred_score": log_p.exp(), "pred_label": logits.argmax(1)}
        log_p = log_p.gather(1, samples.targets["gt_label"][:, None])[:, 0]
        losses = (1 - (self.q * log_p).exp()) / self.q if self.q else -log_p
        return {"loss": losses.mean()}


def register(registry):
    """The model's twin in flax, by name: it is imported when a run on JAX builds it."""
    return registry.register("models", "own_flax:Net", name="Net", backend="jax")

"""A small GAN on the digits that ship with the kit: two networks, two losses, two optimizers.

The noise that a digit is made of is drawn in the data pipeline, so a run on torch and one on JAX see the same, and one that
was stopped goes on with what it would have drawn. gan_flax.py has the model's twin.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import fkit
from fkit.data.dataset import Digits


@dataclass(frozen=True)
class Noise(fkit.Transform):
    """Put ``noise`` beside the image: (size,) float32, standard normal.

    Args:
        size: how many numbers.
    """

    size: int = 16

    def draw(self, sample, rng, fetch):
        return rng.standard_normal(self.size).astype(np.float32)

    def apply(self, sample, params):
        return {**sample, "noise": params}


@dataclass(frozen=True)
class Nearest(fkit.Metric):
    """How far a made digit is from the nearest real one: the root of the mean squared difference of their pixels."""

    def values(self, outputs, targets):
        """(N,): a number for each made digit, of which the metric is the mean."""
        real = np.stack([digit["img"][..., 0] / digit["img_max"] for digit in Digits("train")]).reshape(-1, 64)
        made = outputs["fake"].reshape(-1, 1, 64)
        return np.sqrt(((made - real) ** 2).mean(axis=2)).min(axis=1)


def mlp(*widths):
    """Linear layers with leaky ReLUs between them."""
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.LeakyReLU(0.2))]
    return nn.Sequential(*layers[:-1])


@fkit.component("models", name="GAN", backend="torch")
class GAN(nn.Module):
    """A generator and a discriminator (Goodfellow et al., 2014, with the loss of its section 3 that does not saturate).

    ``forward(inputs, samples, mode)`` with inputs (N, 1, 8, 8) in [0, 1] and ``samples.targets["noise"]`` (N, size):
    "generator" and "discriminator" give the loss of either; "predict" gives ``fake`` (N, 1, 8, 8).
    """

    def __init__(self, noise=16, hidden=128):
        super().__init__()
        self.generator = mlp(noise, hidden, hidden, 64)
        self.discriminator = mlp(64, hidden, hidden, 1)

    def forward(self, inputs, samples=None, mode="predict"):
        fake = torch.sigmoid(self.generator(samples.targets["noise"]))
        if mode == "predict":
            return {"fake": fake.reshape(-1, 1, 8, 8)}
        judged = self.discriminator(fake)
        if mode == "generator":
            return {"loss": F.softplus(-judged).mean()}
        real = self.discriminator(inputs.flatten(1))
        losses = {"loss_real": F.softplus(-real).mean(), "loss_fake": F.softplus(judged).mean()}
        right = ((real > 0).float().mean() + (judged < 0).float().mean()) / 2
        return {**losses, "right": right}


def register(registry):
    """The model's twin in flax, by name: it is imported when a run on JAX builds it."""
    return registry.register("models", "gan_flax:GAN", name="GAN", backend="jax")

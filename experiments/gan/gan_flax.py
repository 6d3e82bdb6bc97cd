"""The model of gan.py in flax: the same layers, names and losses."""

import numpy as np
from flax import linen as nn

from fkit.backend.jax.layers import Linear


class MLP(nn.Module):
    """Linear layers with leaky ReLUs between them, named as torch's Sequential has them."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        for place, width in enumerate(self.widths):
            x = Linear(width, name=str(2 * place))(x)
            x = x if place == len(self.widths) - 1 else nn.leaky_relu(x, 0.2)
        return x


class GAN(nn.Module):
    """See gan.py. ``__call__(inputs, samples, mode, train)`` with inputs (N, 1, 8, 8)."""

    noise: int = 16
    hidden: int = 128

    def setup(self):
        self.generator = MLP((self.hidden, self.hidden, 64))
        self.discriminator = MLP((self.hidden, self.hidden, 1))

    def __call__(self, inputs, samples=None, mode="predict", train=False):
        noise = np.zeros((len(inputs), self.noise), np.float32) if samples is None else samples.targets["noise"]
        fake = nn.sigmoid(self.generator(noise))
        if mode == "tensor":  # the kit learns the names and shapes by it
            return self.discriminator(fake)
        if mode == "predict":
            return {"fake": fake.reshape(-1, 1, 8, 8)}
        judged = self.discriminator(fake)
        if mode == "generator":
            return {"loss": nn.softplus(-judged).mean()}
        real = self.discriminator(inputs.reshape(len(inputs), -1))
        losses = {"loss_real": nn.softplus(-real).mean(), "loss_fake": nn.softplus(judged).mean()}
        return {**losses, "right": ((real > 0).mean() + (judged < 0).mean()) / 2}

"""The model of own.py in flax: the same layers, names and loss."""

import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import Linear  # begins with the weights of torch's; flax.linen.Dense begins with its own


class Net(nn.Module):
    """See own.py. ``__call__(inputs, samples, mode, train)`` with inputs (N, 1, 8, 8)."""

    hidden: int = 128
    q: float = 0.0

    @nn.compact
    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        x = nn.relu(Linear(self.hidden, name="fc1")(inputs.reshape(len(inputs), -1)))
        logits = Linear(10, name="fc2")(x)
        if mode == "tensor":
            return logits
        log_p = nn.log_softmax(logits)
        if mode == "predict":
            return {"pred_score": jnp.exp(log_p), "pred_label": logits.argmax(1)}
        log_p = jnp.take_along_axis(log_p, samples.targets["gt_label"][:, None], axis=1)[:, 0]
        losses = (1 - jnp.exp(self.q * log_p)) / self.q if self.q else -log_p
        return {"loss": losses.mean()}

"""From the digits to the first step, by hand, in flax and optax: ``python bare_jax_start.py DIGITS``."""

import os
import sys

import jax
import numpy as np
import optax
from flax import linen as nn

data = np.load(sys.argv[1])
chosen = np.random.default_rng(0).permutation(data["train_idx"])[:64]
inputs = (data["images"][chosen].astype(np.float32).reshape(64, -1) / 16 - 0.3054) / 0.3759
labels = data["labels"][chosen].astype(np.int32)
module = nn.Sequential([nn.Dense(128), nn.relu, nn.Dense(128), nn.relu, nn.Dense(10)])
params = module.init(jax.random.key(0), inputs)
rule = optax.adamw(0.003, weight_decay=0.05)


def step(params, held, inputs, labels):
    def objective(params):
        return optax.softmax_cross_entropy_with_integer_labels(module.apply(params, inputs), labels).mean()

    loss, grads = jax.value_and_grad(objective)(params)
    moves, held = rule.update(grads, held, params)
    return optax.apply_updates(params, moves), held, loss


_, _, loss = jax.jit(step, donate_argnums=(0, 1))(params, rule.init(params), inputs, labels)
float(loss)
os._exit(0)

"""The hand-written JAX side of loop.py: flax.linen and optax in one jitted step with donated buffers.

The module is the zoo's and the batches are numpy's, as on the other side; the learning rate is an argument of the step,
and the loss is read at every tenth.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from case import DECAY, LOG_STEPS, MOMENTUM, Way, arrays, case, network, rate
from flax import linen as nn


def train_loop(name: str, device: str = "cpu") -> Way:
    """The loop that a person writes, as ``(steps) -> None``; it goes on where the last call ended."""
    module, batches = network(name, "jax"), arrays(name)
    rule = optax.chain(optax.add_decayed_weights(DECAY), optax.trace(MOMENTUM))

    def objective(params: Any, stats: Any, inputs: Any, labels: Any) -> tuple[Any, Any]:
        variables = {"params": params, "batch_stats": stats}
        logits, changed = module.apply(variables, inputs, train=True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, changed.get("batch_stats", {})

    def step(state: Any, rate: Any, inputs: Any, labels: Any) -> Any:
        params, stats, held = state
        (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(params, stats, inputs, labels)
        moves, held = rule.update(grads, held, params)
        return (jax.tree.map(lambda p, move: p - rate * move, params, moves), stats, held), loss

    jitted = jax.jit(step, donate_argnums=0)
    variables = module.init(jax.random.key(0), batches[0][0])
    params = variables["params"]
    state = jax.device_put((params, variables.get("batch_stats", {}), rule.init(params)), jax.devices(device)[0])
    place, shown = 0, 0.0

    def run(count: int) -> None:
        nonlocal state, place, shown
        for _ in range(count):
            state, loss = jitted(state, rate(place), *batches[place % len(batches)])
            place += 1
            if place % LOG_STEPS == 0:
                shown = float(loss)
        jax.block_until_ready(state)

    return run


def val_loop(name: str, device: str = "cpu") -> Callable[[], float]:
    """One pass over the validation batches: the accuracy, counted on the host."""
    module, held = network(name, "jax"), arrays(name, case(name)[2], seed=1)
    variables = jax.device_put(module.init(jax.random.key(0), held[0][0]), jax.devices(device)[0])

    @jax.jit
    def predict(variables: Any, inputs: Any) -> Any:
        scores = nn.softmax(module.apply(variables, inputs))
        return scores, jnp.argmax(scores, 1)

    def run() -> float:
        right, seen = 0, 0
        for inputs, labels in held:
            _, classes = predict(variables, inputs)
            right += int((np.asarray(classes) == labels).sum())
            seen += len(labels)
        return right / seen

    return run

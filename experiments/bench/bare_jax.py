"""The hand-written JAX side of loop.py: flax.linen and optax in one jitted step with donated buffers.

The module is the zoo's and the batches are numpy's, as on the other side; the learning rate is an argument of the step,
and the loss (and the gradients' norm, where they are clipped) is read at every tenth.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from case import DECAY, LIMIT, LOG_STEPS, MOMENTUM, SHARE, Way, arrays, case, network, rate
from flax import linen as nn


def train_loop(name: str, device: str = "cpu", extra: str = "") -> Way:
    """The loop that a person writes, as ``(steps) -> None``; it goes on where the last call ended.

    Args:
        extra: "clip", "ema" or neither.
    """
    module, batches = network(name, "jax"), arrays(name)
    clip = (optax.clip_by_global_norm(LIMIT),) if extra == "clip" else ()
    rule = optax.chain(*clip, optax.add_decayed_weights(DECAY), optax.trace(MOMENTUM))

    def objective(params: Any, stats: Any, inputs: Any, labels: Any) -> tuple[Any, Any]:
        variables = {"params": params, "batch_stats": stats}
        logits, changed = module.apply(variables, inputs, train=True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, changed.get("batch_stats", {})

    def step(state: Any, rate: Any, inputs: Any, labels: Any) -> Any:
        params, stats, held, average = state
        (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(params, stats, inputs, labels)
        told = (loss, optax.global_norm(grads)) if clip else (loss,)
        moves, held = rule.update(grads, held, params)
        params = jax.tree.map(lambda p, move: p - rate * move, params, moves)
        average = jax.tree.map(lambda old, new: old + SHARE * (new - old), average, params) if extra == "ema" else ()
        return (params, stats, held, average), told

    jitted = jax.jit(step, donate_argnums=0)
    variables = module.init(jax.random.key(0), batches[0][0])
    params = variables["params"]
    average = jax.tree.map(jnp.copy, params) if extra == "ema" else ()
    state = (params, variables.get("batch_stats", {}), rule.init(params), average)
    state = jax.device_put(state, jax.devices(device)[0])
    place, shown = 0, 0.0

    def run(count: int) -> None:
        nonlocal state, place, shown
        for _ in range(count):
            state, told = jitted(state, rate(place), *batches[place % len(batches)])
            place += 1
            if place % LOG_STEPS == 0:
                shown = sum(float(one) for one in told)
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

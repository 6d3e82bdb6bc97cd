"""The hand-written JAX side of loop.py: the same models in flax.linen, jitted steps with optax, donated buffers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from bare_torch import DECAY, LR, MOMENTUM, TOTAL, Way, arrays, case
from flax import linen as nn


class Block(nn.Module):
    wide: int
    stride: int

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        y = nn.Conv(self.wide, (3, 3), self.stride, 1, use_bias=False)(x)
        y = nn.relu(nn.BatchNorm(not train, momentum=0.9)(y))
        y = nn.Conv(self.wide, (3, 3), padding=1, use_bias=False)(y)
        y = nn.BatchNorm(not train, momentum=0.9)(y)
        if x.shape != y.shape:
            x = nn.Conv(self.wide, (1, 1), self.stride, 0, use_bias=False)(x)
            x = nn.BatchNorm(not train, momentum=0.9)(x)
        return nn.relu(x + y)


class ResNet18(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = nn.Conv(64, (3, 3), padding=1, use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(not train, momentum=0.9)(x))
        for i, wide in enumerate((64, 128, 256, 512)):
            for j in range(2):
                x = Block(wide, 2 if i and not j else 1)(x, train)
        return nn.Dense(10)(x.mean((1, 2)))


class ConvNet(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        for width in (32, 64):
            x = nn.Conv(width, (3, 3), padding=1, use_bias=False)(x)
            x = nn.max_pool(nn.relu(nn.BatchNorm(not train, momentum=0.9)(x)), (2, 2), (2, 2))
        return nn.Dense(10)(x.mean((1, 2)))


class MLP(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = x.reshape(len(x), -1)
        for width in (128, 128):
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(10)(x)


def network(name: str) -> nn.Module:
    """(N, H, W, C) -> logits (N, 10)."""
    return {"mlp": MLP, "convnet": ConvNet, "resnet18": ResNet18}[name]()


def _rows(name: str, count: int, seed: int) -> list[tuple[Any, Any]]:
    """numpy batches, channels last, as a loader for flax gives them."""
    return [(x.transpose(0, 2, 3, 1).copy(), y.astype("int32")) for x, y in arrays(name, count, seed)]


def train_loop(name: str) -> Way:
    """The loop that a person writes, as ``(steps) -> None``; it goes on where the last call ended."""
    module, batches = network(name), _rows(name, 8, 0)
    schedule = optax.cosine_decay_schedule(LR, TOTAL)
    rule = optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(schedule, MOMENTUM))
    variables = module.init(jax.random.key(0), batches[0][0], False)
    params, stats = variables["params"], variables.get("batch_stats", {})

    def objective(params: Any, stats: Any, inputs: Any, labels: Any) -> tuple[Any, Any]:
        logits, changed = module.apply({"params": params, "batch_stats": stats}, inputs, True, mutable=["batch_stats"])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
        return loss, changed.get("batch_stats", {})

    def step(state: Any, inputs: Any, labels: Any) -> Any:
        params, stats, held = state
        (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(params, stats, inputs, labels)
        moves, held = rule.update(grads, held, params)
        return (optax.apply_updates(params, moves), stats, held), loss

    jitted = jax.jit(step, donate_argnums=0)
    state = (params, stats, rule.init(params))
    place = 0

    def run(count: int) -> None:
        nonlocal state, place
        loss = None
        for _ in range(count):
            state, loss = jitted(state, *batches[place % len(batches)])
            place += 1
        jax.block_until_ready((state, loss))

    return run


def val_loop(name: str) -> Callable[[], float]:
    """One pass over the validation batches: the accuracy."""
    module, held = network(name), _rows(name, case(name)[2], 1)
    variables = module.init(jax.random.key(0), held[0][0], False)

    @jax.jit
    def predict(variables: Any, inputs: Any) -> Any:
        scores = nn.softmax(module.apply(variables, inputs, False))
        return scores, jnp.argmax(scores, 1)

    def run() -> float:
        right, seen = 0, 0
        for inputs, labels in held:
            _, found = predict(variables, inputs)
            right += int((found == labels).sum())
            seen += len(labels)
        return right / seen

    return run

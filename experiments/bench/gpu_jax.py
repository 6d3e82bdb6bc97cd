"""JAX's part of gpu.py: a ResNet that trains in bfloat16 on a batch of the device."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from gpu import LARGE, SMALL, Say, Scale
from gpu_torch import DECAY, LR, MOMENTUM, arrays, model, plan
from loop import spread

import fkit

GIB = 2**30


class Bottleneck(nn.Module):
    wide: int
    stride: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        conv = partial(nn.Conv, use_bias=False, dtype=jnp.bfloat16)
        norm = partial(nn.BatchNorm, use_running_average=False, momentum=0.9, dtype=jnp.bfloat16)
        y = nn.relu(norm()(conv(self.wide, (1, 1))(x)))
        y = nn.relu(norm()(conv(self.wide, (3, 3), self.stride, 1)(y)))
        y = norm()(conv(self.wide * 4, (1, 1))(y))
        if x.shape != y.shape:
            x = norm()(conv(self.wide * 4, (1, 1), self.stride)(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    """As one writes it in flax: (N, H, W, C), and flax's own batch norm."""

    counts: tuple[int, ...]
    width: int
    classes: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(self.width, (7, 7), 2, 3, use_bias=False, dtype=jnp.bfloat16)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=False, momentum=0.9, dtype=jnp.bfloat16)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for i, count in enumerate(self.counts):
            for j in range(count):
                x = Bottleneck(self.width * 2**i, 2 if i and not j else 1)(x)
        return nn.Dense(self.classes)(x.mean((1, 2)).astype(jnp.float32))


def bare(forward: Callable[..., Any], variables: Any, inputs: Any, labels: Any) -> Callable[[], Any]:
    """A donated jit of gradient and update, ``forward(params, stats, inputs) -> (logits, stats)``."""
    rule = optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(LR, MOMENTUM))

    def objective(params: Any, stats: Any, inputs: Any, labels: Any) -> Any:
        logits, stats = forward(params, stats, inputs)
        logits = logits.astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), stats

    def step(state: Any, inputs: Any, labels: Any) -> Any:
        params, stats, held = state
        (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(params, stats, inputs, labels)
        moves, held = rule.update(grads, held, params)
        return (optax.apply_updates(params, moves), stats, held), loss

    jitted = jax.jit(step, donate_argnums=0)
    state = (variables["params"], variables["batch_stats"], rule.init(variables["params"]))

    def act() -> Any:
        nonlocal state
        state, loss = jitted(state, inputs, labels)
        return loss

    return act


def by_hand(scale: Scale, device: Any) -> Callable[[], Any]:
    """flax alone, channels last from the input on."""
    counts = (3, 4, 6, 3) if scale is LARGE else (1,)
    module = ResNet(counts, 64 if scale is LARGE else 4, scale.classes)
    inputs, labels = arrays(scale, 1)[0]
    there = jax.device_put(inputs.transpose(0, 2, 3, 1), device)
    variables = jax.device_put(jax.jit(module.init)(jax.random.key(0), there), device)

    def forward(params: Any, stats: Any, inputs: Any) -> Any:
        logits, changed = module.apply({"params": params, "batch_stats": stats}, inputs, mutable=["batch_stats"])
        return logits, changed["batch_stats"]

    return bare(forward, variables, there, jax.device_put(labels, device))


def of_the_zoo(scale: Scale, device: Any) -> Callable[[], Any]:
    """The zoo's module, its kernels cast as fkit casts them."""
    module = fkit.registry().build("models", fkit.Config(model(scale)), backend="jax")
    inputs, labels = arrays(scale, 1)[0]
    there = jax.device_put(inputs, device)
    variables = jax.device_put(jax.jit(module.init)(jax.random.key(0), there), device)

    def cast(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        return {
            name: leaf.astype(jnp.bfloat16) if "kernel" in tree and name in ("kernel", "bias") else cast(leaf)
            for name, leaf in tree.items()
        }

    def forward(params: Any, stats: Any, inputs: Any) -> Any:
        variables = {"params": cast(params), "batch_stats": stats}
        logits, changed = module.apply(variables, inputs.astype(jnp.bfloat16), train=True, mutable=["batch_stats"])
        return logits, changed["batch_stats"]

    return bare(forward, variables, there, jax.device_put(labels, device))


def ours(scale: Scale, device: str) -> Callable[[], Any]:
    """A loop over ``program.train_step``."""
    made = plan(scale, "jax", device)
    program, numbers = made.program, made.program.hyperparams()
    inputs, labels = arrays(scale, 1)[0]
    batch = fkit.Batch(made.room.to_device(inputs, device), {"gt_label": labels})
    state = program.init(0)

    def act() -> Any:
        nonlocal state
        state, logs = program.train_step(state, batch, numbers)
        return logs["loss"]

    return act


def blocks(ways: dict[str, Callable[[], Any]], scale: Scale) -> dict[str, list[float]]:
    """Images a second of each way, a block in turn."""
    import time

    counts: dict[str, int] = {}
    for name, act in ways.items():
        for _ in range(3):
            jax.block_until_ready(act())
        begun = time.perf_counter()
        jax.block_until_ready([act() for _ in range(3)])
        counts[name] = max(2, round(scale.seconds / ((time.perf_counter() - begun) / 3)))
    rates: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for turn in range(scale.blocks):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            begun, loss = time.perf_counter(), None
            for _ in range(counts[name]):
                loss = ways[name]()
            jax.block_until_ready(loss)
            rates[name].append(scale.batch * counts[name] / (time.perf_counter() - begun))
    return rates


def train(device: str, scale: Scale, say: Say) -> None:
    """Steps on a batch that is on the device already."""
    place = jax.devices(device.partition(":")[0])[int(device.partition(":")[2] or 0)]
    first = "bare flax, channels last"
    # the peak of the process never falls: each way is built when those before it have been measured once
    ways: dict[str, Callable[[], Any]] = {}
    peaks: dict[str, str] = {}
    for name, make in (
        ("fkit", lambda: ours(scale, device)),
        ("bare, the zoo's module", lambda: of_the_zoo(scale, place)),
        (first, lambda: by_hand(scale, place)),
    ):
        ways[name] = make()
        jax.block_until_ready(ways[name]())
        stats = place.memory_stats() or {}
        peaks[name] = f"{stats['peak_bytes_in_use'] / GIB:.2f} so far" if "peak_bytes_in_use" in stats else ""
    rates = blocks(ways, scale)
    for name, values in rates.items():
        ratios = [one / other for one, other in zip(values, rates[first], strict=True)]
        say(name, spread(values, 0), "1" if name == first else spread(ratios, 3), peaks[name])


if __name__ == "__main__":
    size = SMALL if sys.argv[2] == "small" else LARGE
    print(spread(blocks({"fkit": ours(size, sys.argv[1])}, size)["fkit"], 0))

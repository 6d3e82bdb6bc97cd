"""A torch backbone under a JAX head, trained as one program on real handwritten digits.

Command: python experiments/interop/backbone.py
Time: about 15 s on two cores of a CPU.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

import fkit

CONFIG = Path(__file__).parents[2] / "configs/digits/convnet.py"


def main(epochs: int = 3) -> tuple[list[float], float]:
    """The loss of each step, and the share of the test digits that are recognised."""
    torch.manual_seed(0)
    cfg = fkit.load_config(CONFIG)
    data = fkit.open_data(fkit.plan(cfg))
    module = fkit.build(cfg.model.backbone.merge({"dropout": 0.0}), fkit.registry(), "models", backend="torch")

    def features(params, buffers, images, train):
        module.train(train)
        buffers = {name: value.clone() for name, value in buffers.items()}  # batch normalisation writes into them
        maps = torch.func.functional_call(module, (params, buffers), (images,))
        return maps[-1].mean((2, 3)), buffers

    backbone = fkit.interop.as_jax(features)

    def loss(params, buffers, images, labels):
        x, buffers = backbone(params["backbone"], buffers, images, True)
        scores = x @ params["head"]["kernel"] + params["head"]["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean(), buffers

    rule = optax.adam(3e-3)

    @jax.jit
    def step(params, buffers, slots, images, labels):
        (value, buffers), grads = jax.value_and_grad(loss, has_aux=True)(params, buffers, images, labels)
        changes, slots = rule.update(grads, slots)
        return optax.apply_updates(params, changes), buffers, slots, value

    weights = {name: value.detach() for name, value in module.named_parameters()}
    buffers = {name: value for name, value in module.named_buffers() if value.is_floating_point()}
    head = {"kernel": jnp.zeros((cfg.model.head.in_channels, 10)), "bias": jnp.zeros(10)}
    params = {"backbone": fkit.interop.jax_tree(weights, copy=True), "head": head}
    buffers, slots, losses = fkit.interop.jax_tree(buffers, copy=True), rule.init(params), []
    for epoch in range(epochs):
        for batch in data["train"].batches(epoch, 0):
            images, labels = np.asarray(batch.inputs, np.float32), np.asarray(batch.targets["gt_label"], np.int32)
            params, buffers, slots, value = step(params, buffers, slots, images, labels)
            losses.append(float(value))
    right = []
    for batch in data["val"].batches(0, 0):
        x, _ = backbone(params["backbone"], buffers, np.asarray(batch.inputs, np.float32), False)
        best = (x @ params["head"]["kernel"] + params["head"]["bias"]).argmax(1)
        right += (np.asarray(best) == batch.targets["gt_label"]).tolist()
    return losses, sum(right) / len(right)


if __name__ == "__main__":
    curve, accuracy = main()
    print(
        f"loss {curve[0]:.3f} -> {curve[-1]:.3f} in {len(curve)} steps; {accuracy:.1%} of the test digits are recognised"
    )

"""The model of segmenter.py in flax: the same layers, names and loss."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import BatchNorm, Conv2d  # they begin with the weights of torch's


class Step(nn.Module):
    """Convolution, norm, ReLU."""

    width: int
    stride: int = 1

    @nn.compact
    def __call__(self, x, train=False):
        x = Conv2d(self.width, (3, 3), strides=self.stride, padding=1, use_bias=False, name="0")(x)
        return nn.relu(BatchNorm(name="1")(x, train))


class Down(nn.Module):
    """Two steps, the first of which halves the map."""

    width: int

    @nn.compact
    def __call__(self, x, train=False):
        x = Step(self.width, 2, name="0")(x, train)
        return Step(self.width, name="1")(x, train)


class Segmenter(nn.Module):
    """See segmenter.py. ``__call__(inputs, samples, mode, train)`` with inputs (N, 3, H, W)."""

    num_classes: int = 2
    widths: tuple[int, ...] = (16, 32, 48, 64)
    ignore_index: int = 255

    @nn.compact
    def __call__(self, inputs, samples=None, mode="tensor", train=False):
        x, sides = jnp.moveaxis(inputs, 1, -1), []
        for number, width in enumerate(self.widths):
            x = Down(width, name=f"down_{number}")(x, train)
            sides.append(Conv2d(self.widths[0], (1, 1), name=f"side_{number}")(x))
        total = sides.pop()
        while sides:
            total = total.repeat(2, axis=1).repeat(2, axis=2) + sides.pop()
        logits = Conv2d(self.num_classes, (1, 1), name="head")(Step(self.widths[0], name="join")(total, train))
        n, h, w, k = logits.shape
        logits = jax.image.resize(logits, (n, 2 * h, 2 * w, k), "linear")
        if mode == "tensor":
            return jnp.moveaxis(logits, -1, 1)
        if mode == "predict":
            return {"seg_logits": jnp.moveaxis(logits, -1, 1), "pred_sem_seg": logits.argmax(-1)}
        labels = samples.targets["gt_sem_seg"]
        real = labels != self.ignore_index
        log_p = nn.log_softmax(logits)
        picked = jnp.take_along_axis(log_p, jnp.where(real, labels, 0)[..., None], axis=-1)[..., 0]
        return {"loss_ce": -jnp.where(real, picked, 0.0).sum() / real.sum()}

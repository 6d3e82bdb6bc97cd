"""A small segmenter: a pyramid of convolutions, added up from the coarsest map to the finest; segmenter_flax.py has its twin."""

from torch import nn
from torch.nn import functional as F

import fkit


def step(inside, outside, stride=1):
    """Convolution, norm, ReLU."""
    conv = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU())


@fkit.component("models", name="Segmenter", backend="torch")
class Segmenter(nn.Module):
    """Scores for each pixel.

    Args:
        num_classes: of a pixel.
        widths: channels of the maps at a half, a quarter, an eighth, ... of the image's size.
        ignore_index: the label of pixels that count in no loss.

    ``forward(inputs, samples, mode)`` with inputs (N, 3, H, W), H and W multiples of ``2 ** len(widths)``: "tensor" gives logits
    (N, K, H, W); "loss" a mapping of losses; "predict" these as ``seg_logits``, and ``pred_sem_seg`` (N, H, W).
    """

    def __init__(self, num_classes=2, widths=(16, 32, 48, 64), ignore_index=255):
        super().__init__()
        self.ignore_index = ignore_index
        before = (3, *widths)
        self.down = nn.ModuleList(
            nn.Sequential(step(a, b, 2), step(b, b)) for a, b in zip(before, widths, strict=False)
        )
        self.side = nn.ModuleList(nn.Conv2d(width, widths[0], 1) for width in widths)
        self.join = step(widths[0], widths[0])
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, inputs, samples=None, mode="tensor"):
        x, sides = inputs, []
        for down, side in zip(self.down, self.side, strict=True):
            x = down(x)
            sides.append(side(x))
        total = sides.pop()
        while sides:
            total = F.interpolate(total, scale_factor=2, mode="nearest") + sides.pop()
        logits = self.head(self.join(total))
        logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
        if mode == "tensor":
            return logits
        if mode == "predict":
            return {"seg_logits": logits, "pred_sem_seg": logits.argmax(1)}
        labels = samples.targets["gt_sem_seg"]
        return {"loss_ce": F.cross_entropy(logits, labels, ignore_index=self.ignore_index)}


def register(registry):
    """The model's twin in flax, by name: it is imported when a run on JAX builds it."""
    return registry.register("models", "segmenter_flax:Segmenter", name="Segmenter", backend="jax")

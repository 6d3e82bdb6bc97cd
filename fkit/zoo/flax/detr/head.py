"""DETR's head: classes and boxes of queries, with mmdet's parameter names."""

from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn

from fkit.backend.jax.layers import Linear
from fkit.backend.jax.ops import JaxOps
from fkit.detection.dense import Detections
from fkit.detection.detr import Said
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.query import DETRHead as Logic
from fkit.detection.truth import truths
from fkit.structures.batch import Samples
from fkit.zoo.flax.ffn import FFN

__all__ = ["DETRHead", "QueryHead", "wide"]

Array = jax.Array


class QueryHead(nn.Module):
    """A linear layer to classes, ``fc_cls``, and a network to boxes, ``reg_ffn`` and ``fc_reg``.

    Attributes:
        logic: what is made of predictions.

    ``__call__(said, train)``, states (L, N, Q, C), gives logits (L, N, Q, K) and boxes (L, N, Q, 4), centres and sides in shares of
    the image.
    """

    logic: Any
    torch_order: ClassVar[tuple[str, ...]] = ("fc_cls", "reg_ffn", "fc_reg")

    @property
    def init_rules(self) -> Any:
        """Rules for initial weights."""
        return self.logic.init_cfg

    def setup(self) -> None:
        width = self.logic.embed_dims
        self.fc_cls = Linear(self.logic.classes_out)
        self.reg_ffn = FFN(width, width, self.logic.num_reg_fcs, add_identity=False)
        self.fc_reg = Linear(4)

    def __call__(self, said: Said, train: bool = False) -> tuple[Array, Array]:
        return wide(self.fc_cls(said.states)), nn.sigmoid(self.boxes(said.states, train))

    def boxes(self, states: Array, train: bool = False) -> Array:
        """What queries say of boxes, before the sigmoid."""
        return wide(self.fc_reg(nn.relu(self.reg_ffn(states, train=train))))

    def loss(self, said: Said, samples: Samples | None, shapes: Shapes, train: bool = True) -> dict[str, Any]:
        """Losses by name."""
        scores, boxes = self(said, train)
        return self.logic.loss(JaxOps(), scores, boxes, truths(samples), shapes, said)

    def predict(self, said: Said, shapes: Shapes, rescale: bool = True) -> Detections:
        """The boxes of each image, by what the last layer gives."""
        scores, boxes = self(said.last())
        return self.logic.predict(JaxOps(), scores[0], boxes[0], shapes, rescale)


def wide(x: Array) -> Array:
    """Numbers in float32 at least."""
    return x if x.dtype in (jnp.float32, jnp.float64) else x.astype(jnp.float32)


DETRHead = partial(headed, QueryHead)(Logic)

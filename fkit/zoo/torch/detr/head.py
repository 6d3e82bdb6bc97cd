"""DETR's head: classes and boxes of queries, with mmdet's parameter names."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fkit.backend.torch.ops import Torch
from fkit.detection.dense import Detections
from fkit.detection.detr import Said
from fkit.detection.headed import headed
from fkit.detection.image import Shapes
from fkit.detection.query import DETRHead as Logic
from fkit.detection.truth import truths
from fkit.structures.batch import Samples
from fkit.zoo.torch.ffn import FFN

__all__ = ["DETRHead", "QueryHead", "wide"]


class QueryHead(nn.Module):
    """A linear layer to classes, ``fc_cls``, and a network to boxes, ``reg_ffn`` and ``fc_reg``.

    Args:
        logic: what is made of predictions.

    ``forward(said)``, states (L, N, Q, C), gives logits (L, N, Q, K) and boxes (L, N, Q, 4), centres and sides in shares of the
    image.
    """

    def __init__(self, logic: Logic) -> None:
        super().__init__()
        self.logic, self.init_cfg = logic, logic.init_cfg
        self.arrange()

    def arrange(self) -> None:
        """Make the layers."""
        width = self.logic.embed_dims
        self.fc_cls = nn.Linear(width, self.logic.classes_out)
        self.reg_ffn = FFN(width, width, self.logic.num_reg_fcs, add_identity=False)
        self.fc_reg = nn.Linear(width, 4)

    def forward(self, said: Said) -> tuple[Tensor, Tensor]:
        return wide(self.fc_cls(said.states)), self.boxes(said.states).sigmoid()

    def boxes(self, states: Tensor) -> Tensor:
        """What queries say of boxes, before the sigmoid."""
        return wide(self.fc_reg(torch.relu(self.reg_ffn(states))))

    def loss(self, said: Said, samples: Samples | None, shapes: Shapes) -> dict[str, Any]:
        """Losses by name."""
        scores, boxes = self(said)
        return self.logic.loss(Torch(scores.device), scores, boxes, truths(samples), shapes, said)

    def predict(self, said: Said, shapes: Shapes, rescale: bool = True) -> Detections:
        """The boxes of each image, by what the last layer gives."""
        scores, boxes = self(said.last())
        return self.logic.predict(Torch(scores.device), scores[0], boxes[0], shapes, rescale)


def wide(x: Tensor) -> Tensor:
    """Numbers in float32 at least."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


DETRHead = partial(headed, QueryHead)(Logic)

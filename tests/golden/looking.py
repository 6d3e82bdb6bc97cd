"""Models that are asked for something else than their predictions: their raw outputs, what their predictions are matched to."""

from typing import Any

from flax import linen
from torch import nn

from fkit.backend.jax.ops import JaxOps
from fkit.backend.torch.ops import Torch
from fkit.detection.image import shapes_of
from fkit.detection.part import part as part_of
from fkit.detection.query import units
from fkit.detection.truth import truths
from fkit.zoo.flax.classifier import Part

__all__ = ["Looking", "LookingFlax", "Matching", "MatchingFlax"]


class Looking(nn.Module):
    """A model, asked for its raw outputs in place of its predictions."""

    def __init__(self, model: Any, *, build: Any) -> None:
        super().__init__()
        self.model = part_of(build, "models", model)

    def forward(self, inputs: Any, samples: Any = None, mode: str = "predict") -> Any:
        return self.model(inputs, samples, mode="tensor")


class LookingFlax(linen.Module):
    """`Looking` of flax."""

    model: Part

    def __call__(self, inputs: Any, samples: Any = None, mode: str = "predict", train: bool = False) -> Any:
        return self.model(inputs, samples, "tensor", train)


class Matching(Looking):
    """A detector of queries, asked which object each prediction of each decoder layer is for."""

    def forward(self, inputs: Any, samples: Any = None, mode: str = "predict") -> Any:
        model, xp = self.model, Torch(inputs.device)
        sizes = shapes_of(xp, samples, inputs)
        said = model.transformed(model.extract_feat(inputs), samples, sizes, tuple(inputs.shape[2:]), False)[1]
        return pairs_of(xp, model.bbox_head.logic, *model.bbox_head(said), samples, sizes)


class MatchingFlax(LookingFlax):
    """`Matching` of flax."""

    def __call__(self, inputs: Any, samples: Any = None, mode: str = "predict", train: bool = False) -> Any:
        model, xp = self.model, JaxOps()
        if mode == "tensor":
            return model(inputs, samples, mode, train)
        sizes = shapes_of(xp, samples, inputs)
        said = model.transformed(
            model.extract_feat(inputs, train), samples, sizes, tuple(inputs.shape[2:]), False, train
        )[1]
        return pairs_of(xp, model.bbox_head.logic, *model.bbox_head(said), samples, sizes)


def pairs_of(xp: Any, logic: Any, scores: Any, boxes: Any, samples: Any, sizes: Any) -> Any:
    """Of each layer, image by image, the objects (from 1) of all predictions."""
    truth, unit = truths(samples), units(xp, sizes, boxes)
    return [logic.targets(xp, scores[at], boxes[at], truth, unit).object for at in range(scores.shape[0])]

"""mmpretrain's visualizer, with its name: an image above what is known and what is said of it."""

from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np

from fkit.structures.content import host
from fkit.tree.check import expect
from fkit.visualize.canvas import Visualizer
from fkit.visualize.sample import class_of
from fkit.visualize.visualizer import draw_label, picture

__all__ = ["UniversalVisualizer"]


@dataclass(frozen=True)
class UniversalVisualizer(Visualizer):
    """Draws the class of an image and its score below it; mmpretrain's.

    Example:
        >>> board = UniversalVisualizer(dataset_meta={"classes": ("cat", "dog")})
        >>> sample = {"pred_score": np.array([0.1, 0.9]), "gt_label": 1}
        >>> board.add_datasample("a", np.zeros((64, 64, 3), np.uint8), sample).get_image().shape[1]
        256
    """

    def add_datasample(
        self, name: str, image: Any, data_sample: Any = None, draw_gt: bool = True, draw_pred: bool = True, draw_score: bool = True,
    ) -> Self:  # fmt: skip
        """With the image above its class: green where the prediction is the truth, red where it is not.

        Args:
            name: of the picture, a title.
            image: (H, W, 3) RGB.
            data_sample: a DataSample, or a mapping, with ``gt_label``, ``pred_label`` and ``pred_score``.
            draw_score: whether the score is said.
        """
        expect(name, str, "UniversalVisualizer: name is text")
        under, classes = picture(np.asarray(host(image))), cast("Any", self.dataset_meta.get("classes") or ())
        truth = class_of(data_sample, "gt", classes) if draw_gt else None
        said = class_of(data_sample, "pred", classes) if draw_pred else None
        if said is not None:
            score = said[1] if draw_score else None
            return self.set_image(draw_label(under, said[0], score, truth=None if truth is None else truth[0]))
        return self.set_image(under if truth is None else draw_label(under, truth[0]))

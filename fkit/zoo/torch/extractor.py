"""RoI extractors that have layers, with MMDetection's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fkit.detection.extractor import GenericRoIExtractor
from fkit.zoo.torch.plugged import plugin_layer

__all__ = ["LayeredRoIExtractor", "generic_roi_extractor"]


class LayeredRoIExtractor(nn.Module):
    """`fkit.detection.extractor.GenericRoIExtractor` with its layers: ``post_module`` and ``pre_module``.

    Args:
        logic: of the extractor, whose ``pre_cfg`` and ``post_cfg`` they are of.
    """

    def __init__(self, logic: GenericRoIExtractor) -> None:
        super().__init__()
        self.logic = logic
        self.num_inputs = logic.num_inputs
        for name, cfg in (("post_module", logic.post_cfg), ("pre_module", logic.pre_cfg)):
            self.add_module(name, None if cfg is None else plugin_layer(cfg, logic.out_channels)[1])

    def forward(
        self, xp: Any, maps: Sequence[Tensor], rois: Tensor, image: Tensor, roi_scale_factor: float | None = None
    ) -> Tensor:
        pre, post = (self._called(self.get_submodule(name)) if cfg is not None else None for name, cfg in (
            ("pre_module", self.logic.pre_cfg), ("post_module", self.logic.post_cfg),
        ))  # fmt: skip
        return self.logic(xp, maps, rois, image, roi_scale_factor, pre=pre, post=post)

    @staticmethod
    def _called(layer: nn.Module) -> Any:
        """A layer of (R, C, h, w) on (R, h, w, C)."""
        return lambda x: layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def generic_roi_extractor(**options: Any) -> Any:
    """The maker of ``GenericRoIExtractor`` from a config: one without layers has nothing to learn."""
    logic = GenericRoIExtractor(**options)
    return logic if logic.pre_cfg is None and logic.post_cfg is None else LayeredRoIExtractor(logic)

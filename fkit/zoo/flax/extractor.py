"""RoI extractors that have layers, with MMDetection's arguments and parameter names."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
from flax import linen as nn

from fkit.detection.extractor import GenericRoIExtractor
from fkit.zoo.flax.plugged import plugin_layer

__all__ = ["LayeredRoIExtractor", "generic_roi_extractor"]

Array = jax.Array


class LayeredRoIExtractor(nn.Module):
    """`fkit.detection.extractor.GenericRoIExtractor` with its layers: ``post_module`` and ``pre_module``.

    Attributes:
        logic: of the extractor, whose ``pre_cfg`` and ``post_cfg`` they are of.
    """

    logic: GenericRoIExtractor
    torch_order: ClassVar[tuple[str, ...]] = ("post_module", "pre_module")

    @property
    def num_inputs(self) -> int:
        """Levels."""
        return self.logic.num_inputs

    @nn.compact
    def __call__(
        self,
        xp: Any,
        maps: Sequence[Array],
        rois: Array,
        image: Array,
        roi_scale_factor: float | None = None,
        train: bool = False,
    ) -> Array:
        post, pre = (
            None if cfg is None else self._called(cfg, name, train)
            for cfg, name in ((self.logic.post_cfg, "post_module"), (self.logic.pre_cfg, "pre_module"))
        )
        return self.logic(xp, maps, rois, image, roi_scale_factor, pre=pre, post=post)

    def _called(self, cfg: Any, name: str, train: bool) -> Any:
        layer = plugin_layer(cfg, self.logic.out_channels, name=name)
        return lambda x: layer(x, train)


def generic_roi_extractor(**options: Any) -> Any:
    """The maker of ``GenericRoIExtractor`` from a config: one without layers has nothing to learn."""
    logic = GenericRoIExtractor(**options)
    return logic if logic.pre_cfg is None and logic.post_cfg is None else LayeredRoIExtractor(logic)

"""RoI extractors: which level of a pyramid each region is pooled from, and how, under MMDetection's names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fkit.array.roi import levels, rescaled, roi_align, roi_pool
from fkit.tree.check import check_fields
from fkit.tree.error import FkitKeyError, FkitTypeError, FkitValueError, quoted

__all__ = ["GenericRoIExtractor", "RoIExtractor", "SingleRoIExtractor"]

_ALIGN = ("output_size", "sampling_ratio", "pool_mode", "aligned", "use_torchvision")
_LAYERS = ("RoIAlign", "RoIPool")


@dataclass(frozen=True, kw_only=True)
class RoIExtractor:
    """What both extractors are configured with.

    Args:
        roi_layer: ``dict(type="RoIAlign", output_size=7, sampling_ratio=0)``, with ``aligned`` (True) and ``pool_mode``
            ("avg") if need be; or ``dict(type="RoIPool", output_size=7)``.
        out_channels: C of what is pooled.
        featmap_strides: pixels of the picture that one of a map is, one a level.
        init_cfg: there are no weights to begin with; it is taken since configs have it.

    Raises:
        FkitError: another layer, or an argument that it does not have.
    """

    roi_layer: Mapping[str, Any]
    out_channels: int
    featmap_strides: Sequence[int]
    init_cfg: Any = None

    def __post_init__(self) -> None:
        check_fields(self)
        layer: Any = self.roi_layer
        if not isinstance(layer, Mapping):
            raise FkitTypeError(f"roi_layer is dict(type='RoIAlign', ...), not {quoted(layer, 60)}.")
        kind = _kind(self.roi_layer)
        if kind not in _LAYERS:
            raise FkitValueError(f"roi_layer.type={kind!r} is unknown.", value=kind, choices=_LAYERS, label="Layers")
        allowed = _ALIGN if kind == "RoIAlign" else ("output_size",)
        for key in self.roi_layer:
            if key not in (*allowed, "type"):
                raise FkitKeyError(f"roi_layer has no argument {key!r}.", value=key, choices=allowed, label="Arguments")
        if "output_size" not in self.roi_layer:
            raise FkitTypeError(f"roi_layer: {kind} needs 'output_size'.", repair="output_size=7")

    @property
    def num_inputs(self) -> int:
        """Levels."""
        return len(self.featmap_strides)

    @property
    def output_size(self) -> tuple[int, int]:
        """(h, w) bins."""
        size: Any = self.roi_layer["output_size"]
        return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))

    def _pooled(self, xp: Any, maps: Sequence[Any], rois: Any, image: Any, level: Any) -> Any:
        scales = [1 / stride for stride in self.featmap_strides[: len(maps)]]
        if _kind(self.roi_layer) == "RoIPool":
            return roi_pool(xp, maps, rois, image, level, scales, self.output_size)
        options = self.roi_layer
        ratio, aligned = int(options.get("sampling_ratio", 0)), bool(options.get("aligned", True))
        mode = str(options.get("pool_mode", "avg"))
        return roi_align(xp, maps, rois, image, level, scales, self.output_size, ratio, aligned, mode)


@dataclass(frozen=True, kw_only=True)
class SingleRoIExtractor(RoIExtractor):
    """Each region from the one level that its size asks for.

    Args:
        finest_scale: regions whose side (the root of the area) is below twice of it are of level 0, and so on by doublings.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> extract = SingleRoIExtractor(roi_layer=dict(type="RoIAlign", output_size=2), out_channels=1, featmap_strides=[4, 8])
        >>> maps = [np.zeros((1, 8, 8, 1)), np.ones((1, 20, 20, 1))]
        >>> extract(Numpy(), maps, np.array([[0.0, 0, 32, 32], [0, 0, 130, 130]]), np.array([0, 0]))[:, 0, 0, 0].round().tolist()
        [0.0, 1.0]
    """

    finest_scale: float = 56

    def __call__(
        self, xp: Any, maps: Sequence[Any], rois: Any, image: Any, roi_scale_factor: float | None = None
    ) -> Any:
        """What is pooled.

        Args:
            maps: (N, H, W, C), channels last, one a level.
            rois: (R, 4) boxes in the coordinates of the padded picture.
            image: (R,) which picture of the batch.
            roi_scale_factor: by how much boxes are made larger, once their level is known.

        Returns:
            (R, h, w, C).
        """
        if len(maps) == 1:
            return self._pooled(xp, maps, rois, image, None)
        level = levels(xp, xp.detached(rois), len(maps), self.finest_scale)
        boxes = rois if roi_scale_factor is None else rescaled(xp, rois, roi_scale_factor)
        return self._pooled(xp, maps, boxes, image, level)


@dataclass(frozen=True, kw_only=True)
class GenericRoIExtractor(RoIExtractor):
    """Each region from every level, and these put together.

    Args:
        aggregation: "sum" or "concat" (along the channels).
        pre_cfg, post_cfg: layers that what was pooled of a level, and of all, goes through; who calls brings them.
    """

    aggregation: str = "sum"
    pre_cfg: Mapping[str, Any] | None = None
    post_cfg: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregation not in ("sum", "concat"):
            raise FkitValueError(
                f"aggregation={self.aggregation!r} is unknown.", value=self.aggregation, choices=("sum", "concat")
            )

    def __call__(
        self,
        xp: Any,
        maps: Sequence[Any],
        rois: Any,
        image: Any,
        roi_scale_factor: float | None = None,
        *,
        pre: Callable[[Any], Any] | None = None,
        post: Callable[[Any], Any] | None = None,
    ) -> Any:
        """What is pooled; arguments as `SingleRoIExtractor`'s.

        Args:
            pre, post: the layers of ``pre_cfg`` and ``post_cfg``, of arrays (R, h, w, C).

        Raises:
            FkitTypeError: the config has such a layer and the call has none.
            FkitValueError: the levels' channels together are not ``out_channels``.
        """
        for name, cfg, layer in (("pre", self.pre_cfg, pre), ("post", self.post_cfg, post)):
            if cfg is not None and layer is None:
                raise FkitTypeError(f"GenericRoIExtractor has a {name}_cfg, and was called without its layer.")
        if len(maps) == 1:
            return self._pooled(xp, maps, rois, image, None)
        boxes = rois if roi_scale_factor is None else rescaled(xp, rois, roi_scale_factor)
        first = xp.cast(image * 0, "int64")
        parts = [self._pooled(xp, maps, boxes, image, first + level) for level in range(len(maps))]
        parts = parts if pre is None else [pre(part) for part in parts]
        out: Any = sum(parts[1:], parts[0]) if self.aggregation == "sum" else xp.lib.concat(parts, axis=-1)
        if out.shape[-1] != self.out_channels:
            raise FkitValueError(f"{out.shape[-1]} channels were pooled, and out_channels is {self.out_channels}.")
        return out if post is None else post(out)


def _kind(layer: Mapping[str, Any]) -> str:
    kind: Any = layer.get("type", "")
    return kind if isinstance(kind, str) else str(getattr(kind, "__name__", kind))

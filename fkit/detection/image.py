"""What a detector knows of each image beside its pixels: its size, its padded size, and by how much it was resized."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fkit.array.ops import Ops
from fkit.structures.batch import Samples

__all__ = ["Shapes", "shapes_of"]


class Shapes(NamedTuple):
    """Sizes of the N images of a batch, in numbers of the boxes' type.

    Attributes:
        img: (N, 2) height and width without what pads an image.
        pad: (N, 2) height and width up to the divisor of the preprocessor: where priors are.
        scale: (N, 2) by how much width and height were multiplied.
    """

    img: Any
    pad: Any
    scale: Any


def shapes_of(xp: Ops, samples: Samples | None, inputs: Any) -> Shapes:
    """The sizes that a batch's targets tell (``img_shape``, ``pad_shape``, ``scale_factor``), else those of its inputs.

    Args:
        inputs: (N, C, H, W), whose type decides: float64, or float32 for all others.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> shapes = shapes_of(Numpy(), Samples({"img_shape": np.array([[5, 7]])}), np.zeros((1, 3, 8, 8)))
        >>> shapes.img.tolist(), shapes.pad.tolist(), shapes.scale.tolist()
        ([[5.0, 7.0]], [[8.0, 8.0]], [[1.0, 1.0]])
    """
    kind = "float64" if "float64" in str(inputs.dtype) else "float32"
    targets: Mapping[str, Any] = {} if samples is None else samples.targets
    count, height, width = inputs.shape[0], inputs.shape[2], inputs.shape[3]

    def numbers(*names: str) -> Any:
        for name in names:
            if name in targets:
                return xp.cast(targets[name][:, :2], kind)
        return None

    img, pad, scale = numbers("img_shape", "input_shape"), numbers("pad_shape"), numbers("scale_factor")
    if img is None or pad is None:
        whole = xp.lib.concat([xp.full((count, 1), side, kind) for side in (height, width)], axis=1)
        img, pad = (whole if one is None else one for one in (img, pad))
    return Shapes(img, pad, xp.full((count, 2), 1.0, kind) if scale is None else scale)

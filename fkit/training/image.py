"""What happens to images on the device before a model sees them; written once for all libraries of arrays."""

from collections.abc import Mapping
from typing import Any

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.structures.batch import Samples
from fkit.structures.content import family, is_array, namespace
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError, quoted

__all__ = ["check_images", "check_whole", "padded", "ready"]

_IMAGES = 4  # axes of a batch of images
_COLOURS = 3


def ready(part: Any, xp: Ops, inputs: Any, samples: Samples, divisor: int, fill: float) -> Any:
    """Images, or several views of them, with channels swapped, normalised, and with their border filled.

    Args:
        part: a preprocessor, with ``swap``, ``mean`` and ``std``.
        xp: the operations of the arrays' library.
        inputs: (N, C, H, W) of a float type; a mapping or a sequence of such.
        samples: ``targets["input_shape"]`` (N, 2) says which part of each image the host has not padded.
        divisor: the height and width become multiples of it, where the host has not seen to that.
        fill: the border's number.

    Raises:
        FkitValueError: they are no images, or have another number of channels than the mean.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> from fkit.training.preprocess import ImgDataPreprocessor
        >>> ready(ImgDataPreprocessor(), Numpy(), np.zeros((1, 3, 5, 8)), Samples(), 4, 0).shape
        (1, 3, 8, 8)
    """
    if isinstance(inputs, Mapping):
        return frozendict({key: ready(part, xp, value, samples, divisor, fill) for key, value in inputs.items()})
    if isinstance(inputs, (list, tuple)):
        return tuple(ready(part, xp, value, samples, divisor, fill) for value in inputs)
    if not is_array(inputs) or inputs.ndim != _IMAGES:
        shape = tuple(inputs.shape) if is_array(inputs) else quoted(inputs)
        raise FkitValueError(f"{type(part).__name__} takes images (N, C, H, W), not {shape}.", path="data_preprocessor")
    images = _normalised(part, inputs)
    sizes: Any = samples.targets.get("input_shape")
    if sizes is not None:
        rows, columns = xp.words(0, (images.shape[2],)), xp.words(0, (images.shape[3],))
        inside = (rows < sizes[:, :1])[:, None, :, None] & (columns < sizes[:, 1:])[:, None, None, :]
        images = namespace(images).where(inside, images, fill)
    return _padded(images, divisor, fill)


def _normalised(part: Any, images: Any) -> Any:
    count, mean, std = images.shape[1], part.mean, part.std
    order = (2, 1, 0) if part.swap and count == _COLOURS else tuple(range(count))
    if mean is None:
        if order == tuple(range(count)):
            return images
        mean, std = (0.0,) * count, (1.0,) * count
    if len(mean) not in (1, count):
        raise FkitValueError(
            f"{type(part).__name__}: mean has {len(mean)} numbers, and the images have {count} channels.",
            path="data_preprocessor.mean",
        )
    if len(mean) == 1:
        mean, std = mean * count, std * count
    # plain numbers, channel by channel: nothing is copied to the device, and the images keep their type
    planes = [(images[:, at : at + 1] - mean[place]) / std[place] for place, at in enumerate(order)]
    return planes[0] if count == 1 else namespace(images).concat(planes, axis=1)


def _padded(images: Any, divisor: int, fill: float) -> Any:
    """Images of a batch that was not padded for this, at the bottom and on the right."""
    xp = namespace(images)
    where = {"device": images.device} if family(images) == "torch" else {}
    for axis in (2, 3):
        more = -images.shape[axis] % divisor
        if more:
            shape = (*images.shape[:axis], more, *images.shape[axis + 1 :])
            images = xp.concat((images, xp.full(shape, fill, dtype=images.dtype, **where)), axis=axis)
    return images


def padded(samples: Samples, divisor: int) -> Samples:
    """Samples whose targets have a ``pad_shape``: each image's own size, up to the divisor.

    Example:
        >>> import numpy as np
        >>> padded(Samples({"input_shape": np.array([[5, 8]])}), 4).targets["pad_shape"].tolist()
        [[8, 8]]
    """
    targets = samples.targets
    sizes = targets.get("input_shape")
    if sizes is None or "pad_shape" in targets:
        return samples
    return samples._replace(targets=frozendict({**targets, "pad_shape": -(-sizes // divisor) * divisor}))


def check_images(part: Any, divisor: Any) -> None:
    """Refuse arguments that make no preprocessor; lists of numbers become tuples.

    Args:
        part: a preprocessor, with ``mean`` and ``std``, which is changed.
        divisor: of padded sizes, or None.

    Raises:
        FkitError: with what is wrong.
    """
    check_fields(part)
    name = type(part).__name__
    if divisor is not None:
        check_whole(divisor, f"{name}: the divisor of padded sizes")
    if (part.mean is None) != (part.std is None):
        raise FkitValueError(f"{name}: mean and std belong together: mean = {part.mean}, std = {part.std}.")
    for key in ("mean", "std"):
        numbers: Any = getattr(part, key)
        if numbers is None:
            continue
        expect(numbers, (list, tuple), f"{name}: {key} is a list of numbers, one a channel")
        for number in numbers:
            expect_number(number, f"{name}: {key}")
        object.__setattr__(part, key, tuple(float(number) for number in numbers))
    if part.std is not None and (not part.std or len(part.std) != len(part.mean) or 0 in part.std):
        raise FkitValueError(f"{name}: mean and std have as many numbers, and no std is 0: {part.mean}, {part.std}.")


def check_whole(number: Any, what: str) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        FkitError: with what it is.

    Example:
        >>> check_whole(32, "pad_size_divisor")
    """
    expect_number(number, what, whole=True)
    if number < 1:
        raise FkitValueError(f"{what} = {number}: at least 1.")

"""Training batches of changing size: what is drawn from the run's key on the host, and done on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from frozendict import frozendict

from fkit.array.ops import Ops
from fkit.array.random import host_fold, tag
from fkit.structures.batch import Samples
from fkit.structures.content import namespace
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitValueError, quoted

__all__ = ["BatchSyncRandomResize", "resized"]

_GROUPS = ("gt_instances", "ignored_instances", "gt_instance_labels")
_SHAPES = ("img_shape", "pad_shape", "input_shape")


@dataclass(frozen=True)
class BatchSyncRandomResize:
    """Training batches in a size that is drawn anew every so many iterations, the same on all devices; mmdet's and
    mmpose's BatchSyncRandomResize. Until the first draw they keep theirs.

    Args:
        random_size_range: the least and the greatest height, pixels; the width keeps to the images' ratio.
        interval: iterations from draw to draw.
        size_divisor: sizes are multiples of it.

    Example:
        >>> resize = BatchSyncRandomResize((480, 800), interval=10)
        >>> resize.size((1, 2), 9, (640, 640)), resize.size((1, 2), 10, (640, 640)) == resize.size((1, 2), 19, (640, 640))
        ((640, 640), True)
    """

    random_size_range: Sequence[int]
    interval: int = 10
    size_divisor: int = 32

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        for word in ("interval", "size_divisor"):
            if getattr(self, word) < 1:
                raise FkitValueError(f"{name}: {word} = {getattr(self, word)}: at least 1.")
        what = f"{name}: random_size_range is a pair, the least and the greatest height"
        expect(self.random_size_range, (list, tuple), what)
        for number in self.random_size_range:
            expect_number(number, what)
        pair = tuple(self.random_size_range)
        if len(pair) != 2 or not 0 < round(pair[0] / self.size_divisor) <= round(pair[1] / self.size_divisor):
            raise FkitValueError(f"{what}: {quoted(pair)}.")
        object.__setattr__(self, "random_size_range", pair)

    def size(self, words: tuple[int, int], iteration: int, shape: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) of an iteration's batch.

        Args:
            words: the run's key.
            iteration: from 0.
            shape: of the images as they come.
        """
        expect(words, tuple, "`words` is a key")
        expect_number(iteration, "`iteration`", whole=True)
        expect(shape, tuple, "`shape` is a pair (height, width)")
        turn = int(iteration) // self.interval
        if turn == 0:
            return shape
        least, most = (round(number / self.size_divisor) for number in self.random_size_range)
        drawn = host_fold(host_fold(words, tag("resize")), turn)[0]
        number = least + drawn * (most - least + 1) // 2**32
        return self.size_divisor * number, self.size_divisor * int(shape[1] / shape[0] * number)


def resized(xp: Ops, inputs: Any, samples: Samples, size: tuple[int, int]) -> tuple[Any, Samples]:
    """A batch in another size: images, and the boxes, key points, areas, masks of heat maps and sizes of its targets.

    Args:
        xp: the operations of the arrays' library.
        inputs: (N, C, H, W) of a float type.
        size: (height, width).
    """
    height, width = inputs.shape[-2:]
    if (height, width) == tuple(size):
        return inputs, samples
    down, right = size[0] / height, size[1] / width
    targets = dict(samples.targets)
    for name in _GROUPS:
        if isinstance(targets.get(name), Mapping):
            targets[name] = _scaled(cast("Mapping[str, Any]", targets[name]), right, down)
    for name in _SHAPES:
        if name in targets:
            targets[name] = _columns(targets[name], (down, right))
    fields: Any = targets.get("gt_fields")
    if isinstance(fields, Mapping) and "heatmap_mask" in fields:
        mask: Any = cast("Mapping[str, Any]", fields)["heatmap_mask"]
        whole = mask if mask.ndim == inputs.ndim else mask[:, None]
        whole = xp.resized(whole + 0 * inputs[:1, :1, :1, :1], size)
        targets["gt_fields"] = frozendict(
            {**fields, "heatmap_mask": whole if mask.ndim == inputs.ndim else whole[:, 0]}
        )
    return xp.resized(inputs, size), samples._replace(targets=frozendict(targets))


def _scaled(group: Mapping[str, Any], right: float, down: float) -> Mapping[str, Any]:
    factors = {"bboxes": (right, down, right, down), "keypoints": (right, down)}
    done = {key: _columns(value, factors[key]) if key in factors else value for key, value in group.items()}
    if "areas" in group:
        done["areas"] = group["areas"] * (right * down)
    return frozendict(done)


def _columns(array: Any, factors: Sequence[float]) -> Any:
    """Each number of the last axis times its factor; whole numbers are cut off. Further ones stay."""
    lib = namespace(array)
    several = [array[..., at] for at in range(array.shape[-1])]
    scaled = [one * factors[at] if at < len(factors) else one for at, one in enumerate(several)]
    if "int" in str(array.dtype):
        kept = [lib.floor(one) if at < len(factors) else one for at, one in enumerate(scaled)]
        return lib.asarray(lib.stack(kept, -1), dtype=array.dtype)
    return lib.stack(scaled, -1)

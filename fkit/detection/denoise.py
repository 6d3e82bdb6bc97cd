"""Queries that begin near objects (Li et al. 2022; Zhang et al. 2023): a decoder learns to bring them back, or to tell that it cannot.

Slots are as many whatever the objects are, so that each function passes through jit; which of them are used, and for what, is
told by the greatest count of objects of an image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from fkit.array.box import to_centres
from fkit.array.ops import Ops
from fkit.array.random import bits, fold
from fkit.detection.assigner import Truth
from fkit.detection.deformable import inverse_sigmoid
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["Denoising", "Noise", "blocked"]

_EPS = 1e-3  # of the inverse sigmoid of noisy boxes
_QUERIES = 100


class Noise(NamedTuple):
    """S slots of N images.

    Attributes:
        group: (S,) which group, -1 where a slot is not used.
        object: (N, S) which object of its image, from 1, a slot is to come back to; 0 for none.
        real: (N, S) whether a slot begins near an object.
        label: (N, S) the class that a slot begins with.
        box: (N, S, 4) the box that it begins with, before the sigmoid.
    """

    group: Any
    object: Any
    real: Any
    label: Any
    box: Any


@dataclass(frozen=True)
class Denoising:
    """What mmdet's CdnQueryGenerator draws.

    Args:
        num_classes: without the background.
        label_noise_scale: twice the share of labels that are drawn anew.
        box_noise_scale: how far corners are moved at most, in halves of the sides; those that are to be told apart, twice as
            far.
        group_cfg: ``dynamic``, ``num_dn_queries`` (pairs of slots: each group has one an object), ``num_groups``.

    Raises:
        FkitError: what is no such number.
    """

    num_classes: int
    label_noise_scale: float = 0.5
    box_noise_scale: float = 1.0
    group_cfg: Any = None

    def __post_init__(self) -> None:
        for name in ("label_noise_scale", "box_noise_scale"):
            if getattr(self, name) <= 0:
                raise FkitValueError(f"dn_cfg.{name}={getattr(self, name)}: above 0.")
        if self.group_cfg is not None and not isinstance(self.group_cfg, Mapping):
            raise FkitTypeError(f"dn_cfg.group_cfg={self.group_cfg!r:.60}: a config.")
        if not isinstance(self._number, int) or self._number < 1:
            name = "num_dn_queries" if self._dynamic else "num_groups"
            raise FkitValueError(f"dn_cfg.group_cfg.{name}={self._number!r}: 1 or more.")

    @property
    def _options(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.group_cfg or {})

    @property
    def _dynamic(self) -> bool:
        return bool(self._options.get("dynamic", True))

    @property
    def _number(self) -> Any:
        return self._options.get("num_dn_queries", _QUERIES) if self._dynamic else self._options.get("num_groups")

    def noise(self, xp: Ops, key: Any, places: Any, truth: Truth, unit: Any) -> Noise:
        """Draw.

        Args:
            key: of this call.
            places: (N,) words, the place of each image in the whole batch.
            truth: the objects, (N, G, ...), in pixels.
            unit: (N, 4) width and height of each image, twice.
        """
        lib, width = xp.lib, truth.valid.shape[1]
        slots = 2 * (max(self._number, width) if self._dynamic else self._number * width)
        counts = xp.cast(truth.valid, "int64").sum(1)
        most = lib.amax(counts, 0)
        step = lib.clip(most, 1, None)
        groups = lib.clip(self._number // step, 1, None) if self._dynamic else most * 0 + self._number
        slot = xp.arange(slots)
        block, place = slot // step, slot % step
        used = (block // 2 < groups) & (most > 0)
        near = block % 2 == 0

        def one(image: Any, truth: Truth, unit: Any, count: Any) -> tuple[Any, Any, Any, Any]:
            row = xp.take(xp.order(xp.cast(truth.valid == 0, "int64")), lib.clip(place, 0, width - 1))
            real = used & (place < count)
            box = xp.take(xp.cast(truth.bboxes, unit) / unit, row)
            label = xp.take(truth.labels, row)
            word = image if hasattr(image, "dtype") else xp.word(image)
            drawn = self._drawn(xp, fold(xp, key, word), box, label, near)
            start = lib.where(real[:, None], drawn[1], 0)
            return lib.where(real & near, row + 1, 0), real, lib.where(real, drawn[0], 0), start

        found = xp.each(one, places, truth._replace(masks=None), unit, counts)
        return Noise(lib.where(used, block // 2, -1), *found)

    def _drawn(self, xp: Ops, stream: Any, box: Any, label: Any, near: Any) -> tuple[Any, Any]:
        """Labels and boxes of one image's slots."""
        slots = label.shape[0]

        def unit(number: int, shape: tuple[int, ...]) -> Any:
            return xp.cast(xp.unit(bits(xp, fold(xp, stream, xp.word(number)), 0, shape)), box)

        anew = xp.cast(unit(1, (slots,)) * self.num_classes, "int64")
        anew = xp.lib.clip(anew, 0, self.num_classes - 1)
        label = xp.lib.where(unit(0, (slots,)) < self.label_noise_scale * 0.5, xp.cast(anew, label), label)
        sign = xp.lib.where(unit(2, (slots, 4)) < 0.5, -1.0, 1.0)
        far = xp.cast(near == 0, box)[:, None]
        sides = xp.lib.concat([box[:, 2:] - box[:, :2]] * 2, axis=-1)
        moved = box + (unit(3, (slots, 4)) + far) * sign * sides * (self.box_noise_scale / 2)
        return label, inverse_sigmoid(xp, to_centres(xp, xp.lib.clip(moved, 0, 1)), _EPS)


def blocked(xp: Ops, group: Any, queries: int) -> Any:
    """(S + Q, S + Q) bool, True where a query must not see another: slots see their group and the Q queries, which see no slot.

    Args:
        group: (S,), see `Noise`.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> blocked(Numpy(), np.array([0, 1]), 1).tolist()
        [[False, True, False], [True, False, False], [True, True, False]]
    """
    lib = xp.lib
    whole = lib.concat([group, group[:1] * 0 - 2 + xp.arange(queries) * 0], axis=0)
    apart = whole[:, None] != whole[None, :]
    return (apart | (whole == -1)[None, :]) & (whole != -2)[None, :]

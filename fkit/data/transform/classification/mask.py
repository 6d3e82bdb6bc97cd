"""Masks of patches for self-supervision: mmpretrain's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.draw import between, needed
from fkit.data.transform.resize import scale_pair
from fkit.data.transform.transform import Fetch, Sample, Transform, replaced
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["BEiTMaskGenerator", "SimMIMMaskGenerator"]

_TRIES = 10  # blocks that are drawn until one masks a patch


@dataclass(frozen=True)
class SimMIMMaskGenerator(Transform):
    """Mask patches at random, SimMIM's way; mmpretrain's SimMIMMaskGenerator.

    Args:
        input_size: side of the picture, in pixels.
        mask_patch_size: side of what is masked or not as one; a divisor of ``input_size``.
        model_patch_size: side of the model's patches; a divisor of ``mask_patch_size``.
        mask_ratio: the part that is masked, rounded up.

    Params: the numbers of what is masked. Sets ``mask`` (H, W) int64 by the model's patches, 1 where masked.

    Example:
        >>> SimMIMMaskGenerator(8, 4, 2).apply({}, np.array([1, 2]))["mask"].tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    """

    input_size: int = 192
    mask_patch_size: int = 32
    model_patch_size: int = 4
    mask_ratio: float = 0.6

    def __post_init__(self) -> None:
        check_fields(self)
        for large, small in (("input_size", "mask_patch_size"), ("mask_patch_size", "model_patch_size")):
            whole, part = getattr(self, large), getattr(self, small)
            if part < 1 or whole < part or whole % part:
                raise FkitValueError(f"SimMIMMaskGenerator: {small} = {part!r} is no divisor of {large} = {whole!r}.")
        if not 0 <= self.mask_ratio <= 1:
            raise FkitValueError(f"SimMIMMaskGenerator: mask_ratio = {self.mask_ratio!r} is not in [0, 1].")

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> NDArray[np.int64]:
        count = (self.input_size // self.mask_patch_size) ** 2
        return needed(rng, self).permutation(count)[: math.ceil(count * self.mask_ratio)]

    def apply(self, sample: Sample, params: NDArray[np.int64]) -> Sample:
        side, scale = self.input_size // self.mask_patch_size, self.mask_patch_size // self.model_patch_size
        mask = np.zeros(side * side, np.int64)
        mask[params] = 1
        return replaced(sample, mask=mask.reshape(side, side).repeat(scale, 0).repeat(scale, 1))


@dataclass(frozen=True)
class BEiTMaskGenerator(Transform):
    """Mask patches by blocks, BEiT's way; mmpretrain's BEiTMaskGenerator.

    Args:
        input_size: (rows, columns) of patches; one int makes a square.
        num_masking_patches: how many are masked.
        min_num_patches: the least of a block.
        max_num_patches: the most of a block; None: ``num_masking_patches``.
        min_aspect: the least rows by columns of a block.
        max_aspect: the largest; None: 1 / ``min_aspect``.

    Params: the mask, (rows, columns) int64, 1 where masked. Sets ``mask``.

    Example:
        >>> int(BEiTMaskGenerator(14, 75, 16)({}, np.random.default_rng(0))["mask"].sum())
        75
    """

    input_size: int | Sequence[int]
    num_masking_patches: int
    min_num_patches: int = 4
    max_num_patches: int | None = None
    min_aspect: float = 0.3
    max_aspect: float | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "input_size", scale_pair(self.input_size, "BEiTMaskGenerator: input_size"))
        rows, columns = cast("tuple[int, int]", self.input_size)
        # a block has fewer rows and columns than there are: of one of either there is none
        if not 0 <= self.num_masking_patches <= (rows - 1) * (columns - 1):
            raise FkitValueError(
                f"BEiTMaskGenerator: num_masking_patches = {self.num_masking_patches!r} of {rows} x {columns} patches: blocks"
                f" leave out the last row and column, and mask at most {(rows - 1) * (columns - 1)}."
            )
        if self.min_num_patches < 1 or (self.max_num_patches is not None and self.max_num_patches < 1):
            raise FkitValueError("BEiTMaskGenerator: min_num_patches and max_num_patches are 1 or more.")
        if not 0 < self.min_aspect <= (self.max_aspect or 1 / self.min_aspect):
            raise FkitValueError(
                f"BEiTMaskGenerator: min_aspect = {self.min_aspect!r} is above 0, and not above max_aspect."
            )

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> NDArray[np.int64]:
        source = needed(rng, self)
        mask = np.zeros(cast("tuple[int, int]", self.input_size), np.int64)
        most = self.num_masking_patches if self.max_num_patches is None else self.max_num_patches
        left = self.num_masking_patches
        while left:
            left -= self._block(mask, min(left, most), source)
        return mask

    def _block(self, mask: NDArray[np.int64], most: int, source: np.random.Generator) -> int:
        """Mask one block, of at most so many new patches; how many it masks."""
        rows, columns = mask.shape
        ratios = (math.log(self.min_aspect), math.log(self.max_aspect or 1 / self.min_aspect))
        for _ in range(_TRIES):
            # towards the end ``most`` may be the lesser of the two
            area = between(source, tuple(sorted((self.min_num_patches, most))))
            ratio = math.exp(between(source, ratios))
            high, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if wide >= columns or high >= rows:
                continue
            top, left = int(source.integers(0, rows - high)), int(source.integers(0, columns - wide))
            block = mask[top : top + high, left : left + wide]
            new = block.size - int(block.sum())
            if 0 < new <= most:
                block[:] = 1
                return new
        return 0

    def apply(self, sample: Sample, params: NDArray[np.int64]) -> Sample:
        return replaced(sample, mask=params)

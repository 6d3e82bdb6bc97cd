"""Boundaries of labels, as heads that learn details take them (Fan et al. 2021), and losses of heads with boundaries."""

from typing import Any

from fkit.array.ops import Ops
from fkit.segmentation.decode import DecodeLogic, accuracy
from fkit.segmentation.loss.base import called
from fkit.tree.error import FkitValueError

__all__ = ["FUSION", "LAPLACE", "boundaries", "boundary_losses", "expect_losses"]

LAPLACE = (-1.0, -1.0, -1.0, -1.0, 8.0, -1.0, -1.0, -1.0, -1.0)
FUSION = (0.6, 0.3, 0.1)
_SURE = 0.8


def boundaries(xp: Ops, labels: Any, laplace: Any, fusion: Any, threshold: float) -> Any:
    """Which pixels differ from their neighbours, at strides 1, 2 and 4: (N, H, W) whole numbers, 0 or 1.

    Args:
        labels: (N, H, W).
        laplace: (9,), what tells a pixel from those about it.
        fusion: (3,), what each stride weighs.
        threshold: above which a number counts.

    Example:
        >>> import numpy as np
        >>> from fkit.array.ops import Numpy
        >>> labels = np.zeros((1, 2, 4), int)
        >>> labels[0, :, 2:] = 1
        >>> boundaries(Numpy(), labels, np.array(LAPLACE), np.array(FUSION), 0.1)[0].tolist()
        [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    lib = xp.lib
    maps = xp.cast(labels, laplace)
    count, high, wide = maps.shape
    column = xp.full((count, high, 1), 0.0, maps)
    padded = lib.concat([column, maps, column], axis=2)
    row = xp.full((count, 1, wide + 2), 0.0, maps)
    padded = lib.concat([row, padded, row], axis=1)
    edges: Any = xp.full((), 0.0, maps)
    for at in range(9):
        down, right = divmod(at, 3)
        edges = edges + laplace[at] * padded[:, down : down + high, right : right + wide]
    edges = lib.clip(edges, 0, None)
    total: Any = xp.full((), 0.0, maps)
    for at, step in enumerate((1, 2, 4)):
        part = edges[:, ::step, ::step]
        rows, columns = (_nearest(xp, side, part.shape[axis]) for axis, side in ((1, high), (2, wide)))
        part = lib.swapaxes(xp.take(lib.swapaxes(part, 0, 1), rows), 0, 1)
        part = lib.swapaxes(xp.take(lib.swapaxes(part, 0, 2), columns), 0, 2)
        total = total + fusion[at] * xp.cast(part > threshold, maps)
    return xp.cast(xp.detached(total) > threshold, "int64")


def _nearest(xp: Ops, out: int, length: int) -> Any:
    return xp.asarray([min(at * length // out, length - 1) for at in range(out)], "int64")


def expect_losses(name: str, logic: DecodeLogic, count: int) -> None:
    """Refuses a head that has not one loss a branch.

    Raises:
        FkitValueError: there are more or fewer.
    """
    if len(logic.losses) != count:
        raise FkitValueError(f"{name} takes a list of {count} in loss_decode, and has {len(logic.losses)}.")


def boundary_losses(xp: Ops, logic: DecodeLogic, logits: Any, labels: Any, edges: Any) -> dict[str, Any]:
    """The losses of a head of three branches (Xu et al. 2023): details, classes, boundaries, and classes at boundaries.

    Args:
        logits: those of the three branches (N, C, H, W), (N, C, H, W) and (N, 1, H, W), of the labels' size.
        labels, edges: (N, H, W) classes, and whether a pixel is of a boundary.
    """
    detail, whole, edge = logits
    ignore = logic.ignore_index
    sure = xp.sigmoid(xp.detached(edge[:, 0])) > _SURE
    there = xp.lib.where(sure, labels, xp.full((), 255 if ignore is None else ignore, labels))
    return {
        "loss_sem_p": called(logic.losses[0], xp, detail, labels, ignore_index=ignore),
        "loss_sem_i": called(logic.losses[1], xp, whole, labels),
        "loss_bd": called(logic.losses[2], xp, edge, edges),
        "loss_sem_bd": called(logic.losses[3], xp, whole, there),
        "acc_seg": accuracy(xp, whole, labels, ignore),
    }

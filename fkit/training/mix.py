"""Batch augmentations: what is done to a whole batch in training, drawn from the step's key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from fkit.array.ops import Ops
from fkit.array.random import uniform
from fkit.data.collate import pair_of
from fkit.structures.content import family, namespace
from fkit.training.resize import BatchSyncRandomResize
from fkit.tree.check import check_fields, expect, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError, quoted

__all__ = ["Augments", "CutMix", "Mixup", "Pads", "augments_of", "mixed", "pads_of"]

_TRIES = 128  # of a rejection that mostly accepts one of two; the last is taken where none is accepted
_DRAWS = 8  # numbers that are drawn beside them: which augmentation, and of a box


@dataclass(frozen=True)
class Mixup:
    """Each image and its scores are mixed with another of the batch: ``lam * x + (1 - lam) * other``, lam ~ Beta(alpha,
    alpha); mmpretrain's Mixup (Zhang et al. 2018).

    Example:
        >>> Mixup(alpha=0.2).alpha
        0.2
    """

    alpha: float

    def __post_init__(self) -> None:
        check_fields(self)
        _positive(self.alpha, f"{type(self).__name__}: alpha")


@dataclass(frozen=True)
class CutMix:
    """A box of each image is another's; mmpretrain's CutMix (Yun et al. 2019).

    Args:
        alpha: of Beta(alpha, alpha), from which lam comes; the box has sqrt(1 - lam) of height and width.
        cutmix_minmax: in its place, the least and the greatest part of height and width.
        correct_lam: lam is 1 less the box's part of the area, where the border cuts it.

    Example:
        >>> CutMix(alpha=1.0).correct_lam
        True
    """

    alpha: float
    cutmix_minmax: Sequence[float] | None = None
    correct_lam: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        _positive(self.alpha, f"{type(self).__name__}: alpha")
        if self.cutmix_minmax is not None:
            what = "CutMix: cutmix_minmax is a pair of parts, the least and the greatest"
            expect(self.cutmix_minmax, (list, tuple), what)
            for number in self.cutmix_minmax:
                expect_number(number, what)
            if len(self.cutmix_minmax) != 2 or not 0 <= self.cutmix_minmax[0] < self.cutmix_minmax[1] < 1:
                raise FkitValueError(f"{what}: {quoted(self.cutmix_minmax)}.")
            object.__setattr__(self, "cutmix_minmax", tuple(self.cutmix_minmax))


class Augments(NamedTuple):
    """Of which one is drawn for each batch.

    Attributes:
        augments: Mixup or CutMix.
        probs: their probabilities; what is missing to 1 is for none.
    """

    augments: tuple[Mixup | CutMix, ...]
    probs: tuple[float, ...]


class Pads(NamedTuple):
    """mmdet's and mmpose's ``batch_augments``.

    Attributes:
        size: of ``BatchFixedSizePad``: the (height, width) that training images are padded to.
        resize: ``BatchSyncRandomResize``.
        pad_mask: whether ``BatchFixedSizePad`` pads masks.
    """

    size: tuple[int, int] | None = None
    resize: BatchSyncRandomResize | None = None
    pad_mask: bool = False


def augments_of(value: Any, what: str) -> Augments | None:
    """mmpretrain's ``batch_augments``: a mapping with ``augments`` (one, or a list) and ``probs``.

    Raises:
        FkitError: an augmentation is unknown, or the probabilities are.

    Example:
        >>> augments_of({"augments": [{"type": "Mixup", "alpha": 0.8}], "probs": [0.5]}, "batch_augments").probs
        (0.5,)
    """
    if not value or isinstance(value, Augments):
        return value or None
    expect(value, Mapping, f"{what} is a mapping with 'augments' and 'probs'")
    table: dict[str, Any] = dict(value)
    if "augments" not in table or table.keys() - {"augments", "probs"}:
        raise FkitKeyError(f"{what} has 'augments' and may have 'probs'.", choices=table, label="It has")
    several: Any = table["augments"]
    several = list(several) if isinstance(several, (list, tuple)) else [several]
    several, table = _renamed(several, table)
    augments = tuple(_augment(one, what) for one in several)
    probs: Any = table.get("probs")
    if probs is None:
        probs = [1 / max(len(augments), 1)] * len(augments)
    probs = list(cast(Any, probs)) if isinstance(probs, (list, tuple)) else [probs]
    for prob in probs:
        expect_number(prob, f"{what}.probs")
    if len(probs) != len(augments) or not augments or min(probs) < 0 or sum(probs) > 1 + 1e-9:
        raise FkitValueError(
            f"{what}: probs = {quoted(probs)} for {len(augments)} augmentations: one each, from 0, at most 1 together."
        )
    return Augments(augments, tuple(float(prob) for prob in probs))


def _renamed(several: list[Any], table: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """mmcls 0.x's BatchMixup and BatchCutMix, which have their probability and the number of classes with them, as today's."""
    probs: list[Any] = []
    today: list[Any] = []
    for node in several:
        kind = str(node.get("type")).rpartition(".")[2] if isinstance(node, Mapping) else ""
        if kind not in ("BatchMixup", "BatchCutMix"):
            return several, table
        one: dict[str, Any] = dict(cast("Mapping[str, Any]", node))
        probs.append(one.pop("prob", 1.0))
        one.pop("num_classes", None)
        today.append({**one, "type": "Mixup" if kind == "BatchMixup" else "CutMix"})
    return today, {**table, "probs": probs}


def _augment(node: Any, what: str) -> Mixup | CutMix:
    if isinstance(node, (Mixup, CutMix)):
        return node
    table = _table(node, what, ("Mixup", "CutMix"))
    kind = table.pop("type")
    allowed = ("alpha",) if kind == "Mixup" else ("alpha", "cutmix_minmax", "correct_lam")
    _only(table, allowed, f"{what}: {kind}")
    if "alpha" not in table:
        raise FkitKeyError(f"{what}: {kind} needs alpha.", choices=table, label="It has")
    return Mixup(**table) if kind == "Mixup" else CutMix(**table)


def pads_of(value: Any, pad_value: float, name: str) -> Pads | None:
    """mmdet's and mmpose's ``batch_augments``, as far as they pad.

    Raises:
        FkitError: an augmentation is unknown, or pads with another value.

    Example:
        >>> pads_of([{"type": "BatchFixedSizePad", "size": (64, 32)}], 0, "DetDataPreprocessor")
        Pads(size=(64, 32), resize=None, pad_mask=False)
    """
    if not value or isinstance(value, Pads):
        return value or None
    what = f"{name}: batch_augments"
    expect(value, (list, tuple), f"{what} is a list of mappings with 'type'")
    size: tuple[int, int] | None = None
    resize: BatchSyncRandomResize | None = None
    pad_mask = False
    for node in value:
        if isinstance(node, BatchSyncRandomResize):
            resize = node
            continue
        table = _table(node, what, ("BatchFixedSizePad", "BatchSyncRandomResize"))
        if table["type"] == "BatchSyncRandomResize":
            _only(table, ("type", "random_size_range", "interval", "size_divisor"), what)
            resize = BatchSyncRandomResize(**{key: item for key, item in table.items() if key != "type"})
            continue
        _only(table, ("type", "size", "img_pad_value", "pad_mask", "mask_pad_value", "pad_seg", "seg_pad_value"), what)
        size, pad_mask = pair_of(table.get("size"), f"{what}: size"), bool(table.get("pad_mask"))
        if table.get("img_pad_value", 0) != pad_value:
            raise FkitValueError(
                f"{what}: img_pad_value = {quoted(table.get('img_pad_value', 0))} and pad_value = {pad_value}: one border has one value.",
                repair="Let both be the same.",
            )
    return Pads(size, resize, pad_mask)


def mixed(xp: Ops, augments: Augments, inputs: Any, scores: Any, words: Any) -> tuple[Any, Any]:
    """A batch with each sample mixed with another.

    Args:
        xp: the operations of the arrays' library.
        augments: of which one is drawn.
        inputs: (N, C, H, W) of a float type.
        scores: (N, K), likewise.
        words: the key of the draws.

    Returns:
        The images and scores; whichever is drawn, they are ``w * x + (1 - w) * x[order]``.
    """
    lib, (count, _, height, width) = namespace(inputs), inputs.shape
    where = {"device": inputs.device} if family(inputs) == "torch" else {}
    wide = lib.zeros((1,), dtype=inputs.dtype, **where)
    numbers = uniform(xp, words, 0, (_DRAWS + 2 * _TRIES * len(augments.augments),)) + wide
    order = lib.argsort(uniform(xp, words, len(numbers), (count,)), stable=True)
    ones = lib.ones((height, width), dtype=inputs.dtype, **where)
    weight, lam, low = ones, ones[0, 0], 0.0
    for place, (augment, prob) in enumerate(zip(augments.augments, augments.probs, strict=True)):
        first = _DRAWS + 2 * _TRIES * place
        drawn = _beta(xp, lib, augment.alpha, numbers[first : first + 2 * _TRIES])
        mine, ratio = (
            (ones * drawn, drawn)
            if isinstance(augment, Mixup)
            else _box(xp, lib, augment, drawn, numbers[1:5], height, width)
        )
        chosen = (numbers[0] >= low) & (numbers[0] < low + prob)
        weight, lam, low = lib.where(chosen, mine, weight), lib.where(chosen, ratio, lam), low + prob
    scores = scores + wide
    return weight * inputs + (1 - weight) * inputs[order], lam * scores + (1 - lam) * scores[order]


def _beta(xp: Ops, lib: Any, alpha: float, numbers: Any) -> Any:
    """A number of Beta(alpha, alpha): the first of several tries that is accepted (Johnk 1964; above 1 by rejection of a
    uniform number, whose density is least at the middle)."""
    one, two = numbers[:_TRIES] + 2.0**-25, numbers[_TRIES:] + 2.0**-25
    if alpha <= 1:
        left, right = lib.log(one) / alpha, lib.log(two) / alpha
        tries, accepted = 1 / (1 + lib.exp(right - left)), lib.logaddexp(left, right) <= 0
    else:
        tries = one
        accepted = lib.log(two) <= (alpha - 1) * (lib.log(4 * one) + lib.log1p(-one))
    places = xp.words(0, (_TRIES,))
    first = lib.where(accepted, places, places + 0 * places + _TRIES - 1).min()
    return lib.where(places == first, tries, 0 * tries).sum()


def _box(xp: Ops, lib: Any, augment: CutMix, lam: Any, numbers: Any, height: int, width: int) -> tuple[Any, Any]:
    """Which pixels an image keeps, (H, W), and its part of the scores."""
    edges: list[tuple[Any, Any]] = []
    for axis, length in enumerate((height, width)):
        if augment.cutmix_minmax is None:
            half = lib.floor(lib.floor(length * lib.sqrt(1 - lam)) / 2)
            middle = lib.floor(numbers[axis] * length)
            edges.append((lib.clip(middle - half, 0, length), lib.clip(middle + half, 0, length)))
        else:
            least, most = (int(length * part) for part in augment.cutmix_minmax)
            cut = least + lib.floor(numbers[axis] * (most - least))
            begin = lib.floor(numbers[axis + 2] * (length - cut))
            edges.append((begin, begin + cut))
    (top, bottom), (left, right) = edges
    rows, columns = xp.words(0, (height,)) + 0 * lam, xp.words(0, (width,)) + 0 * lam
    inside = ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))[None, :]
    if augment.correct_lam or augment.cutmix_minmax is not None:
        lam = 1 - (bottom - top) * (right - left) / (height * width)
    return lib.where(inside, 0 * lam, 0 * lam + 1), lam


def _table(node: Any, what: str, known: Sequence[str]) -> dict[str, Any]:
    expect(node, Mapping, f"{what} holds mappings with 'type'")
    table: dict[str, Any] = {key: value for key, value in node.items() if key != "_scope_"}
    kind = str(table.get("type")).rpartition(".")[2]
    if kind not in known:
        raise FkitKeyError(f"{what}: type = {quoted(table.get('type'))} is not known.", value=kind, choices=known)
    return {**table, "type": kind}


def _only(table: Mapping[str, Any], allowed: Sequence[str], what: str) -> None:
    for key in table:
        if key not in allowed:
            raise FkitKeyError(f"{what}: {key} is unknown.", value=str(key), choices=allowed)


def _positive(number: Any, what: str) -> None:
    if not math.isfinite(number) or number <= 0:
        raise FkitValueError(f"{what} = {number}: above 0.")

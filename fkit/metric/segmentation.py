"""Segmentation of every pixel: intersection over union and its family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.image.io import imwrite
from fkit.metric.gathered import Gathered, expect_choice, ratio
from fkit.metric.sample import Sample, field
from fkit.tree.check import expect
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["IoUMetric", "SemSegMetric", "areas", "map_of", "map_scores", "write_map"]

_FAMILY = ("mIoU", "mDice", "mFscore")
_UNLABELLED = 255  # what maps are padded with, whatever a metric ignores


@dataclass(frozen=True)
class IoUMetric(Gathered):
    """Mean intersection over union, Dice and F-score; mmseg's IoUMetric, whose per cent are fractions here.

    A sample has ``pred_sem_seg`` and ``gt_sem_seg``, each (H, W) or (1, H, W) classes; a batch (N, H, W). What is kept of a
    sample is four numbers of pixels a class.

    Args:
        ignore_index: of pixels that do not count.
        iou_metrics: of "mIoU" (which gives aAcc, mIoU, mAcc), "mDice" (aAcc, mDice, mAcc), "mFscore" (aAcc, mFscore, mPrecision,
            mRecall).
        nan_to_num: what stands for the number of a class that is nowhere; None: such a class is left out of means.
        beta: the weight of the recall in the F-score.
        output_dir: a folder where each prediction is written as PNG under its image's name; made when it is needed.
        format_only: write only: there is no truth, and no number.
        classwise: give each class's numbers too: ``IoU/cell``.
        num_classes: how many classes there are, by default as many as metainfo has, or as are seen.

    Numbers: ``mIoU`` and so on; with ``prefix`` ``{prefix}/mIoU``.

    Example:
        >>> metric = IoUMetric()
        >>> outputs, targets = {"pred_sem_seg": np.array([[[0, 1], [1, 1]]])}, {"gt_sem_seg": np.array([[[0, 0], [1, 255]]])}
        >>> metric.compute(metric.observe(metric.empty(), outputs, targets, [0]))
        {'aAcc': 0.6666666666666666, 'mIoU': 0.5, 'mAcc': 0.75}
    """

    default_prefix: ClassVar[str | None] = ""

    ignore_index: int = 255
    iou_metrics: str | Sequence[str] = ("mIoU",)
    nan_to_num: float | None = None
    beta: float = 1
    output_dir: str | None = None
    format_only: bool = False
    classwise: bool = False
    num_classes: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_choice(self.iou_metrics, _FAMILY, "IoUMetric: iou_metrics")
        names = (self.iou_metrics,) if isinstance(self.iou_metrics, str) else tuple(self.iou_metrics)
        object.__setattr__(self, "iou_metrics", names)
        if self.format_only and self.output_dir is None:
            raise FkitValueError("IoUMetric: format_only writes predictions, and output_dir is not set.")

    def record(self, sample: Sample) -> Any:
        predicted = map_of(sample, "pred_sem_seg", "IoUMetric")
        if self.output_dir is not None:
            shift = int(bool(sample.get("reduce_zero_label", False)))
            write_map(self.output_dir, (predicted + shift).astype(np.uint8), sample, "IoUMetric")
        if self.format_only:
            return {"areas": np.zeros((4, 0), np.int64)}
        label = map_of(sample, "gt_sem_seg", "IoUMetric")
        if predicted.shape != label.shape:
            raise FkitTypeError(
                f"IoUMetric: a prediction of {predicted.shape} pixels for a truth of {label.shape}: they agree.",
                repair="Let the model predict in the size of the truth.",
            )
        classes = self.num_classes or (None if self.classes is None else len(self.classes))
        _expect_labels(label, classes, self.ignore_index, sample)
        return {"areas": areas(predicted, label, classes, self.ignore_index)}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        if self.format_only:
            return {}
        total = np.zeros((4, max(row["areas"].shape[1] for row in rows)), np.int64)
        for row in rows:
            total[:, : row["areas"].shape[1]] += row["areas"]
        table = {"aAcc": np.array([self.accuracy(total)]), **map_scores(total, self.iou_metrics, self.beta)}
        if self.nan_to_num is not None:
            table = {name: np.nan_to_num(one, nan=self.nan_to_num) for name, one in table.items()}
        numbers = {"aAcc": float(table.pop("aAcc")[0])}
        for name, one in table.items():
            there = one[~np.isnan(one)]
            numbers[f"m{name}"] = float(there.mean()) if len(there) else float("nan")
        if self.classwise:
            names = self.classes or tuple(map(str, range(total.shape[1])))
            numbers |= {
                f"{name}/{label}": float(x) for name, one in table.items() for label, x in zip(names, one, strict=False)
            }
        return numbers

    def accuracy(self, total: NDArray[Any]) -> float:
        """aAcc, of pixels by class (4, K): the part of all pixels that is right."""
        return float(ratio(total[0].sum(), total[3].sum()))


@dataclass(frozen=True)
class SemSegMetric(IoUMetric):
    """`IoUMetric` by mmdet's name, and with its ``aAcc``: the mean of the classes' accuracies, which is mAcc.

    Args:
        ignore_index, iou_metrics, nan_to_num, beta, output_dir, format_only, classwise, num_classes: as of `IoUMetric`.
        backend_args: mmdet's word for where ``output_dir`` is; it is a folder here.
    """

    backend_args: Mapping[str, Any] | None = None

    def accuracy(self, total: NDArray[Any]) -> float:
        there = ratio(total[0], total[3])
        return float(there[~np.isnan(there)].mean()) if (total[3] > 0).any() else float("nan")


def map_of(sample: Sample, name: str, who: str) -> NDArray[Any]:
    """A sample's map of one number a pixel, (H, W).

    Raises:
        FkitError: it is not there, or of another shape.

    Example:
        >>> map_of({"gt_sem_seg": np.zeros((1, 2, 3))}, "gt_sem_seg", "IoUMetric").shape
        (2, 3)
    """
    value = field(sample, name, who)
    if isinstance(value, Mapping):
        value = field(sample, name, who, "sem_seg" if "sem_seg" in value else "data")
    array: NDArray[Any] = np.asarray(value)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise FkitTypeError(f"{who}: {name!r} of a sample is (H, W), not {array.shape} {array.dtype}.")
    return array


def areas(
    predicted: NDArray[Any], label: NDArray[Any], classes: int | None = None, ignore_index: int = 255
) -> NDArray[np.int64]:
    """Pixels by class: (4, K) of intersection, union, prediction and truth.

    Args:
        predicted: (H, W) whole numbers.
        label: (H, W) whole numbers; what is ``ignore_index`` does not count.
        classes: K; None: as many as are seen. Numbers from K on count for no class.

    Example:
        >>> areas(np.array([[0, 1]]), np.array([[0, 0]])).tolist()
        [[1, 0], [2, 1], [1, 1], [2, 0]]
    """
    seen = label != ignore_index
    predicted, label = predicted[seen].astype(np.int64), label[seen].astype(np.int64)
    count = classes or int(max(predicted.max(initial=-1), label.max(initial=-1))) + 1
    intersection, mine, real = (
        np.bincount(one[(one >= 0) & (one < count)], minlength=count)
        for one in (predicted[predicted == label], predicted, label)
    )
    return np.stack((intersection, mine + real - intersection, mine, real)).astype(np.int64)


def map_scores(total: NDArray[Any], family: Sequence[str], beta: float = 1) -> dict[str, NDArray[np.float64]]:
    """What pixels by class say.

    Args:
        total: (4, K), as `areas` gives them, over all samples.
        family: of "mIoU", "mDice", "mFscore".
        beta: of the F-score.

    Returns:
        The numbers (K,) of the classes by name, nan where a class is nowhere.

    Example:
        >>> map_scores(np.array([[1, 0], [2, 1], [1, 1], [2, 0]]), ["mIoU"])["IoU"].tolist()
        [0.5, 0.0]
    """
    intersection, union, mine, real = np.asarray(total)
    table: dict[str, NDArray[np.float64]] = {}
    for name in family:
        if name == "mIoU":
            table |= {"IoU": ratio(intersection, union), "Acc": ratio(intersection, real)}
        elif name == "mDice":
            table |= {"Dice": ratio(2 * intersection, mine + real), "Acc": ratio(intersection, real)}
        else:
            precision, recall = ratio(intersection, mine), ratio(intersection, real)
            score = ratio((1 + beta**2) * precision * recall, beta**2 * precision + recall)
            table |= {"Fscore": score, "Precision": precision, "Recall": recall}
    return table


def write_map(folder: str, pixels: NDArray[Any], sample: Sample, who: str) -> None:
    """Write a map of one number a pixel, uint8 or uint16, as PNG under its image's name.

    Raises:
        FkitError: the sample does not say its ``img_path``.
    """
    name = Path(str(field(sample, "img_path", f"{who}: output_dir"))).stem
    expect(folder, str, f"{who}: output_dir is a folder's path")
    imwrite(pixels, Path(folder) / f"{name}.png")


def _expect_labels(label: NDArray[Any], classes: int | None, ignore_index: int, sample: Sample) -> None:
    """Refuse a truth with labels that are none of the classes: their pixels would be left out in silence."""
    if classes is None or not label.size or 0 <= label.min() <= label.max() < classes:
        return
    counted = (label != ignore_index) & (label != _UNLABELLED)
    strange = np.unique(label[((label < 0) | (label >= classes)) & counted])
    if strange.size:
        name = sample.get("seg_map_path", sample.get("img_path", f"sample {sample.get('sample_idx')}"))
        raise FkitValueError(
            f"IoUMetric: {name}: the truth has the label {strange[0]:g}, and there are {classes} classes.",
            repair=f"Name all classes, or let pixels that do not count be {_UNLABELLED}, or ignore_index ({ignore_index}).",
        )

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
from fkit.tree.error import FkitTypeError, FkitValueError

__all__ = ["IoUMetric", "areas", "map_of", "map_scores"]

_FAMILY = ("mIoU", "mDice", "mFscore")


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
            _write(self.output_dir, predicted + int(bool(sample.get("reduce_zero_label", False))), sample)
        if self.format_only:
            return {"areas": np.zeros((4, 0), np.int64)}
        label = map_of(sample, "gt_sem_seg", "IoUMetric")
        if predicted.shape != label.shape:
            raise FkitTypeError(
                f"IoUMetric: a prediction of {predicted.shape} pixels for a truth of {label.shape}: they agree.",
                repair="Let the model predict in the size of the truth.",
            )
        classes = self.num_classes or (None if self.classes is None else len(self.classes))
        return {"areas": areas(predicted, label, classes, self.ignore_index)}

    def score(self, rows: NDArray[Any]) -> Mapping[str, float]:
        if self.format_only:
            return {}
        total = np.zeros((4, max(row["areas"].shape[1] for row in rows)), np.int64)
        for row in rows:
            total[:, : row["areas"].shape[1]] += row["areas"]
        accuracy, table = map_scores(total, self.iou_metrics, self.beta)
        if self.nan_to_num is not None:
            accuracy, table = (
                np.nan_to_num(accuracy, nan=self.nan_to_num),
                {name: np.nan_to_num(one, nan=self.nan_to_num) for name, one in table.items()},
            )
        numbers = {"aAcc": float(accuracy)}
        for name, one in table.items():
            there = one[~np.isnan(one)]
            numbers[f"m{name}"] = float(there.mean()) if len(there) else float("nan")
        if self.classwise:
            names = self.classes or tuple(map(str, range(total.shape[1])))
            numbers |= {
                f"{name}/{label}": float(x) for name, one in table.items() for label, x in zip(names, one, strict=False)
            }
        return numbers


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
        value = field(sample, name, who, "data")
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


def map_scores(
    total: NDArray[Any], family: Sequence[str], beta: float = 1
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """What pixels by class say.

    Args:
        total: (4, K), as `areas` gives them, over all samples.
        family: of "mIoU", "mDice", "mFscore".
        beta: of the F-score.

    Returns:
        The accuracy over all pixels; and the numbers (K,) of the classes by name, nan where a class is nowhere.

    Example:
        >>> accuracy, table = map_scores(np.array([[1, 0], [2, 1], [1, 1], [2, 0]]), ["mIoU"])
        >>> float(accuracy), table["IoU"].tolist()
        (0.5, [0.5, 0.0])
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
    return ratio(intersection.sum(), real.sum()), table


def _write(folder: str, pixels: NDArray[Any], sample: Sample) -> None:
    """One prediction as PNG, under its image's name."""
    name = Path(str(field(sample, "img_path", "IoUMetric: output_dir"))).stem
    imwrite(pixels.astype(np.uint8), Path(folder) / f"{name}.png")

"""The IoU family, held against numbers by hand and against counts over all pixels at once."""

import numpy as np
import pytest

from fkit.image import imread
from fkit.metric.segmentation import IoUMetric
from fkit.structures import DataSample, PixelData
from fkit.tree.error import FkitError


def maps(seed=0, count=6, classes=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (count, 8, 9))
    said = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape))
    return said, np.where(rng.random(truth.shape) < 0.1, 255, truth)


def test_counts_over_all_pixels():
    said, truth = maps()
    seen = truth != 255
    p, t = said[seen], truth[seen]
    both = np.array([np.sum((p == k) & (t == k)) for k in range(4)])
    mine, real = np.bincount(p, minlength=4), np.bincount(t, minlength=4)
    metric = IoUMetric(iou_metrics=["mIoU", "mDice", "mFscore"], beta=2)
    numbers = metric.compute(metric.observe(metric.empty(), {"pred_sem_seg": said}, {"gt_sem_seg": truth}, range(6)))
    precision, recall = both / mine, both / real
    expected = {
        "aAcc": both.sum() / real.sum(), "mIoU": (both / (mine + real - both)).mean(), "mAcc": recall.mean(),
        "mDice": (2 * both / (mine + real)).mean(), "mFscore": (5 * precision * recall / (4 * precision + recall)).mean(),
        "mPrecision": precision.mean(), "mRecall": recall.mean(),
    }  # fmt: skip
    assert numbers == pytest.approx(expected, abs=1e-12)


def test_any_order_split_and_repeats_give_the_same_bits():
    said, truth = maps()
    metric = IoUMetric(classwise=True)

    def state(*places):
        whole = metric.empty()
        for at in places:
            whole = metric.observe(whole, {"pred_sem_seg": said[at : at + 1]}, {"gt_sem_seg": truth[at : at + 1]}, [at])
        return whole

    merged = metric.merge(state(5, 1, 0), metric.merge(state(3, 1), state(2, 4)))
    whole = metric.observe(metric.empty(), {"pred_sem_seg": said}, {"gt_sem_seg": truth}, range(6))
    assert metric.compute(merged) == metric.compute(whole)
    assert set(metric.compute(whole)) >= {"IoU/0", "Acc/3"}


def test_a_class_that_is_nowhere_is_left_out_or_is_what_nan_to_num_says():
    said, truth = np.array([[[0, 0, 1]]]), np.array([[[0, 0, 0]]])
    for classes, change, mean in (
        (3, {}, (2 / 3 + 0) / 2),
        (3, {"nan_to_num": 0}, (2 / 3) / 3),
        (None, {}, (2 / 3) / 2),
    ):
        metric = IoUMetric(num_classes=classes, **change)
        numbers = metric.compute(metric.observe(metric.empty(), {"pred_sem_seg": said}, {"gt_sem_seg": truth}, [0]))
        assert numbers["mIoU"] == pytest.approx(mean)
    informed = IoUMetric(classwise=True, prefix="val").informed({"classes": ("sky", "cell", "none")})
    numbers = informed.compute(informed.observe(informed.empty(), {"pred_sem_seg": said}, {"gt_sem_seg": truth}, [0]))
    assert numbers["val/IoU/cell"] == 0 and np.isnan(numbers["val/IoU/none"])


def test_samples_of_different_sizes_as_elements():
    metric = IoUMetric()
    sizes = ((4, 5), (6, 3))
    samples = [DataSample(pred_sem_seg=PixelData(data=np.ones((1, *s), int)), gt_sem_seg=PixelData(data=np.ones((1, *s), int))) for s in sizes]  # fmt: skip
    assert metric.compute(metric.observe(metric.empty(), samples, {}, [0, 1]))["mIoU"] == 1.0


def test_predictions_are_written_as_png(tmp_path):
    metric = IoUMetric(output_dir=str(tmp_path / "png"), format_only=True)
    meta = ({"img_path": "a/b/one.jpg", "reduce_zero_label": True},)
    state = metric.observe(metric.empty(), {"pred_sem_seg": np.full((1, 2, 3), 4)}, {"meta": meta}, [0])
    assert metric.compute(state) == {}
    assert imread(tmp_path / "png/one.png", "unchanged").tolist() == [[5] * 3] * 2


def test_what_does_not_fit_is_told():
    metric = IoUMetric()
    with pytest.raises(FkitError, match=r"\(2, 3\) pixels for a truth of \(2, 4\)"):
        metric.observe(metric.empty(), {"pred_sem_seg": np.zeros((1, 2, 3))}, {"gt_sem_seg": np.zeros((1, 2, 4))}, [0])
    with pytest.raises(FkitError, match="needs 'gt_sem_seg'"):
        metric.observe(metric.empty(), {"pred_sem_seg": np.zeros((1, 2, 3))}, {}, [0])
    with pytest.raises(FkitError, match="iou_metrics = 'IoU'"):
        IoUMetric(iou_metrics=["IoU"])
    with pytest.raises(FkitError, match="no sample was observed"):
        metric.compute(metric.empty())


def test_a_truth_with_a_label_that_is_no_class_names_its_sample():
    metric = IoUMetric(metainfo={"classes": ("a", "b")})
    sample = {"pred_sem_seg": np.zeros((2, 2), int), "gt_sem_seg": np.array([[0, 255], [1, 7]]), "img_path": "x/a.png"}
    with pytest.raises(FkitError, match=r"x/a.png: the truth has the label 7, and there are 2 classes"):
        metric.observe(metric.empty(), [sample], {}, [0])

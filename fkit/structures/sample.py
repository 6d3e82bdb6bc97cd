"""DataSample: what is known and what is predicted of one image, for each task under OpenMMLab's names."""

from typing import Any, Self, cast

import numpy as np

from fkit.structures.content import is_array
from fkit.structures.element import DataElement
from fkit.structures.index import whole
from fkit.structures.instance import InstanceData
from fkit.structures.label import LabelData
from fkit.structures.pixel import PixelData
from fkit.tree.error import FkitTypeError, quoted

__all__ = ["ClsDataSample", "DataSample", "DetDataSample", "PoseDataSample", "SegDataSample"]


class DataSample(DataElement):
    """The truth and the predictions of one image. Meta fields describe it: ``img_path``, ``ori_shape``, ``img_shape``.

    Example:
        >>> DataSample(metainfo={"img_path": "a.jpg"}).img_path
        'a.jpg'
    """

    __slots__ = ()


class ClsDataSample(DataSample):
    """A sample of image classification: labels as ``label`` ((N,) int64) and ``score`` ((K,)) of a `LabelData`.

    Example:
        >>> x = ClsDataSample().set_gt_label(3)
        >>> x.gt_label.label
        array([3])
        >>> x.set(gt_label=3)
        Traceback (most recent call last):
        ...
        fkit.tree.error.FkitTypeError: ClsDataSample.gt_label is a LabelData, not a int.
    """

    __slots__ = ()
    gt_label: LabelData
    pred_label: LabelData

    def set_gt_label(self, label: Any) -> Self:
        """A sample with the true class, or classes.

        Raises:
            FkitTypeError: no int, nor a sequence or array of ints.
        """
        return self.set(gt_label=self._labels("gt_label").set(label=_classes(label)))

    def set_gt_score(self, score: Any) -> Self:
        """A sample with a true score for each class, (K,).

        Raises:
            FkitTypeError: no sequence or array of numbers.
        """
        return self.set(gt_label=self._labels("gt_label").set(score=_scores(score)))

    def set_pred_label(self, label: Any) -> Self:
        """A sample with the predicted class, or classes.

        Raises:
            FkitTypeError: no int, nor a sequence or array of ints.
        """
        return self.set(pred_label=self._labels("pred_label").set(label=_classes(label)))

    def set_pred_score(self, score: Any) -> Self:
        """A sample with a score for each class, (K,).

        Raises:
            FkitTypeError: no sequence or array of numbers.
        """
        return self.set(pred_label=self._labels("pred_label").set(score=_scores(score)))

    def _labels(self, name: str) -> LabelData:
        labels = self.get(name)
        return LabelData() if labels is None else labels


class DetDataSample(DataSample):
    """A sample of detection, instance and panoptic segmentation, or tracking.

    Instances hold ``bboxes`` ((N, 4), xyxy, pixels), ``labels`` ((N,) int64), ``scores`` ((N,)), ``masks``.

    Example:
        >>> import numpy as np
        >>> x = DetDataSample(gt_instances=InstanceData(labels=np.array([2, 0])))
        >>> x.gt_instances[0].labels
        array([2])
    """

    __slots__ = ()
    proposals: InstanceData
    gt_instances: InstanceData
    pred_instances: InstanceData
    ignored_instances: InstanceData
    pred_track_instances: InstanceData
    gt_panoptic_seg: PixelData
    pred_panoptic_seg: PixelData
    gt_sem_seg: PixelData
    pred_sem_seg: PixelData


class SegDataSample(DataSample):
    """A sample of semantic segmentation: maps as ``data`` of a `PixelData`, (1, H, W) classes or (K, H, W) logits.

    Example:
        >>> import numpy as np
        >>> SegDataSample(gt_sem_seg=PixelData(data=np.zeros((4, 6)))).gt_sem_seg.shape
        (4, 6)
    """

    __slots__ = ()
    gt_sem_seg: PixelData
    pred_sem_seg: PixelData
    seg_logits: PixelData
    gt_edge_map: PixelData
    gt_depth_map: PixelData
    pred_depth_map: PixelData


class PoseDataSample(DataSample):
    """A sample of pose estimation: instances with ``keypoints`` ((N, K, 2), pixels), fields with ``heatmaps``.

    Example:
        >>> import numpy as np
        >>> PoseDataSample(pred_instances=InstanceData(keypoints=np.zeros((1, 17, 2)))).pred_instances.keypoints.shape
        (1, 17, 2)
    """

    __slots__ = ()
    gt_instances: InstanceData
    pred_instances: InstanceData
    gt_instance_labels: InstanceData
    gt_fields: PixelData
    pred_fields: PixelData


def _classes(label: Any) -> Any:
    if is_array(label):
        if "int" not in str(label.dtype):
            raise FkitTypeError(f"labels are ints, not {label.dtype}.")
        return label.reshape(-1)
    numbers = [label] if whole(label) is not None else label
    if not isinstance(numbers, (list, tuple)) or any(whole(number) is None for number in cast("list[Any]", numbers)):
        raise FkitTypeError(f"a label is an int, or a sequence or array of ints, not {quoted(label)}.")
    return np.asarray([whole(number) for number in cast("list[Any]", numbers)], np.int64)


def _scores(score: Any) -> Any:
    if is_array(score):
        return score
    if not isinstance(score, (list, tuple)) or not all(isinstance(n, (int, float)) for n in cast("list[Any]", score)):
        raise FkitTypeError(f"scores are an array (K,), or a sequence of numbers, not {quoted(score)}.")
    return np.asarray(score, np.float32)

"""DataSample: what is known and what is predicted of one image, for each task under OpenMMLab's names."""

from typing import Any, Self

import numpy as np

from fkit.structures.content import is_array
from fkit.structures.element import DataElement
from fkit.structures.instance import InstanceData
from fkit.structures.label import LabelData
from fkit.structures.pixel import PixelData

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
        """A sample with the true class, or classes."""
        return self.set(gt_label=self.get("gt_label", LabelData()).set(label=_labels(label)))

    def set_pred_label(self, label: Any) -> Self:
        """A sample with the predicted class, or classes."""
        return self.set(pred_label=self.get("pred_label", LabelData()).set(label=_labels(label)))

    def set_pred_score(self, score: Any) -> Self:
        """A sample with a score for each class, (K,)."""
        return self.set(pred_label=self.get("pred_label", LabelData()).set(score=score))


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


def _labels(label: Any) -> Any:
    return label.reshape(-1) if is_array(label) else np.asarray(label, np.int64).reshape(-1)

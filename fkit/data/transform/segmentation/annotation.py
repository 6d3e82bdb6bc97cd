"""MMSegmentation's transforms for annotations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkit.data.transform.annotation import read_map, reduced, relabelled
from fkit.data.transform.transform import Sample, Transform, replaced
from fkit.fileio.io import load
from fkit.fileio.part import backend_args_of
from fkit.tree.check import check_fields
from fkit.tree.error import FkitValueError

__all__ = ["LoadDepthAnnotation", "SegLoadAnnotations"]

Options = Mapping[str, Any] | None
_DEPTHS = ("cv2", "numpy")


@dataclass(frozen=True)
class SegLoadAnnotations(Transform):
    """The map in ``seg_map_path`` -> ``gt_seg_map`` (H, W) uint8; mmseg's LoadAnnotations, of both generations.

    Args:
        reduce_zero_label: label 0 is no class: it becomes 255, and the others one less. None asks the dataset, which
            says so in the sample's ``reduce_zero_label``.
        backend_args: options of the storage that holds the map.
        imdecode_backend: "pillow" keeps the numbers of a palette, "cv2" gives its colours, "tifffile" what is stored.
        file_client_args: the older name of ``backend_args``.

    The sample's ``label_map`` renames labels (a dataset with classes of one's own has one). The key is noted in
    ``seg_fields``, so that what moves the image moves the map. A sample without ``seg_map_path`` stays as it is.

    Raises:
        FkitValueError: the dataset says another ``reduce_zero_label``.
    """

    reduce_zero_label: bool | None = None
    backend_args: Options = None
    imdecode_backend: str | None = "pillow"
    file_client_args: Options = None

    def __post_init__(self) -> None:
        check_fields(self)
        backend_args_of(self.backend_args, self.file_client_args)

    def apply(self, sample: Sample, params: Any) -> Sample:
        if sample.get("seg_map_path") is None:
            return sample
        wanted, told = self.reduce_zero_label, sample.get("reduce_zero_label")
        if wanted is not None and told is not None and bool(wanted) != bool(told):
            raise FkitValueError(
                f"reduce_zero_label is {wanted} of LoadAnnotations and {told} of the dataset.",
                repair="Give it to the dataset alone.",
            )
        options = backend_args_of(self.backend_args, self.file_client_args)
        path = sample["seg_map_path"]
        seg_map = read_map(path, self.imdecode_backend, options, sample.get("ori_shape"))
        if seg_map.dtype.itemsize > 1 and not 0 <= seg_map.min(initial=0) <= seg_map.max(initial=0) <= 255:
            raise FkitValueError(
                f"{path}: holds labels from {seg_map.min()} to {seg_map.max()}, and a label is from 0 to 255."
            )
        seg_map = seg_map.astype(np.uint8)
        if told if wanted is None else wanted:
            seg_map = reduced(seg_map)
        fields = [name for name in sample.get("seg_fields", ()) if name != "gt_seg_map"]
        return replaced(
            sample,
            gt_seg_map=relabelled(seg_map, sample.get("label_map")),
            seg_fields=(*fields, "gt_seg_map"),
            reduce_zero_label=bool(told if wanted is None else wanted),
        )


@dataclass(frozen=True)
class LoadDepthAnnotation(Transform):
    """The depth in ``depth_map_path`` -> ``gt_depth_map`` (H, W); mmseg's LoadDepthAnnotation.

    Args:
        decode_backend: "cv2" reads a picture as it is stored, "numpy" an .npy file.
        to_float32: give float32 in place of the file's dtype.
        depth_rescale_factor: what the stored numbers are multiplied by.
        backend_args: options of the storage that holds the file.

    The key is noted in ``seg_fields``, so that what moves the image moves the map.
    """

    decode_backend: str = "cv2"
    to_float32: bool = True
    depth_rescale_factor: float = 1.0
    backend_args: Options = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.decode_backend not in _DEPTHS:
            raise FkitValueError(
                f"LoadDepthAnnotation: decode_backend = {self.decode_backend!r} is unknown.",
                value=self.decode_backend,
                choices=_DEPTHS,
            )
        backend_args_of(self.backend_args, None)

    def apply(self, sample: Sample, params: Any) -> Sample:
        path, options = sample["depth_map_path"], self.backend_args or None
        if self.decode_backend == "numpy":
            depth = np.asarray(load(path, "npy", backend_args=options))
        else:
            depth = read_map(path, "cv2", options)
        if self.to_float32:
            depth = depth.astype(np.float32)
        factor = self.depth_rescale_factor
        fields = [name for name in sample.get("seg_fields", ()) if name != "gt_depth_map"]
        return replaced(
            sample,
            gt_depth_map=(depth * np.asarray(factor)).astype(depth.dtype),
            seg_fields=(*fields, "gt_depth_map"),
            depth_rescale_factor=factor,
        )

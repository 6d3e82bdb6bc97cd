"""Human3.6M: sequences of poses in pictures and in space, of MMPose's npz file."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fkit.data.dataset.facts import Facts
from fkit.data.dataset.joined import joined
from fkit.data.dataset.pickled import unpickled
from fkit.data.dataset.pose import BaseCocoStyleDataset, Row
from fkit.fileio.operation import get
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitValueError

__all__ = ["Human36mDataset"]

_SOURCES = ("gt", "detection", "pipeline")


@dataclass(frozen=True)
class Human36mDataset(BaseCocoStyleDataset):
    """Human3.6M, 17 keypoints in pictures and in space: a record a sequence of frames of one video.

    A record of T frames: ``keypoints`` (T, K, 2), ``keypoints_visible`` (T, K), ``keypoints_3d`` (T, K, 3),
    ``keypoints_3d_visible``, ``lifting_target`` and ``lifting_target_visible`` of the frames that are to be found,
    ``img_paths``, ``img_ids``, ``target_img_path``, ``center``, ``scale``, ``factor`` (T,), and ``camera_param``.

    Args:
        seq_len: frames in a sequence.
        seq_step: from one frame of a sequence to the next.
        multiple_target: so many frames are a sequence, and all of them targets; then seq_len is 1.
        multiple_target_step: from one such sequence to the next; as many frames as are in one where it is 0.
        pad_video_seq: each frame has its sequence, whose first or last frame is repeated at the video's ends.
        causal: the target is a sequence's last frame, and not its middle one.
        subset_frac: share of the sequences that is kept, from the first on (MMPose draws where it begins).
        keypoint_2d_src: "gt", "detection" (of ``keypoint_2d_det_file``) or "pipeline".
        keypoint_2d_det_file: found keypoints (N, K, 3), an npy file.
        factor_file: numbers (N,) that lead from pixels to space, an npy file; 0 without one.
        camera_param_file: cameras by person and name.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("pose/h36m")

    seq_len: int = 1
    seq_step: int = 1
    multiple_target: int = 0
    multiple_target_step: int = 0
    pad_video_seq: bool = False
    causal: bool = True
    subset_frac: float = 1.0
    keypoint_2d_src: str = "gt"
    keypoint_2d_det_file: str | None = None
    factor_file: str | None = None
    camera_param_file: str | None = None

    def __post_init__(self) -> None:
        for word, least in (("seq_len", 1), ("seq_step", 1), ("multiple_target", 0), ("multiple_target_step", 0)):
            expect_number(getattr(self, word), f"Human36mDataset: {word}", whole=True)
            if getattr(self, word) < least:
                raise FkitValueError(f"Human36mDataset: {word} = {getattr(self, word)}: at least {least}.", path=word)
        for word in ("pad_video_seq", "causal"):
            expect(getattr(self, word), bool, f"Human36mDataset: {word} is True or False")
        expect_number(self.subset_frac, "Human36mDataset: subset_frac")
        if not 0 < self.subset_frac <= 1:
            raise FkitValueError(f"Human36mDataset: subset_frac = {self.subset_frac}: over 0, at most 1.")
        if self.multiple_target and self.seq_len != 1:
            raise FkitValueError("Human36mDataset: multiple_target is for seq_len=1.", path="multiple_target")
        if self.keypoint_2d_src not in _SOURCES:
            what = f"Human36mDataset: keypoint_2d_src = {self.keypoint_2d_src!r} is unknown."
            raise FkitValueError(what, value=str(self.keypoint_2d_src), choices=_SOURCES, path="keypoint_2d_src")
        if self.keypoint_2d_src == "detection" and not self.keypoint_2d_det_file:
            raise FkitValueError("Human36mDataset: keypoint_2d_src='detection' wants keypoint_2d_det_file.")
        for word in ("keypoint_2d_det_file", "factor_file", "camera_param_file"):
            expect(getattr(self, word), (str, type(None)), f"Human36mDataset: {word} is a path")
        if self.data_mode != "topdown":
            raise FkitValueError("Human36mDataset: data_mode is 'topdown'.", path="data_mode")
        super().__post_init__()

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Record ``idx``, and what transforms want of the metainfo."""
        return {key: value for key, value in super().get_data_info(idx).items() if key != "dataset_name"}

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        instances, _ = self.read()
        return [one for one in instances if np.max(one["keypoints"]) > 0]

    def read(self) -> tuple[list[Row], list[Row]]:
        content = self._array(self.source_file)
        names: NDArray[Any] = content["imgname"]
        sequences = self._sequences(names.tolist())
        kept = sequences[: int(len(sequences) * self.subset_frac)]
        count = self.metainfo["num_keypoints"]
        arrays = {
            key: content[key] if key in content else np.zeros((len(names), *shape))
            for key, shape in (("S", (count, 4)), ("part", (count, 3)), ("center", (2,)), ("scale", ()))
        }
        if self.keypoint_2d_src == "detection":
            arrays["part"] = self._array(self.keypoint_2d_det_file or "")
        arrays["factor"] = self._array(self.factor_file) if self.factor_file else np.zeros(len(names))
        for key, array in arrays.items():
            if len(array) != len(names):
                raise FkitValueError(f"{self.ann_file}: {len(array)} rows of {key!r} for {len(names)} images.")
        cameras: Any = self._cameras(self._path(self.camera_param_file)) if self.camera_param_file else None
        return [self._record(number, frames, names, arrays, cameras) for number, frames in enumerate(kept)], []

    def _record(
        self, number: int, frames: list[int], names: NDArray[Any], arrays: Mapping[str, NDArray[Any]], cameras: Any
    ) -> Row:
        flat, space = (arrays[key][frames].astype(np.float32) for key in ("part", "S"))
        last = [-1] if self.causal else [self.seq_len // 2]
        targets = list(range(self.multiple_target)) or last
        record: Row = {
            "num_keypoints": self.metainfo["num_keypoints"],
            "keypoints": flat[..., :2],
            "keypoints_visible": flat[..., 2],
            "keypoints_3d": space[..., :3],
            "keypoints_3d_visible": space[..., 3],
            "scale": arrays["scale"].astype(np.float32)[number],
            "center": arrays["center"][number].astype(np.float32).reshape(1, -1),
            "id": number,
            "category_id": 1,
            "iscrowd": 0,
            "img_paths": [str(name) for name in names[frames]],
            "img_ids": frames,
            "lifting_target": space[targets][..., :3],
            "lifting_target_visible": space[targets][..., 3],
            "target_img_path": names[frames][targets],
            "factor": arrays["factor"][frames].astype(np.float32),
        }
        if cameras is None:
            return record
        person, _, camera = _video(str(names[frames[0]]))
        return {**record, "camera_param": cameras[person, camera]}

    def _sequences(self, names: Sequence[str]) -> list[list[int]]:
        """The frames of each sequence, by video."""
        videos: dict[tuple[str, str, str], list[int]] = {}
        for place, name in enumerate(names):
            videos.setdefault(_video(name), []).append(place)
        cut = self._together if self.multiple_target else self._padded if self.pad_video_seq else self._inside
        sequences = [sequence for video in sorted(videos) for sequence in cut(videos[video])]
        wanted = self.multiple_target or self.seq_len
        wrong = next((len(sequence) for sequence in sequences if len(sequence) != wanted), None)
        if wrong is not None:
            raise FkitValueError(f"Human36mDataset: a sequence of {wrong} frames, where {wanted} are wanted.")
        return sequences

    def _together(self, frames: list[int]) -> list[list[int]]:
        step = self.multiple_target_step or self.multiple_target
        count = (len(frames) + step - self.multiple_target) // step
        starts = range(0, len(frames), step)[: max(count, 0)]
        return [frames[start : start + self.multiple_target : self.seq_step] for start in starts]

    def _inside(self, frames: list[int]) -> list[list[int]]:
        reach = (self.seq_len - 1) * self.seq_step + 1
        return [frames[at : at + reach : self.seq_step] for at in range(len(frames) - reach + 1)]

    def _padded(self, frames: list[int]) -> list[list[int]]:
        before = self.seq_len - 1 if self.causal else (self.seq_len - 1) // 2
        after = 0 if self.causal else before
        step, last = self.seq_step, len(frames) - 1
        sequences: list[list[int]] = []
        for at in range(len(frames)):
            left, right = min(before, at // step), min(after, (last - at) // step)
            middle = frames[at - left * step : at + right * step + 1 : step]
            sequences.append([frames[0]] * (before - left) + middle + [frames[-1]] * (after - right))
        return sequences

    def _cameras(self, path: str) -> Any:
        return unpickled(get(path, self.backend_args), path)

    def _path(self, path: str | None) -> str:
        return joined(self.data_root or "", path or "", "Human36mDataset: a file")

    def _array(self, path: str) -> Any:
        """An npz file's arrays, or an npy file's array."""
        whole = self._path(path)
        try:
            return np.load(io.BytesIO(get(whole, self.backend_args)))
        except (ValueError, EOFError) as cause:
            raise FkitValueError(f"{whole}: it is no array of numpy: {cause}.") from cause


def _video(name: str) -> tuple[str, str, str]:
    """Person, action and camera of a frame: "S1_Walking_1.54138969_000001.jpg"."""
    head, _, tail = os.path.basename(name).partition(".")
    person, _, action = head.partition("_")
    return person, action, tail.partition("_")[0]

"""MMDetection's transforms of videos: frames chosen, and packed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fkit.data.transform.detection.formatting import detection_targets
from fkit.data.transform.draw import needed
from fkit.data.transform.formatting import channels_first, names_of
from fkit.data.transform.transform import Fetch, Sample, Transform
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitKeyError, FkitValueError
from fkit.tree.frozen import frozen

__all__ = ["BaseFrameSample", "Frames", "PackTrackInputs", "UniformRefFrameSample"]

_VIDEO_KEYS = ("video_id", "video_length")
_FIELDS = (
    ("gt_bboxes", "bboxes"),
    ("gt_bboxes_labels", "labels"),
    ("gt_masks", "masks"),
    ("gt_instances_ids", "instances_ids"),
)


class Frames(NamedTuple):
    """Which frames of a video are taken.

    Attributes:
        ids: their numbers, in order.
        key: the place of the key frame among them.
    """

    ids: tuple[int, ...]
    key: int


@dataclass(frozen=True)
class BaseFrameSample(Transform):
    """The key frame of a video; mmdet's BaseFrameSample.

    Args:
        collect_video_keys: of the video, given to each frame.

    A sample is a video: ``images``, a list of records, one a frame, ``video_length`` and perhaps ``key_frame_id``, which is
    drawn where it is not said. Returns the records' values as lists, one value a frame. Params: `Frames`.

    Example:
        >>> video = {"video_id": 3, "video_length": 2, "images": [{"frame_id": 0}, {"frame_id": 1}]}
        >>> dict(BaseFrameSample().apply(video, Frames((1,), 0)))
        {'frame_id': [1], 'video_id': [3], 'ori_video_length': [2], 'video_length': [1]}
    """

    collect_video_keys: Sequence[str] = _VIDEO_KEYS

    def __post_init__(self) -> None:
        names = names_of(self.collect_video_keys, f"{type(self).__name__}: collect_video_keys")
        object.__setattr__(self, "collect_video_keys", names)

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Frames:
        return Frames((self.key_frame(sample, rng),), 0)

    def key_frame(self, sample: Sample, rng: np.random.Generator | None) -> int:
        """The number of the key frame: said, or drawn."""
        if "key_frame_id" in sample:
            expect_number(sample["key_frame_id"], "`key_frame_id`", whole=True)
            return int(sample["key_frame_id"])
        return int(needed(rng, self).integers(sample["video_length"]))

    def apply(self, sample: Sample, params: Frames) -> Sample:
        frames: Any = sample["images"]
        expect(frames, (list, tuple), "`images` is a list of records, one a frame")
        listed: dict[str, list[Any]] = {}
        for number in params.ids:
            record: dict[str, Any] = {**frames[number]}
            for key in self.collect_video_keys:
                if key == "video_length":
                    record |= {"ori_video_length": sample[key], "video_length": len(params.ids)}
                else:
                    record[key] = sample[key]
            for key, value in record.items():
                listed.setdefault(key, []).append(value)
        return frozen(listed)


@dataclass(frozen=True)
class UniformRefFrameSample(BaseFrameSample):
    """The key frame of a video and others near it, in order; mmdet's UniformRefFrameSample.

    Args:
        collect_video_keys: of the video, given to each frame.
        num_ref_imgs: how many others; where there are fewer, some are taken again.
        frame_range: how far from the key frame, in frames, or [the lowest, the highest] offset.
        filter_key_img: whether the key frame is none of the others.

    Sets ``key_frame_flags``, a list of bools, beside what `BaseFrameSample` gives.
    """

    num_ref_imgs: int = 1
    frame_range: int | Sequence[int] = 10
    filter_key_img: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_number(self.num_ref_imgs, "UniformRefFrameSample: num_ref_imgs", whole=True)
        expect(self.filter_key_img, bool, "UniformRefFrameSample: filter_key_img is True or False")
        span: Any = self.frame_range
        low, high = (
            (-span, span)
            if isinstance(span, int)
            else tuple(span)
            if isinstance(span, (list, tuple)) and len(cast("Sequence[Any]", span)) == 2
            else (1, 0)
        )
        for one in (low, high):
            expect_number(one, "UniformRefFrameSample: frame_range", whole=True)
        if not low <= 0 <= high:
            raise FkitValueError(
                f"UniformRefFrameSample: frame_range = {span!r} is neither a number of frames nor [below 0, above 0]."
            )
        object.__setattr__(self, "frame_range", (low, high))

    def draw(self, sample: Sample, rng: np.random.Generator | None, fetch: Fetch | None) -> Frames:
        key, length = self.key_frame(sample, rng), int(sample["video_length"])
        low, high = cast("tuple[int, int]", self.frame_range)
        near = list(range(max(0, key + low), min(key + high, length - 1) + 1))
        if self.filter_key_img and length > 1:
            near = [one for one in near if one != key]
        if not near:
            raise FkitValueError("beside the key frame there is no frame within frame_range.")
        if len(near) < self.num_ref_imgs:
            near *= self.num_ref_imgs
        others = needed(rng, self).choice(near, self.num_ref_imgs, replace=False).tolist()
        ids = sorted([key, *others])
        return Frames(tuple(ids), ids.index(key))

    def apply(self, sample: Sample, params: Frames) -> Sample:
        flags = [place == params.key for place in range(len(params.ids))]
        return frozen({**super().apply(sample, params), "key_frame_flags": flags})


@dataclass(frozen=True)
class PackTrackInputs(Transform):
    """Pack the frames of a video for `fkit.data.collate`; mmdet's PackTrackInputs.

    Args:
        meta_keys: kept in ``meta`` beside ``default_meta_keys``.
        default_meta_keys: kept in ``meta`` where the sample has them: a list each, one value a frame.

    Every value of the sample is a list, one a frame. Returns ``inputs`` (T, C, H, W); ``targets``
    ``{"frame_0_gt_instances": {...}, ...}``, of each frame what
    `fkit.data.transform.detection.formatting.detection_targets` gives, with ``instances_ids`` among the instances;
    ``meta``, with ``key_frames_inds`` and ``ref_frames_inds`` where key frames are marked.
    """

    meta_keys: str | Sequence[str] | None = None
    default_meta_keys: Sequence[str] = (
        "img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction", "frame_id", "video_id",
        "video_length", "ori_video_length", "instances",
    )  # fmt: skip

    def __post_init__(self) -> None:
        more = (self.meta_keys,) if isinstance(self.meta_keys, str) else self.meta_keys or ()
        names = (
            *names_of(self.default_meta_keys, "PackTrackInputs: default_meta_keys"),
            *names_of(more, "PackTrackInputs: meta_keys"),
        )
        object.__setattr__(self, "meta_keys", tuple(dict.fromkeys(("sample_idx", *names))))

    def apply(self, sample: Sample, params: Any) -> Sample:
        images: Any = sample.get("img")
        if not isinstance(images, (list, tuple)) or not images:
            raise FkitKeyError(
                "the sample has no list of images, one a frame.",
                repair="Put the steps before into TransformBroadcaster, which gives a list of each.",
            )
        count = len(cast("Sequence[Any]", images))
        inputs = np.stack([channels_first(img) for img in cast("Sequence[NDArray[Any]]", images)])
        targets: dict[str, Any] = {}
        for place in range(count):
            frame = {
                key: value[place]
                for key, value in sample.items()
                if isinstance(value, (list, tuple)) and len(cast("Sequence[Any]", value)) == count
            }
            targets |= {f"frame_{place}_{name}": value for name, value in detection_targets(frame, _FIELDS).items()}
        meta = {key: sample[key] for key in cast("tuple[str, ...]", self.meta_keys) if key in sample}
        flags: Sequence[bool] | None = sample.get("key_frame_flags")
        if flags is not None:
            meta["key_frames_inds"] = [place for place, flag in enumerate(flags) if flag]
            meta["ref_frames_inds"] = [place for place, flag in enumerate(flags) if not flag]
        return frozen({"inputs": inputs, "targets": frozen(targets), "meta": frozen(meta)})

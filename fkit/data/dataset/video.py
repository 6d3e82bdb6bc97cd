"""Videos in COCO's form: a record a video, with its frames; MMDetection's tracking and video instance data sets."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, cast

import numpy as np

from fkit.data.dataset.base import BaseDataset
from fkit.data.dataset.detection import CocoDataset
from fkit.data.dataset.facts import Facts
from fkit.data.dataset.indexed import checked
from fkit.data.transform.transform import Sample
from fkit.fileio.line import list_from_file
from fkit.tree.check import expect, expect_number
from fkit.tree.error import FkitNotImplementedError, FkitTypeError, FkitValueError, quoted
from fkit.tree.frozen import EMPTY, frozen

__all__ = ["BaseVideoDataset", "MOTChallengeDataset", "ReIDDataset", "YouTubeVISDataset"]

_ALONE = 100000  # a video's number where images say none: they are videos of one frame


@dataclass(frozen=True)
class BaseVideoDataset(CocoDataset):
    """Videos: images that say their ``video_id`` (``frame_id``, ...), with instances that say their ``instance_id``.

    A record: ``video_id``, ``video_length`` and ``images``, one a frame, each what the file says of it, ``img_path`` and
    ``instances``. In training frames smaller than ``min_size`` (32) are left out, and, unless ``filter_empty_gt`` is False,
    those without an object. ``dataset[i]`` is a video; in tests its frames as lists under each key. ``dataset[i, k]`` is
    the video with ``key_frame_id`` k; in tests its frame k alone.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = EMPTY

    data_prefix: Mapping[str, str] = frozen({"img_path": ""})

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        videos: dict[Any, dict[str, Any]] = {}
        alone = _ALONE
        for frame in super().load_data_list():
            number = frame.get("video_id")
            if number is None:
                alone += 1
                number = alone
            videos.setdefault(number, {"video_id": number, "images": []})["images"].append(frame)
        return [{**video, "video_length": len(video["images"])} for video in videos.values()]

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> Any:
        image, rows = raw_data_info["raw_img_info"], raw_data_info["raw_ann_info"]
        path = os.path.join(self.prefix("img_path", "img"), image["file_name"])
        instances = chain.from_iterable(self.numbered(place, row) for place, row in enumerate(rows))
        return {**image, "img_path": path, "instances": list(instances)}

    def numbered(self, place: int, row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        """The instance of annotation ``place`` of a frame, with its ``instance_id``; or none."""
        return ({**one, "instance_id": row.get("instance_id") or place} for one in self.instances_of(row))

    def filter_data(self) -> Iterable[Mapping[str, Any]]:
        if self.test_mode:
            return self.data_list
        said = self.filter_cfg or EMPTY
        least, filled = said.get("min_size", 32), said.get("filter_empty_gt", True)
        videos: list[Mapping[str, Any]] = []
        for video in self.data_list:
            frames = [
                frame
                for frame in video["images"]
                if min(frame["width"], frame["height"]) >= least and (not filled or frame["instances"])
            ]
            videos.append({**video, "images": frames, "video_length": len(frames)})
        return videos

    def get_cat_ids(self, idx: Any) -> Sequence[int]:
        """The labels of the objects in a video, or in the frame (video, frame)."""
        video, frame = self._place(idx)
        frames = self.get_data_info(video)["images"]
        rows = frames if frame is None else [frames[frame]]
        return tuple(one["bbox_label"] for row in rows for one in row["instances"])

    def get_len_per_video(self, idx: int) -> int:
        """How many frames a video has."""
        return len(self.get_data_info(idx)["images"])

    @property
    def num_all_imgs(self) -> int:
        """How many frames all videos have together."""
        return sum(self.get_len_per_video(place) for place in range(len(self)))

    def __getitem__(self, index: Any) -> Sample:
        video, frame = self._place(index)
        record = self.get_data_info(video)
        if not self.test_mode:
            return frozen(record if frame is None else {**record, "key_frame_id": frame})
        frames = [{**one, "video_id": record["video_id"]} for one in record["images"]]
        several = frames if frame is None else [frames[checked(frame, len(frames), "a video")]]
        lists = {key: [one[key] for one in several] for key in (several[0] if several else ())}
        lengths = {"ori_video_length": [len(frames)] * len(several), "video_length": [len(several)] * len(several)}
        return frozen({**lists, **lengths, "sample_idx": record["sample_idx"]})

    def _place(self, index: Any) -> tuple[int, int | None]:
        if not isinstance(index, tuple):
            return index, None
        pair = cast("tuple[Any, ...]", index)
        if len(pair) != 2:
            raise FkitTypeError(f"{type(self).__name__}: a frame is (video, frame), not {pair!r}.")
        for number in pair:
            expect_number(number, f"{type(self).__name__}: a video's and a frame's number", whole=True)
        return pair[0], pair[1]


@dataclass(frozen=True)
class MOTChallengeDataset(BaseVideoDataset):
    """MOT Challenge in COCO's form: instances have also ``category_id``, ``mot_conf`` and ``visibility``.

    Args:
        visibility_thr: in training, objects that are seen less than this are left out.
    """

    METAINFO: ClassVar[Mapping[str, Any]] = Facts("detection/mot")

    visibility_thr: float = -1

    def __post_init__(self) -> None:
        expect_number(self.visibility_thr, "MOTChallengeDataset: visibility_thr")
        super().__post_init__()

    def numbered(self, place: int, row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
        if not self.test_mode and row["visibility"] < self.visibility_thr:
            return
        for one in self.instances_of(row):
            more = {key: row[key] for key in ("instance_id", "category_id", "mot_conf", "visibility")}
            yield {**{key: value for key, value in one.items() if key != "mask"}, **more}


@dataclass(frozen=True)
class YouTubeVISDataset(BaseVideoDataset):
    """YouTube-VIS, 40 classes.

    Args:
        dataset_version: "2019" or "2021", whose classes are others.
    """

    VERSIONS: ClassVar[Mapping[str, Facts]] = frozen(
        {year: Facts(f"detection/youtube_vis_{year}") for year in ("2019", "2021")}
    )

    dataset_version: str = ""

    def __post_init__(self) -> None:
        expect(self.dataset_version, str, "YouTubeVISDataset: dataset_version is text")
        if self.dataset_version not in self.VERSIONS:
            raise FkitValueError(
                f"YouTubeVISDataset: dataset_version = {self.dataset_version!r} is unknown.",
                value=self.dataset_version,
                choices=cast("Iterable[str]", self.VERSIONS),
                path="dataset_version",
            )
        super().__post_init__()

    def _merged(self, of_file: Mapping[str, Any]) -> Mapping[str, Any]:
        return frozen({**self.VERSIONS[self.dataset_version].content, **super()._merged(of_file)})


@dataclass(frozen=True)
class ReIDDataset(BaseDataset):
    """Pictures of people and who they are, of a text file, "NAME NUMBER" a line, for models that know people again.

    A record: ``img_path``, ``img_prefix`` (``data_prefix``) and ``gt_label``, an int64 without an axis.

    Args:
        triplet_sampler: not offered.

    Raises:
        FkitNotImplementedError: triplet_sampler is said.
    """

    triplet_sampler: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.triplet_sampler is not None:
            raise FkitNotImplementedError(
                "ReIDDataset: triplet_sampler is not offered: a sample is one picture.",
                repair="Leave it out, and draw people by a sampler of your own.",
                path="triplet_sampler",
            )
        super().__post_init__()

    def load_data_list(self) -> Iterable[Mapping[str, Any]]:
        folder = self.data_prefix.get("img_path", "")
        for number, line in enumerate(list_from_file(self.source_file), 1):
            name, _, label = line.strip().rpartition(" ")
            if not name or not label.isdecimal():
                self.faults.add("a line that is no name and number", f"line {number}", quoted(line))
                continue
            path = os.path.join(folder, name)
            yield {"img_prefix": dict(self.data_prefix), "img_path": path, "gt_label": np.array(int(label), np.int64)}
